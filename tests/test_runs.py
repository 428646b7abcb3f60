"""What may happen to a run: stopped anywhere, on other data, on another machine, with a full disk, without a screen."""

import dataclasses
import errno
import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_helpers import (
    animate,
    callbacks,
    checkpoints,
    console,
    data,
    environment,
    frames,
    generators,
    latent,
    runs,
)
from gan_helpers.__main__ import main
from gan_helpers.callbacks import Callback
from gan_helpers.data import SETS, images
from gan_helpers.errors import CourseError
from gan_helpers.recipes import RECIPES, Recipe
from gan_helpers.temporary import Interrupt
from gan_helpers.tensors import save_tensors
from gan_helpers.training import Diverged, Trainer

TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, steps=6, ema=0.9)
IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16), dtype=np.uint8)
SET = data.ImageSet(IMAGES, "noise")
QUIET = {"device": "cpu", "progress": False}
SMALL = ["--out", "run", "--device", "cpu"]
ROOT = str(environment.ROOT)


def stop(*_):
    raise KeyboardInterrupt


def test_a_stopped_cell_leaves_both_nets_in_training(monkeypatch):
    trainer = Trainer(TINY, IMAGES, "cpu")
    trainer.generator.layers[1].eval()  # somebody's own choice
    modes = [module.training for module in trainer.generator.modules()]
    with pytest.raises(KeyboardInterrupt):
        latent.generate(trainer.generator, torch.randn(3, 6), each=stop)
    assert [module.training for module in trainer.generator.modules()] == modes
    first = next(trainer.discriminator.parameters()).requires_grad_(False)
    monkeypatch.setattr(trainer, "loss", trainer.loss._replace(g=stop))
    with pytest.raises(KeyboardInterrupt):
        trainer.train_step()
    assert [p.requires_grad for p in trainer.discriminator.parameters()] == [
        p is not first for p in trainer.discriminator.parameters()
    ]


def test_a_handler_that_is_not_pythons_is_left_alone(monkeypatch):
    """Under an embedding host `getsignal` is None, and nobody could put its handler back."""
    kept = signal.getsignal(signal.SIGTERM)
    real = signal.getsignal
    monkeypatch.setattr(signal, "getsignal", lambda s: None if s == signal.SIGTERM else real(s))
    with Interrupt() as interrupt:
        assert real(signal.SIGTERM) is kept and real(signal.SIGINT) == interrupt.ask
    assert real(signal.SIGTERM) is kept and real(signal.SIGINT) != interrupt.ask


def test_rates_change_in_place():
    """On CUDA a recorded step reads its rates from where they lay."""
    trainer = Trainer(TINY.but(decay=0.5), IMAGES, "cpu")
    group = trainer.g_optimizer.param_groups[0]
    group["lr"] = tensor = torch.tensor(1.0)
    trainer.step = 5  # of 6; 2/6 of the way down is left of 3/6
    trainer.set_learning_rates()
    assert group["lr"] is tensor and tensor.item() == pytest.approx(TINY.g_lr / 3)
    assert trainer.d_optimizer.param_groups[0]["lr"] == pytest.approx(TINY.d_lr / 3)


def photos(folder, counts):
    """Class folders of random images."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for k in range(count):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k:03}.png")
    return folder


def opened(folder):
    return data.load(folder, 16, 3)


def test_a_run_goes_on_with_its_own_images_only(tmp_path, monkeypatch):
    """Every image counts, and where the recipe has classes their names, and which image is of which."""
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    folder, recipe = photos(tmp_path / "pets", {"cats": 90, "dogs": 90}), TINY.but(labels="pairs", num_classes=2)
    train = opened(folder)
    for name, kind in (("plain", TINY), ("classes", recipe)):
        runs.train(kind.but(steps=1), train, tmp_path / name, **QUIET)

    def resume(name, images, steps=2):
        kind = recipe if name == "classes" else TINY
        return runs.train(kind.but(steps=steps), images, tmp_path / name, resume=True, **QUIET).step

    assert resume("plain", opened(folder)) == resume("classes", opened(folder)) == 2
    swapped = dataclasses.replace(train, labels=1 - train.labels)
    with pytest.raises(CourseError, match="some of them of another class"):
        resume("classes", swapped)
    assert resume("plain", swapped, 3) == 3  # it was never told a class
    (folder / "dogs").rename(folder / "hounds")
    with pytest.raises(CourseError, match="classes cats, dogs there, cats, hounds here"):
        resume("classes", opened(folder))
    (folder / "hounds").rename(folder / "dogs")
    for path in sorted((folder / "cats").iterdir()):  # one that is trained on, and none of the 64 of old
        if len(opened(folder)) == len(train):
            before = path.read_bytes()
            Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
            if len(opened(folder)) == len(train) and opened(folder).digest != train.digest:
                break
            path.write_bytes(before)
    with pytest.raises(CourseError, match="as many images, and others.*--out"):
        resume("plain", opened(folder))
    with pytest.raises(CourseError, match=f"{len(train)} images there, 40 here"):
        resume("plain", train.take(np.arange(40), "fewer"))


def test_another_machine_goes_on_and_says_so_once(tmp_path, monkeypatch, capsys):
    """Resized pixels differ between processors and versions of Pillow; the images are the same ones."""
    large = data.ImageSet(np.repeat(np.repeat(IMAGES, 2, 2), 2, 3) // np.uint8(2), "large")
    runs.train(TINY.but(steps=2), large, tmp_path / "run", **QUIET)
    real = data.ImageSet.resized

    def rounded_otherwise(self, *size):
        found = real(self, *size)
        return dataclasses.replace(found, images=found.images ^ 1)

    monkeypatch.setattr(data.ImageSet, "resized", rounded_otherwise)
    for steps in (4, 6):
        assert runs.train(TINY.but(steps=steps), large, tmp_path / "run", resume=True, **QUIET).step == steps
        assert ("no longer bit for bit" in capsys.readouterr().out) == (steps == 4)


def test_checkpoints_of_old_go_by_the_number_of_images(tmp_path):
    runs.train(TINY.but(steps=2), SET, tmp_path / "run", **QUIET)
    for path in checkpoints.candidates(tmp_path / "run"):
        _, header, tensors = checkpoints.read(path)
        del header["exactly"]
        save_tensors(path, tensors, header | {"images": "50 images, 0123abcd"})
    with pytest.raises(CourseError, match="50 images there, 40 here"):
        runs.train(TINY, SET.take(np.arange(40), "fewer"), tmp_path / "run", resume=True, **QUIET)
    assert runs.train(TINY, SET, tmp_path / "run", resume=True, **QUIET).step == 6


def test_a_digest_follows_its_images(tmp_path):
    small = data.load("faces", 16, 3)
    assert small.digest == data.load("faces").digest != data.load("faces", split="held-out").digest
    half = np.arange(len(small)) < 4500
    assert small.take(half, "x").digest == small.take(np.flatnonzero(half), "x").digest != small.digest
    assert SET.content() != SET.take(np.arange(49), "x").content()
    np.save(tmp_path / "x.npy", IMAGES)
    assert images.digest_of(np.load(tmp_path / "x.npy", mmap_mode="r")) == SET.content()


def test_an_extra_that_fails_is_told_once_and_ends_no_run(tmp_path, monkeypatch, capsys):
    errors = {"Pictures": OSError(28, "No space left"), "TensorBoard": ValueError("proto")}
    errors |= {"Progress": UnicodeEncodeError("ascii", "é", 0, 1, "x"), "Slowdown": TypeError("x")}
    for name, error in errors.items():
        monkeypatch.setattr(getattr(callbacks, name), "start", fail(error))
    assert runs.train(TINY, SET, tmp_path / "run", device="cpu").step == 6
    out = capsys.readouterr().out
    assert all(out.count(f"{name} stopped, the training goes on") == 1 for name in errors)
    with pytest.raises(Diverged):
        callbacks.Tolerant(type("D", (Callback,), {"step": fail(Diverged("x"))})()).step(None)


def test_a_package_that_is_left_out_is_told_once_in_a_process(tmp_path, monkeypatch, capsys):
    for name in ("torch.utils.tensorboard", "torch.utils.tensorboard.writer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    console.say_once.cache_clear()
    for name in ("first", "second"):
        assert runs.train(TINY.but(steps=1), SET, tmp_path / name, **QUIET).finished
        told = capsys.readouterr().out
        assert told.count("pip install tensorboard") == (name == "first") and "!!!" not in told
        assert (tmp_path / name / "training.gif").exists() and not (tmp_path / name / "tensorboard").exists()


def fail(error):
    def method(*_, **__):
        raise error

    return method


def test_without_a_screen_a_run_goes_on(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stderr", None)
    assert runs.train(TINY, SET, tmp_path / "run", device="cpu").finished
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    monkeypatch.setattr(sys, "stdout", closed)
    assert runs.train(TINY.but(steps=8), SET, tmp_path / "run", device="cpu", resume=True).finished
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(narrow := io.BytesIO(), "ascii", write_through=True))
    console.say("“Ärger”")
    assert narrow.getvalue().strip() == b"??rger?"


def test_a_log_gets_a_line_a_minute(monkeypatch):
    now, log = [0.0], io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    bar = console.bar(total=1000, desc="steps", mininterval=0.5)
    for _ in range(1000):
        now[0] += 1
        bar.update(1)
    bar.close()
    lines = log.getvalue().splitlines()
    assert 14 <= len(lines) <= 18 and all(line.startswith("steps") for line in lines) and "\r" not in log.getvalue()


def test_a_thousand_classes_make_no_picture_too_high():
    recipe = TINY.but(labels="pairs", num_classes=4)
    trainer = Trainer(recipe, IMAGES, "cpu", labels=np.arange(50) % 4)
    trainer.generator.num_classes = 1000
    z, labels = frames.fixed_latents(trainer)
    assert len(z) == len(labels) == 8 * 910 and 910 * 18 - 2 <= frames.TALLEST < 911 * 18 - 2
    for name in ("a.gif", "a.webp", "a.mp4"):
        with pytest.raises(CourseError, match="a side has 70,000 pixels.*Show fewer"):
            animate.animate([Image.new("RGB", (2, 70_000))], name)


def test_ffmpeg_that_is_missing_is_named_before_anything_is_drawn(tmp_path, monkeypatch, capsys):
    import imageio_ffmpeg

    with monkeypatch.context() as patch:
        patch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", fail(RuntimeError("No ffmpeg exe could be found")))
        with pytest.raises(CourseError, match=r"No ffmpeg exe.*pip install 'imageio\[ffmpeg\]'"):
            animate.animate([Image.new("RGB", (8, 8))], tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setattr(generators, "load_generator", fail(AssertionError("drawn first")))
    assert main(["walk", "dcgan-faces", "--out", str(tmp_path / "w.mp4")]) == 1
    told = capsys.readouterr().err
    assert "pip install 'imageio[ffmpeg]'" in told and told.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_folder_without_locks_is_told_and_used(tmp_path, monkeypatch, capsys):
    """Network folders and Google Drive: nobody may be kept from a run, and none may be left to run unguarded unsaid."""
    for k, error in enumerate((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)):
        monkeypatch.setattr(runs, "lock_descriptor", fail(OSError(error, os.strerror(error))))
        with runs.locked(tmp_path / f"run{k}"):
            told = capsys.readouterr().out
        assert told.count(f"files cannot be locked ({os.strerror(error)})") == 1


def test_a_lock_goes_with_its_process_and_its_file_is_not_empty(tmp_path):
    """A killed process leaves no lock; Google Drive's app replaces an empty file, and its lock with it."""
    code = (
        "import sys, time; from pathlib import Path; from gan_helpers import runs\nwith runs.locked(Path(sys.argv[1])):"
    )
    command = [sys.executable, "-c", f"{code} print('locked', flush=True); time.sleep(600)", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": ROOT}) as holder:
        try:
            assert holder.stdout.readline().strip() == b"locked"
            with pytest.raises(CourseError, match="Another process is training in .*--out"):
                runs.train(TINY, SET, tmp_path / "run", **QUIET)
        finally:
            holder.kill()
    assert runs.train(TINY, SET, tmp_path / "run", **QUIET).finished
    assert (tmp_path / "run" / ".lock").stat().st_size > 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CourseError, match="file/run cannot be written.*--out"), runs.locked(tmp_path / "file" / "run"):
        pass
    (tmp_path / "run" / ".lock").mkdir(parents=True)
    with pytest.raises(CourseError, match="run cannot be written.*--out"):
        runs.train(TINY, SET, tmp_path / "run", **QUIET)


def test_a_run_that_another_process_finishes_meanwhile_stays(tmp_path, monkeypatch):
    real = runs.Trainer

    def slowly(*args, **options):
        monkeypatch.setattr(runs, "Trainer", real)
        runs.train(TINY.but(steps=2), SET, tmp_path / "run", **QUIET)  # the other process
        return real(*args, **options)

    monkeypatch.setattr(runs, "Trainer", slowly)
    with pytest.raises(CourseError, match="holds a run already"):
        runs.train(TINY, SET, tmp_path / "run", **QUIET)
    assert checkpoints.read(tmp_path / "run" / "checkpoint.safetensors")[1]["step"] == "2"


def test_a_folder_gives_its_newest_checkpoint_that_is_whole(tmp_path, capsys):
    runs.train(TINY, SET, tmp_path / "run", **QUIET)
    last, previous = checkpoints.candidates(tmp_path / "run")
    last.write_bytes(last.read_bytes()[:-9])
    assert generators.find(tmp_path / "run") == previous and generators.load_generator(tmp_path / "run")
    assert "checkpoint.safetensors is damaged" in (out := capsys.readouterr().out) and "previous" in out
    previous.write_bytes(b"")
    with pytest.raises(CourseError, match="No checkpoint can be read: .*damaged.*Put back a copy"):
        generators.find(tmp_path / "run")
    with pytest.raises(CourseError, match=r"No checkpoint can be read: .*in another folder \(--out\)"):
        runs.train(TINY, SET, tmp_path / "run", resume=True, **QUIET)


@pytest.mark.parametrize("error", [
    MemoryError(), torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
])  # fmt: skip
def test_too_little_memory_is_told_in_one_line(tmp_path, monkeypatch, capsys, error):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Trainer, "update", fail(error))
    tiny = [*SMALL, "--set", "image_size=16", "g_width=4", "d_width=4", "batch_size=8"]
    assert main(["train", "dcgan-faces", "--steps", "3", *tiny]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert "Out of memory on cpu at step 1" in told and "batch_size=8, g_width=4, d_width=4, image_size=16" in told
    assert "--set batch_size=4" in told and checkpoints.read(generators.find("run"))[1]["step"] == "0"


@pytest.mark.parametrize(("error", "told"), [
    (MemoryError(), "not enough memory"), (RuntimeError("not enough memory: you tried"), "not enough memory"),
    (ModuleNotFoundError("No module named 'imageio'", name="imageio"), "pip install imageio"),
    (ImportError("libGL.so.1"), "libGL.so.1"), (UnicodeEncodeError("ascii", "é", 0, 1, "not in range"), "PYTHONUTF8=1"),
    (FileNotFoundError(2, "No such file", "x"), "No such file"),
])  # fmt: skip
def test_what_a_person_can_put_right_gets_one_line(monkeypatch, capsys, error, told):
    monkeypatch.setattr("gan_helpers.__main__.list_all", fail(error))
    assert main(["list"]) == 1
    line = capsys.readouterr().err
    assert told in line and line.count("\n") == 1
    monkeypatch.setattr("gan_helpers.__main__.list_all", fail(RuntimeError("a fault of ours")))
    with pytest.raises(RuntimeError, match="ours"):
        main(["list"])


def test_a_larger_budget_after_decay_says_that_the_rates_rise(tmp_path, capsys):
    recipe = TINY.but(decay=0.5)
    runs.train(recipe, SET, tmp_path / "run", **QUIET)
    runs.train(recipe, SET, tmp_path / "run", resume=True, **QUIET)
    assert "learning rates" not in capsys.readouterr().out
    runs.train(recipe.but(steps=8), SET, tmp_path / "run", resume=True, **QUIET)
    assert "had fallen to 0% and go on at 50%: they fall over the last 50%" in capsys.readouterr().out


def test_a_moved_folder_is_said_to_come_from_the_recipe(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    photos(tmp_path, {"pets": 24})
    tiny = [*SMALL, "--quiet", "--set", "image_size=16", "g_width=4", "d_width=4", "batch_size=8"]
    assert main(["train", "dcgan-faces", "--data", "pets", "--steps", "1", *tiny]) == 0
    (tmp_path / "pets").rename("animals")
    again = ["train", "dcgan-faces", "--steps", "2", *SMALL, "--resume", "--quiet"]
    assert main(again) == 1
    told = capsys.readouterr().err
    assert "lay in 'pets', says run/recipe.json" in told and "--data" in told and "it/s" not in told
    assert main([*again, "--data", "animals"]) == 0  # by content, wherever they lie


def test_a_run_tells_of_the_images_that_it_saw(tmp_path, monkeypatch):
    """Recipe, checkpoint and card, whatever the recipe says: own arrays, a part of a set, a folder, an embedded set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_HELPERS_CACHE", str(tmp_path / "cache"))
    recipe = RECIPES["small-cifar10"].but(labels="", image_size=16, g_width=4, d_width=4, batch_size=8, steps=1)
    folder = photos(tmp_path / "mine", {"a": 30, "b": 30})
    faces, own = data.load("faces", 16), data.load(folder, 16)
    cases = {
        "noise": (SET, "noise"),
        "some": (faces.take(np.arange(20), "faces:some"), "faces:some"),
        "part": (own.only("a"), "mine:a"),
        "whole": (own, str(folder)),
        "faces": (faces, "faces"),
    }
    for name, (seen, told) in cases.items():
        assert runs.train(recipe, seen, name, **QUIET).recipe.data == told
        assert runs.recipe_of(Path(name)).data == checkpoints.read_header(generators.find(name))[0].data == told
        card = generators.export_generator(name, Path(f"{name}.safetensors")).with_suffix(".md").read_text("utf-8")
        assert f"trained on {Path(told).name}" in card and "cifar10" not in card.replace(recipe.name, "")
    assert runs.train(recipe.but(data=folder, steps=1), own, "path", **QUIET).recipe.data == str(folder)
    assert runs.train(recipe.but(data="./mine", steps=1), own, "relative", **QUIET).recipe.data == "./mine"
    shutil.copytree(folder, tmp_path / "copy" / "mine")
    moved = data.load("copy/mine", 16)
    again = runs.train(recipe.but(data=folder, steps=2), moved, "whole", resume=True, **QUIET)
    assert again.step == 2 and again.recipe.data == str(tmp_path / "copy" / "mine")
    shutil.rmtree(tmp_path / "copy")
    with pytest.raises(CourseError, match="mine', says whole.recipe.json, and nothing is there now.*--data"):
        runs.train(again.recipe.but(steps=3), out="whole", resume=True, **QUIET)


def test_a_stand_in_is_recorded_as_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def nothing(split):
        raise CourseError("no network")

    monkeypatch.setattr(SETS["mnist"], "official", nothing)
    tiny = ["--set", "image_size=16", "g_width=4", "d_width=4", "batch_size=4", "family=dcgan"]
    assert main(["train", "conv-mnist", "--fallback", "fashion", "--steps", "1", "--out", "run", *tiny]) == 0
    assert runs.recipe_of(tmp_path / "run").data == "fashion"
    assert "fashion" in generators.export_generator("run", tmp_path / "g.safetensors").with_suffix(".md").read_text()
    assert (
        main(["train", "conv-mnist", "--fallback", "fashion", "--steps", "2", "--out", "run", "--resume", *tiny]) == 0
    )


def test_scores_of_another_network_are_not_mixed_in(tmp_path):
    class Judge:
        def __init__(self, name, value):
            self.name, self.value = name, value

        def __call__(self, generator):
            return self.value

    options = {"device": "cpu", "progress": False, "score_every": 3}
    runs.train(TINY.but(steps=3), SET, tmp_path / "run", judge=Judge("FD(faces-net)", 5.0), **options)
    runs.train(TINY, SET, tmp_path / "run", resume=True, judge=Judge("FD(inception)", 80.0), **options)
    assert callbacks.read_scores(tmp_path / "run") == ("FD(inception)", [(6, 80.0)])
    assert checkpoints.read(tmp_path / "run" / "best.safetensors")[1]["score"] == "FD(inception) 80"


def test_run_folders_stay_in_runs():
    foreign = TINY.but(name="../../etc/run", data="faces")
    assert runs.default_folder(foreign).parent == Path("runs")
    assert runs.default_folder(TINY.but(name="/", data=".")).parent == Path("runs")
