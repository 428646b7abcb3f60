"""Counts, labels and shapes at their bounds: many classes, few images, what no image can be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import data, evaluation, generators, runs
from gan_helpers.__main__ import main
from gan_helpers.data import splits
from gan_helpers.devices import pick_device
from gan_helpers.errors import CourseError
from gan_helpers.recipes import Recipe
from gan_helpers.training import Trainer

TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=4, steps=1)
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 3, 16, 16), dtype=np.uint8)


@pytest.fixture(autouse=True)
def away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def photos(folder: Path, names: list[str]) -> Path:
    """Different images under these names."""
    for name, pixels in zip(
        names, np.random.default_rng(0).integers(0, 256, (len(names), 16, 16, 3), np.uint8), strict=True
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


class Labels(torch.nn.Module):
    """Draws its label as the shade of its image."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.num_classes, self.latent_dim, self.weight = classes, 2, torch.nn.Parameter(torch.zeros(1))

    def forward(self, z, labels):
        return ((labels / 255) * 2 - 1).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def test_classes_are_drawn_evenly_and_none_is_always_cut_off():
    one, other = (evaluation.draw(Labels(200), 60, seed)[:, 0, 0, 0] for seed in (0, 1))
    assert len(set(one)) == len(set(other)) == 60 and max(one) > 100 and set(one) != set(other)
    assert (evaluation.draw(Labels(200), 60, 0)[:, 0, 0, 0] == one).all()
    counts = np.bincount(evaluation.draw(Labels(10), 1005, 3)[:, 0, 0, 0])
    assert len(counts) == 10 and set(counts) == {100, 101}


@pytest.mark.parametrize("count", [12, 25])
def test_a_small_set_is_too_small_to_choose_by(away, count, capsys):
    photos(away / "pets", [f"{k}.png" for k in range(count)])
    command = ["train", "dcgan-faces", "--data", "pets", "--steps", "1", "--score-every", "1", "--features"]
    assert main([*command, "cifar10-net", "--out", "run", "--set", "image_size=16"]) == 1
    error = capsys.readouterr().err
    assert any(part in error for part in ("none is held out", "images to score by")) and "Add images" in error
    assert not (away / "run").exists()


def test_a_folder_val_chooses_and_needs_no_guard_against_copies(away):
    photos(away / "pets", [f"{split}/{k}.png" for split in ("train", "test", "val") for k in range(12)])
    judge = evaluation.Judge("pets", "cifar10-net", n=10, image_size=16)
    assert judge.reference.real.name == "pets-choose" and len(judge.real) == 12 and judge.held_out is None


def test_a_class_of_one_image_makes_a_run_that_opens(away):
    photos(away / "pets", [f"a/{k}.png" for k in range(9)] + [f"b/{k}.png" for k in range(9)])
    for k in range(99):  # an image that would be held out
        path = photos(away / "c", [f"{j}.png" for j in range(k + 1)]) / f"{k}.png"
        if splits.rank(path.read_bytes()) >= splits.HELD_OUT:
            break
    (away / "pets" / "c").mkdir()
    path.rename(away / "pets" / "c" / "1.png")
    recipe = TINY.but(data="pets", family="small", labels="conditional", num_classes=3, loss="hinge")
    runs.train(recipe, out="run", device="cpu", progress=False)
    assert generators.load_generator("run").class_names == ("a", "b", "c")


def test_a_class_without_images_is_told_before_the_run():
    labels = np.arange(60) % 2
    with pytest.raises(CourseError, match="3 classes, and only 2 have images"):
        Trainer(TINY.but(labels="pairs", num_classes=2), IMAGES, "cpu", labels=labels, class_names=("a", "b", "c"))


@pytest.mark.parametrize("labels", [np.arange(59) % 3, np.arange(61) % 3, np.arange(60) / 3, np.arange(60) - 1,
                                    np.array(["a"] * 60)])  # fmt: skip
def test_labels_that_do_not_fit_are_told_at_the_start(labels):
    with pytest.raises(CourseError, match="60 images need|whole numbers from 0"):
        data.ImageSet(IMAGES, "noise", labels)
    with pytest.raises(CourseError, match="60 images need|whole numbers from 0"):
        Trainer(TINY.but(labels="pairs", num_classes=3), IMAGES, "cpu", labels=labels)


def test_columns_that_do_not_fit_are_told():
    with pytest.raises(CourseError, match="noise has 60 images, and 59 in 'hat'"):
        data.ImageSet(IMAGES, "noise", attributes={"hat": np.zeros(59, bool)})


@pytest.mark.parametrize("shape", [(0, 3), (-1, 3), (16, 2), (16, 0), (None, 4), (0, None)])
def test_shapes_that_no_image_has(away, shape):
    photos(away / "pets", ["a.png", "b.png"])
    for source in ("faces", "pets", "mnist"):
        with pytest.raises(CourseError, match="channels must be 1 or 3, and image_size at least 1"):
            data.load(source, *shape)
    if None not in shape:
        with pytest.raises(CourseError, match="channels must be 1 or 3"):
            data.ImageSet(IMAGES, "noise").resized(*shape)


@pytest.mark.parametrize("name", ["cpu:", "cuda:", "mps:", ":", "", "cpu:0:0"])
def test_half_a_device_is_none(name):
    with pytest.raises(CourseError, match="device|This machine has no"):
        pick_device(name)
