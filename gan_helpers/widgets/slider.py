"""A slider that walks from seed to seed."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import ipywidgets as widgets
from PIL import Image
from torch import nn

from ..errors import CourseError
from ..latent import draw_z, generate, slerp
from ..plots import to_hwc
from .picture import Picture, follow


def latent_slider(generator: nn.Module, seeds: Sequence[int] = (0, 1, 2, 3), size: int = 256) -> widgets.VBox:
    """A slider that walks through latent space from seed to seed along arcs, and the image at each point.

    Args:
        generator: z (N, latent_dim) → images (N, C, S, S) in [-1, 1]; a frozen copy is used, so it may go on training.
        seeds: two or more.
        size: how large the image is shown, in pixels of the page.

    Returns:
        A box with the parts `slider` and `picture`, whose caption says where the slider stands.

    Raises:
        CourseError: fewer than two seeds.
    """
    if len(seeds) < 2:
        raise CourseError(f"A walk needs two seeds or more; got {len(seeds)}.")
    net = copy.deepcopy(generator).eval().requires_grad_(False)
    stops = [draw_z(1, net.latent_dim, seed) for seed in seeds]
    slider = widgets.FloatSlider(min=0, max=len(seeds) - 1, step=0.02, description="walk", readout=False)
    picture = Picture(width=size, crisp=True)

    def draw(place: float) -> None:
        i = min(int(place), len(seeds) - 2)
        image = generate(net, slerp(stops[i], stops[i + 1], place - i))  # (1, C, S, S)
        words = f"{place - i:.0%} of the way from seed {seeds[i]} to seed {seeds[i + 1]}"
        picture.show(Image.fromarray(to_hwc(image)[0]), f"Generated image, {words}", words)

    follow(slider, draw)
    box = widgets.VBox([slider, picture])
    box.slider, box.picture = slider, picture
    return box
