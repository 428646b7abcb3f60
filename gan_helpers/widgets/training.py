"""What to watch while a run trains, and to scrub through when it has: the fixed-noise grid beside the losses."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw

from ..callbacks import Callback
from ..environment import at_home
from ..errors import CourseError
from ..frames import fixed_noise, frame_files
from ..latent import generate
from ..plots import curves, grid
from ..training import COLUMNS, Trainer
from .picture import Picture, figure_png, follow


def clock(seconds: float) -> str:
    """A time in words: '40 s', '3 min', '2 h 5 min'."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class LiveView(Callback):
    """The grid of fixed noise, the curves (scores, too, where a judge scores) and the time left, while the cell trains.

    Pass it in `callbacks`; it shows itself when the run starts, and updates in place: the grid at most every `seconds`,
    the curves, which take longer to draw, every third time.
    """

    def __init__(self, count: int = 40, columns: int = 10, scale: int = 2, seconds: float = 1.5) -> None:
        self.count, self.columns, self.scale, self.seconds = count, columns, scale, seconds

    def start(self, trainer: Trainer) -> None:
        from IPython.display import display

        self.z, self.draws = fixed_noise(trainer, self.count), 0
        self.picture, self.curves = Picture(crisp=True), Picture()
        self.caption, self.bar = widgets.HTML(), widgets.FloatProgress(max=1, layout=widgets.Layout(width="300px"))
        self.box = widgets.VBox([widgets.HBox([self.bar, self.caption]), self.picture, self.curves])
        self.box.add_class("gan-live")
        display(self.box)
        self.draw(trainer)

    def draw(self, trainer: Trainer, last: bool = False) -> None:
        images = grid(generate(trainer.ema, self.z), self.columns, self.scale)
        self.picture.show(images, f"{self.count} generated images at step {trainer.step:,}, from fixed noise")
        newest = dict(zip(COLUMNS, trainer.rows[-1], strict=True)) if trainer.rows else {}
        done, total = trainer.progress, f" of {trainer.total_steps:,}" if trainer.total_steps else ""
        words = [f"step {trainer.step:,}{total}", clock(trainer.seconds)]
        words += [f"about {clock(trainer.seconds * (1 - done) / done)} left"] if 0 < done < 1 and not last else []
        words += [f"{name} {value:.2f}" for name, value in newest.items()]
        words += [f"{trainer.score_name} {value:.3g}" for _, value in trainer.scores[-1:]]
        self.caption.value, self.bar.value = " · ".join(words), done
        if trainer.step > 1 and (last or self.draws % 3 == 0):
            figure = curves(trainer.history, scores=trainer.scores, score_name=trainer.score_name)
            self.curves.show(figure_png(figure), f"Curves of the losses up to step {trainer.step:,}")
        self.draws, self.drawn = self.draws + 1, time.perf_counter()

    def step(self, trainer: Trainer) -> None:
        if time.perf_counter() - self.drawn > self.seconds:
            self.draw(trainer)

    def stop(self, trainer: Trainer) -> None:
        self.draw(trainer, last=True)


def scrub(folder: str | Path, size: int = 420) -> widgets.HBox:
    """A slider through the frames of a run, with a cursor on its loss curves at the same step.

    Args:
        folder: a run folder, with `frames/` and `history.csv`.

    Returns:
        A box with the parts `slider`, `picture` (in its caption the step) and `curve`.

    Raises:
        CourseError: the folder holds no frames or no history.
    """
    folder = at_home(folder)
    images = {}  # by step
    for path in frame_files(folder):
        with contextlib.suppress(OSError):
            images[int(path.stem)] = Image.open(path).convert("RGB")
    if not images or not (folder / "history.csv").exists():
        raise CourseError(f"{folder} is no run folder with frames and a history.")
    steps = list(images)
    table = np.genfromtxt(folder / "history.csv", delimiter=",", names=True, ndmin=1)
    figure = curves({name: table[name].tolist() for name in COLUMNS})
    figure.set_size_inches(size / 48, size / 80)
    base, axes = Image.open(io.BytesIO(figure_png(figure))).convert("RGB"), figure.axes[0]
    slider = widgets.IntSlider(min=0, max=len(steps) - 1, value=len(steps) - 1, description="frame", readout=False)
    picture, curve = Picture(width=size, crisp=True), Picture()

    def draw(i: int) -> None:
        marked, step = base.copy(), f"step {steps[i]:,}"
        x = axes.transData.transform((steps[i], 0))[0] / figure.bbox.width * base.width
        ImageDraw.Draw(marked).line([(x, 0), (x, base.height)], fill="black", width=2)
        picture.show(images[steps[i]], f"Generated images at {step}", step)
        curve.show(marked, f"Curves of the losses with a mark at {step}")

    follow(slider, draw)
    box = widgets.HBox([widgets.VBox([slider, picture]), curve])
    box.slider, box.picture, box.curve = slider, picture, curve
    return box
