"""The training of a network that measures: by the command, on small and broken sets, and without a trace elsewhere."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import classifier, data, features
from gan_helpers.__main__ import main

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16), dtype=np.uint8)


@pytest.fixture
def away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def photos(folder, counts, size=16):
    """Class folders of random images."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / name / f"{k:02}.png")
    return folder


def test_both_splits_have_the_same_classes_and_a_small_set_makes_a_network(away):
    folder = photos(away / "pets", {"cats": 20, "dogs": 9})
    train, held_out = (data.load(folder, split=split) for split in ("train", "held-out"))
    assert train.class_names == held_out.class_names == ("cats", "dogs") and set(held_out.labels) == {0}
    assert main(["network", str(folder), "--out", "pets.safetensors", "--epochs", "1"]) == 0
    assert classifier.load_classifier(away / "pets.safetensors").heads == {"class": ("cats", "dogs")}


def test_a_network_needs_an_epoch_and_may_leave_broken_images_out(away, capsys):
    folder = photos(away / "pets", {"cats": 12, "dogs": 12})
    (folder / "cats" / "x.png").write_bytes(b"no image")
    command = ["network", str(folder), "--out", "pets.safetensors"]
    assert main([*command, "--skip-broken", "--epochs", "0"]) == 1 and "at least one pass" in capsys.readouterr().err
    assert main([*command, "--skip-broken", "--width", "8"]) == 1 and "16 to 1,024 features" in capsys.readouterr().err
    assert main([*command, "--epochs", "1"]) == 1 and "--skip-broken" in capsys.readouterr().err
    assert main([*command, "--epochs", "1", "--skip-broken"]) == 0


def test_a_network_has_as_many_features_as_it_is_told(away):
    folder = photos(away / "pets", {"cats": 12, "dogs": 12})
    command = ["network", str(folder), "--out", "pets.safetensors", "--epochs", "1", "--width", "32"]
    assert main(command) == 0 and "features (N, 32)" in (away / "pets.md").read_text()
    network = features.load(away / "pets.safetensors")
    assert network(IMAGES[:4]).shape == (4, 32) and network.width == 32
    for name in classifier.shipped():  # of older ones the header says nothing
        assert features.load(name).width == classifier.load_classifier(name).head.in_features


def test_training_a_network_leaves_the_global_generator_alone(tmp_path):
    labels = np.arange(50) % 2
    images = data.ImageSet(IMAGES, "noise", labels, ("a", "b"))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    for name in ("one", "two"):
        classifier.train_classifier(images, images, tmp_path / f"{name}.safetensors", image_size=32, epochs=1)
    assert torch.rand(1) == expected
    one, two = (classifier.load_classifier(tmp_path / f"{name}.safetensors").state_dict() for name in ("one", "two"))
    off = max((one[name] - two[name]).abs().max() for name in one)
    assert off == 0 or (torch.cuda.is_available() and off < 1e-3)  # a GPU adds up in an order of its own


def test_a_text_that_is_no_card_is_not_written_over(away, capsys):
    photos(away / "pets", {"cats": 12, "dogs": 12})
    (away / "README.md").write_text("mine")
    assert main(["network", "pets", "--out", "README.safetensors", "--epochs", "1"]) == 1
    assert "README.md is there and no card of README.safetensors" in capsys.readouterr().err
    assert (away / "README.md").read_text() == "mine" and not (away / "README.safetensors").exists()
