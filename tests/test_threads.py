"""Cores that a process may use, the number of threads that a run keeps, and the one warning when steps become slow."""

import math
import os

import numpy as np
import pytest
import torch

from gan_helpers import callbacks, checkpoints, data, runs, threads
from gan_helpers.__main__ import main
from gan_helpers.errors import CourseError
from gan_helpers.recipes import Recipe
from gan_helpers.tensors import save_tensors
from gan_helpers.training import Trainer

TINY = Recipe("tiny", image_size=16, latent_dim=6, g_width=4, d_width=4, batch_size=8, steps=3)
IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16), dtype=np.uint8)
SET = data.ImageSet(IMAGES, "noise")
OPTIONS = dict(device="cpu", progress=False)


@pytest.fixture(autouse=True)
def number_stays():
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("files, own, expected", [
    ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
    ({"cpu.max": "max 100000\n"}, "0::/\n", math.inf),
    ({"a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b\n", 0.5),  # the group above limits too
    ({"cpu/a/cpu.cfs_quota_us": "200000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, "3:cpu,cpuacct:/a\n0::/\n", 2),
    ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "3:cpu:/other\n2:memory:/a\n", math.inf),
    ({"memory/cpu.max": "1 100000"}, "2:memory:/\n", math.inf),
    ({"cpu.max": ""}, "0::/\n", math.inf),
])  # fmt: skip
def test_quota_of_control_groups(tmp_path, files, own, expected):
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text)
    (tmp_path / "own").write_text(own)
    assert threads.quota(tmp_path / "fs", tmp_path / "own") == expected


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert threads.quota(tmp_path, tmp_path / "none") == math.inf


def test_cores_are_the_affinity_within_the_quota(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for allowed, expected in ((math.inf, 8), (2.5, 2), (0.5, 1), (16, 8)):
        monkeypatch.setattr(threads, "quota", lambda allowed=allowed: allowed)
        assert threads.cores() == expected


def test_the_fastest_number_is_chosen(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(threads, "cores", lambda: 6)
    speed = {6: 2.0, 3: 5.0, 1: 3.0}
    monkeypatch.setattr(threads, "rate", speed.get)
    assert threads.choose.__wrapped__() == 3
    monkeypatch.setattr(threads, "cores", lambda: 1)
    monkeypatch.setattr(threads, "rate", lambda _: pytest.fail("nothing to choose"))
    assert threads.choose.__wrapped__() == 1
    monkeypatch.undo()


def test_a_measurement_gives_a_rate():
    assert threads.rate(1, seconds=0.01) > 0


def test_a_run_keeps_its_number(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    monkeypatch.delenv("GAN_COURSE_FAST")
    monkeypatch.setattr(runs, "choose", lambda: 1)
    monkeypatch.setattr(runs, "cores", lambda: 2)
    recipe, seen = TINY.but(amp=False), []

    class See(callbacks.Callback):
        def step(self, trainer):
            seen.append(torch.get_num_threads())

    runs.train(recipe, SET, folder, callbacks=[See()], **OPTIONS)
    monkeypatch.setattr(runs, "choose", lambda: pytest.fail("measured again"))
    with threads.using(2):
        runs.train(recipe.but(steps=5), SET, folder, callbacks=[See()], resume=True, **OPTIONS)
        assert torch.get_num_threads() == 2
    assert seen == [1] * 5
    runs.train(recipe.but(steps=7), SET, folder, callbacks=[See()], resume=True, threads=2, **OPTIONS)
    assert seen[5:] == [2, 2] and checkpoints.read(folder / "checkpoint.safetensors")[1]["threads"] == "2"
    capsys.readouterr()
    monkeypatch.setattr(runs, "cores", lambda: 1)
    runs.train(recipe.but(steps=8), SET, folder, callbacks=[See()], resume=True, **OPTIONS)
    assert seen[7:] == [2] and "--threads 1" in capsys.readouterr().out


def test_older_checkpoints_have_no_number(tmp_path):
    runs.train(TINY, SET, tmp_path / "run", **OPTIONS)
    path = tmp_path / "run" / "checkpoint.safetensors"
    _, header, tensors = checkpoints.read(path)
    for key in ("threads", "bfloat16"):
        del header[key]
    save_tensors(path, tensors, header)
    trainer = runs.train(TINY.but(steps=5), SET, tmp_path / "run", resume=True, **OPTIONS)
    assert trainer.step == 5 and trainer.threads is None and not trainer.bfloat16


def test_numbers_out_of_range_are_told(tmp_path, capsys):
    with pytest.raises(CourseError, match="threads must lie between 1 and 1,024; got 0"), threads.using(0):
        pass
    command = ["train", "first-minute", "--steps", "1", "--threads", "0", "--out", str(tmp_path / "run")]
    assert main(command) == 1 and "threads must lie" in capsys.readouterr().err


def slow(pattern, device="cpu"):
    """Runs the callback on steps of these many seconds each, by a clock that is told."""
    now = [0.0]
    trainer = Trainer(TINY, IMAGES, "cpu")
    trainer.device = torch.device(device)
    warn = callbacks.Slowdown(seconds=20, clock=lambda: now[0])
    warn.start(trainer)
    for seconds in pattern:
        now[0] += seconds
        warn.step(trainer)


def test_one_warning_when_steps_become_slow(capsys):
    slow([0.5] * 100 + [2.0] * 100)
    told = capsys.readouterr().out
    assert told.count("--threads 1") == 1 and "takes 2 s now and took 0.5 s" in told
    slow([2.0] * 50 + [0.5] * 100 + [1.4] * 50)  # a slow start, and less than three times
    slow(([0.5] * 30 + [60.0]) * 10)  # pictures and scores between steps
    slow([30.0] * 20)  # steps longer than a stretch
    slow([0.5] * 100 + [2.0] * 100, device="cuda")
    assert not capsys.readouterr().out
