"""Grids of images and curves of a run, as Pillow images or matplotlib figures; no pyplot, so safe while training."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours, told apart by colour-blind readers.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"


def to_uint8(x: Tensor) -> Tensor:
    """Images in [-1, 1] → uint8 0..255, rounded; same shape, on the CPU."""
    return ((x.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()


def to_hwc(images: Tensor | np.ndarray) -> np.ndarray:
    """Images uint8 (N, C, H, W), or float in [-1, 1], → uint8 (N, H, W, 3)."""
    images = images if isinstance(images, Tensor) else torch.from_numpy(np.array(images))  # a copy: it may be read-only
    images = to_uint8(images) if images.is_floating_point() else images
    return images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


def grid(images: Tensor | np.ndarray, columns: int | None = None, scale: int = 1, gap: int = 2) -> Image.Image:
    """Images (N, C, H, W), uint8 or in [-1, 1], side by side on white, `columns` wide (default: nearly square).

    `scale` enlarges by whole pixels without smoothing.
    """
    x = to_hwc(images)
    n, h, w, _ = x.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(x):
        top, left = i // columns * (h + gap), i % columns * (w + gap)
        sheet[top : top + h, left : left + w] = image
    return Image.fromarray(sheet).resize((sheet.shape[1] * scale, sheet.shape[0] * scale), Image.Resampling.NEAREST)


def smooth(values: Sequence[float], keep: float = 0.95) -> np.ndarray:
    """Exponential moving average of a curve, corrected for its start; same length."""
    out, total, weight = np.empty(len(values)), 0.0, 0.0
    for i, value in enumerate(values):
        total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
        out[i] = total / weight
    return out


def thinned(values: Sequence[float], points: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A curve in at most `points` blocks of neighbouring steps: of each the last step (from 1), mean, lowest, highest.

    Up to `points` steps a block is one step.
    """
    values = np.asarray(values, dtype=float)
    every = max(1, math.ceil(len(values) / points))
    starts = np.arange(0, len(values), every)
    ends = np.minimum(starts + every, len(values))
    mean, low, high = (f.reduceat(values, starts) for f in (np.add, np.minimum, np.maximum))
    return ends, mean / (ends - starts), low, high


def curves(
    history: dict[str, Sequence[float]],
    title: str = "",
    scores: Sequence[tuple[int, float]] = (),
    score_name: str = "distance",
) -> Figure:
    """Losses above, mean D(x) and D(G(z)) below, then scores, against steps; faint raw values under a smooth line.

    Above 500 steps it draws blocks of steps (see `thinned`): means in the smooth line, the range in the faint one.

    Args:
        history: columns `d_loss`, `g_loss` and, for the lower panel, `d_real`, `d_fake`; one value a step.
        scores: (step, distance) pairs; the best one is marked; a distance that is not finite leaves a gap.
    """
    from matplotlib.figure import Figure

    both, scored = "d_real" in history, bool(scores)
    figure = Figure(figsize=(8, 3 + 2 * both + 2 * scored), layout="constrained")
    panels = figure.subplots(1 + both + scored, 1, sharex=True, squeeze=False)[:, 0]
    losses = panels[0]
    losses.set(title=title, ylabel="loss")
    draw_curve(losses, history["d_loss"], "D loss", BLUE, "-")
    draw_curve(losses, history["g_loss"], "G loss", ORANGE, "--")
    if both:
        panels[1].set(ylabel="sigmoid of D's logit", ylim=(0, 1))
        draw_curve(panels[1], history["d_real"], "mean D(x), real", BLUE, "-")
        draw_curve(panels[1], history["d_fake"], "mean D(G(z)), fake", ORANGE, "--")
    if scored:
        draw_scores(panels[-1], scores, score_name)
    panels[-1].set_xlabel("step (generator updates)")
    for axes in panels:
        axes.legend(loc="upper right")
        axes.grid(alpha=0.3)
    return figure


def draw_curve(axes: Axes, values: Sequence[float], label: str, colour: str, style: str) -> None:
    """One column of a history: a smooth line over the faint range of each block of steps."""
    steps, mean, low, high = thinned(values)
    axes.plot(steps.repeat(2), np.stack([low, high], 1).ravel(), color=colour, alpha=0.2, linewidth=0.6)
    axes.plot(steps, smooth(mean), style, color=colour, label=label)


def draw_scores(axes: Axes, scores: Sequence[tuple[int, float]], name: str) -> None:
    """(step, distance) pairs as a line with gaps where a distance is not finite, and a mark on the lowest."""
    axes.plot(*zip(*scores, strict=True), ".-", color=GREEN, label=name)
    if finite := [pair for pair in scores if math.isfinite(pair[1])]:
        step, best = min(finite, key=lambda pair: pair[1])
        axes.plot(step, best, "o", color="black", label=f"best: {best:.3g} at step {step:,}")
    axes.set(ylabel="lower is better", ylim=(0, None))


def rendered(figure) -> Image.Image:
    """A matplotlib figure as a picture of at most 128 colours: half of the bytes, and no difference to see."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB").quantize(128, dither=Image.Dither.NONE)


def show(picture, alt: str, width: int | None = None) -> None:
    """Show a picture in a notebook, with a description for those who can't see it.

    A file goes out as image/png, whatever it is: browsers look at the bytes (so a GIF plays), and nbconvert and GitHub
    know no image/gif. A large grid goes out as JPEG, so that notebooks stay small. The description goes into the
    metadata, where nbconvert looks for it, and stands in as plain text.

    Args:
        picture: Pillow image, matplotlib Figure, or the path of a PNG, JPEG, WebP or GIF file.
        alt: what there is to see, the same in every run.
        width: in pixels of the page.
    """
    from IPython.display import display

    kind, buffer = "image/png", io.BytesIO()
    if isinstance(picture, (str, Path)):
        buffer.write(Path(picture).read_bytes())
    else:
        if not isinstance(picture, Image.Image):
            picture = rendered(picture)
        picture.save(buffer, "PNG", optimize=True)
        if buffer.tell() > 60_000:
            photo = io.BytesIO()
            picture.convert("RGB").save(photo, "JPEG", quality=85, subsampling=0, optimize=True, progressive=True)
            if photo.tell() < buffer.tell():  # a drawing may be smaller as it is
                kind, buffer = "image/jpeg", photo
    data = {kind: base64.b64encode(buffer.getvalue()).decode(), "text/plain": alt}
    display(data, raw=True, metadata={kind: {"alt": alt} | ({"width": width} if width else {})})
