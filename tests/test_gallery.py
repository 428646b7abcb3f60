"""The authors' command that trains, exports and scores the gallery, on a tiny recipe."""

import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageStat

from gan_helpers import checkpoints, data, evaluation, frames, generators, plots, recipes, runs
from gan_helpers.course.authoring import gallery
from gan_helpers.environment import DATA
from gan_helpers.errors import CourseError
from gan_helpers.generators import show_samples
from gan_helpers.training import Trainer


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    (tmp_path / "generators").mkdir()
    tiny = recipes.get("conv-mnist").but(name="tiny", g_width=8, d_width=8, batch_size=8)
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny)
    monkeypatch.setattr(gallery, "MINUTES", {"tiny": 0.002})
    monkeypatch.setattr(gallery, "LEAST_STEPS", 10**9)  # so that all widths are tried
    monkeypatch.setattr(gallery, "DRAWS", 2)
    monkeypatch.setattr(gallery.features, "imagenet_installed", lambda: False)  # it takes minutes
    for name, path in {"PLAN": "plan.json", "BOARD": "leaderboard.json", "PAGE": "README.md"}.items():
        monkeypatch.setattr(gallery, name, tmp_path / "generators" / path)
    monkeypatch.setattr(gallery, "ROOT", tmp_path)
    monkeypatch.setattr(generators, "SHIPPED", tmp_path / "generators")
    return tmp_path


def test_plan_train_and_board(small, capsys):
    sources = ["--data", "fashion_mnist=fashion"]
    assert gallery.main(["train", *sources]) == 1 and "run the command plan first" in capsys.readouterr().err
    gallery.plan(["tiny"], {"fashion_mnist": "fashion"}, seconds=0.1)
    planned = json.loads((small / "generators" / "plan.json").read_text())["tiny"]
    assert planned["divisor"] == 4 and planned["steps"] % 10 == 0
    planned["steps"] = 10
    (small / "generators" / "plan.json").write_text(json.dumps({"tiny": planned}))
    assert gallery.main(["train", *sources]) == 0
    generator = generators.load_generator(small / "generators" / "tiny.safetensors")
    assert (
        generator.recipe.g_width == 2
        and generator.card["steps"] == 10
        and "KD(fashion-net)" in generator.card["chosen_by"]
    )
    assert "9,000 training images" in generator.card["data"] and (small / "images" / "tiny.webp").exists()
    header = checkpoints.read(small / "runs" / "gallery" / "tiny" / "checkpoint.safetensors")[1]
    assert generator.card["images_per_second"] == round(10 * 8 / float(header["seconds"]))  # the run's, not the step's
    before = (small / "generators" / "tiny.safetensors").stat().st_mtime_ns
    assert gallery.main(["train", *sources]) == 0  # it is shipped: nothing to do
    assert (small / "generators" / "tiny.safetensors").stat().st_mtime_ns == before
    capsys.readouterr()
    page = small / "generators" / "README.md"
    page.write_text("# Generators\n")
    assert gallery.main(["board"]) == 1 and "has no place for the table" in capsys.readouterr().err
    page.write_text("# Generators\n<!-- leaderboard -->\nold\n<!-- end of leaderboard -->\nmore\n")
    assert gallery.main(["board"]) == 0
    shown = capsys.readouterr().out
    assert "| [`tiny`](tiny.md) |" in shown and "fashion-report, 1,000 images" in shown
    rate, minutes = (generator.card[key] for key in ("images_per_second", "minutes_of_the_run"))
    assert f"| {rate} | {minutes} |\n" in shown
    assert (small / "images" / "gallery.webp").exists()
    text = page.read_text()
    assert '<img src="../../images/tiny.webp"' in text and "form from noise" in text  # with alternative text
    assert "| [`tiny`]" in text and "old" not in text
    assert text.startswith("# Generators\n<!--") and text.endswith("\nmore\n")


def test_the_page_shows_the_board_that_is_kept():
    order, table = gallery.leaderboard()
    page = gallery.PAGE.read_text("utf-8")
    assert f"{table}\n\n{gallery.films(order)}" in page, "python -m gan_helpers.course.authoring.gallery board"


def test_card_and_animation_end_with_the_best_generator_not_the_last(small, monkeypatch):
    worse_each_time = itertools.count(1.0)
    monkeypatch.setattr(evaluation.Judge, "__call__", lambda judge, net: next(worse_each_time))
    monkeypatch.setattr(gallery, "measure", lambda *arguments: None)  # takes its time, and has its test above
    (small / "generators" / "plan.json").write_text(
        json.dumps({"tiny": {"divisor": 4, "steps": 200, "images_per_second": 1}})
    )
    assert gallery.main(["train", "--data", "fashion_mnist=fashion"]) == 0
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


@pytest.mark.parametrize("name, size", [("conv-mnist", (270, 270)), ("best-cifar10", (96 + 12 * 66 - 2, 10 * 66 - 2))])
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
    cats = show_samples("best-cifar10", n=5, class_name="cat")
    show_samples("best-cifar10", n=5, class_name="3")
    show_samples("best-cifar10", n=5)
    assert cats.class_names[3] == "cat" and shown[0][0].tobytes() == shown[1][0].tobytes() != shown[2][0].tobytes()
    assert shown[0][0].size == (5 * 34 - 2, 32) and "5 images drawn by best-cifar10" in shown[0][1]
    with pytest.raises(CourseError, match="cat"):
        show_samples("best-cifar10", class_name="cta")
    with pytest.raises(CourseError, match="between 1 and"):
        show_samples("best-cifar10", n=0)


def test_gallery_names_what_it_does_not_know(capsys):
    for words in (["plan", "first-minute"], ["plan", "--data", "cifar10"]):
        assert gallery.main(words) == 1 and "is no recipe of the gallery" in capsys.readouterr().err
