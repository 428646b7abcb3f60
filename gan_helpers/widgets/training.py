"""What to watch while a run trains, and to scrub through when it has: the fixed-noise grid beside the losses."""

from __future__ import annotations

import io
import time
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw

from ..callbacks import Callback, fixed_noise, frame_files, frames
from ..errors import CourseError
from ..latent import generate
from ..plots import curves, grid
from ..training import COLUMNS, Trainer


def png(image: Image.Image) -> bytes:
    """The image as PNG bytes, for `widgets.Image.value`."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class LiveView(Callback):
    """The grid of fixed noise and the latest numbers, updated in place while the cell trains.

    Pass it in `callbacks`; it shows itself when the run starts, and draws at most every `seconds`.
    """

    def __init__(self, count: int = 40, columns: int = 10, scale: int = 2, seconds: float = 1.5) -> None:
        self.count, self.columns, self.scale, self.seconds = count, columns, scale, seconds

    def start(self, trainer: Trainer) -> None:
        from IPython.display import display

        self.z = fixed_noise(trainer, self.count)
        self.picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%"))
        self.caption = widgets.HTML()
        display(widgets.VBox([self.picture, self.caption]))
        self.draw(trainer)

    def draw(self, trainer: Trainer) -> None:
        self.picture.value = png(grid(generate(trainer.ema, self.z), self.columns, self.scale))
        newest = dict(zip(COLUMNS, trainer.rows[-1], strict=True)) if trainer.rows else {}
        latest = [f"{name} {value:.2f}" for name, value in newest.items()]
        self.caption.value = f"step {trainer.step:,} · {trainer.seconds:.0f} s · {' · '.join(latest)}"
        self.drawn = time.perf_counter()

    def step(self, trainer: Trainer) -> None:
        if time.perf_counter() - self.drawn > self.seconds:
            self.draw(trainer)

    def stop(self, trainer: Trainer) -> None:
        self.draw(trainer)


def scrub(folder: str | Path, size: int = 420) -> widgets.HBox:
    """A slider through the frames of a run, with a cursor on its loss curves at the same step.

    Args:
        folder: a run folder, with `frames/` and `history.csv`.

    Returns:
        A box with the parts `slider`, `picture` and `curve`.

    Raises:
        CourseError: the folder holds no frames or no history.
    """
    folder = Path(folder)
    steps = [int(path.stem) for path in frame_files(folder)]
    if not steps or not (folder / "history.csv").exists():
        raise CourseError(f"{folder} is no run folder with frames and a history.")
    images = frames(folder)
    table = np.genfromtxt(folder / "history.csv", delimiter=",", names=True, ndmin=1)
    figure = curves({name: table[name].tolist() for name in COLUMNS})
    figure.set_size_inches(size / 60, size / 100)
    file = io.BytesIO()
    figure.savefig(file, dpi=100)
    base = Image.open(file).convert("RGB")
    to_pixels = [axes.transData for axes in figure.axes]

    slider = widgets.IntSlider(min=0, max=len(steps) - 1, value=len(steps) - 1, description="frame", readout=False)
    picture = widgets.Image(format="png", layout=widgets.Layout(width=f"{size}px", height=f"{size}px"))
    curve, caption = widgets.Image(format="png"), widgets.HTML()

    def draw(change=None) -> None:
        image, x = base.copy(), to_pixels[0].transform((steps[slider.value], 0))[0]
        ImageDraw.Draw(image).line([(x, 0), (x, image.height)], fill=(0, 0, 0), width=2)
        picture.value, curve.value = png(images[slider.value]), png(image)
        caption.value = f"step {steps[slider.value]:,}"

    draw()
    slider.observe(draw, "value")
    box = widgets.HBox([widgets.VBox([slider, caption, picture]), curve])
    box.slider, box.picture, box.curve = slider, picture, curve
    return box
