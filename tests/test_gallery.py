"""The authors' command that trains, exports and scores the gallery, on a tiny recipe."""

import itertools
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageStat

from gan_helpers import checkpoints, data, evaluation, features, frames, generators, plots, recipes, runs
from gan_helpers.course.authoring import board, gallery, plans, portraits
from gan_helpers.environment import DATA
from gan_helpers.errors import CourseError
from gan_helpers.generators import show_samples
from gan_helpers.training import Trainer


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The gallery in an empty folder, with one plan: `tiny`, ten steps on clothes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    (tmp_path / "generators").mkdir()
    tiny = recipes.get("conv-mnist").but(name="tiny", data="fashion", g_width=8, d_width=8, batch_size=8)
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny)
    monkeypatch.setattr(plans, "PLANS", {"tiny": plans.Plan(10, plans.narrow(2, 8))})
    monkeypatch.setitem(board.SETS, "fashion", "Clothes")
    monkeypatch.setitem(gallery.LIMITS, "fashion", "32x32 clothes")
    monkeypatch.setattr(board, "DRAWS", 2)
    monkeypatch.setattr(features, "imagenet_installed", lambda: False)  # it takes minutes
    monkeypatch.setattr(board, "KEPT", tmp_path / "generators" / "leaderboard.json")
    monkeypatch.setattr(board, "PAGE", tmp_path / "generators" / "README.md")
    for module in (gallery, portraits):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(generators, "SHIPPED", tmp_path / "generators")
    return tmp_path


def test_plan_train_and_board(small, capsys):
    assert gallery.main(["plan"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^tiny +2 +8 +10 +\d+ +0\.0$", told, re.MULTILINE) and "In all 0.0 hours" in told
    assert gallery.main(["train"]) == 0
    assert "1 to train: about 0.0 hours" in capsys.readouterr().out
    generator = generators.load_generator(small / "generators" / "tiny.safetensors")
    assert generator.recipe.g_width == 2 and generator.card["steps"] == 10
    assert "KD(fashion-net)" in generator.card["chosen_by"] and generator.card["GFLOP_an_image"] > 0
    assert "9,000 training images" in generator.card["data"] and (small / "images" / "tiny.webp").exists()
    header = checkpoints.read(small / "runs" / "gallery" / "tiny" / "checkpoint.safetensors")[1]
    assert generator.card["images_per_second"] == round(10 * 8 / float(header["seconds"]))  # the run's, not the step's
    before = (small / "generators" / "tiny.safetensors").stat().st_mtime_ns
    assert gallery.main(["train"]) == 0  # it is shipped: nothing to do
    assert (small / "generators" / "tiny.safetensors").stat().st_mtime_ns == before
    capsys.readouterr()
    page = small / "generators" / "README.md"
    page.write_text("# Generators\n")
    assert gallery.main(["board"]) == 1 and "has no place for the table" in capsys.readouterr().err
    page.write_text("# Generators\n<!-- leaderboard -->\nold\n<!-- end of leaderboard -->\nmore\n")
    assert gallery.main(["board"]) == 0
    shown = capsys.readouterr().out
    assert "| 1 | [`tiny`](tiny.md) |" in shown and "fashion-report, 1,000 images" in shown
    assert f"| {generator.card['GFLOP_an_image']} | {generator.card['minutes_of_the_run']} |\n" in shown
    assert (small / "images" / "gallery.webp").exists()
    text = page.read_text()
    assert '<img src="../../images/tiny.webp"' in text and "form from noise" in text  # with alternative text
    assert "| [`tiny`]" in text and "old" not in text
    assert text.startswith("# Generators\n<!--") and text.endswith("\nmore\n")
    card = (small / "generators" / "tiny.md").read_text()
    assert "| measured by fashion-net | 1000 x KD " in card and "as it trained; at the bottom" in card
    with Image.open(small / "images" / "cards" / "tiny.webp") as picture:  # 8 columns, enlarged twice
        assert picture.width == max(8 * 66 - 2, 640) and "images/cards/tiny.webp" in card
    kept = json.loads((small / "generators" / "leaderboard.json").read_text())["tiny"]["curve"]
    assert kept["judge"] == "KD(fashion-net)" and kept["scores"][-1][0] == 10


def test_on_a_gpu_recipes_keep_their_width_and_length(small, capsys, monkeypatch):
    assert plans.planned("tiny", gpu=True) == recipes.get("tiny")
    assert plans.planned("tiny").steps == 10 and plans.planned("tiny").g_width == 2
    monkeypatch.setattr(plans, "images_per_second", lambda *arguments: 100.0)
    assert plans.show(["best-cifar10", "conv-celeba"], gpu=True) > 1
    told = capsys.readouterr().out.splitlines()
    assert "run here: " in told[1] and told[2].endswith("not run here") and " 128 " in told[1]


def test_every_plan_is_of_a_recipe_and_fits_it():
    for name in plans.PLANS:
        recipe = plans.planned(name)
        assert recipe.steps == plans.PLANS[name].steps and recipe.data in gallery.LIMITS
        assert set(recipe.differs(recipes.get(name))) <= {"g_width", "d_width", "batch_size", "steps", "epochs"}, name


def scores(*pairs):
    """Scores of these values and spreads over five draws."""
    protocol = dict(subject="s", draws=5, n=9, reference="r", network="n", weights="w", resize="r", pixels="p")
    return [evaluation.Score(metric="kernel", value=value, spread=spread, **protocol) for value, spread in pairs]


def test_generators_that_intervals_do_not_tell_apart_share_a_place():
    # half an interval is 2.776 / √5 = 1.24 times the spread
    assert board.places(scores((1, 0.1), (1.1, 0.1), (1.3, 0.1), (1.4, 0.1))) == [1, 1, 3, 3]
    assert board.places(scores((1, 0), (1.01, 0))) == [1, 2] and board.places([]) == []


def test_the_page_shows_the_board_that_is_kept():
    order, table = board.leaderboard()
    page = board.PAGE.read_text("utf-8")
    assert f"{table}\n\n{board.films(order)}" in page, "python -m gan_helpers.course.authoring.gallery board"


def test_all_that_are_shipped_are_on_the_board_with_a_card_that_shows_them():
    judged = board.read()
    for name, path in generators.shipped().items():
        assert name in judged and board.kind_of(name) in board.SETS, name
        assert f"images/cards/{name}.webp" in path.with_suffix(".md").read_text("utf-8"), name


def test_card_and_animation_end_with_the_best_generator_not_the_last(small, monkeypatch):
    worse_each_time = itertools.count(1.0)
    monkeypatch.setattr(evaluation.Judge, "__call__", lambda judge, net: next(worse_each_time))
    monkeypatch.setattr(gallery, "measure", lambda *arguments: None)  # takes its time, and has its test above
    monkeypatch.setattr(gallery, "cards", lambda *arguments: None)
    monkeypatch.setitem(plans.PLANS, "tiny", plans.Plan(200, plans.narrow(2, 8)))
    assert gallery.main(["train"]) == 0
    best = generators.load_generator(small / "generators" / "tiny.safetensors")
    folder = small / "runs" / "gallery" / "tiny"
    drawn = [int(path.stem) for path in frames.frame_files(folder)]
    assert best.card["steps"] == 100 and max(drawn) == 200  # so that there is something to leave out
    trainer = Trainer(best.recipe, data.load("fashion", best.recipe.image_size, 1).images)
    kept = frames.half(frames.sheet(best, *frames.fixed_latents(trainer)), by_class=False)
    with Image.open(small / "images" / "tiny.webp") as film:
        film.seek(film.n_frames - 1)
        shown = film.convert("RGB").crop((0, 0, *kept.size))
    assert max(ImageStat.Stat(ImageChops.difference(shown, kept)).mean) < 10  # grey levels: a WebP loses a little


@pytest.mark.parametrize("name, size", [("conv-mnist", (270, 270)), ("small-cifar10", (96 + 12 * 66 - 2, 10 * 66 - 2))])
def test_stills_show_sixty_four_images_or_twelve_of_each_class(small, monkeypatch, name, size):
    monkeypatch.setattr(generators, "SHIPPED", DATA / "generators")
    assert gallery.main(["stills", name]) == 0
    assert Image.open(small / "images" / f"{name}-samples.webp").size == size


def test_one_call_trains_a_recipe_by_its_name(tmp_path, monkeypatch):
    tiny = recipes.get("genzoo-cifar10").but(name="tiny", g_width=4, d_width=4, batch_size=8, steps=1)
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny)
    black = data.ImageSet(np.zeros((20, 3, 32, 32), np.uint8), "black")
    trainer = runs.train("tiny", black, tmp_path / "run", device="cpu", progress=False)
    assert trainer.step == 1 and checkpoints.candidates(tmp_path / "run")
    assert trainer.generator(torch.randn(2, tiny.latent_dim)).shape == (2, 3, 32, 32)
    assert trainer.discriminator(torch.zeros(2, 3, 32, 32)).shape == (2,)
    with pytest.raises(CourseError, match="genzoo-cifar10"):
        runs.train("genzoo-cifar", black, tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


def test_one_call_loads_a_generator_and_shows_its_images(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "show", lambda picture, alt: shown.append((picture, alt)))
    cats = show_samples("small-cifar10", n=5, class_name="cat")
    show_samples("small-cifar10", n=5, class_name="3")
    show_samples("small-cifar10", n=5)
    assert cats.class_names[3] == "cat" and shown[0][0].tobytes() == shown[1][0].tobytes() != shown[2][0].tobytes()
    assert shown[0][0].size == (5 * 34 - 2, 32) and "5 images drawn by small-cifar10" in shown[0][1]
    with pytest.raises(CourseError, match="cat"):
        show_samples("small-cifar10", class_name="cta")
    with pytest.raises(CourseError, match="between 1 and"):
        show_samples("small-cifar10", n=0)


def test_gallery_names_what_it_does_not_know(capsys):
    for words in (["plan", "first-minute"], ["stills", "first-minute"], ["plan", "--data", "cifar10"]):
        assert gallery.main(words) == 1 and "is no recipe of the gallery" in capsys.readouterr().err
