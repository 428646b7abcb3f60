"""Networks that make features: the shipped ones, and Inception against the packages that made it the standard."""

import os
import shutil

import numpy as np
import pytest
import torch

from gan_helpers import classifier, data, environment, features
from gan_helpers.errors import CourseError


def some_images(n=4, channels=3, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, channels, size, size), np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of the right form with random weights: the numbers are worth nothing, but must agree everywhere."""
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


def test_inception_is_torch_fidelitys(weights):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    images = torch.from_numpy(some_images())
    theirs = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights))
    theirs.eval()  # torch-fidelity 0.3 leaves that to its user
    ours = features.inception("inception", weights).with_logits(images)
    for mine, other in zip(ours, theirs(images), strict=True):
        assert mine.shape == other.shape and torch.allclose(mine, other, rtol=1e-4, atol=1e-5 * other.abs().max())
    assert ours[0].std() > 0


def test_inception_pytorch_fid_is_pytorch_fids(weights, monkeypatch):
    from pytorch_fid import inception as theirs

    state = torch.load(weights, weights_only=True)
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: state)
    images = torch.from_numpy(some_images(channels=3, size=48))
    other = theirs.InceptionV3([3]).eval()(images / 255)[0].flatten(1)
    found = features.inception("inception-pytorch-fid", weights)
    assert torch.allclose(found(images), other, rtol=1e-4, atol=1e-5 * other.abs().max())
    assert not torch.allclose(features.inception("inception", weights)(images), other, rtol=1e-2), "resizes differ"
    assert "PyTorch" in found.resize and len(found.weights) == 8


def test_grey_images_are_shown_to_inception_as_grey_colours(weights):
    grey = some_images(2, channels=1)
    net = features.inception("inception", weights)
    assert torch.equal(net(grey), net(np.repeat(grey, 3, axis=1)))


def test_inception_offline_says_what_to_do(monkeypatch, tmp_path):
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
    right = classifier.train_classifier(train.take(slice(3000), "fashion"), held_out, path, epochs=2)
    return path, right


def test_a_classifier_learns_saves_and_loads(tiny):
    path, right = tiny
    assert set(right) == {"class"} and right["class"] > 0.4  # guessing: 0.1
    net = classifier.load_classifier(path)
    again = classifier.accuracy(net, data.load("fashion", split="held-out"))
    assert again["class"] == pytest.approx(right["class"], abs=0.02)  # half precision
    assert path.stat().st_size < 2_000_000 and "Fashion-MNIST" in path.with_suffix(".md").read_text()


def test_an_extractor_takes_images_of_any_size_and_colour_one_by_one_or_together(tiny):
    net = features.load(tiny[0])
    assert net.name == "tiny-net" and len(net.weights) == 8 and "32x32" in net.resize
    together = net(some_images(6, 1, 28))
    assert together.shape == (6, 192) and together.dtype == torch.float32
    alone = torch.cat([net(some_images(6, 1, 28)[i : i + 1]) for i in range(6)])
    assert torch.allclose(together, alone, atol=1e-5)
    grey = some_images(3, 1, 64)
    assert torch.allclose(net(np.repeat(grey, 3, axis=1)), net(grey), atol=1e-4)  # grey as colour is grey


def test_wrong_input_is_refused(tiny):
    for wrong in (some_images().astype(np.float32), some_images()[0], np.zeros((2, 4, 8, 8), np.uint8)):
        with pytest.raises(CourseError, match="takes uint8 images"):
            features.load(tiny[0])(wrong)
    with pytest.raises(CourseError, match="No network 'faces-nett'. Did you mean 'faces-net'"):
        features.load("faces-nett")


@pytest.mark.parametrize("harm", ["cut", "text", "a generator"])
def test_damaged_networks_are_refused(harm, tiny, tmp_path):
    path = tmp_path / "x.safetensors"
    if harm == "a generator":
        shutil.copy(environment.DATA / "generators" / "dcgan-faces.safetensors", path)
    else:
        path.write_bytes(tiny[0].read_bytes()[:1000] if harm == "cut" else b"hello")
    with pytest.raises(CourseError, match="damaged or is no classifier"):
        features.load(path)


def test_what_a_set_says_about_itself():
    targets = classifier.targets_of(data.load("faces", split="held-out"))
    assert targets["glasses"][1] == ("False", "True") and set(targets["glasses"][0]) == {0, 1}
    assert len(targets["skin"][1]) == 8 and len(targets["class"][1]) == 2
    with pytest.raises(CourseError, match="no labels or attributes.*cifar10-net"):
        classifier.targets_of(data.ImageSet(some_images(), "mine"))


@pytest.mark.parametrize(
    ("name", "least"), [("faces", {"glasses": 0.99, "skin": 0.95, "beard": 0.97}), ("fashion", {"class": 0.88})]
)
def test_shipped_networks_know_their_held_out_images(name, least):
    net = classifier.load_classifier(classifier.shipped()[f"{name}-net"])
    right = classifier.accuracy(net, data.load(name, split="held-out"))
    for question, share in least.items():
        assert right[question] >= share, question
    assert classifier.shipped()[f"{name}-net"].stat().st_size < 2_000_000


def test_each_set_has_its_network():
    found = [features.own_of(*pair) for pair in (("faces", 3), ("holiday.zip", 3), ("digits.zip", 1))]
    assert found == ["faces-net", "cifar10-net", "fashion-net"] and set(found) <= set(classifier.shipped())


def test_a_classifier_answers_by_question():
    held_out = data.load("faces", split="held-out")
    answers = features.questioner("faces").answers(torch.from_numpy(held_out.images[:50].copy()), batch=32)
    assert answers["skin"].shape == (50, 8) and torch.allclose(answers["skin"].sum(1), torch.ones(50))
    assert (answers["glasses"].argmax(1).bool().numpy() == held_out.attributes["glasses"][:50]).all()
    assert features.questioner("fashion") is None and features.questioner("nothing") is None  # one question; none
