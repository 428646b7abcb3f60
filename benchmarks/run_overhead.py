"""What a run does beside its steps: the share of ten minutes that each of its callbacks takes.

    python benchmarks/run_overhead.py [RECIPE ...] [--data celeba=PATH] [--seconds 8]

Each recipe is the shipped generator's own, width and all, and its weights draw the pictures. The bare step is timed;
then ten minutes of so many steps are played through the run's real callbacks, in which only the steps themselves are
left out and the minutes pass at once. Last, the first 40 steps are trained by the command's own function: its rate from
the 10th to the 40th step, where frames are densest, stands beside that of the same steps by themselves. The judge
stands apart, for scoring is no training. Prints a table and keeps it in `benchmarks/results/run_overhead.txt`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from gan_helpers import callbacks, checkpoints, data, evaluation, generators, recipes, runs
from gan_helpers.training import Trainer, update_ema

MINUTES = 10
NAMES = ("dcgan-celeba", "conv-celeba", "dcgan-faces", "small-cifar10")
STAND_INS = {"celeba": "faces", "cifar10": "fashion"}  # the steps take as long on any images
PARTS = {  # what is timed: (owner, function) → row of the table
    (checkpoints, "save"): "saves",
    (callbacks.Pictures, "frame"): "frames",
    (callbacks.Pictures, "sheets"): "curves",
    (callbacks.Pictures, "write_history"): "history.csv",
    (callbacks, "animate"): "animation at the end",
    (callbacks.TensorBoard, "scalars"): "TensorBoard, losses",
    (callbacks.TensorBoard, "image"): "TensorBoard, frames",
    (callbacks.Progress, "step"): "progress bar",
}


@contextlib.contextmanager
def clocked():
    """Inside, the functions of PARTS add to the dict that it gives: row → [seconds, calls], each without the others."""
    spent, real = {row: [0.0, 0] for row in PARTS.values()}, {key: getattr(*key) for key in PARTS}

    def wrap(function, entry):
        def call(*args, **kwargs):
            inner, began = sum(s for s, _ in spent.values()), time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                inner = sum(s for s, _ in spent.values()) - inner
                entry[0] += time.perf_counter() - began - inner
                entry[1] += 1

        return call

    try:
        for key, row in PARTS.items():
            setattr(*key, wrap(real[key], spent[row]))
        yield spent
    finally:
        for key, function in real.items():
            setattr(*key, function)


def ten_minutes(trainer: Trainer, step_seconds: float, folder: Path) -> dict[str, list]:
    """Play so many steps through a run's callbacks, on a clock that each step moves; row → [seconds, calls]."""
    clock, rng = SimpleNamespace(now=0.0), np.random.default_rng(0)
    rows = rng.lognormal(0, 0.5, (int(60 * MINUTES / step_seconds), 4)).tolist()
    real, callbacks.time = callbacks.time, SimpleNamespace(perf_counter=lambda: clock.now)
    progress = callbacks.Progress()
    own = [progress, callbacks.Checkpoints(folder), callbacks.Pictures(folder), callbacks.TensorBoard(folder)]
    try:
        with contextlib.redirect_stderr(io.StringIO()), clocked() as spent:
            for callback in own:
                callback.start(trainer)
            progress.bar.mininterval, progress.bar.miniters = 0, 1  # tqdm looks at a clock of its own
            for row in rows:
                trainer.rows.append(row)
                trainer.step, clock.now, trainer.seconds = trainer.step + 1, clock.now + step_seconds, clock.now
                for callback in own:
                    callback.step(trainer)
            for callback in own:
                callback.stop(trainer)
    finally:
        callbacks.time = real
    return spent


class Watch(callbacks.Callback):
    """Notes what each step takes by itself, and when the next one begins."""

    def start(self, trainer: Trainer) -> None:
        self.steps, self.ends, train_step = [], [], trainer.train_step

        def watched() -> torch.Tensor:
            began = time.perf_counter()
            losses = train_step()
            self.steps.append(time.perf_counter() - began)
            return losses

        trainer.train_step = watched

    def step(self, trainer: Trainer) -> None:
        self.ends.append(time.perf_counter())


def timed(function, seconds: float, least: int = 3) -> float:
    """Seconds a call, over about that many seconds."""
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or calls < least:
        function()
        calls += 1
    return (time.perf_counter() - began) / calls


def report(name: str, source: str, seconds: float) -> list[str]:
    """The lines of one recipe."""
    generator = generators.load_generator(name)
    recipe = generator.recipe.but(steps=10**6)
    images = data.load(source, recipe.image_size, recipe.channels)
    trainer = Trainer(recipe, images.images, "cpu", labels=images.labels, class_names=images.class_names)
    trainer.train_step(), trainer.train_step()  # warm up
    step = timed(trainer.train_step, seconds)
    average = timed(lambda: update_ema(trainer.ema, trainer.generator, recipe.ema), 0.5) if recipe.ema else 0.0
    judge = evaluation.Judge(source, channels=recipe.channels)
    scoring = timed(lambda: judge(generator), 0, 2)
    trainer.step = 0
    trainer.ema.load_state_dict(generator.state_dict())
    with tempfile.TemporaryDirectory() as temporary:
        spent = ten_minutes(trainer, step, Path(temporary))
    steps, total = len(trainer.rows), 60 * MINUTES
    spent = {"averages": [average * steps, steps * bool(recipe.ema)]} | spent
    with tempfile.TemporaryDirectory() as temporary, contextlib.redirect_stderr(io.StringIO()):
        watch = Watch()
        runs.train(recipe.but(steps=41), images, Path(temporary) / "run", device="cpu", callbacks=[watch])
    bare, run = (30 * recipe.batch_size / s for s in (sum(watch.steps[10:40]), watch.ends[39] - watch.ends[9]))
    lines = [
        f"{name}, batches of {recipe.batch_size} at {recipe.image_size} px: {steps:,} steps in {MINUTES} minutes",
        f"  {'':22} calls  ms a call   share",
    ]
    lines += [f"  {row:22} {n:5}  {1000 * s / max(n, 1):9.2f}  {s / total:6.2%}" for row, (s, n) in spent.items()]
    lines.append(f"  {'all of these':22} {'':5}  {'':9}  {sum(s for s, _ in spent.values()) / total:6.2%}")
    lines.append(f"  a judge every 500 steps, not counted: {scoring:.2f} s each, {steps // 500 * scoring / total:.2%}")
    lines.append(f"  images/s, steps 10 to 40 by the command: {run:.1f}; the steps alone {bare:.1f} ({run / bare:.2f})")
    return lines


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", default=NAMES)
    p.add_argument("--data", nargs="+", default=[], metavar="NAME=PATH", help="where data sets lie, e.g. celeba=c.zip")
    p.add_argument("--seconds", type=float, default=8, help="of the bare step")
    p.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "run_overhead.txt")
    o = p.parse_args()
    sources = STAND_INS | dict(pair.split("=", 1) for pair in o.data)
    lines = [f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}"]
    print(lines[0], flush=True)
    for name in o.names:
        kind = recipes.get(name).data
        found = report(name, sources.get(kind, kind), o.seconds)
        print("\n".join(found), flush=True)
        lines += found
        o.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
