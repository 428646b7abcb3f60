"""What a run does besides training: progress bar, checkpoints, pictures, TensorBoard. Each has start, step and stop."""

from __future__ import annotations

import csv
import io
import math
import statistics
import time
import zlib
from functools import partial
from pathlib import Path

from PIL import Image

from . import checkpoints
from .animate import animate
from .console import banner, bar, say_once
from .errors import in_one_line
from .files import save_atomically, save_text
from .frames import fixed_latents, frame_files, half_frames, sheet
from .plots import curves, rendered
from .training import COLUMNS, Diverged, Trainer


class Callback:
    """Does nothing; subclasses override what they need."""

    def start(self, trainer: Trainer) -> None: ...

    def step(self, trainer: Trainer) -> None: ...

    def stop(self, trainer: Trainer) -> None: ...


class Tolerant(Callback):
    """Passes on to another callback, whose errors (a full disk, a missing package) cost its pictures, not the run."""

    def __init__(self, inner: Callback) -> None:
        self.inner, self.broken = inner, False

    def attempt(self, method: str, trainer: Trainer) -> None:
        """Call a method of the other callback, unless one has failed before."""
        if self.broken:
            return
        try:
            getattr(self.inner, method)(trainer)
        except Diverged:
            raise
        except Exception as error:
            self.broken = True
            told = in_one_line(error) or f"{type(error).__name__}: {error}"
            tell = say_once if isinstance(error, ImportError) else banner
            tell(f"{type(self.inner).__name__} stopped, the training goes on: {told}")

    def start(self, trainer: Trainer) -> None:
        self.attempt("start", trainer)

    def step(self, trainer: Trainer) -> None:
        self.attempt("step", trainer)

    def stop(self, trainer: Trainer) -> None:
        self.attempt("stop", trainer)


class Progress(Callback):
    """A tqdm bar with the time left, the rate in images a second, and the latest losses."""

    def start(self, trainer: Trainer) -> None:
        self.timed = trainer.total_steps is None
        total = round(trainer.recipe.minutes * 60) if self.timed else trainer.total_steps
        unit = "s" if self.timed else "step"
        initial = min(self.done(trainer), total)
        self.bar = bar(total=total, initial=initial, unit=unit, desc=trainer.recipe.name, leave=True)
        self.shown = 0.0

    def done(self, trainer: Trainer) -> int:
        """How much of the budget is used, in the bar's unit."""
        return round(trainer.seconds) if self.timed else trainer.step

    def step(self, trainer: Trainer) -> None:
        if time.perf_counter() - self.shown > 0.5 or trainer.finished:
            self.shown = time.perf_counter()
            if trainer.rows:
                latest = {name: f"{value:.2f}" for name, value in zip(COLUMNS, trainer.rows[-1], strict=True)}
                self.bar.set_postfix(step=trainer.step, **latest, refresh=False)
            self.bar.update(min(self.done(trainer), self.bar.total) - self.bar.n)

    def stop(self, trainer: Trainer) -> None:
        self.bar.close()


class Slowdown(Callback):
    """Says once, on the CPU, that steps take three times as long as in the run's best stretch of about 20 seconds.

    Of each stretch the median step counts, so that a picture or a score between two steps does not.

    Args:
        seconds: length of a stretch, which holds 5 steps or more.   clock: a function that tells the seconds.
    """

    def __init__(self, seconds: float = 20.0, clock=time.perf_counter) -> None:
        self.seconds, self.clock = seconds, clock

    def start(self, trainer: Trainer) -> None:
        self.steps, self.best, self.told = [], float("inf"), trainer.device.type != "cpu"
        self.last = self.clock()

    def step(self, trainer: Trainer) -> None:
        self.steps.append(self.clock() - self.last)
        self.last += self.steps[-1]
        if self.told or len(self.steps) < 5 or sum(self.steps) < self.seconds:
            return
        median, self.steps = statistics.median(self.steps), []
        self.best = min(self.best, median)
        if median > 3 * self.best:
            self.told = True
            banner(
                f"A step takes {median:.2g} s now and took {self.best:.2g} s: other programs use this machine's cores. "
                "If they go on, stop this run and resume it with --threads 1 (in Python: threads=1)."
            )


class Checkpoints(Callback):
    """Saves at the start, every `seconds`, and at the end."""

    def __init__(self, folder: Path, seconds: float = 60.0) -> None:
        self.folder, self.seconds = folder, seconds

    def start(self, trainer: Trainer) -> None:
        if trainer.step == 0:
            checkpoints.save(trainer, self.folder)
        self.saved = time.perf_counter()

    def step(self, trainer: Trainer) -> None:
        if time.perf_counter() - self.saved >= self.seconds:
            self.stop(trainer)

    def stop(self, trainer: Trainer) -> None:
        checkpoints.save(trainer, self.folder)
        self.saved = time.perf_counter()


# Dense at first, where most of learning happens, but at least ten steps apart, for a frame may cost a third of a step;
# by the step alone, so that a resumed run has the frames of an uninterrupted one.
FRAME_STEPS = sorted({*range(0, 120, 10), *(round(120 * 1.09**k) for k in range(120))})


class Pictures(Callback):
    """`frames/STEP.png` of the same 64 latents as the run goes on; at each save `samples.png`, `losses.png`,
    `history.csv`; at the end `training.gif` (half of the grid, at most 3 MB).

    A conditional generator shows a class in each row, of the same 8 latents.
    """

    def __init__(self, folder: Path, count: int = 64, seconds: float = 60.0) -> None:
        self.folder, self.count, self.seconds = folder, count, seconds

    def start(self, trainer: Trainer) -> None:
        (self.folder / "frames").mkdir(exist_ok=True)
        for part in self.folder.rglob(".part-*"):  # a killed process may have left some
            part.unlink()
        for path in frame_files(self.folder):
            if int(path.stem) > trainer.step:  # made after the checkpoint that this run goes on from
                path.unlink()
        self.z, self.labels = fixed_latents(trainer, self.count)
        self.last, self.drawn, self.written = -1, time.perf_counter(), 0
        if trainer.step == 0:
            self.frame(trainer)

    def frame(self, trainer: Trainer) -> None:
        """The grid of the averaged generator, in evaluation mode, as `frames/STEP.png`."""
        if trainer.step == self.last:
            return
        self.last = trainer.step
        png = io.BytesIO()
        image = sheet(trainer.ema, self.z, self.labels)
        image.save(png, "PNG", compress_type=zlib.Z_RLE)  # as small as by the default, in less than half of the time
        for path in (self.folder / "frames" / f"{trainer.step:08d}.png", self.folder / "samples.png"):
            save_atomically(path, lambda part: part.write_bytes(png.getvalue()))

    def step(self, trainer: Trainer) -> None:
        if trainer.step in FRAME_STEPS:
            self.frame(trainer)
        if time.perf_counter() - self.drawn >= self.seconds:
            self.sheets(trainer)

    def sheets(self, trainer: Trainer) -> None:
        """`losses.png` and `history.csv`."""
        if trainer.step:
            title = f"{trainer.recipe.name}: {trainer.step:,} steps, {trainer.seconds / 60:.1f} min"
            name, scores = read_scores(self.folder)
            figure = curves(trainer.history, title, scores=scores, score_name=name)
            save_atomically(self.folder / "losses.png", partial(rendered(figure).save, optimize=True))
        self.write_history(trainer)
        self.drawn = time.perf_counter()

    def write_history(self, trainer: Trainer) -> None:
        """Add the new steps to `history.csv`.

        A run that goes on begins the file anew: the old one may hold steps after the checkpoint, and half a line.
        """
        trainer.flush()
        path, new = self.folder / "history.csv", enumerate(trainer.rows[self.written :].tolist(), self.written + 1)
        lines = "".join(f"{step},{','.join(map(repr, row))}\n" for step, row in new)
        if self.written:
            with open(path, "ab", buffering=0) as file:  # in one write, whatever happens to the process
                file.write(lines.encode())
        else:
            save_text(path, f"step,{','.join(COLUMNS)}\n{lines}")
        self.written = len(trainer.rows)

    def stop(self, trainer: Trainer) -> None:
        self.frame(trainer)
        self.sheets(trainer)
        animate(half_frames(self.folder, self.labels is not None), self.folder / "training.gif", max_bytes=3_000_000)


class Scores(Callback):
    """Every `every` steps `judge` scores the averaged generator: `scores.csv`; the best is kept as `best.safetensors`.

    It is replaced by a better one only, judged by the score in its own header; a score that is no finite number leaves
    a gap in `scores.csv` and its curve, and is never the best.

    Args:
        judge: generator → distance, with a `name`, and perhaps `most` scores a run (see `evaluation.Judge`).
    """

    def __init__(self, folder: Path, judge, every: int = 500) -> None:
        self.folder, self.judge, self.every = folder, judge, every
        self.most = min(getattr(judge, "most", 10**9), 10**9)

    def start(self, trainer: Trainer) -> None:
        name, old = read_scores(self.folder)
        self.scores = [pair for pair in old if name == self.judge.name and pair[0] <= trainer.step]
        trainer.scores, trainer.score_name = self.scores, self.judge.name
        self.scored = self.part(trainer)

    def part(self, trainer: Trainer) -> int:
        """In which part the run is, of `most` equal ones: in each of them one score is worth its time."""
        return math.floor(trainer.progress * self.most + 1e-6)

    def step(self, trainer: Trainer) -> None:
        if trainer.step % self.every == 0 and self.part(trainer) > self.scored:
            self.scored = self.part(trainer)
            self.score(trainer)

    def score(self, trainer: Trainer) -> None:
        """Ask the judge now."""
        with trainer.untimed():
            value = float(self.judge(trainer.ema))
        best = self.folder / "best.safetensors"
        if math.isfinite(value) and value < checkpoints.best_score(best, self.judge.name):
            checkpoints.save_best(trainer, best, self.judge.name, value)
        self.scores.append((trainer.step, value))
        save_atomically(self.folder / "scores.csv", self.write)

    def write(self, path: Path) -> None:
        """All scores, as a table of steps and distances."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("step", self.judge.name), *self.scores])

    def stop(self, trainer: Trainer) -> None:
        if trainer.step and (not self.scores or self.scores[-1][0] < trainer.step):
            self.score(trainer)


def read_scores(folder: Path) -> tuple[str, list[tuple[int, float]]]:
    """The name of the distance of a run's `scores.csv`, and (step, value) pairs; none where there is no such file."""
    try:
        with open(folder / "scores.csv", newline="", encoding="utf-8") as file:
            (_, name), *rows = csv.reader(file)
        return name, [(int(step), float(value)) for step, value in rows]
    except (OSError, ValueError):
        return "distance", []


class TensorBoard(Callback):
    """Losses, of the first 100 steps and then of every tenth, and the grids that `Pictures` drew.

    Look at them with `tensorboard --logdir RUN`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, trainer: Trainer) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.written = trainer.step // 50 * 50  # what a killed process wrote after this is written again
        self.writer = SummaryWriter(self.folder / "tensorboard", purge_step=self.written + 1 if trainer.step else None)
        self.image(trainer)

    def step(self, trainer: Trainer) -> None:
        if trainer.step % 50 == 0:
            self.scalars(trainer)
        if trainer.step in FRAME_STEPS:
            self.image(trainer)

    def scalars(self, trainer: Trainer) -> None:
        """The losses and the scores since the last time."""
        for step, value in trainer.scores:
            if step > self.written:
                self.writer.add_scalar(trainer.score_name, value, step)
        for step, row in enumerate(trainer.rows[self.written :].tolist(), self.written + 1):
            if step <= 100 or step % 10 == 0:
                for name, value in zip(COLUMNS, row, strict=True):
                    self.writer.add_scalar(name, value, step)
        self.written = len(trainer.rows)

    def image(self, trainer: Trainer) -> None:
        """The frame of this step as the file has it: `add_image` would decode and encode it again."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        path = self.folder / "frames" / f"{trainer.step:08d}.png"
        if path.exists():
            with Image.open(path) as file:
                width, height = file.size
            picture = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=path.read_bytes())
            summary = Summary(value=[Summary.Value(tag="samples", image=picture)])
            self.writer.file_writer.add_summary(summary, trainer.step)

    def stop(self, trainer: Trainer) -> None:
        self.scalars(trainer)
        self.image(trainer)
        self.writer.close()
