"""Pictures made in advance, and a slider that turns their pages."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets
from PIL import Image

from ...widgets.picture import Picture, figure_png, follow, png


def flipbook(pictures: Sequence, captions: Sequence[str], description: str, start: int = 0) -> widgets.VBox:
    """A slider through pictures of one size, each with a caption that says in words what it shows.

    Args:
        pictures: Pillow images or matplotlib Figures.
        description: the slider's name.

    Returns:
        A box with the parts `slider` and `picture`.
    """
    shown = [png(picture) if isinstance(picture, Image.Image) else figure_png(picture) for picture in pictures]
    slider = widgets.IntSlider(value=start, max=len(shown) - 1, description=description, readout=False)
    slider.layout.width = "420px"
    picture = Picture()

    follow(slider, lambda page: picture.show(shown[page], captions[page], captions[page]))
    box = widgets.VBox([slider, picture])
    box.slider, box.picture = slider, picture
    return box
