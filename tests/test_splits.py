"""What is held out, what chooses and what reports: decided by the images' content, so that it stays decided."""

import os
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gan_helpers import data
from gan_helpers.data import SETS, listing, load
from gan_helpers.data.folder import open_folder
from gan_helpers.data.splits import CHOOSE, ENOUGH, SPLITS, rank, ranks, rows_of
from gan_helpers.errors import CourseError

RANDOM = np.random.default_rng(0).random(60_000)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "folders"


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)


def photos(root, seeds):
    """PNGs, each named after the seed of its noise."""
    root.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        Image.fromarray(noise(seed)).save(root / f"{seed:04d}.png")
    return root


def packed(root, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, file.relative_to(root))
    return path


def seen(images):
    """The images as a set of bytes."""
    return {image.tobytes() for image in images.images}


def splits(path, *names):
    """What a folder or zip has in each split, as sets of images."""
    return [seen(load(path, 8, split=name)) for name in names or ("train", "held-out")]


# --- the rule ---


def test_a_rank_is_the_contents_alone_and_evenly_spread():
    images = np.random.default_rng(0).integers(0, 256, (5000, 1, 4, 4), np.uint8)
    found = ranks(images)
    assert (found >= 0).all() and (found < 1).all() and len(set(found)) == 5000
    assert found[7] == rank(images[7]) == rank(images[7].tobytes()) == rank(images[7].copy().T.T)
    shares = np.histogram(found, 10, (0, 1))[0] / 5000
    assert np.abs(shares - 0.1).max() < 0.02  # four standard deviations
    one_level_off = images[7].copy()
    one_level_off[0, 0, 0] ^= 1
    assert rank(one_level_off) != found[7]


@pytest.mark.parametrize("count", [0, 1, 30, 3_000, 60_000])
def test_train_and_held_out_are_disjoint_and_cover_all(count):
    values = RANDOM[:count]
    train, held = rows_of("train", values), rows_of("held-out", values)
    assert (train ^ held).all() and abs(held.sum() - 0.1 * count) <= 4 * (0.09 * count) ** 0.5


def test_one_more_image_moves_no_other():
    for count in (10, 999, 20_000):
        values = RANDOM[:count]
        for more in (0.0, 0.3, 0.95):
            for place in (0, count // 2, count):
                grown = np.insert(values, place, more)
                for split in ("train", "held-out"):
                    assert (np.delete(rows_of(split, grown), place) == rows_of(split, values)).all()


def test_one_more_image_moves_none_between_choose_and_report_where_many_are_held_out():
    for split in ("choose", "report"):
        for more in (0.3, 0.95):
            assert (rows_of(split, np.append(RANDOM, more))[:-1] == rows_of(split, RANDOM)).all()


def test_copies_stay_together():
    values = np.concatenate([RANDOM, RANDOM])
    for split in ("train", "held-out", "choose", "report"):
        first, second = np.split(rows_of(split, values), 2)
        assert (first == second).all(), split


def test_choose_and_report_part_the_held_out_images_one_to_four_where_these_are_many():
    held, choose, report = (rows_of(split, RANDOM) for split in ("held-out", "choose", "report"))
    assert held.sum() >= ENOUGH
    assert not (choose & report).any() and ((choose | report) == held).all()
    assert abs(choose.sum() / held.sum() - 0.2) < 4 * (0.16 / held.sum()) ** 0.5
    given = np.arange(len(RANDOM)) % 6 == 0  # such as an official test split
    roles = np.where(given, "held-out", "train")
    choose, report = (rows_of(split, RANDOM, roles) for split in ("choose", "report"))
    assert not (choose & report).any() and ((choose | report) == given).all()
    assert abs(choose.sum() / given.sum() - 0.2) < 4 * (0.16 / given.sum()) ** 0.5


def test_where_few_are_held_out_all_of_them_report_and_two_thousand_fixed_training_images_choose():
    values = RANDOM[:20_000]
    train, held, choose, report = (rows_of(split, values) for split in ("train", "held-out", "choose", "report"))
    assert held.sum() < ENOUGH and (report == held).all()
    assert choose.sum() == CHOOSE == 2000 and (train | ~choose).all()
    order = np.random.default_rng(1).permutation(len(values))
    assert (rows_of("choose", values[order]) == choose[order]).all()  # whatever order they lie in
    grown = rows_of("choose", np.append(values, RANDOM[20_000:20_010]))[:-10]
    assert (grown & ~choose).sum() == 0 and (choose & ~grown).sum() <= 10  # a new one takes at most one's place
    assert (rows_of("choose", RANDOM[:300]) == rows_of("train", RANDOM[:300])).all()  # fewer: all that there are


@pytest.mark.parametrize("name", ["faces", "fashion"])
def test_embedded_sets_choose_by_training_images_and_report_by_all_held_out_ones(name):
    train, held, choose, report = (load(name, split=split) for split in ("train", "held-out", "choose", "report"))
    assert (choose.name, report.name) == (f"{name}-choose", f"{name}-report")
    assert (report.images == held.images).all() and len(choose) == CHOOSE
    assert set(ranks(choose.images)) <= set(ranks(train.images))
    assert len(choose.labels) == CHOOSE and {len(column) for column in choose.attributes.values()} <= {CHOOSE}


def test_official_test_splits_are_parted_by_their_content_before_they_are_resized(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (5000, 3, 8, 8), np.uint8)
    held = data.ImageSet(images, "cifar10", np.arange(5000), tuple(map(str, range(5000))))
    train = replace(held, images=images[:200] ^ 255, name="cifar10", labels=np.arange(200))
    monkeypatch.setattr(SETS["cifar10"], "official", {"train": train, "test": held}.get)
    choose, report = load("cifar10", split="choose"), load("cifar10", split="report")
    assert (choose.name, report.name) == ("cifar10-choose", "cifar10-report")
    assert sorted([*choose.labels, *report.labels]) == list(range(5000)) and 850 < len(choose) < 1150
    assert (images[choose.labels] == choose.images).all()  # labels went along
    for split, found in (("choose", choose), ("report", report)):
        assert (load("cifar10", 4, 1, split=split).labels == found.labels).all()
    assert len(load("cifar10")) == 200 and len(load("cifar10", split="held-out")) == 5000
    backwards = replace(held, images=images[::-1], labels=held.labels[::-1])
    monkeypatch.setattr(SETS["cifar10"], "official", lambda split: backwards)
    assert set(load("cifar10", split="choose").labels) == set(choose.labels)


def test_a_download_that_fails_falls_back_in_every_split(monkeypatch, capsys):
    def offline(split):
        raise CourseError("no network")

    monkeypatch.setattr(SETS["cifar10"], "official", offline)
    for split in SPLITS:
        found = load("cifar10", fallback="fashion", split=split)
        assert (found.images == load("fashion", split=split).images).all()


# --- folders and zips ---


def test_a_folder_and_a_zip_of_the_same_files_have_the_same_splits(tmp_path):
    root = photos(tmp_path / "set", range(60))
    archive = packed(root, tmp_path / "set.zip")
    names = ("train", "held-out", "choose", "report")
    assert splits(root, *names) == splits(archive, *names)
    train, held, choose, report = splits(root, *names)
    assert len(train) + len(held) == 60 and held and not train & held and choose == train and report == held


def test_a_new_photo_and_other_names_and_folders_move_nothing(tmp_path):
    train, held = splits(photos(tmp_path / "set", range(60)))
    more_train, more_held = splits(photos(tmp_path / "set", [77]))
    assert train <= more_train and held <= more_held and len(more_train) + len(more_held) == 61
    for file in list((tmp_path / "set").iterdir()):
        new = tmp_path / "moved" / "deeper" / f"z{9999 - int(file.stem)}.png"
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, new)
    assert splits(tmp_path / "moved") == [more_train, more_held]


def test_copies_of_a_file_stay_on_one_side(tmp_path):
    root = photos(tmp_path / "set", range(40))
    for file in list(root.iterdir()):
        shutil.copy(file, root / f"copy-{file.name}")
    train, held = splits(root)
    assert held and not train & held and len(load(root, 8)) == 2 * len(train)


def test_every_size_and_colour_has_the_same_splits(tmp_path):
    root = photos(tmp_path / "set", range(40))
    counts = {
        (size, channels): len(load(root, size, channels, split="held-out")) for size in (4, 8) for channels in (1, 3)
    }
    assert len(set(counts.values())) == 1


def test_classes_are_those_of_the_whole_set_in_every_split(tmp_path):
    for k, name in enumerate(("cats", "dogs", "fish")):
        photos(tmp_path / "set" / name, range(30 * k, 30 * k + (30 if k < 2 else 1)))  # one fish, on one side only
    found = [load(tmp_path / "set", 8, split=split) for split in ("train", "held-out")]
    assert [images.class_names for images in found] == [("cats", "dogs", "fish")] * 2
    counts = sum(np.bincount(images.labels, minlength=3) for images in found)
    assert counts.tolist() == [30, 30, 1]


def test_files_are_read_for_their_rank_once_until_they_change(tmp_path, monkeypatch, cache):
    root, read = photos(tmp_path / "set", range(30)), []
    monkeypatch.setattr(data.splits, "rank", lambda content: read.append(1) or rank(content))
    for split in ("train", "held-out", "report"):
        load(root, 8, split=split)
    assert len(read) == 30
    Image.fromarray(noise(99)).save(root / "0003.png")
    os.utime(root / "0003.png", (1, 1))
    after = splits(root)
    assert len(read) == 60 and noise(99).transpose(2, 0, 1).tobytes() in set.union(*after)


def test_every_split_is_one_stretch_of_one_cache(tmp_path, cache):
    root = photos(tmp_path / "set", range(60))
    for split in SPLITS:
        assert isinstance(load(root, 8, split=split).images, np.memmap), split
    assert len(list(cache.glob("*.npy"))) == 1
    names = [f"{seed:04d}.png" for seed in range(60) if noise(seed).transpose(2, 0, 1).tobytes() in splits(root)[0]]
    expected = [noise(int(name[:4])).transpose(2, 0, 1) for name in names]
    assert (load(root, 8).images == expected).all()  # in the order of their names


def test_a_file_that_could_not_be_read_gets_its_rank_when_it_can_be(tmp_path, monkeypatch, cache):
    root = photos(tmp_path / "set", range(30))
    openers, hidden = listing.list_folder, []

    def list_folder(path):
        found = openers(path)
        opener = found.open

        def guarded(name):
            if name in hidden:
                raise PermissionError(13, "Permission denied")
            return opener(name)

        return replace(found, open=guarded)

    monkeypatch.setattr(listing, "list_folder", list_folder)
    hidden += [f"{k:04d}.png" for k in range(10)]
    for split in ("train", "held-out"):
        load(root, 8, skip_broken=True, split=split)
    hidden.clear()
    assert splits(root) == splits(packed(root, tmp_path / "set.zip"))


def test_files_that_cannot_be_read_keep_their_message(tmp_path):
    root = photos(tmp_path / "set", range(40))
    held = load(root, 8, split="held-out").images
    bad = next(k for k in range(40) if noise(k).transpose(2, 0, 1).tobytes() not in {i.tobytes() for i in held})
    (root / f"{bad:04d}.png").write_text("no image")
    texts = [f"bad{k}.jpg" for k in range(30)]
    for k, name in enumerate(texts):
        (root / name).write_text(f"no image either: {k}")
    messages = ""
    for split in ("train", "held-out"):
        with pytest.raises(
            CourseError, match=r"images in '.*set' cannot be read:\n  \S+: UnidentifiedImageError"
        ) as error:
            load(root, 8, split=split)
        messages += str(error.value)
    assert "--skip-broken" in messages
    found = [load(root, 8, split=split, skip_broken=True) for split in ("train", "held-out")]
    assert sum(map(len, found)) == 39 and all("31 broken images" in images.note for images in found)


@pytest.mark.parametrize("count", [1, 2])
def test_a_tiny_folder_says_how_many_images_it_has_and_what_to_do(count, tmp_path):
    of = {
        split: [k for k in range(100) if (rank(png(k)) >= 0.9) == (split == "held-out")]
        for split in ("train", "held-out")
    }
    for kind, others, words in (
        ("train", ("held-out", "report"), "none is"),
        ("held-out", ("train", "choose"), "all are"),
    ):
        root = tmp_path / kind
        root.mkdir()
        for k in of[kind][:count]:
            (root / f"{k}.png").write_bytes(png(k))
        assert len(load(root, 8, split=kind)) == count
        for split in others:
            with pytest.raises(
                CourseError,
                match=f"has {count} images, of which {words} held out .about one in ten is.* too few to .*Add",
            ):
                load(root, 8, split=split)
        assert len(open_folder(root, 8)) == count  # without a split, all of them


def png(seed):
    from io import BytesIO

    file = BytesIO()
    Image.fromarray(noise(seed)).save(file, "PNG")
    return file.getvalue()
