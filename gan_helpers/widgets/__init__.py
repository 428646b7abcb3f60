"""Widgets that put a generator in one's hands. They work with ipywidgets 7.7.1 (Colab's) and 8."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence

import ipywidgets as widgets
from PIL import Image
from torch import nn

from ..latent import draw_z, generate, slerp
from ..plots import to_hwc
from .clinic import Clinic
from .explorer import explore
from .flipbook import flipbook
from .lab import Lab, filmstrip
from .training import LiveView, png, scrub

__all__ = ["Clinic", "Lab", "LiveView", "explore", "filmstrip", "flipbook", "latent_slider", "scrub"]

CRISP = "<style>.gan-pixels { image-rendering: pixelated }</style>"


def latent_slider(generator: nn.Module, seeds: Sequence[int] = (0, 1, 2, 3), size: int = 256) -> widgets.VBox:
    """A slider that walks through latent space from seed to seed along arcs, and the image at each point.

    Args:
        generator: z (N, latent_dim) → images (N, C, S, S) in [-1, 1]; a frozen copy is used, so it may go on training.
        seeds: two or more.
        size: how large the image is shown, in pixels of the page.

    Returns:
        A box with the parts `slider`, `picture` and `caption`, which says in words where the slider stands.
    """
    net = copy.deepcopy(generator).eval().requires_grad_(False)
    stops = [draw_z(1, net.latent_dim, seed) for seed in seeds]
    slider = widgets.FloatSlider(min=0, max=len(seeds) - 1, step=0.02, description="walk", readout=False)
    picture = widgets.Image(format="png", layout=widgets.Layout(width=f"{size}px", height=f"{size}px"))
    picture.add_class("gan-pixels")
    caption, drawing = widgets.HTML(), threading.Lock()

    def draw(change=None) -> None:
        drawn = None
        while slider.value != drawn and drawing.acquire(blocking=False):  # of callbacks side by side, one draws for all
            try:
                drawn = slider.value
                i = min(int(drawn), len(seeds) - 2)
                image = generate(net, slerp(stops[i], stops[i + 1], drawn - i))  # (1, C, S, S)
                picture.value = png(Image.fromarray(to_hwc(image)[0]))
                caption.value = f"{CRISP}{drawn - i:.0%} of the way from seed {seeds[i]} to seed {seeds[i + 1]}"
            finally:
                drawing.release()

    draw()
    slider.observe(draw, "value")
    box = widgets.VBox([slider, picture, caption])
    box.slider, box.picture, box.caption = slider, picture, caption
    return box
