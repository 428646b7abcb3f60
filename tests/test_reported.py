"""What careful readers of the code reported, each as they provoked it."""

import functools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import (
    callbacks,
    checkpoints,
    classifier,
    data,
    directions,
    environment,
    evaluation,
    files,
    generators,
    models,
    runs,
    training,
)
from gan_helpers.__main__ import main, parser
from gan_helpers.course.authoring import gallery
from gan_helpers.course.exercises import is_blank
from gan_helpers.data import download
from gan_helpers.devices import pick_device
from gan_helpers.errors import CourseError
from gan_helpers.page import compile_net
from gan_helpers.recipes import Recipe
from gan_helpers.training import Diverged, Trainer
from gan_helpers.widgets.state import Explorer

TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, steps=6)
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 3, 16, 16), dtype=np.uint8)
SET = data.ImageSet(IMAGES, "noise")


@pytest.fixture(autouse=True)
def away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def photos(folder: Path, counts: dict[str, int], size: int = 16) -> Path:
    """Class folders of random images."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / name / f"{k:02}.png")
    return folder


def test_files_that_lie_sorted_are_scored_by_lot(away):
    sorted_by_shade = np.repeat(np.arange(100, dtype=np.uint8), 8 * 8).reshape(100, 8, 8, 1)
    np.save(away / "shades.npy", sorted_by_shade)
    sample, count = evaluation.samples_of(away / "shades.npy")
    shades = sample(30, 0)[:, 0, 0, 0]
    assert count == 100 and len(set(shades)) == 30 and shades.max() > 80
    assert (sample(100, 0)[:, 0, 0, 0] == np.arange(100)).all()


def test_a_diverged_run_is_not_taken_for_a_full_disk():
    class Looking(callbacks.Callback):
        def step(self, trainer):
            raise Diverged("not a number")

    with pytest.raises(Diverged):
        callbacks.Tolerant(Looking()).step(None)


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
    assert main([*command, "--epochs", "1"]) == 1 and "--skip-broken" in capsys.readouterr().err
    assert main([*command, "--epochs", "1", "--skip-broken"]) == 0


def test_a_stand_in_is_recorded_as_what_it_is(away, monkeypatch):
    def nothing(split):
        raise CourseError("no network")

    monkeypatch.setattr(download, "mnist", nothing)
    tiny = ["--set", "image_size=16", "g_width=4", "d_width=4", "batch_size=4", "family=dcgan"]
    assert main(["train", "conv-mnist", "--fallback", "fashion", "--steps", "1", "--out", "run", *tiny]) == 0
    assert runs.recipe_of(away / "run").data == "fashion"
    assert "fashion" in generators.export_generator("run", away / "g.safetensors").with_suffix(".md").read_text()
    assert (
        main(["train", "conv-mnist", "--fallback", "fashion", "--steps", "2", "--out", "run", "--resume", *tiny]) == 0
    )


def test_r1_comes_to_every_class(monkeypatch):
    recipe = TINY.but(labels="pairs", num_classes=3, r1=1.0, r1_every=2, net={"d_norm": "none"})
    trainer, seen = Trainer(recipe, IMAGES, "cpu", labels=np.arange(60) % 3), []
    penalty = training.r1_penalty
    monkeypatch.setattr(training, "r1_penalty", lambda *a: seen.append(trainer.step % 3) or penalty(*a))
    for _ in range(12):
        trainer.train_step()
    assert sorted(seen) == [0, 0, 1, 1, 2, 2]


def test_scores_of_another_network_are_not_mixed_in(away):
    class Judge:
        def __init__(self, name, value):
            self.name, self.value = name, value

        def __call__(self, generator):
            return self.value

    options = {"device": "cpu", "progress": False, "score_every": 3}
    runs.train(TINY.but(steps=3), SET, "run", judge=Judge("FD(faces-net)", 5.0), **options)
    runs.train(TINY, SET, "run", resume=True, judge=Judge("FD(inception)", 80.0), **options)
    assert callbacks.read_scores(away / "run") == ("FD(inception)", [(6, 80.0)])
    assert checkpoints.read(away / "run" / "best.safetensors")[1]["score"] == "FD(inception) 80"


def test_a_file_that_is_read_elsewhere_is_put_in_place_a_moment_later(away, monkeypatch):
    real, refused = os.replace, []

    def replace(a, b):
        if len(refused) < 2:
            refused.append(b)
            raise PermissionError(13, "in use")
        real(a, b)

    monkeypatch.setattr(os, "replace", replace)
    files.save_atomically(away / "x.txt", lambda part: part.write_text("here"))
    assert (away / "x.txt").read_text() == "here" and len(refused) == 2
    refused[:] = []
    monkeypatch.setattr(os, "replace", lambda a, b: (_ for _ in ()).throw(PermissionError(13, "in use")))
    with pytest.raises(CourseError, match="in use"):
        files.save_atomically(away / "x.txt", lambda part: part.write_text("there"))
    assert (away / "x.txt").read_text() == "here" and len(list(away.iterdir())) == 1


def conditional():
    torch.manual_seed(0)
    return models.build_generator(TINY.but(family="best", labels="conditional", num_classes=3)).eval()


def test_a_conditional_generator_straight_from_training_has_classes():
    net = conditional()
    explorer = Explorer(net, SET)
    assert explorer.class_names == ("0", "1", "2") and generators.class_names(torch.nn.Identity()) == ()
    explorer.change(label=2)
    assert "class 2" in explorer.describe()
    assert directions.activation_pca(net, 3).shape == (3, 6)  # its ReLUs can be found
    assert sum(layer["type"] == "relu" for layer in compile_net(net)[0]["layers"]) == 3


def test_attributes_of_a_grey_generator(away):
    recipe = TINY.but(data="faces", channels=1)
    runs.train(recipe.but(steps=1), data.load("faces"), "run", device="cpu", progress=False)
    command = ["walk", "run", "--out", "walk.gif", "--seconds", "0.5", "--fps", "1"]
    assert main([*command, "--direction", "glasses"]) == 0 and main([*command, "--direction", "1"]) == 0
    explorer = Explorer("run")
    explorer.find("T")
    explorer.move('T["glasses"]', 1.0)
    assert 'data.load("faces", 16, 1)' in explorer.code()
    exec(explorer.code(), {})


def test_code_of_a_windows_path(monkeypatch):
    fake = functools.wraps(generators.load_generator)(lambda source: conditional())
    monkeypatch.setattr("gan_helpers.widgets.state.load_generator", fake)
    compile(Explorer(r"C:\Users\me\run", SET).code(), "cell", "exec")


def test_losses_are_taken_in_single_precision():
    trainer = Trainer(TINY.but(ema=0), IMAGES, "cpu")
    trainer.autocast = torch.autocast("cpu", torch.bfloat16)
    seen = []
    trainer.descend = lambda optimizer, loss: seen.append(loss.dtype)
    trainer.train_step()
    assert seen == [torch.float32, torch.float32]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("train first-minute --save-every nan", "--save-every must be at least 1"),
        ("train first-minute --score-every -1", "--score-every must be at least 0"),
        ("train first-minute --device cpu:x", "no cpu:x"),
        ("train first-minute --device cuda:99", "no cuda:99"),
        ("train first-minute --data=", "No data set or folder ''"),
        ("evaluate ~nosuch/x --data faces", "Nothing to score at"),
        ("walk dcgan-faces --out w.gif --direction ²", "no table for"),
        ("sample dcgan-faces --out ~nosuch/x.txt", "--out must end in"),
    ],
)
def test_bad_words_get_one_line(command, told, capsys, away):
    assert main(command.split()) == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert [path.name for path in away.iterdir() if path.name != "cache"] == []


def test_run_folders_stay_in_runs():
    foreign = TINY.but(name="../../etc/run", data="faces")
    assert runs.default_folder(foreign).parent == Path("runs")
    assert runs.default_folder(TINY.but(name="/", data=".")).parent == Path("runs")


def test_cache_folder_may_lie_at_home(monkeypatch):
    monkeypatch.setenv("GAN_HELPERS_CACHE", "~/gan")
    assert environment.cache_dir() == Path.home() / "gan"
    monkeypatch.setenv("GAN_HELPERS_CACHE", "")
    assert environment.cache_dir() == environment.DATA / "cache"


def test_a_wrong_constant_is_an_answer():
    def blank(x):
        """Nothing yet."""
        ...

    assert is_blank(blank) and is_blank(lambda x: ...) and is_blank(lambda x: None)
    assert not is_blank(lambda x: 0.5) and not is_blank(lambda x: True)


def test_gallery_names_what_it_does_not_know(capsys):
    for words in (["plan", "first-minute"], ["plan", "--data", "cifar10"]):
        assert gallery.main(words) == 1 and "is no recipe of the gallery" in capsys.readouterr().err


def test_saved_directions_can_be_saved_again(away):
    directions.save_directions(away / "d.safetensors", {"a": torch.randn(4)})
    kept = directions.load_directions(away / "d.safetensors", 4)
    maps = Path("/proc/self/maps")
    assert not maps.exists() or "d.safetensors" not in maps.read_text()  # Windows would not replace a mapped file
    directions.save_directions(away / "d.safetensors", kept | {"b": torch.randn(4)})


def test_pick_device():
    assert pick_device("cpu") == torch.device("cpu") and parser().prog == "gan-helpers"
