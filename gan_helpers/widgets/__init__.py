"""Widgets that put a generator in one's hands. They work with ipywidgets 7.7.1 (Colab's) and 8."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Sequence

import ipywidgets as widgets
from PIL import Image
from torch import nn

from ..latent import draw_z, generate, slerp
from ..plots import to_hwc
from .training import LiveView, scrub

__all__ = ["LiveView", "latent_slider", "scrub"]

PIXELS = "<style>.gan-pixels { image-rendering: pixelated }</style>"


def latent_slider(generator: nn.Module, seeds: Sequence[int] = (0, 1, 2, 3), size: int = 256) -> widgets.VBox:
    """A slider that walks through latent space from seed to seed, and the image at each point.

    At whole numbers it shows the images of the seeds, in between those on the arc from one z to the next.

    Args:
        generator: z (N, latent_dim) → images (N, C, S, S) in [-1, 1]; a frozen copy is used, so it may go on training.
        size: how large the image is shown, in pixels of the page.

    Returns:
        A box with the parts `slider`, `picture` and `caption`.
    """
    net = copy.deepcopy(generator).eval().requires_grad_(False)
    stops = [draw_z(1, net.latent_dim, seed) for seed in seeds]
    slider = widgets.FloatSlider(min=0, max=len(seeds) - 1, step=0.02, description="walk", readout=False)
    picture = widgets.Image(format="png", layout=widgets.Layout(width=f"{size}px", height=f"{size}px"))
    picture.add_class("gan-pixels")
    caption = widgets.HTML()
    drawing = threading.Lock()

    def draw(change=None) -> None:
        value = None
        while slider.value != value and drawing.acquire(blocking=False):
            try:  # callbacks may run side by side: one of them draws, until the newest value is drawn
                value = slider.value
                i = min(int(value), len(seeds) - 2)
                png = io.BytesIO()
                pixels = to_hwc(generate(net, slerp(stops[i], stops[i + 1], value - i)))[0]  # (S, S, 3)
                Image.fromarray(pixels).save(png, "PNG")
                picture.value = png.getvalue()
                caption.value = f"{PIXELS}{value - i:.0%} of the way from seed {seeds[i]} to seed {seeds[i + 1]}"
            finally:
                drawing.release()

    draw()
    slider.observe(draw, "value")
    box = widgets.VBox([slider, picture, caption])
    box.slider, box.picture, box.caption = slider, picture, caption
    return box
