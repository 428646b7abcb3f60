"""The step against a second, plainer writing of it; resuming; stopping; diverging."""

import copy
import os
import platform
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import long

from gan_helpers import callbacks, checkpoints, data, generators, latent, models, plots, runs, training
from gan_helpers.batches import Batches
from gan_helpers.devices import pick_device
from gan_helpers.environment import ROOT
from gan_helpers.errors import CourseError
from gan_helpers.history import History
from gan_helpers.recipes import RECIPES, Recipe
from gan_helpers.recorded import can_be_recorded
from gan_helpers.tensors import save_tensors
from gan_helpers.training import Diverged, Trainer, update_ema

TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, steps=6, ema=0.9)
IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16), dtype=np.uint8)
SET = data.ImageSet(IMAGES, "noise")


def state(trainer):
    """Every number that decides how a run goes on."""
    return {p + k: v.clone() for p, part in checkpoints.parts(trainer).items() for k, v in part.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def textbook_step(g, d, g_opt, d_opt, real, z):
    """The order of operations of PyTorch's DCGAN tutorial, on nets that return logits."""
    d.zero_grad()
    ones, zeros = torch.ones(len(real), dtype=real.dtype), torch.zeros(len(real), dtype=real.dtype)
    d_real = F.binary_cross_entropy(torch.sigmoid(d(real)), ones)
    d_real.backward()
    fake = g(z)
    d_fake = F.binary_cross_entropy(torch.sigmoid(d(fake.detach())), zeros)
    d_fake.backward()
    d_opt.step()
    g.zero_grad()
    g_loss = F.binary_cross_entropy(torch.sigmoid(d(fake)), ones)
    g_loss.backward()
    g_opt.step()
    return (d_real + d_fake).item(), g_loss.item()


def test_step_equals_the_textbook_step():
    recipe = TINY.but(ema=0)
    trainer = Trainer(recipe, IMAGES, "cpu", dtype=torch.float64)
    g, d = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.discriminator)
    g_opt = torch.optim.Adam(g.parameters(), recipe.g_lr, (0.5, 0.999), foreach=False, fused=False)
    d_opt = torch.optim.Adam(d.parameters(), recipe.d_lr, (0.5, 0.999), foreach=False, fused=False)
    for step in range(5):
        with trainer.seeded(1, step):
            real, z = trainer.real_batch(step), trainer.sample_z()
        ours = trainer.train_step()
        assert textbook_step(g, d, g_opt, d_opt, real, z) == pytest.approx(ours[:2].tolist(), rel=1e-10)
    for net, plain in ((trainer.generator, g), (trainer.discriminator, d)):
        for (name, a), b in zip(net.state_dict().items(), plain.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12, msg=name)


@pytest.mark.parametrize("changes", [
    dict(),
    dict(net={"d_norm": "spectral"}, loss="hinge", augment="color,translation,cutout", flip=True, d_steps=2, decay=0.5),
    dict(instance_noise=0.2, real_target=0.9, ema=0),
])  # fmt: skip
def test_resume_is_bit_for_bit(tmp_path, changes):
    recipe = TINY.but(steps=9, **changes)
    whole = Trainer(recipe, IMAGES, "cpu").fit()
    first = Trainer(recipe, IMAGES, "cpu")
    for _ in range(4):
        first.rows.append(first.train_step().tolist())
    torch.rand(3)  # what others draw from the global generator must not matter
    checkpoints.save(first, tmp_path)
    second = Trainer(recipe, IMAGES, "cpu")
    checkpoints.restore(second, tmp_path / "checkpoint.safetensors")
    second.fit()
    assert same(state(whole), state(second)) and np.array_equal(whole.rows.table, second.rows.table)


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    Trainer(TINY, IMAGES, "cpu").fit()
    assert torch.rand(1) == expected


SCRIPT = """
import sys, numpy as np, torch
torch.set_num_threads(1)
from pathlib import Path
from gan_helpers import data, runs
from gan_helpers.recipes import Recipe
recipe = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, steps=24, ema=.9, seed=3)
images = data.ImageSet(np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16), dtype=np.uint8), "noise")
runs.train(recipe, images, Path(sys.argv[1]), device="cpu", resume=True, save_every=0.0, progress=False)
"""


@pytest.mark.parametrize("seed", [0, *long(*range(1, 20))])
def test_sigkill_at_random_moments(tmp_path, seed):
    """Killed again and again, at any moment (also while saving), the run ends bit for bit like one that never was."""
    command = [sys.executable, "-c", SCRIPT]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True, timeout=120)
    rng = random.Random(seed)
    folder, kills, most = tmp_path / "killed", 0, 8 if seed else 4
    for _ in range(40):
        process = subprocess.Popen([*command, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while process.poll() is None and not (folder / "frames").exists():
            time.sleep(0.01)
        try:
            out, _ = process.communicate(timeout=rng.uniform(0.02, 0.6) if kills < most else 120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0, out.decode()
        break
    assert kills >= 1
    (_, a, x), (_, b, y) = (checkpoints.read(checkpoints.candidates(f)[0]) for f in (folder, tmp_path / "whole"))
    assert a["step"] == b["step"] == "24" and same(x, y)
    names = [sorted(p.name for p in (f / "frames").iterdir()) for f in (folder, tmp_path / "whole")]
    assert names[0] == names[1]
    assert (folder / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()


def test_run_leaves_its_pictures(tmp_path):
    runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False)
    for name in ("samples.png", "losses.png", "training.gif", "history.csv", "recipe.json", "checkpoint.safetensors"):
        assert (tmp_path / "run" / name).stat().st_size > 0, name
    assert (tmp_path / "run" / "history.csv").read_text().count("\n") == 7
    assert not list((tmp_path / "run").rglob(".*part*"))  # nothing half written is left


KILL_AT_REPLACE = """
import os, sys
real, count = os.replace, 0
def replace(a, b, **options):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    real(a, b, **options)
os.replace = replace
import pathlib
pathlib.Path.replace = lambda self, target: replace(self, target)
"""


RENAMES = 1, 3, 7, 8  # the recipe, the first checkpoint, the previous one, the next


@pytest.mark.parametrize("k", [*RENAMES, *long(*{*range(2, 26)} - {*RENAMES})])
def test_sigkill_at_every_kind_of_rename(tmp_path, k):
    """Killed just before the k-th file is put in place, the folder can always be resumed and animated."""
    script = KILL_AT_REPLACE + SCRIPT.replace("steps=24", "steps=9")
    folder = tmp_path / "run"
    killed = subprocess.run([sys.executable, "-c", script, str(folder), str(k)], capture_output=True, timeout=120)
    assert killed.returncode == -9
    recipe = TINY.but(steps=9, ema=0.9, seed=3)
    trainer = runs.train(recipe, SET, folder, device="cpu", resume=True, progress=False)
    assert trainer.step == 9 and (folder / "training.gif").exists()
    assert not list(folder.rglob(".part-*"))


def test_a_run_killed_before_its_pictures_gets_them(tmp_path):
    runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False)
    (tmp_path / "run" / "training.gif").unlink()
    runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False, resume=True)
    assert (tmp_path / "run" / "training.gif").exists()


class Clock:
    """Stands in for the clock: a step takes 2 s, a callback's `step` 1 s and a judge's verdict a minute."""

    name = "FD(test)"

    def __init__(self, monkeypatch):
        self.now, real = 0.0, Trainer.train_step

        def train_step(trainer):
            self.take(2)
            return real(trainer)

        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(Trainer, "train_step", train_step)

    def take(self, seconds):
        self.now += seconds

    def start(self, trainer): ...
    def stop(self, trainer): ...
    def step(self, trainer):
        self.take(1)

    def __call__(self, generator):
        self.take(60)
        return 1.0


@pytest.mark.parametrize("judged", [False, True])
def test_training_seconds_are_without_the_judge(tmp_path, monkeypatch, judged):
    """A budget in minutes makes as many steps with a slow judge as without, and also when it was interrupted."""
    clock, recipe = Clock(monkeypatch), TINY.but(minutes=0.5, decay=0.5)
    options = dict(device="cpu", progress=False, callbacks=[clock], judge=clock if judged else None, score_every=2)
    whole = runs.train(recipe, SET, tmp_path / "whole", **options)
    assert (whole.step, whole.seconds) == (11, 32)  # 2 + 10 x (1 + 2)
    assert clock.now == 33 + 360 * judged
    runs.train(recipe.but(steps=4), SET, tmp_path / "cut", **options)
    assert float(checkpoints.read(tmp_path / "cut" / "checkpoint.safetensors")[1]["seconds"]) == 11
    again = Trainer(recipe, IMAGES, "cpu")
    checkpoints.restore(again, tmp_path / "cut" / "checkpoint.safetensors")
    assert (again.step, again.seconds) == (4, 11)
    again.fit([clock])
    assert (again.step, again.seconds) == (11, 31)  # what followed the last step before the cut is not in


def test_a_failing_callback_loses_nothing_and_pictures_cost_no_run(tmp_path, monkeypatch, capsys):
    class Fail(callbacks.Callback):
        def step(self, trainer):
            if trainer.step == 4:
                raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False, callbacks=[Fail()])
    assert checkpoints.read(tmp_path / "run" / "checkpoint.safetensors")[1]["step"] == "4"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(callbacks.Pictures, "frame", full)
    trainer = runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False, resume=True)
    assert trainer.finished and "the training goes on" in capsys.readouterr().out


def test_one_process_a_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with runs.locked(tmp_path / "run"), pytest.raises(CourseError, match="Another process"):
        runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False)


def test_a_damaged_recipe_is_taken_from_the_checkpoint(tmp_path):
    runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False)
    (tmp_path / "run" / "recipe.json").write_bytes(b"\xff{")
    assert runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False, resume=True).step == 6
    (tmp_path / "run" / "recipe.json").write_text("")
    for path in checkpoints.candidates(tmp_path / "run"):
        path.write_bytes(b"")
    with pytest.raises(CourseError, match="recipe.json is damaged"):
        runs.train(TINY, SET, tmp_path / "run", resume=True)


def test_what_cannot_be_restored_is_not_saved(tmp_path):
    trainer = Trainer(TINY, IMAGES, "cpu")
    trainer.train_step()
    trainer.rows.append([0.0] * 4)
    checkpoints.save(trainer, tmp_path)
    trainer.g_optimizer.state[next(trainer.generator.parameters())]["exp_avg_sq"].fill_(float("inf"))
    with pytest.raises(Diverged, match="g_optimizer.0.exp_avg_sq"):
        checkpoints.save(trainer, tmp_path)


@pytest.mark.parametrize(
    "change", [dict(step="x"), dict(step="-5"), dict(seconds="nan"), dict(step="3"), dict(images="9")]
)
def test_odd_checkpoints_give_way_to_the_previous_one(tmp_path, change, capsys):
    runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False)
    path = tmp_path / "run" / "checkpoint.safetensors"
    _, header, tensors = checkpoints.read(path)
    save_tensors(path, tensors, header | change)
    assert runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False, resume=True).step == 6
    assert "Going on from checkpoint.previous" in capsys.readouterr().out


def test_tensorboard_logs_hold_losses_and_grids(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False)
    log = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert len(log.Scalars("g_loss")) == 6
    (first, last), drawn = log.Images("samples"), tmp_path / "run" / "frames"
    assert (first.step, last.step) == (0, 6) and (first.width, first.height) == (8 * 18 - 2, 8 * 18 - 2)
    assert last.encoded_image_string == (drawn / "00000006.png").read_bytes()


def test_history_is_written_whole_and_logged_sparsely(tmp_path):
    """With rows of old, one after a resume, and many: `history.csv` has all, TensorBoard every tenth beyond 100."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer, rng = Trainer(TINY, IMAGES, "cpu"), np.random.default_rng(0)
    pictures, log = callbacks.Pictures(tmp_path), callbacks.TensorBoard(tmp_path)
    for end in (49, 50, 150):
        pictures.start(trainer)
        log.start(trainer)
        for _ in range(2):
            trainer.rows.extend(rng.normal(size=(end - len(trainer.rows), 4))[: end // 2 + 1])
            trainer.step = len(trainer.rows)
            pictures.write_history(trainer)
        log.stop(trainer)
    table = np.loadtxt(tmp_path / "history.csv", delimiter=",", skiprows=1)
    assert (table[:, 0] == np.arange(1, 151)).all() and (table[:, 1:] == trainer.rows.table).all()
    written = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("g_loss")
    assert [event.step for event in written] == [*range(1, 101), 110, 120, 130, 140, 150]


def test_a_save_costs_what_is_new(tmp_path):
    """However long a run is: its history is not copied, and `history.csv` and curves only grow by what is new."""
    trainer, path = Trainer(TINY, IMAGES, "cpu"), tmp_path / "history.csv"
    trainer.rows.extend(np.random.default_rng(0).normal(size=(5000, 4)))
    trainer.step = 5000
    pictures = callbacks.Pictures(tmp_path)
    pictures.start(trainer)
    pictures.write_history(trainer)
    node, size = path.stat().st_ino, path.stat().st_size
    trainer.rows.append([1.0, 2.0, 3.0, 4.0])
    pictures.write_history(trainer)
    assert path.stat().st_ino == node and path.read_text()[size:] == "5001,1.0,2.0,3.0,4.0\n"
    assert all(np.shares_memory(column, trainer.rows.table) for column in trainer.history.values())
    drawn = [line for axes in plots.curves(trainer.history).axes for line in axes.lines]
    assert max(len(line.get_xdata()) for line in drawn) <= 1000


def test_a_history_grows_like_a_list():
    rows, table = np.random.default_rng(0).normal(size=(5000, 3)), History(3)
    assert not table and table.table.shape == (0, 3)
    for row in rows[:1500]:
        table.append(row)
    table.extend([])
    table.extend(rows[1500:].tolist())
    assert len(table) == 5000 and np.array_equal(table.table, rows) and np.array_equal(table[-7:], rows[-7:])
    assert np.array_equal(History(3, rows).table, rows)


def test_frames_are_dense_at_first_but_never_slow_the_run():
    steps = np.array(callbacks.FRAME_STEPS)
    assert steps[0] == 0 and np.diff(steps).min() >= 10
    assert (np.diff(steps)[steps[:-1] >= 120] < 0.1 * steps[1:][steps[:-1] >= 120]).all() and steps[-1] > 10**6


def test_budgets_are_totals(tmp_path, capsys):
    trainer = runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False)
    again = runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False, resume=True)
    assert same(state(trainer), state(again)) and "finished" in capsys.readouterr().out
    more = runs.train(TINY.but(steps=8), SET, tmp_path / "run", device="cpu", progress=False, resume=True)
    assert more.step == 8 and len(more.history["g_loss"]) == 8
    assert Trainer(TINY.but(epochs=2), IMAGES, "cpu").total_steps == 13  # 2 x 50 images in batches of 8


def test_folders_that_hold_something_else_are_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("x")
    for resume in (False, True):
        with pytest.raises(CourseError, match="no run of this course"):
            runs.train(TINY, SET, tmp_path / "photos", resume=resume)
    runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False)
    with pytest.raises(CourseError, match="holds a run already"):
        runs.train(TINY, SET, tmp_path / "run")
    with pytest.raises(CourseError, match="seed is 0 there, 1 here"):
        runs.train(TINY.but(seed=1), SET, tmp_path / "run", resume=True)
    with pytest.raises(CourseError, match="other images"):
        runs.train(TINY.but(steps=9), data.ImageSet(IMAGES[:40], "noise"), tmp_path / "run", resume=True)


def test_ctrl_c_saves_and_returns_the_history(tmp_path, capsys):
    class Stop:
        def start(self, trainer): ...
        def stop(self, trainer): ...
        def step(self, trainer):
            if trainer.step == 3:
                signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins without one
    trainer = runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False, callbacks=[Stop()])
    assert trainer.step == len(trainer.history["d_loss"]) == 3 and "Stopped at step 3" in capsys.readouterr().out
    resumed = runs.train(TINY, SET, tmp_path / "run", device="cpu", progress=False, resume=True)
    assert same(state(resumed), state(Trainer(TINY, IMAGES, "cpu").fit()))
    with pytest.raises(KeyboardInterrupt):  # the handler is gone
        signal.raise_signal(signal.SIGINT)


def test_a_diverged_run_keeps_the_last_good_state(tmp_path):
    class Poison:
        def start(self, trainer): ...
        def stop(self, trainer): ...
        def step(self, trainer):
            if trainer.step == 4:
                checkpoints.save(trainer, tmp_path / "run")
                next(trainer.generator.parameters()).data.fill_(float("nan"))

    with pytest.raises(Diverged, match="label smoothing.*\n.*last good state"):
        runs.train(TINY.but(steps=200), SET, tmp_path / "run", device="cpu", progress=False, callbacks=[Poison()])
    trainer = Trainer(TINY.but(steps=200), IMAGES, "cpu")
    checkpoints.restore(trainer, tmp_path / "run" / "checkpoint.safetensors")
    assert trainer.step == 4 and all(v.isfinite().all() for v in state(trainer).values())


def test_extra_d_steps_use_fresh_data_and_no_graph(monkeypatch):
    trainer, seen = Trainer(TINY.but(d_steps=3), IMAGES, "cpu"), []
    batches, forward = trainer.batches, trainer.generator.forward

    class Watched:
        def __getitem__(self, i):
            seen.append(i)
            return batches[i]

        def __getattr__(self, name):
            return getattr(batches, name)

    monkeypatch.setattr(trainer, "batches", Watched())
    graphs = []
    monkeypatch.setattr(trainer.generator, "forward", lambda z: graphs.append(torch.is_grad_enabled()) or forward(z))
    trainer.train_step()
    trainer.train_step()
    assert seen == [0, 1, 2, 3, 4, 5] and graphs == [False, False, True] * 2


def test_d_is_frozen_only_in_the_generator_step():
    trainer = Trainer(TINY, IMAGES, "cpu")
    trainer.train_step()
    assert all(p.requires_grad for p in trainer.discriminator.parameters())
    before = {k: v.clone() for k, v in trainer.discriminator.named_parameters()}
    grads = [p.grad.clone() for p in trainer.discriminator.parameters()]
    trainer.update_generator(trainer.generator(trainer.sample_z()))
    assert all(torch.equal(before[k], v) for k, v in trainer.discriminator.named_parameters())
    assert all(torch.equal(a, p.grad) for a, p in zip(grads, trainer.discriminator.parameters(), strict=True))


def test_ema_averages_floats_and_copies_counters():
    net, ema = models.build_generator(TINY), models.build_generator(TINY)
    net.train()(torch.randn(8, 6))
    old = {k: v.clone() for k, v in ema.state_dict().items()}
    update_ema(ema, net, 0.75)
    for name, value in ema.state_dict().items():
        new = net.state_dict()[name]
        expected = 0.75 * old[name] + 0.25 * new if value.is_floating_point() else new
        torch.testing.assert_close(value, expected)
    assert any("running_mean" in k for k in old) and any("num_batches" in k for k in old)


def test_every_epoch_shows_every_image_once():
    batches = Batches(np.arange(50, dtype=np.uint8).reshape(50, 1, 1, 1), 8, seed=0, device=torch.device("cpu"))
    stream = torch.cat([batches[i].flatten() for i in range(25)])  # 4 epochs
    for epoch in stream.split(50):
        assert sorted(epoch.tolist()) == list(range(50))
    assert not torch.equal(stream[:50], stream[50:100])
    assert torch.equal(batches[3].flatten(), stream[24:32])  # any batch, in any order


def test_mapped_images_are_read_a_batch_at_a_time(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    mapped = Batches(np.load(tmp_path / "x.npy", mmap_mode="r"), 8, 0, torch.device("cpu"))
    assert isinstance(mapped.images, np.memmap)
    plain = Batches(IMAGES, 8, 0, torch.device("cpu"))
    assert sorted(mapped[5].flatten(1).sum(1).tolist()) == sorted(plain[5].flatten(1).sum(1).tolist())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_a_step_and_survives_a_checkpoint(tmp_path, name):
    recipe = RECIPES[name].but(g_width=4, d_width=4, batch_size=4, steps=2)
    recipe = recipe.but(num_classes=3) if recipe.labels else recipe
    images = np.random.default_rng(1).integers(0, 256, (9, recipe.channels, *[recipe.image_size] * 2), dtype=np.uint8)
    trainer = Trainer(recipe, images, "cpu", labels=np.arange(9) % 3).fit()
    checkpoints.save(trainer, tmp_path)
    again = Trainer(recipe, images, "cpu", labels=np.arange(9) % 3)
    checkpoints.restore(again, tmp_path / "checkpoint.safetensors")
    assert same(state(trainer), state(again))
    generator = generators.load_generator(tmp_path)
    assert generator.class_names == (("0", "1", "2") if recipe.conditional else ())
    assert latent.generate(generator, latent.draw_z(12, recipe.latent_dim)).shape == (12, *images.shape[1:])
    for a, b in zip(trainer.ema.state_dict().values(), generator.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_wrong_images_and_devices_are_told():
    with pytest.raises(CourseError, match=r"uint8 images of \(3, 16, 16\)"):
        Trainer(TINY, np.zeros((9, 1, 16, 16), np.uint8))
    with pytest.raises(CourseError, match="budget"):
        Trainer(Recipe("no budget", image_size=16), IMAGES)
    with pytest.raises(CourseError, match="No device 'tpu'"):
        pick_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(CourseError, match="has no cuda"):
            pick_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_mixed_precision_trains_on_cuda():
    trainer = Trainer(TINY.but(steps=20), IMAGES, "cuda").fit()
    assert np.isfinite(trainer.history["g_loss"]).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("changes", [dict(), dict(family="residual", image_size=32, labels="conditional", flip=True,
                                                  num_classes=3, augment="color,translation")])  # fmt: skip
def test_a_step_on_cuda_waits_for_nothing(changes):
    recipe = TINY.but(steps=30, **changes)
    images = np.random.default_rng(0).integers(0, 256, (50, 3, *[recipe.image_size] * 2), dtype=np.uint8)
    trainer = Trainer(recipe, images, "cuda", labels=np.arange(50) % 3)
    plain = Batches(images, 8, recipe.seed, torch.device("cpu"), np.arange(50) % 3)
    assert all(torch.equal(trainer.batches[i].cpu(), plain[i]) for i in range(20))
    if recipe.labels:
        assert all(torch.equal(trainer.batches.classes(i).cpu(), plain.classes(i)) for i in range(20))
    trainer.train_step()  # libraries start
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(20):  # into other epochs, too
            trainer.train_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_importing_the_helpers_changes_nothing_and_imports_no_plots():
    code = (
        "import os, sys, torch; before = dict(os.environ), torch.get_num_threads()\n"
        "import gan_helpers.runs, gan_helpers.memory\n"
        "assert before == (dict(os.environ), torch.get_num_threads())\n"
        "assert not gan_helpers.memory.keep_freed.cache_info().currsize\n"
        "assert not {'matplotlib', 'tensorboard', 'imageio', 'ipywidgets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


FREED = """
import os, numpy as np, torch
from pathlib import Path
from gan_helpers import memory, runs
from gan_helpers.recipes import Recipe
from gan_helpers.training import Trainer

def given_back():
    large = torch.ones(2**24)  # 64 MiB
    full = int(Path("/proc/self/statm").read_text().split()[1])
    del large
    return (full - int(Path("/proc/self/statm").read_text().split()[1])) * os.sysconf("SC_PAGE_SIZE") / 2**20

assert given_back() > 60
recipe = Recipe("tiny", image_size=16, g_width=4, d_width=4, batch_size=8, steps=1)
for _ in range(2):
    Trainer(recipe, np.zeros((9, 3, 16, 16), np.uint8), "cpu")
assert given_back() < 1 and memory.keep_freed.cache_info().misses == 1
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back, and can be told not to")
def test_freed_memory_is_kept_from_where_training_starts():
    subprocess.run([sys.executable, "-c", FREED], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("changes", [{}, {"augment": "color,translation", "ema": 0.9}, {"decay": 1.0, "d_steps": 2}])
def test_a_recorded_step_on_cuda_is_the_step(changes):
    recipe = TINY.but(steps=12, **changes)
    recorded, plain = (Trainer(recipe, IMAGES, "cuda") for _ in range(2))
    plain.recorded = None
    for trainer in (recorded, plain):
        trainer.fit()
    assert recorded.recorded.graph is not None and np.array_equal(recorded.rows.table, plain.rows.table)
    assert same(recorded.generator.state_dict(), plain.generator.state_dict())


def test_only_what_is_the_same_in_every_step_is_recorded():
    trainer = Trainer(TINY, IMAGES, "cpu")
    assert trainer.recorded is None and not can_be_recorded(trainer)
    trainer.device = torch.device("cuda")  # only its kind is asked
    assert can_be_recorded(trainer)
    for changes in ({"instance_noise": 0.1}, {"r1": 1.0}):
        trainer.recipe = TINY.but(**changes)
        assert not can_be_recorded(trainer)


def test_r1_comes_to_every_class(monkeypatch):
    recipe = TINY.but(labels="pairs", num_classes=3, r1=1.0, r1_every=2, net={"d_norm": "none"})
    trainer, seen = Trainer(recipe, IMAGES, "cpu", labels=np.arange(50) % 3), []
    penalty = training.r1_penalty
    monkeypatch.setattr(training, "r1_penalty", lambda *a: seen.append(trainer.step % 3) or penalty(*a))
    for _ in range(12):
        trainer.train_step()
    assert sorted(seen) == [0, 0, 1, 1, 2, 2]
