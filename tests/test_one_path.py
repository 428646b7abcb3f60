"""Real images at any size and in any form score as real images: both sides of a score take one path of pixels."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import data, evaluation, features
from gan_helpers.data import SETS, load
from gan_helpers.errors import CourseError
from gan_helpers.evaluation import Reference, cached_features, draw, evaluate, open_source
from gan_helpers.metrics import METRICS, Pairs, kid

SIZES, FORMS = (16, 28, 32, 48, 64, 128), ("npy", "folder", "zip")
NETWORKS = {"faces": ("faces-net", "cifar10-net"), "fashion": ("fashion-net", "cifar10-net")}
OWN = [(name, network) for name, networks in NETWORKS.items() for network in networks]
WHOLE = {name: SETS[name].whole for name in ("faces", "fashion")}
needs_imagenet = pytest.mark.skipif(not features.imagenet_installed(), reason="needs the extra 'judge' (pip)")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_HELPERS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def first(monkeypatch):
    """Leaves n images of each embedded set, a tenth of them held out, for the speed of the tests."""
    whole = {}

    def leave(n):
        for name, opened in WHOLE.items():
            whole[name] = whole.get(name) or KEPT.setdefault(name, opened())
            few = whole[name].take(np.random.default_rng(0).permutation(10_000)[:n], name)  # fashion lies sorted
            monkeypatch.setattr(SETS[name], "whole", lambda few=few: few)

    leave(1200)
    return leave


KEPT = {}  # the sets, read once


def pack(images, form, folder):
    """Images uint8 (N, C, S, S) in a file or folder to score."""
    folder.mkdir(parents=True, exist_ok=True)
    if form == "npy":
        np.save(folder / "fakes.npy", images.transpose(0, 2, 3, 1))
        return folder / "fakes.npy"
    (folder / "fakes").mkdir(exist_ok=True)
    for k, image in enumerate(images):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / "fakes" / f"{k:05d}.png", compress_level=1)
    if form == "zip":
        with zipfile.ZipFile(folder / "fakes.zip", "w") as archive:
            for file in sorted((folder / "fakes").iterdir()):
                archive.write(file, file.name)
        return folder / "fakes.zip"
    return folder / "fakes"


def some_training_images(name, size, n):
    """As a generator of that size would see them."""
    images = load(name, size).images
    return np.array(images[np.random.default_rng(1).permutation(len(images))[:n]])


def score(fakes, reference):
    """The kernel distance of a file from a reference, as evaluate takes it, in standard errors."""
    images = open_source(fakes)
    found, _ = reference.fakes(draw(images, len(images), 0))
    distance = kid(Pairs(found, cached_features(reference.real.images, reference.network)[0]))
    return distance.value / distance.error


CHANCE = 4  # standard errors


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETWORKS)
def test_real_images_of_any_size_and_form_score_as_real_images(name, size, first, tmp_path):
    images = some_training_images(name, size, 120)
    paths = {form: pack(images, form, tmp_path) for form in FORMS}
    for form, path in paths.items():
        assert open_source(path).shape == images.shape, form  # its own size and colours
    for network in NETWORKS[name]:
        reference = Reference(name, size, images.shape[1], network, "report")
        scores = [score(path, reference) for path in paths.values()]
        assert abs(scores[0]) < CHANCE and scores == pytest.approx(scores[:1] * 3, abs=1e-6), network


COVER = [
    ("faces", 16, "npy"), ("fashion", 28, "folder"), ("faces", 32, "zip"), ("fashion", 48, "npy"),
    ("faces", 64, "folder"), ("fashion", 128, "zip"),
]  # fmt: skip


@needs_imagenet
@pytest.mark.parametrize(("name", "size", "form"), COVER)
def test_real_images_score_as_real_images_through_imagenet(name, size, form, first, tmp_path):
    first(500)
    path = pack(some_training_images(name, size, 50), form, tmp_path)
    channels = open_source(path).shape[1]
    assert abs(score(path, Reference(name, size, channels, "imagenet", "report"))) < CHANCE


def against_another_size(name, size, network, n):
    """What the same images score when the reference keeps its own size, as it once did."""
    images = some_training_images(name, size, n)
    reference = Reference(name, load(name).images.shape[-1], images.shape[1], network, "report")
    found = reference.network(images)
    distance = kid(Pairs(found, cached_features(reference.real.images, reference.network)[0]))
    return distance.value / distance.error


@pytest.mark.parametrize(("name", "network"), OWN)
def test_a_reference_of_another_size_fails_by_far_what_one_path_passes(name, network, first):
    assert against_another_size(name, 16, network, 120) > 2 * CHANCE


@needs_imagenet
def test_a_reference_of_another_size_fails_through_imagenet_too(first):
    first(500)
    assert against_another_size("faces", 16, "imagenet", 50) > 2 * CHANCE


def test_photos_that_are_not_square_score_as_themselves_after_the_crop_of_training(first, tmp_path):
    (tmp_path / "photos").mkdir()
    for k, image in enumerate(SETS["faces"].whole().images[:600]):
        Image.fromarray(image.transpose(1, 2, 0)[: 64 if k % 2 else 40, : 40 if k % 2 else 64]).save(
            tmp_path / "photos" / f"{k}.png", compress_level=1
        )
    for size in (20, 48):
        images = np.array(load(tmp_path / "photos", size).images[:200])
        for form in ("npy", "folder"):
            path = pack(images, form, tmp_path / f"{size}")
            assert abs(score(path, Reference(tmp_path / "photos", size, 3, "cifar10-net", "report"))) < CHANCE


@pytest.mark.parametrize(("name", "network", "size"), [("faces", "faces-net", 32), ("fashion", "fashion-net", 28)])
def test_a_folder_and_a_zip_score_as_the_array_by_every_metric_and_protocol(name, network, size, first, tmp_path):
    images = some_training_images(name, size, 200)
    found = [
        evaluate(pack(images, form, tmp_path), name, n=150, network=network, metrics=tested, progress=False)
        for tested in [tuple(m for m in METRICS if not METRICS[m].fakes_a_feature)]
        for form in FORMS
    ]
    for metric, score in found[0].items():
        for other in found[1:]:
            assert other[metric].value == pytest.approx(score.value, abs=1e-6), metric
            assert other[metric].must_agree == score.must_agree and other[metric].floor == score.floor
    text = str(found[1]["kernel"])
    assert f"both at {size}x{size} {'colour' if name == 'faces' else 'grey'}, 8 bits" in text
    assert found[1]["kernel"].pixels in text and text.count("\n") == 0


def test_scores_at_two_sizes_or_in_two_colours_cannot_be_compared(first, tmp_path):
    first(500)

    def scored(size, channels):
        images = load("fashion", size, channels).images[:50]
        path = pack(images, "npy", tmp_path)
        return evaluate(path, "fashion", network="fashion-net", metrics=("kernel",), progress=False)["kernel"]

    grey, colour, larger = scored(28, 1), scored(28, 3), scored(32, 1)
    assert grey.value == pytest.approx(colour.value, abs=1e-4)  # grey as colours is grey
    for other, words in ((colour, "28x28 colour against 28x28 grey"), (larger, "32x32 grey against 28x28 grey")):
        with pytest.raises(CourseError, match=f"cannot be compared: .*pixels {words}"):
            other - grey


def test_a_grey_folder_meets_the_network_and_the_reference_of_grey_images(first, tmp_path, monkeypatch):
    first(1000)
    monkeypatch.setattr(features, "imagenet_installed", lambda: False)
    images = load("faces", 32, 1).images[:100]
    options = dict(metrics=("kernel",), progress=False)
    grey, array = (evaluate(pack(images, form, tmp_path), "faces", **options)["kernel"] for form in ("folder", "npy"))
    assert grey.must_agree == array.must_agree and grey.pixels == "32x32 grey"
    folder = tmp_path / "digits"
    for k, image in enumerate(load("fashion").images[:400]):
        folder.mkdir(exist_ok=True)
        Image.fromarray(image[0]).save(folder / f"{k}.png")
    found = evaluate(pack(load("fashion").images[:100], "folder", tmp_path / "f"), folder, **options)["kernel"]
    assert found.network == "fashion-net" and found.pixels == "28x28 grey"  # as its size and colours tell


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "I", "RGB", "RGBA", "P"])
def test_images_are_grey_where_their_files_say_so(mode, tmp_path):
    (tmp_path / "set").mkdir()
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)
    image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "set" / ("0.tif" if mode == "I" else "0.png"))
    images = data.folder.open_as_it_is(tmp_path / "set").images
    assert images.shape == (1, 3 if mode in ("RGB", "RGBA", "P") else 1, 8, 8)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "set" / "1.png")
    assert data.folder.open_as_it_is(tmp_path / "set").images.shape == (2, 3, 8, 8)


def test_generated_images_of_several_sizes_are_refused_by_two_names(tmp_path, first):
    folder = pack(np.zeros((3, 3, 8, 8), np.uint8), "folder", tmp_path)
    Image.new("RGB", (16, 16)).save(folder / "big.png")
    with zipfile.ZipFile(tmp_path / "mixed.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    for path in (folder, tmp_path / "mixed.zip"):
        with pytest.raises(CourseError, match="squares of one size; .* 00000.png is 8x8 and big.png is 16x16. Make"):
            evaluate(path, "faces", progress=False)


def test_generated_images_that_are_no_squares_are_refused_by_name(tmp_path, first):
    (tmp_path / "wide").mkdir()
    for k in range(3):
        Image.new("RGB", (16, 8)).save(tmp_path / "wide" / f"{k}.png")
    with pytest.raises(CourseError, match=r"squares of one size; in '.*wide' 0.png is 16x8\. Make them alike"):
        evaluate(tmp_path / "wide", "faces", progress=False)
    np.save(tmp_path / "wide.npy", np.zeros((20, 8, 16, 3), np.uint8))
    with pytest.raises(CourseError, match=r"wide.npy must hold uint8 images \(N, S, S, 1 or 3\).*\(20, 8, 16, 3\)"):
        evaluate(tmp_path / "wide.npy", "faces", progress=False)


def test_a_broken_generated_image_is_told(tmp_path, first):
    folder = pack(np.zeros((12, 3, 8, 8), np.uint8), "folder", tmp_path)
    (folder / "00003.png").write_text("no image")
    with pytest.raises(CourseError, match="1 of 12 images .* cannot be read:\n  00003.png"):
        evaluate(folder, "faces", progress=False)


def test_a_reference_refuses_images_that_did_not_come_its_way(first):
    reference = Reference("faces", 32, 3, "faces-net", "report")
    for wrong in ((4, 3, 64, 64), (4, 1, 32, 32)):
        with pytest.raises(CourseError, match="The images are .*, the reference"):
            reference.fakes(np.zeros(wrong, np.uint8))


def test_a_generator_in_training_and_afterwards_are_scored_at_one_size(first):
    first(500)

    class Stored(torch.nn.Module):
        """Gives always the same real images."""

        latent_dim = 2

        def __init__(self):
            super().__init__()
            self.images = torch.nn.Parameter(torch.from_numpy(load("faces", 16).images[:50] / 127.5 - 1).float())

        def forward(self, z):
            return self.images[: len(z)]

    judge = evaluation.Judge("faces", "faces-net", n=50, image_size=16)
    found = evaluate(Stored(), "faces", n=50, network="faces-net", metrics=("kernel",), draws=1, progress=False)
    assert found["kernel"].pixels == judge.reference.protocol("", 1, 1).pixels == "16x16 colour"
    assert judge.reference.fakes(load("faces", 16).images[:10])[0].shape == (10, 192)
