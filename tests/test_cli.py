"""The command line and the files it reads: what a person types, and what they are told."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from gan_helpers import checkpoints, classifier, environment, features, generators, tensors
from gan_helpers.__main__ import main
from gan_helpers.errors import CourseError
from gan_helpers.latent import draw_z, generate
from gan_helpers.metrics import METRICS
from gan_helpers.recipes import RECIPES, Recipe
from gan_helpers.training import Trainer


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A tiny trained run, made through the command line from a folder of images."""
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(12):
        Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    assert main(TRAIN.split()) == 0
    return tmp_path / "run"


TRAIN = (
    "train dcgan-celeba --data photos --steps 2 --out run --device cpu "
    "--set image_size=16 g_width=4 d_width=4 batch_size=4"
)


def test_train_prints_where_the_pictures_are(run, capsys):
    assert main([*TRAIN.split(), "--resume"]) == 0  # finished: nothing to do, and no error
    out = capsys.readouterr().out
    assert all(f"run/{name}" in out for name in ("samples.png", "losses.png", "training.gif")) and "finished" in out


def test_sample_png_and_npy(run, tmp_path, capsys):
    assert main(["sample", str(run), "--n", "9", "--seed", "3", "--out", str(tmp_path / "new" / "a.png")]) == 0
    assert Image.open(tmp_path / "new" / "a.png").size == (3 * 18 - 2, 3 * 18 - 2)
    for name, source in (("a", run), ("b", run / "checkpoint.safetensors")):
        assert main(["sample", str(source), "--n", "5", "--seed", "3", "--out", str(tmp_path / f"{name}.npy")]) == 0
    a, b = np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy")
    assert a.dtype == np.uint8 and a.shape == (5, 16, 16, 3) and (a == b).all()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
def test_animate(run, tmp_path, suffix):
    assert main(["animate", str(run), "--out", str(tmp_path / f"a{suffix}")]) == 0
    assert (tmp_path / f"a{suffix}").stat().st_size > 0


def test_export_is_small_and_samples_alike(run, tmp_path):
    out = tmp_path / "mine.safetensors"
    assert main(["export", str(run), "--out", str(out), "--licence", "mine"]) == 0
    card = generators.load_generator(out).card
    assert card["overrides"]["image_size"] == 16 and card["steps"] == 2 and card["images_seen"] == 8
    assert "photos" not in card["overrides"] and "licence | mine" in out.with_suffix(".md").read_text()
    assert str(tmp_path) not in out.with_suffix(".md").read_text()
    assert "trained on photos" in out.with_suffix(".md").read_text()  # not the recipe's line about its own data
    z = torch.randn(4, 100)
    a, b = generators.load_generator(run)(z), generators.load_generator(out)(z)
    assert (a - b).abs().mean() < 0.01


@pytest.mark.parametrize("command, told", [
    ("train dcgan-celeb", "Did you mean 'dcgan-celeba'"),
    ("train first-minute --data facez", "Did you mean 'faces'"),
    ("train first-minute --set lr=1", "no option 'lr'"),
    ("train first-minute --set glr=1", "Did you mean 'g_lr'"),
    ("train first-minute --set seed", "key=value"),
    ("train first-minute --set g_lr=fast", "g_lr must be a number"),
    ("train first-minute --set batch_size=1.5", "whole number"),
    ("train first-minute --set image_size=48", "16, 32, 64, 128"),
    ("train first-minute --set augment=sharpen", "brightness, color, translation, cutout"),
    ("train first-minute --steps -1", "steps must lie between"),
    ("train first-minute --device tpu", "No device 'tpu'"),
    ("train first-minute --features faces-net", "give --score-every"),
    ("sample dcgan-facez --out a.png", "No checkpoint, run folder or shipped generator"),
    ("sample x --out a.jpg", ".png or .npy"),
    ("sample x --out a.png --n 0", "between 1 and"),
    ("animate nowhere --out a.gif --fps 0", "--fps must"),
    ("sample x --out a.png --seed -1", "--seed must"),
    ("train first-minute --set minutes=", "no budget"),
    ("animate nowhere --out a.gif", "no run folder"),
    ("animate nowhere --out a.avi", ".gif"),
    ("train first-minute --save-every nan", "--save-every must be a number between 1 and"),
    ("train first-minute --score-every -1", "--score-every must be a whole number between 0 and"),
    ("train first-minute --device cpu:x", "no cpu:x"),
    ("train first-minute --device cuda:99", "no cuda:99"),
    ("train first-minute --data=", "No data set or folder ''"),
    ("train first-minute --stpes 3", "unrecognized arguments: --stpes 3. Help: gan-helpers --help"),
    ("sample dcgan-faces", "required: --out. Help: gan-helpers sample --help"),
    ("trane", "invalid choice: 'trane'"),
    ("evaluate ~nosuch/x --data faces", "Nothing to score at"),
    ("walk dcgan-faces --out w.gif --direction \u00b2", "no table for"),
    ("sample dcgan-faces --out ~nosuch/x.txt", "--out must end in"),
])  # fmt: skip
def test_wrong_words_are_told_in_one_line(command, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    assert main(command.split()) == 1
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1 and [p.name for p in tmp_path.iterdir() if p.name != "cache"] == []


@pytest.mark.parametrize("command", [
    "--help", "train --help", "train first-minute --stpes 3", "sample x --out a.png --n 0", "train x --set lr",
])  # fmt: skip
def test_options_are_answered_before_anything_heavy_is_imported(command, tmp_path):
    """PyTorch alone takes a second or two, NumPy a tenth."""
    code = (
        "import sys\nfrom gan_helpers.__main__ import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(*sys.modules, sep=chr(10))"
    )
    done = subprocess.run([sys.executable, "-c", code, *command.split()], capture_output=True, text=True, check=True,
                          cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(environment.ROOT)})  # fmt: skip
    assert not {"torch", "numpy", "matplotlib", "PIL", "tqdm"} & set(done.stdout.splitlines())


def test_list(capsys):
    assert main(["list", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert set(table["recipes"]) == set(RECIPES) and "faces" in table["data"] and "celeba" in table["data"]
    assert set(table["generators"]) == set(generators.shipped())
    assert table["generators"]["dcgan-faces"] == generators.load_generator("dcgan-faces").recipe.about
    assert set(table["networks"]) == {*classifier.shipped(), *features.OTHERS}
    assert "faces, 9,000 images" in table["networks"]["faces-net"] and set(table["metrics"]) == set(METRICS)
    assert main(["list"]) == 0 and "first-minute" in capsys.readouterr().out


def test_every_option_of_the_seeds_is_reachable():
    changes = dict(epochs=3, g_lr=3e-4, d_lr=1e-4, latent_dim=128, batch_size=64, g_width=32, d_width=16, image_size=32)
    changes |= dict(channels=1, beta1=0.4)
    assert RECIPES["dcgan-celeba"].but(**changes).differs(RECIPES["dcgan-celeba"]).keys() == changes.keys()


def test_recipe_survives_json():
    for recipe in RECIPES.values():
        assert Recipe.from_json(recipe.to_json()) == recipe
    for bad in ("{", "[]", "3", '{"name": "x", "evil": 1}', '{"g_lr": 1}', '{"name": "x", "g_width": 100000}'):
        with pytest.raises(CourseError):
            Recipe.from_json(bad)


# --- files that are not what they should be ------------------------------------------------------------------------


def damaged(run, how):
    path = run / "checkpoint.safetensors"
    raw = path.read_bytes()
    contents = {
        "truncated": raw[: len(raw) // 2],
        "empty": b"",
        "foreign": b"PK\x03\x04" + raw[:999],
        "pickle": b"\x80\x04\x95" + raw[:99],
        "huge header": struct.pack("<Q", 2**60) + raw[8:],
    }
    path.write_bytes(contents[how])
    return path


@pytest.mark.parametrize("how", ["truncated", "empty", "foreign", "pickle", "huge header"])
def test_damaged_checkpoints_are_named_and_the_previous_one_serves(run, how, capsys, tmp_path):
    path = damaged(run, how)
    assert main(["sample", str(path), "--out", str(tmp_path / "a.png")]) == 1
    assert str(path) in capsys.readouterr().err and not (tmp_path / "a.png").exists()
    assert main([*TRAIN.split(), "--resume"]) == 0
    assert "Going on from checkpoint.previous.safetensors" in capsys.readouterr().out
    assert checkpoints.read(path)[1]["step"] == "2"


def test_wrong_layers_are_named(run, tmp_path):
    recipe, header, tensors = checkpoints.read(run / "checkpoint.safetensors")
    layer = "ema.layers.0.weight"
    cases = {
        "missing": {k: v for k, v in tensors.items() if k != layer},
        "has shape": {**tensors, layer: torch.zeros(3)},
        "not finite": {**tensors, layer: tensors[layer] * float("nan")},
        "not part of": {**tensors, "ema.extra": torch.zeros(1)},
    }
    for told, wrong in cases.items():
        save_file({k: v.contiguous() for k, v in wrong.items()}, tmp_path / "x.safetensors", header)
        with pytest.raises(CourseError, match=f"x.safetensors.*'ema.(layers.0.weight|extra)' .*{told}"):
            generators.load_generator(tmp_path / "x.safetensors")


def test_a_generator_is_read_alone_and_only_if_it_fits(run, tmp_path, monkeypatch):
    """Of a checkpoint, a third or less is the generator; a header may promise a net that fills the memory."""
    recipe, header, kept = checkpoints.read(run / "checkpoint.safetensors")
    read, names = generators.read_tensors, []
    monkeypatch.setattr(generators, "read_tensors", lambda *a: names.append(read(*a)) or names[-1])
    generators.load_generator(run)
    assert {name.partition(".")[0] for name in names[0]} == {"ema" if recipe.ema else "generator"}
    monkeypatch.setattr(generators, "read_tensors", lambda *_: pytest.fail("read"))
    monkeypatch.setattr(torch.nn.Module, "to_empty", lambda *_, **__: pytest.fail("memory was taken"))
    tensors.save_tensors(tmp_path / "x.safetensors", kept, header | {"recipe": recipe.but(g_width=512).to_json()})
    with pytest.raises(CourseError, match="x.safetensors: layer .* has shape"):
        generators.load_generator(tmp_path / "x.safetensors")


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(CourseError, match="not one that this version"):
        generators.load_generator(tmp_path / "x.safetensors")
    save_file(
        {"a": torch.zeros(1)}, tmp_path / "x.safetensors", {"format": "1", "recipe": '{"name": "x", "g_width": 1e9}'}
    )
    with pytest.raises(CourseError, match="x.safetensors: g_width must lie between"):
        generators.load_generator(tmp_path / "x.safetensors")


def test_a_full_disk_leaves_the_last_checkpoint(run, monkeypatch):
    trainer = Trainer(Recipe.from_json((run / "recipe.json").read_text()), np.zeros((12, 3, 16, 16), np.uint8), "cpu")
    before = (run / "checkpoint.safetensors").read_bytes()

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensors, "save_file", full)
    with pytest.raises(CourseError, match="No space left.*intact"):
        checkpoints.save(trainer, run)
    assert (run / "checkpoint.safetensors").read_bytes() == before and not list(run.glob("*part*"))


def test_shipped_generators_are_small_and_carry_a_card():
    assert set(generators.shipped()) >= {"dcgan-celeba", "dcgan-faces"}
    for name, path in generators.shipped().items():
        generator = generators.load_generator(name)
        assert path.stat().st_size <= 5_000_000 and path.with_suffix(".md").exists()
        assert {"recipe", "overrides", "minutes", "machine", "data", "licence", "limits"} <= generator.card.keys()
        images, r = generate(generator, draw_z(20, generator.latent_dim)), generator.recipe
        assert images.shape[1:] == (r.channels, r.image_size, r.image_size) and images.std(0).mean() > 0.1
