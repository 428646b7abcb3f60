"""A folder or zip of the user's own images: modes, classes, cache, and everything that can be wrong with it."""

import errno
import json
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from gan_helpers.data import cache as cache_files
from gan_helpers.data import decoding, layout, listing, load, splits
from gan_helpers.data.folder import open_folder
from gan_helpers.errors import CourseError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    place = tmp_path / "cache"
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(place))
    return place


@pytest.fixture
def photos(tmp_path):
    """Six different JPEGs in a folder, none of which is held out."""
    root = tmp_path / "photos"
    for i in range(6):
        seeds = range(i, 1000, 6)
        drawn = (save(noise(20 + i, 30, s), root / f"{i}.jpg") for s in seeds)
        next(path for path in drawn if splits.rank(path.read_bytes()) < splits.HELD_OUT)
    return root


def noise(height, width, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def save(image, path, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)
    return path


def zip_of(root, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, file.relative_to(root))
    return path


def files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def one(tmp_path, image, name="image.png", size=8, channels=3, **how):
    """The decoded pixels (C, S, S) of one image saved alone in a folder."""
    root = tmp_path / f"one-{name}"
    save(image, root / name, **how)
    return np.array(open_folder(root, size, channels).images[0])


# ---- pixels


@pytest.mark.parametrize("height, width", [(218, 178), (109, 89), (30, 47), (64, 64), (20, 100), (1, 7)])
def test_pixels_are_those_of_the_dcgan_tutorial(tmp_path, height, width):
    from torchvision import transforms

    image = noise(height, width)
    expected = np.asarray(transforms.Compose([transforms.Resize(64), transforms.CenterCrop(64)])(image))
    got = one(tmp_path, image, size=64)
    assert got.shape == (3, 64, 64) and got.dtype == np.uint8
    assert np.abs(got.transpose(1, 2, 0).astype(int) - expected).max() <= 1


def test_every_mode_becomes_rgb_on_white(tmp_path):
    half = np.zeros((8, 8), np.uint8)
    half[:, 4:] = 255  # right half opaque
    alpha = Image.fromarray(half)
    white_left = np.concatenate([np.full((8, 4), 255), np.full((8, 4), 100)], 1)

    grey = Image.new("L", (8, 8), 100)
    assert (one(tmp_path, grey, "l.png") == 100).all()
    la = Image.merge("LA", (grey, alpha))
    assert (one(tmp_path, la, "la.png") == white_left).all()
    rgba = Image.merge("RGBA", (grey, grey, grey, alpha))
    for name in ("rgba.png", "rgba.tiff"):
        assert (one(tmp_path, rgba, name) == white_left).all()
    assert (one(tmp_path, rgba, "rgba.webp", lossless=True) == white_left).all()
    palette = Image.fromarray((half > 0).astype(np.uint8))
    palette.putpalette([0, 0, 0, 100, 100, 100])
    assert (one(tmp_path, palette, "p.png") == np.where(half > 0, 100, 0)).all()
    assert (one(tmp_path, palette, "transparent.png", transparency=0) == white_left).all()
    assert (one(tmp_path, palette, "transparent.gif", transparency=0) == white_left).all()
    assert (one(tmp_path, Image.new("L", (8, 8), 100), "keyed.png", transparency=100) == 255).all()
    assert (one(tmp_path, Image.new("1", (8, 8), 1), "bit.png") == 255).all()
    cmyk = one(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "cmyk.jpg", quality=95)
    assert cmyk[0].min() > 230 and cmyk[1:].max() < 30
    assert one(tmp_path, Image.new("RGB", (8, 8), "red"), "grey.png", channels=1).tolist() == [[[76] * 8] * 8]


@pytest.mark.parametrize("name", ["16.png", "16.tiff", "16.pgm"])
def test_sixteen_bit_greys_are_scaled_not_clipped(tmp_path, name):
    ramp = np.repeat(np.linspace(0, 65535, 8).astype(np.uint16)[None], 8, 0)
    expected = (ramp[0] / 257).round()
    image = Image.fromarray(ramp).convert("I" if name == "16.pgm" else "I;16")  # Pillow 10 writes no I;16 there
    assert np.abs(one(tmp_path, image, name, channels=1)[0] - expected).max() <= 1


def test_float_and_32_bit_greys_are_scaled(tmp_path):
    ramp = np.repeat(np.linspace(0, 1, 8, dtype=np.float32)[None], 8, 0)
    expected = (ramp * 255).round()
    assert np.abs(one(tmp_path, Image.fromarray(ramp), "f.tiff", channels=1)[0] - expected).max() <= 1
    integers = Image.fromarray((ramp * 65535).astype(np.int32))
    assert np.abs(one(tmp_path, integers, "i.tiff", channels=1)[0] - expected).max() <= 1


def test_exif_rotation_is_applied_and_damaged_exif_is_no_harm(tmp_path):
    image = Image.new("RGB", (16, 16), "black")
    image.paste("white", (0, 0, 16, 8))  # white above
    turn = Image.Exif()
    turn[0x0112] = 6  # to be turned 90 degrees clockwise when shown: white to the right
    got = one(tmp_path, image, "turned.jpg", exif=turn, quality=95)
    assert got[:, :, 5:].min() > 200 and got[:, :, :3].max() < 50
    plain = one(tmp_path, image, "plain.jpg", quality=95)
    with pytest.warns(UserWarning, match="EXIF"):
        assert (one(tmp_path, image, "bad.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", quality=95) == plain).all()


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.webp", "a.png"):
        got = one(tmp_path, frames[0], name, save_all=True, append_images=frames[1:])
        assert got[0].min() > 240 and got[2].max() < 15


def test_a_large_jpeg_is_decoded_small_and_looks_the_same(tmp_path):
    smooth = np.linspace(0, 255, 1600).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(smooth[None, :, None], (1200, 1600, 3)).copy())
    got = one(tmp_path, image, "large.jpg", size=32)
    expected = one(tmp_path, image, "large.png", size=32)
    assert np.abs(got.astype(int) - expected).max() <= 3


# ---- what is in a folder, and what it means


@pytest.mark.parametrize("wrap", ["", "train/", "a/b/"])
def test_class_folders_in_folder_and_zip(tmp_path, wrap):
    root = tmp_path / "pets"
    for i, name in enumerate(["hund/1.jpg", "katze/1.png", "katze/2.PNG", "Ćma 蛾/ä ö.jpg", "hund/deep/3.jpg"]):
        save(noise(10, 12, i), root / wrap / name)
    found = open_folder(root, 8)
    assert found.class_names == ("hund", "katze", "Ćma 蛾")
    assert found.labels.tolist() == [0, 0, 1, 1, 2] and found.labels.dtype == np.int64
    assert (found.origin, found.shareable, found.licence, found.note) == (str(root), False, "yours to know", "")
    zipped = open_folder(zip_of(root, tmp_path / "pets.zip"), 8)
    assert zipped.class_names == found.class_names and zipped.name == found.name == "pets"
    assert (zipped.labels == found.labels).all() and (zipped.images == found.images).all()


@pytest.mark.parametrize("names", [["1.jpg", "2.jpg"], ["img_align_celeba/1.jpg", "img_align_celeba/2.jpg"]])
def test_one_folder_is_no_class(tmp_path, names):
    for name in names:
        save(noise(9, 9), tmp_path / "set" / name)
    found = open_folder(tmp_path / "set", 8)
    assert found.labels is None and found.class_names == () and found.note == ""


def test_images_beside_sub_folders_mean_no_classes_and_that_is_said(tmp_path):
    for name in ("cat/1.jpg", "dog/1.jpg", "stray.jpg"):
        save(noise(9, 9), tmp_path / "set" / name)
    found = open_folder(tmp_path / "set", 8)
    assert len(found) == 3 and found.labels is None and "beside" in found.note


def test_other_files_are_left_out_and_counted(photos, tmp_path, capsys):
    for name in ("read me.txt", "a.heic", "b.heic", "noextension"):
        (photos / name).write_text("hello")
    for name in (".hidden.jpg", ".git/x.jpg", "__MACOSX/._1.jpg", "Thumbs.db"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_text("hello")
    found = load(photos, 8)
    assert len(found) == 6 and "2 .heic" in found.note and "1 .txt" in found.note and "hidden" not in found.note
    assert "!!!!" in capsys.readouterr().out
    assert load(zip_of(photos, tmp_path / "z.zip"), 8).note.replace("z.zip", "photos") == found.note


def test_photos_that_cannot_be_read_are_named_with_how_to_convert_them(photos, monkeypatch):
    for name in ("b.HEIC", "a.heic", "c.heif", "d.hif", "e.avif", "notes.txt"):
        (photos / name).write_text("hello")
    monkeypatch.setattr(listing, "EXTENSIONS", {".jpg"})  # a Pillow without AVIF
    told = load(photos, 8).note
    assert "Not read: 2 .heic, 1 .avif, 1 .heif, 1 .hif, 1 .txt." in told
    assert "cannot read a.heic, b.HEIC, e.avif and 2 more. Convert them to JPEG" in told and "magick" in told
    for photo in photos.glob("*.jpg"):
        photo.unlink()
    with pytest.raises(CourseError, match=r"(?s)No images in .*2 \.heic.*Convert them to JPEG.*Looked for"):
        load(photos, 8)


@pytest.mark.skipif(not decoding.AVIF, reason="this Pillow reads no AVIF")
def test_avif_is_read(tmp_path):
    smooth = Image.fromarray(np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[:, None], (64, 64, 3)).copy())
    got, expected = one(tmp_path, smooth, "photo.avif", size=16, quality=90), one(tmp_path, smooth, size=16)
    assert np.abs(got.astype(int) - expected).max() <= 6 and open_folder(tmp_path / "one-photo.avif", 8).note == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes with names, and asks for rights to make links")
def test_links_to_files_are_read_and_links_to_folders_are_not(photos, tmp_path):
    save(noise(9, 9), tmp_path / "elsewhere" / "x.jpg")
    os.symlink(tmp_path / "elsewhere" / "x.jpg", photos / "linked.jpg")
    os.symlink(tmp_path / "elsewhere", photos / "linked")
    os.symlink(photos, photos / "round")
    os.symlink("/dev/zero", photos / "zero.jpg")
    os.symlink("/nowhere", photos / "nowhere.jpg")
    os.mkfifo(photos / "pipe.jpg")
    found = open_folder(photos, 8)
    assert len(found) == 7 and "2 links to folders" in found.note


def test_names_that_are_not_utf8(photos):
    try:
        os.rename(os.fsencode(photos / "0.jpg"), os.fsencode(photos) + b"/\xff.jpg")
    except (OSError, UnicodeError):
        pytest.skip("this file system wants UTF-8")
    assert len(open_folder(photos, 8)) == 6
    (photos / os.fsdecode(b"\xfe.jpg")).write_text("broken")
    with pytest.raises(CourseError) as error:
        open_folder(photos, 8)
    str(error.value).encode("utf-8")
    assert len(open_folder(photos, 8, skip_broken=True)) == 6


# ---- the cache


def test_the_second_opening_maps_the_cache_and_decodes_nothing(photos, monkeypatch):
    first = open_folder(photos, 8)
    monkeypatch.setattr(decoding, "decode", lambda *_: pytest.fail("decoded again"))
    second = open_folder(photos, 8)
    assert isinstance(second.images, np.memmap) and not second.images.flags.writeable
    assert (first.images == second.images).all()


def test_the_cache_follows_the_folder(photos, cache):
    before = np.array(open_folder(photos, 8).images)
    save(noise(20, 30, 99), photos / "0.jpg")
    after = open_folder(photos, 8).images
    assert (before[0] != after[0]).any() and (before[1:] == after[1:]).all()
    (photos / "5.jpg").unlink()
    assert len(open_folder(photos, 8)) == 5
    assert len(files(cache)) == 2, "caches of earlier states are removed"
    open_folder(photos, 8, 1), open_folder(photos, 16)
    assert len(files(cache)) == 6, "caches of other sizes and channels stay"
    assert open_folder(photos, 8, 1).images.shape == (5, 1, 8, 8)


@pytest.mark.parametrize("damage", [lambda f: f.truncate(200), lambda f: f.write(b"rubbish"), lambda f: f.truncate(0)])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_a_damaged_cache_is_made_again(photos, cache, damage, kind):
    before = np.array(open_folder(photos, 8).images)
    (file,) = (p for p in cache.rglob("*") if p.suffix == f".{kind}")
    with open(file, "r+b") as opened:
        damage(opened)
    assert (open_folder(photos, 8).images == before).all()


def test_two_processes_may_decode_the_same_folder_at_once(photos, cache):
    code = "import sys; from gan_helpers.data.folder import open_folder; print(len(open_folder(sys.argv[1], 8)))"
    both = [subprocess.Popen([sys.executable, "-c", code, photos], stdout=subprocess.PIPE) for _ in range(2)]
    assert [p.communicate()[0].strip() for p in both] == [b"6", b"6"]
    assert len(files(cache)) == 2


def test_left_over_temporary_files_are_swept_after_a_day(photos, cache):
    place = cache / "folders"
    place.mkdir(parents=True)
    for name, age in ((".part-1-old", 1e6), (".part-2-new", 0)):
        (place / name).touch()
        os.utime(place / name, (os.path.getmtime(place / name) - age,) * 2)
    open_folder(photos, 8)
    assert (place / ".part-2-new").exists() and not (place / ".part-1-old").exists()


def test_nothing_is_written_outside_the_cache(photos, tmp_path, cache, monkeypatch):
    monkeypatch.chdir(photos)
    zip_of(photos, tmp_path / "z.zip")
    before = files(tmp_path)
    open_folder(photos, 8), open_folder(tmp_path / "z.zip", 8)
    assert [f for f in files(tmp_path) if not f.startswith("cache")] == before


# ---- broken images


def break_some(photos):
    (photos / "1.jpg").write_bytes((photos / "1.jpg").read_bytes()[:300])  # cut off
    (photos / "3.jpg").write_text("<html>not found</html>")
    (photos / "4.jpg").write_bytes(b"")


@pytest.mark.parametrize("pack", [lambda p: p, lambda p: zip_of(p, p.parent / "z.zip")])
def test_broken_images_are_named_counted_and_skipped_on_request(photos, pack, capsys):
    whole = np.array(open_folder(pack(photos), 8).images)
    break_some(photos)
    path = pack(photos)
    named = r"(?s)3 of 6 images.*1\.jpg.*3\.jpg.*4\.jpg.*skip_broken=True.*--skip-broken"
    with pytest.raises(CourseError, match=named):
        open_folder(path, 8)
    found = load(path, 8, skip_broken=True)
    assert (found.images == whole[[0, 2, 5]]).all()
    assert "3 broken" in found.note and f"!!!! {found.note}" in capsys.readouterr().out
    with pytest.raises(CourseError, match="3 of 6"):  # also from the cache
        open_folder(path, 8)


def test_labels_stay_with_their_images_when_broken_ones_are_left_out(tmp_path):
    root = tmp_path / "set"
    for i, name in enumerate(["a/1.png", "a/2.png", "b/1.png", "c/1.png"]):
        save(Image.new("RGB", (8, 8), (i, i, i)), root / name)
    (root / "a/1.png").write_text("x"), (root / "b/1.png").write_text("x")
    found = open_folder(root, 8, skip_broken=True)
    assert found.class_names == ("a", "c") and found.labels.tolist() == [0, 1]
    assert found.images[:, 0, 0, 0].tolist() == [1, 3]


def test_a_repaired_image_is_noticed(photos, monkeypatch):
    good = decoding.decode

    def unreadable(file, *rest):
        if "2.jpg" in file.name:
            raise PermissionError("no")
        return good(file, *rest)

    monkeypatch.setattr(decoding, "decode", unreadable)
    assert len(open_folder(photos, 8, skip_broken=True)) == 5
    monkeypatch.setattr(decoding, "decode", good)  # the same file, size and time: only the permission changed
    assert len(open_folder(photos, 8)) == 6


def test_nothing_but_broken_images(photos, cache):
    for file in photos.iterdir():
        file.write_text("x")
    with pytest.raises(CourseError, match=r"None of the images in .* can be read. 0\.jpg: Unid"):
        open_folder(photos, 8, skip_broken=True)
    assert files(cache) == []


def test_an_image_with_too_many_pixels_is_broken_not_fatal(photos, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # twice as many are an error
    save(noise(50, 50), photos / "5.jpg")
    with pytest.raises(CourseError, match=r"1 of 6.*\n.*5\.jpg.*Bomb"):
        open_folder(photos, 8)


def test_a_disguised_format_is_not_run(photos):
    (photos / "1.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # would start Ghostscript
    with pytest.raises(CourseError, match=r"1\.jpg: UnidentifiedImageError"):
        open_folder(photos, 8)


# ---- folders and zips that are refused


def test_missing_empty_and_senseless(tmp_path, photos, cache):
    with pytest.raises(CourseError, match="no folder or zip"):
        open_folder(tmp_path / "nothing")
    with pytest.raises(CourseError, match="No data set or folder"):
        load(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match="No images in.*empty"):
        open_folder(tmp_path / "empty")
    (tmp_path / "empty/data.csv").touch()
    with pytest.raises(CourseError, match=r"Not read: 1 \.csv"):
        open_folder(tmp_path / "empty")
    with pytest.raises(CourseError, match="no whole zip"):
        open_folder(photos / "0.jpg")
    with pytest.raises(CourseError, match="channels"):
        open_folder(photos, 8, 4)
    assert files(cache) == []


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_folder(photos):
    photos.chmod(0)
    with pytest.raises(CourseError, match="Permission"):
        open_folder(photos, 8)
    photos.chmod(0o700)


def zip_with(path, name, data=b"x", **info):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fine.jpg", jpeg())
        entry = zipfile.ZipInfo(name)
        entry.compress_type = info.pop("compress_type", zipfile.ZIP_DEFLATED)
        archive.writestr(entry, data)
    return path


def jpeg():
    out = BytesIO()
    noise(10, 10).save(out, "JPEG")
    return out.getvalue()


OUTSIDE = ["../evil.jpg", "a/../../evil.jpg", "/etc/evil.jpg", "..\\evil.jpg", "C:\\evil.jpg", "../x/", "../read.txt"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_zip_entries_that_point_outside_are_refused_by_name(tmp_path, name, cache):
    before = files(tmp_path)
    path = zip_with(tmp_path / "z.zip", name)
    with pytest.raises(CourseError) as error:
        open_folder(path, 8)
    assert name in str(error.value) and "outside" in str(error.value)
    assert files(tmp_path) == sorted([*before, "z.zip"])


def test_zip_bombs_are_refused(tmp_path, monkeypatch, cache):
    zeros = zip_with(tmp_path / "one.zip", "zeros.bmp", bytes(101 * 2**20))
    with pytest.raises(CourseError, match=r"zeros\.bmp.*would unpack to 106 MB"):
        open_folder(zeros, 8)
    monkeypatch.setattr(listing, "MAX_SMALL", 2**20)
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(4):
            archive.writestr(f"{i}.bmp", bytes(2**20))
    with pytest.raises(CourseError, match="would unpack to"):
        open_folder(many, 8)
    assert files(cache) == []


def test_a_zip_entry_that_lies_about_its_size_is_broken(tmp_path):
    path = zip_with(tmp_path / "z.zip", "liar.bmp", bytes(50 * 2**20))
    data = path.read_bytes()
    true, false = struct.pack("<I", 50 * 2**20), struct.pack("<I", 1000)
    assert data.count(true) == 2  # in the entry's header and in the directory
    path.write_bytes(data.replace(true, false))
    tracemalloc.start()
    with pytest.raises(CourseError, match=r"1 of 2 images.*\n.*liar\.bmp"):
        open_folder(path, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6, "no more is unpacked than was declared"


def test_encrypted_unusual_and_linked_entries(tmp_path):
    path = zip_with(tmp_path / "z.zip", "secret.jpg")
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.rindex(magic) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(CourseError, match=r"refused.*secret\.jpg.*encrypted"):
        open_folder(path, 8)
    with pytest.raises(CourseError, match=r"odd\.jpg.*unusual"):
        open_folder(zip_with(tmp_path / "b.zip", "odd.jpg", compress_type=zipfile.ZIP_BZIP2), 8)
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        archive.writestr("fine.jpg", jpeg())
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    found = open_folder(tmp_path / "l.zip", 8)
    assert len(found) == 1 and "1 links" in found.note


def test_a_truncated_zip(photos, tmp_path):
    path = zip_of(photos, tmp_path / "z.zip")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CourseError, match="no whole zip"):
        open_folder(path, 8)


def test_a_zip_with_flipped_bits_names_the_image(photos, tmp_path):
    path = zip_of(photos, tmp_path / "z.zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"3.jpg") + 600] ^= 255
    path.write_bytes(data)
    with pytest.raises(CourseError, match=r"3\.jpg: BadZipFile"):
        open_folder(path, 8)


# ---- interruptions and full disks


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_an_interruption_leaves_nothing(photos, cache, monkeypatch, stop):
    def interrupted(*_):
        raise stop

    monkeypatch.setattr(decoding, "decode", interrupted)
    with pytest.raises(stop):
        open_folder(photos, 8)
    assert files(cache) == []


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("when", ["before", "writing", "finishing"])
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(photos, cache, monkeypatch, when):
    if when == "before":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 95, 5))
    elif when == "writing":
        monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    else:
        monkeypatch.setattr(os, "fsync", full)
    told = "the disk is full: .* MB are needed, .* MB are free" if when == "before" else "No space left on device"
    with pytest.raises(CourseError, match=rf"could not be written .{told}.*GAN_HELPERS_CACHE"):
        open_folder(photos, 64)
    assert files(cache) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_really_full(photos, cache, monkeypatch):
    """The file that is written is /dev/full: every flush fails as on a full disk."""
    real = open
    monkeypatch.setattr(cache_files, "open", lambda path, how: real("/dev/full", how), raising=False)
    with pytest.raises(CourseError, match="No space left on device"):
        open_folder(photos, 8)
    assert files(cache) == []


def test_a_cache_that_cannot_be_written(photos, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "file"))
    with pytest.raises(CourseError, match="could not be written .*GAN_HELPERS_CACHE"):
        open_folder(photos, 8)


def test_about_a_tenth_is_held_out_by_content_whatever_is_broken(tmp_path):
    for k in range(200):
        save(Image.new("RGB", (8, 8), (k,) * 3), tmp_path / "set" / f"{k:03d}.png")
    apart = [load(tmp_path / "set", 8, split=split).images[:, 0, 0, 0].tolist() for split in ("train", "held-out")]
    assert sorted(sum(apart, [])) == list(range(200)) and 8 <= len(apart[1]) <= 36
    broken = apart[0][3]
    (tmp_path / "set" / f"{broken:03d}.png").write_text("no image")
    held = load(tmp_path / "set", 8, skip_broken=True, split="held-out")
    assert held.name == "set-held-out" and held.images[:, 0, 0, 0].tolist() == apart[1]
    train = load(tmp_path / "set", 8, skip_broken=True)
    assert train.name == "set" and train.images[:, 0, 0, 0].tolist() == [k for k in apart[0] if k != broken]
    with pytest.raises(CourseError, match="no split 'heldout'. Did you mean 'held-out'"):
        load(tmp_path / "set", 8, split="heldout")


def test_a_set_too_small_to_hold_any_out_says_so(photos):
    with pytest.raises(
        CourseError, match="has 6 images, of which none is held out .about one in ten is, by its content"
    ):
        load(photos, 8, split="held-out")


# ---- how others write zips, and what systems leave beside images


def zip_named(path, *names):
    """A zip of different images under names taken as they are, whatever the system's separator."""
    with zipfile.ZipFile(path, "w") as archive:
        for k, name in enumerate(names):
            out = BytesIO()
            noise(10, 10, k).save(out, "PNG")
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            archive.writestr(entry, out.getvalue())
    return path


def test_backslashes_and_dots_in_a_zip_are_folders(tmp_path):
    path = zip_named(
        tmp_path / "z.zip", "./pets\\cat\\1.png", "pets/cat/2.png", ".\\pets\\dog\\3.png", "pets//dog/4.png"
    )
    found = open_folder(path, 8)
    assert found.class_names == ("cat", "dog") and found.labels.tolist() == [0, 0, 1, 1]
    assert (found.images[0] == one(tmp_path, noise(10, 10, 0))).all()


def test_names_in_a_zip_of_macos_are_read_as_utf8(tmp_path):
    path = zip_named(tmp_path / "z.zip", "Katzen/1.png", "K\u00e4fer/2.png")
    data = path.read_bytes()
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # clear the flag that says UTF-8
        at = data.rindex(magic) + offset
        data = data[:at] + struct.pack("<H", struct.unpack("<H", data[at : at + 2])[0] & ~0x800) + data[at + 2 :]
    path.write_bytes(data)
    assert open_folder(path, 8).class_names == ("Katzen", "K\u00e4fer")


@pytest.mark.parametrize("pack", [lambda p: p, lambda p: zip_of(p, p.parent / "z.zip")])
def test_thumbnails_and_hidden_folders_are_no_images(photos, pack):
    for name in ("@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/x.jpg", ".thumbnails/x.jpg", "a/.b/x.jpg"):
        save(noise(9, 9), photos / name)
    (photos / "desktop.ini").touch(), (photos / "Thumbs.db").touch()
    found = open_folder(pack(photos), 8)
    assert len(found) == 6 and found.note == ""


def test_jfif_is_a_jpeg(tmp_path):
    assert one(tmp_path, noise(9, 9), "photo.jfif", format="JPEG").shape == (3, 8, 8)


# ---- splits, labels and classes that folders tell of


def shade(k):
    return Image.new("RGB", (8, 8), (k, k, k))


def shades(images):
    return images.images[:, 0, 0, 0].tolist()


def tree(root, *names):
    """A folder with an image of shade k under the k-th name."""
    for k, name in enumerate(names):
        save(shade(k), root / name)
    return root


@pytest.mark.parametrize(
    ("names", "classes", "train", "held", "said"),
    [
        (["train/1.png", "train/2.png", "test/3.png"], (), [0, 1], [2], "'test' is held out."),
        (["Training/1.png", "a.png", "validation/2.png"], (), [0], [2], "'val' is held out. What lies beside"),
        (["x/train/a/1.png", "x/train/b/1.png", "x/test/a/2.png"], ("a", "b"), [0, 1], [2], "'test' is held out."),
        (["a/train/1.png", "a/test/2.png", "b/train/3.png", "b/test/4.png"], ("a", "b"), [0, 2], [1, 3], "'test' is"),
        (["train/a/1.png", "train/b/1.png", "valid/b/2.png", "test/2.png"], ("a", "b"), [0, 1], [2],
         "'val' is held out. 'test' is not read: it has other classes than 'train'"),
        (["train/a/1.png", "train/b/1.png", "val/a/1.png", "test/b/1.png"], ("a", "b"), [0, 1], [3],
         "'test' is held out. 'val' is not read: it has too few images to choose by"),
        (["train/x/1.png", "train/x/2.png", "test/y/3.png"], (), [0, 1], [2], "'test' is held out."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pack", [lambda p: p, lambda p: zip_of(p, p.parent / "set.zip")])
def test_folders_called_train_and_test_are_splits(tmp_path, pack, names, classes, train, held, said):
    path = pack(tree(tmp_path / "set", *names))
    seen, kept = load(path, 8), load(path, 8, split="held-out")
    assert sorted(shades(seen)) == train and sorted(shades(kept)) == held
    assert seen.class_names == kept.class_names == classes and said in seen.note and said in kept.note
    assert (load(path, 8, split="report").images == kept.images).all()


@pytest.mark.parametrize("pack", [lambda p: p, lambda p: zip_of(p, p.parent / "set.zip")])
def test_where_there_is_a_test_folder_val_chooses_and_never_trains(tmp_path, pack):
    names = [f"{split}/{k:02d}.png" for split, n in (("train", 20), ("test", 4), ("val", 10)) for k in range(n)]
    path = pack(tree(tmp_path / "set", *names))
    found = {split: load(path, 8, split=split) for split in splits.SPLITS}
    shown = {split: sorted(shades(images)) for split, images in found.items()}
    assert shown == {"train": [*range(20)], "held-out": [*range(20, 24)], "choose": [*range(24, 34)],
                     "report": [*range(20, 24)]}  # fmt: skip
    assert [found[split].unseen for split in splits.SPLITS] == [False, True, True, True]
    assert all("'test' is held out and 'val' chooses the best of a run." in images.note for images in found.values())
    assert len(open_folder(path, 8)) == 34


def test_a_test_folder_with_other_classes_never_trains(tmp_path):
    names = [f"train/{kind}/{k}.png" for kind in "ab" for k in range(20)]
    path = tree(tmp_path / "set", *names, "test/1.png", "test/2.png")
    seen, kept = load(path, 8), load(path, 8, split="held-out")
    assert sorted(shades(seen) + shades(kept)) == list(range(40)) and seen.class_names == ("a", "b")
    assert "by content. 'test' is not read: it has other" in seen.note


@pytest.mark.parametrize("names", [["train/1.png", "truck/2.png"], ["test/1.png", "val/2.png"]])
def test_other_folders_of_such_names_are_classes(tmp_path, names):
    assert len(open_folder(tree(tmp_path / "set", *names), 8).class_names) == 2


@pytest.mark.parametrize("pack", [lambda p: p, lambda p: zip_of(p, p.parent / "set.zip")])
@pytest.mark.parametrize("above", ["", "wrap/"])
def test_labels_of_stylegan_are_classes_and_its_shards_are_not(tmp_path, pack, above):
    names = ["00000/img0.png", "00000/img1.png", "00001/img2.png"]
    root = tree(tmp_path / "set", *(above + name for name in names))
    told = root / above / "dataset.json"
    told.write_text(json.dumps({"labels": list(zip(names, [7, 3, 7], strict=True))}))
    found = open_folder(pack(root), 8)
    assert found.class_names == ("3", "7") and found.labels.tolist() == [1, 0, 1]
    assert "are the labels of its dataset.json" in found.note and ".json," not in found.note
    for labels, why in ((None, "has no labels"), ([[names[0], 1]], "names no class for 2 of 3"), ([], "no labels")):
        told.write_text(json.dumps({"labels": labels}))
        assert open_folder(pack(root), 8).labels is None and why in open_folder(pack(root), 8).note
    for other in ("[]", "{", '{"labels": 3}', '{"labels": [3]}', "[" * 10**5):  # some other program's file
        told.write_text(other)
        assert open_folder(pack(root), 8).class_names == ("00000", "00001")


def test_numbers_in_names_of_classes_are_sorted_by_value(tmp_path):
    found = open_folder(tree(tmp_path / "set", *(f"{k}/{k}.png" for k in range(1, 13))), 8)
    assert found.class_names == tuple(str(k) for k in range(1, 13))
    assert dict(zip(shades(found), found.labels.tolist(), strict=True)) == {k: k for k in range(12)}
    assert sorted(["b10", "b9", "a", "B", "b", "10", "9", "b9c2", "b9c10", "9" * 5000], key=layout.natural) == [
        "9", "10", "9" * 5000, "B", "a", "b", "b9", "b9c2", "b9c10", "b10"]  # fmt: skip


def test_one_name_in_two_spellings_is_one_class(tmp_path):
    names = ["Ka\u0308fer/1.png", "K\u00e4fer/2.png", "Hund/3.png"]
    path = tree(tmp_path / "set", *names)
    if len(list(path.iterdir())) == 2:
        pytest.skip("this file system knows one spelling")
    found = open_folder(path, 8)
    assert found.class_names == ("Hund", "K\u00e4fer") and sorted(found.labels.tolist()) == [0, 1, 1]
    assert len(found.only("Ka\u0308fer")) == 2


def test_every_class_keeps_a_training_image(tmp_path):
    path = tree(tmp_path / "set", *(f"{k:02d}/1.png" for k in range(40)))  # some would be held out
    seen = load(path, 8)
    assert len(seen) == 40 and seen.labels.tolist() == list(range(40)) and "would be held out: one trains" in seen.note
    more = tree(tmp_path / "more", *(f"{k % 4}/{k:02d}.png" for k in range(40)))
    assert 0 < len(load(more, 8, split="held-out")) < 12 and load(more, 8).note == ""


def test_copies_in_a_small_class_train_together():
    ranks, labels = np.array([0.95, 0.95, 0.99, 0.2, 0.91]), np.array([0, 0, 0, 1, 1])
    assert (splits.roles_of(ranks, labels) == "held-out").tolist() == [False, False, True, False, True]
    assert (splits.roles_of(ranks) == "held-out").tolist() == [True, True, True, False, True]


# ---- greys of more than 8 bits


def greys(root, suffix, *arrays, **how):
    """A folder of constant or given grey images; what `open_folder` makes of their last pixel."""
    for k, array in enumerate(arrays):
        save(Image.fromarray(array, **how), root / f"{k}{suffix}")
    found = open_folder(root, 8, 1)
    return found.images[:, 0, -1, -1].tolist(), found.note


@pytest.mark.parametrize(
    ("kind", "suffix", "values", "expected", "white"),
    [
        (np.float32, ".tif", (1.0, 128.0, 255.0), [1, 128, 255], "255"),
        (np.float32, ".tif", (0.0, 0.5, 1.0), [0, 128, 255], "1"),
        (np.float32, ".tif", (np.inf, -3.0, 1.0), [255, 0, 255], "1"),
        (np.int32, ".tif", (1, 128, 255), [1, 128, 255], "255"),
        (np.int32, ".tif", (0, 50_000, 65535), [0, 195, 255], None),
        (np.uint16, ".png", (0, 512, 1023), [0, 128, 255], "1023"),
        (np.uint16, ".tif", (15, 2048, 4095), [1, 128, 255], "4095"),
        (np.uint16, ".png", (257, 4112, 65535), [1, 16, 255], None),
    ],
)
def test_white_is_decided_once_for_the_set(tmp_path, kind, suffix, values, expected, white):
    got, note = greys(tmp_path / "set", suffix, *(np.full((8, 8), value, kind) for value in values))
    assert got == expected
    assert (note == "") if white is None else (f": {white} is white in all" in note)
    assert greys(tmp_path / "set", suffix) == (got, note)  # from the cache too


def test_both_splits_are_scaled_alike(tmp_path):
    root = tmp_path / "set"
    greys(root, ".png", *(np.full((8, 8), 40 * k, np.uint16) for k in range(100)))
    parts = [load(root, 8, 1, split=split).images[:, 0, 0, 0].tolist() for split in ("train", "held-out")]
    assert sorted(parts[0] + parts[1]) == [round(40 * k / 4095 * 255) for k in range(100)] and parts[1]


def test_a_type_that_states_its_white_is_believed(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.pgm").write_bytes(b"P5 1 1 1023 " + struct.pack(">H", 512))
    strip = bytes([0x40, 0x04, 0x00])  # two pixels of 12 bits, 1024 each
    tags = [(256, 4, 2), (257, 4, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 3)]
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", t, kind, 1, v) for t, kind, v in tags)
    (tmp_path / "set" / "b.tif").write_bytes(b"II*\0" + struct.pack("<I", 12) + strip + b"\0" + ifd + bytes(4))
    found = open_folder(tmp_path / "set", 1, 1)
    assert found.images.ravel().tolist() == [128, 64] and found.note == ""


# ---- colours of 16 bits


def png(pixels):
    """A PNG of uint16 pixels (H, W, bands), which Pillow cannot write."""
    kind = {2: 4, 3: 2, 4: 6}[pixels.shape[2]]  # grey with alpha, colour, colour with alpha

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(pixels, order="<", planar=False):
    """An uncompressed TIFF of uint16 pixels (H, W, 3), in either order of bytes, interleaved or in planes."""
    planes = np.moveaxis(pixels, 2, 0) if planar else pixels[None]
    n, size = len(planes), planes[0].size * 2  # strips, bytes of each
    starts = [8 + 6 + 8 * n + k * size for k in range(n)]  # after header, bits and the two lists
    lists = struct.pack(f"{order}3H{2 * n}I", 16, 16, 16, *starts, *[size] * n)
    where, counts = (14, 14 + 4 * n) if planar else (starts[0], size)
    tags = [(256, 1, pixels.shape[1]), (257, 1, pixels.shape[0]), (258, 3, 8), (259, 1, 1), (262, 1, 2),
            (273, n, where), (277, 1, 3), (278, 1, pixels.shape[0]), (279, n, counts),
            (284, 1, 2 if planar else 1)]  # fmt: skip
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, starts[0] + n * size)
    entries = b"".join(struct.pack(f"{order}HHII", tag, 3 if tag == 258 else 4, *rest) for tag, *rest in tags)
    data = planes.astype(f"{order}u2").tobytes()
    return head + lists + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


RAMP = np.random.default_rng(0).permutation(np.linspace(0, 65535, 8 * 8 * 4).astype(np.uint16)).reshape(8, 8, 4)


@pytest.mark.parametrize("bands", [2, 3, 4])
def test_16_bit_colour_pngs_are_scaled(tmp_path, bands):
    pixels = RAMP[..., :bands].copy()
    pixels[..., 3:] = 65535  # opaque
    pixels[..., 1] = 65535 if bands == 2 else pixels[..., 1]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(png(pixels))
    expected = (pixels[..., :1] if bands == 2 else pixels[..., :3]) / 257  # (8, 8, 1 or 3)
    found = open_folder(tmp_path / "set", 8)
    assert np.abs(found.images[0].transpose(1, 2, 0) - expected).max() <= 1 and found.note == ""


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_colour_tiffs_are_scaled_or_refused_but_never_misread(tmp_path, order):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.tif").write_bytes(tiff(RAMP[..., :3], order))
    found = open_folder(tmp_path / "set", 8)
    assert np.abs(found.images[0].transpose(1, 2, 0) - RAMP[..., :3] / 257).max() <= 1 and found.note == ""
    (tmp_path / "set" / "b.tif").write_bytes(tiff(RAMP[..., :3], order, planar=True))
    with pytest.raises(CourseError, match=r"b\.tif: ValueError: 16-bit colours in separate planes.* save them"):
        open_folder(tmp_path / "set", 8)


def test_16_bit_colours_that_come_out_black_are_told(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(png(RAMP[..., :3] // 16))
    assert "No 16-bit colour of set exceeds 4095: they come out nearly black." in open_folder(tmp_path / "set", 8).note
    (tmp_path / "set" / "b.png").write_bytes(png(RAMP[..., :3]))
    assert open_folder(tmp_path / "set", 8).note == ""
