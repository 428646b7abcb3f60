"""Networks that make features: the shipped ones, and Inception against the packages that made it the standard."""

import dataclasses
import json
import os
import shutil
import sys

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import save_file

from gan_helpers import classifier, data, environment, features
from gan_helpers.errors import CourseError


def some_images(n=4, channels=3, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, channels, size, size), np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of the right form with random weights: the numbers are worth nothing, but must agree everywhere."""
    pytest.importorskip("torch_fidelity")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Random(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__) -> None: ...

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save({}, path)
    net = Random("x", ["2048"], feature_extractor_weights_path=path)
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)  # so that the signal gets through all the layers
    torch.save(net.state_dict(), path)
    return path


CLOSE = dict(rtol=1e-4)  # float32 has 7 digits, of which a hundred layers in another order of sums leave 4


def test_inception_is_torch_fidelitys(weights):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    images = torch.from_numpy(some_images())
    theirs = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights))
    theirs.eval()  # torch-fidelity 0.3 leaves that to its user
    ours = features.inception("inception", weights).with_logits(images)
    for mine, other in zip(ours, theirs(images), strict=True):
        assert mine.shape == other.shape and torch.allclose(mine, other, **CLOSE, atol=1e-5 * other.abs().max())
    assert ours[0].std() > 0


def test_inception_pytorch_fid_is_pytorch_fids(weights, monkeypatch):
    theirs = pytest.importorskip("pytorch_fid.inception")
    state = torch.load(weights, weights_only=True)
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: state)
    images = torch.from_numpy(some_images(channels=3, size=48))
    other = theirs.InceptionV3([3]).eval()(images / 255)[0].flatten(1)
    found = features.inception("inception-pytorch-fid", weights)
    assert torch.allclose(found(images), other, **CLOSE, atol=1e-5 * other.abs().max())
    assert not torch.allclose(features.inception("inception", weights)(images), other, rtol=1e-2), "resizes differ"
    assert "PyTorch" in found.resize and len(found.weights) == 8


def test_grey_images_are_shown_to_inception_as_grey_colours(weights):
    grey = some_images(2, channels=1)
    net = features.inception("inception", weights)
    assert torch.equal(net(grey), net(np.repeat(grey, 3, axis=1)))


def test_without_torch_fidelity_it_says_what_to_install_and_nothing_else_needs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(
        CourseError, match="pip install torch-fidelity. Without it, measure with .*--features faces-net"
    ):
        features.load("inception")
    assert features.load("fashion-net")(some_images(2, 1, 28)).shape == (2, 192)


def test_inception_offline_says_what_to_do(monkeypatch, tmp_path):
    pytest.importorskip("torch_fidelity")
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path))
    monkeypatch.delenv(features.INCEPTION_PATH, raising=False)
    monkeypatch.setattr(features, "INCEPTION_URLS", ("http://127.0.0.1:9/weights.pth",))
    with pytest.raises(CourseError) as error:
        features.load("inception")
    for words in ("127.0.0.1:9", "By hand", str(tmp_path), features.INCEPTION_PATH, "--features faces-net", "not FID"):
        assert words in str(error.value)
    monkeypatch.setenv(features.INCEPTION_PATH, str(tmp_path / "absent.pth"))
    with pytest.raises(CourseError, match="which is no file"):
        features.load("inception")


@pytest.mark.parametrize("content", ["text", "other weights", "code"])
def test_inception_refuses_other_files_without_running_them(content, tmp_path, monkeypatch):
    pytest.importorskip("torch_fidelity")
    path = tmp_path / "weights.pth"
    if content == "text":
        path.write_text("hello")
    elif content == "other weights":
        torch.save({"layer": torch.zeros(3)}, path)
    else:

        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "evil"),)

        torch.save(Evil(), path)
    monkeypatch.setenv(features.INCEPTION_PATH, str(path))
    with pytest.raises(CourseError, match="holds (no|other) weights"):
        features.load("inception")
    assert not (tmp_path / "evil").exists()


# --- the course's own ---


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A network trained for a moment on some of fashion, and its file."""
    path = tmp_path_factory.mktemp("net") / "tiny-net.safetensors"
    train, held_out = (data.load("fashion", split=split) for split in ("train", "held-out"))
    few = train.take(slice(None, None, 9), "fashion")  # they lie sorted
    right = classifier.train_classifier(few, held_out, path, epochs=2)
    return path, right


def test_a_classifier_learns_saves_and_loads(tiny):
    path, right = tiny
    guessing = 0.1 + 10 * (0.1 * 0.9 / 1000) ** 0.5  # one of ten classes, and ten standard errors of 1,000 images
    assert set(right) == {"class"} and right["class"] > guessing
    net = classifier.load_classifier(path)
    assert classifier.accuracy(net, data.load("fashion", split="held-out")) == right  # of what was saved
    assert path.stat().st_size < 2_000_000 and "Fashion-MNIST" in path.with_suffix(".md").read_text()


def test_an_extractor_takes_images_of_any_size_and_colour_one_by_one_or_together(tiny):
    net = features.load(tiny[0])
    assert net.name == "tiny-net" and len(net.weights) == 8 and "32x32" in net.resize
    together = net(some_images(6, 1, 28))
    assert together.shape == (6, 192) and together.dtype == torch.float32
    alone = torch.cat([net(some_images(6, 1, 28)[i : i + 1]) for i in range(6)])
    assert torch.allclose(together, alone, atol=1e-5)  # as far as float32 has digits
    grey = some_images(3, 1, 64)
    assert torch.allclose(net(np.repeat(grey, 3, axis=1)), net(grey), atol=1e-4)  # .299 + .587 + .114 is 1 but for them


def test_wrong_input_is_refused(tiny):
    for wrong in (some_images().astype(np.float32), some_images()[0], some_images(0), some_images(2, 4)):
        with pytest.raises(CourseError, match="takes uint8 images"):
            features.load(tiny[0])(wrong)
    with pytest.raises(CourseError, match="No network 'faces-nett'. Did you mean 'faces-net'"):
        features.load("faces-nett")


HEADERS = {
    "kind": "generator",
    "image_size": "1000000000",
    "channels": "1000000000",
    "heads": '{"class": []}',
}


@pytest.mark.parametrize("field", HEADERS)
@pytest.mark.parametrize("value", ["wrong", None, "", "[" * 100_000, "-1", "nan"])
def test_a_networks_header_is_checked_before_a_net_is_made(field, value, tiny, tmp_path, monkeypatch):
    with safetensors.safe_open(tiny[0], "pt") as file:
        header = file.metadata() | {field: HEADERS[field] if value == "wrong" else value}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, {name: text for name, text in header.items() if text is not None})
    monkeypatch.setattr(classifier.Classifier, "__init__", None)  # not called
    with pytest.raises(CourseError, match="x.safetensors is no classifier of this course"):
        features.load(path)


def test_weights_that_do_not_fit_the_header_take_no_memory(tiny, tmp_path):
    with safetensors.safe_open(tiny[0], "pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    answers = [str(k) for k in range(3_000_000)]  # a layer of 2.3 GB
    save_file(tensors, tmp_path / "x.safetensors", header | {"heads": json.dumps({"class": answers})})
    with pytest.raises(CourseError, match="layer 'head.weight' has shape|layer 'head.bias' has shape"):
        features.load(tmp_path / "x.safetensors")


def test_a_file_called_like_a_network_is_not_taken_for_it(tiny, tmp_path):
    for name in ("inception", "imagenet", "faces-net"):
        shutil.copy(tiny[0], tmp_path / f"{name}.safetensors")
        assert features.load(tmp_path / f"{name}.safetensors").name == f"./{name}"


@pytest.mark.parametrize("harm", ["cut", "text", "a generator"])
def test_damaged_networks_are_refused(harm, tiny, tmp_path):
    path = tmp_path / "x.safetensors"
    if harm == "a generator":
        shutil.copy(environment.DATA / "generators" / "dcgan-faces.safetensors", path)
    else:
        path.write_bytes(tiny[0].read_bytes()[:1000] if harm == "cut" else b"hello")
    with pytest.raises(CourseError, match="x.safetensors is (damaged or is no safetensors file|no classifier)"):
        features.load(path)


def test_what_a_set_says_about_itself():
    targets = classifier.targets_of(data.load("faces", split="held-out"))
    assert targets["glasses"][1] == ("False", "True") and set(targets["glasses"][0]) == {0, 1}
    assert len(targets["skin"][1]) == 8 and len(targets["class"][1]) == 2
    with pytest.raises(CourseError, match="no labels or attributes.*cifar10-net"):
        classifier.targets_of(data.ImageSet(some_images(), "mine"))


@pytest.mark.parametrize("name", ["faces", "fashion"])
def test_shipped_networks_know_as_many_held_out_images_as_their_cards_say(name):
    path, held_out = classifier.shipped()[f"{name}-net"], data.load(name, split="held-out")
    with safetensors.safe_open(path, "pt") as file:
        told = json.loads(file.metadata()["card"])["right on the held-out images"]
    right = classifier.accuracy(classifier.load_classifier(path), held_out)
    assert set(right) == {part.split()[0] for part in told.split(", ")}
    for part in told.split(", "):
        question, percent = part.split()  # another processor may turn two images of the thousand
        assert right[question] == pytest.approx(float(percent.rstrip("%")) / 100, abs=0.0021), question
    assert path.stat().st_size < 2_000_000


def test_training_mirrors_each_image_by_its_own_lot(tmp_path, monkeypatch):
    images = np.zeros((60, 1, 32, 32), np.uint8)
    images[..., :16] = 255  # bright on the left
    halves = data.ImageSet(images, "halves", np.arange(60) % 2, ("a", "b"))
    seen, forward = [], classifier.Classifier.forward
    monkeypatch.setattr(classifier.Classifier, "forward", lambda net, x: seen.append(x[:, 0, 0, 0]) or forward(net, x))
    for flip in (False, True):
        seen.clear()
        classifier.train_classifier(halves, halves, tmp_path / "x.safetensors", epochs=1, flip=flip, device="cpu")
        left = seen[0] > 0  # of the one batch
        assert left.all() if not flip else 10 < left.sum() < 50  # half of 60, and 5 standard deviations


def test_training_seeds_no_other_generator(tmp_path, monkeypatch):
    images = data.ImageSet(some_images(20, 1), "noise", np.arange(20) % 2, ("a", "b"))
    for seeds in (torch, torch.cuda):
        monkeypatch.setattr(seeds, "manual_seed_all" if seeds is torch.cuda else "manual_seed", None)  # not called
    classifier.train_classifier(images, images, tmp_path / "x.safetensors", epochs=1, device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_features_and_trains_a_network(tmp_path):
    images = data.load("faces").images[:50]
    for name in ("faces-net", *([features.IMAGENET] if features.imagenet_installed() else [])):
        here, there = (features.load(name, device)(images) for device in ("cpu", "cuda"))
        assert here.device == there.device and torch.allclose(here, there, atol=0.01 * here.abs().max())  # of TF32
    train, held_out = (data.load("fashion", split=split) for split in ("train", "held-out"))
    right = classifier.train_classifier(train, held_out, tmp_path / "x.safetensors", epochs=1, device="cuda")
    assert right["class"] > 0.5 and "on cuda" in (tmp_path / "x.md").read_text()


def test_features_are_computed_in_full_precision(tiny, monkeypatch):
    network, seen = features.load(tiny[0]), []
    look = network.look

    def spy(x):
        seen.append(torch.backends.cudnn.allow_tf32)
        return look(x)

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    dataclasses.replace(network, look=spy)(np.zeros((3, 3, 32, 32), np.uint8))
    assert seen == [False] and torch.backends.cudnn.allow_tf32


def test_an_unknown_device_is_refused():
    with pytest.raises(CourseError, match="No device 'gpu'"):
        features.load("fashion-net", "gpu")


def test_each_set_has_its_network():
    found = [features.own_of(*pair) for pair in (("faces", 3), ("holiday.zip", 3), ("digits.zip", 1))]
    assert found == ["faces-net", "cifar10-net", "fashion-net"] and set(found) <= set(classifier.shipped())


def test_a_classifier_answers_by_question():
    held_out = data.load("faces", split="held-out")
    answers = features.questioner("faces").answers(torch.from_numpy(held_out.images[:50].copy()), batch=32)
    assert answers["skin"].shape == (50, 8) and torch.allclose(answers["skin"].sum(1), torch.ones(50))
    assert (answers["glasses"].argmax(1).bool().numpy() == held_out.attributes["glasses"][:50]).all()
    assert features.questioner("fashion") is None and features.questioner("nothing") is None  # one question; none
