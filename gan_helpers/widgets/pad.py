"""A 2-D pad as a widget: anywidget runs the same drawing code in JupyterLab, VS Code and Colab."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets
from PIL import Image

from ..page import asset
from .picture import png


class Pad(anywidget.AnyWidget):
    """A picture with a mark to drag.

    Attributes:
        place: (x, y), each from -reach to reach.
        picture: PNG bytes of the (2 reach + 1) x (2 reach + 1) tiles below the mark.
        label: the pad's name for those who can't see it.
    """

    _esm = asset("pad.js") + Path(__file__).with_name("pad.js").read_text(encoding="utf-8")
    place = traitlets.Tuple(traitlets.Float(), traitlets.Float(), default_value=(0.0, 0.0)).tag(sync=True)
    picture = traitlets.Bytes(b"").tag(sync=True)
    label = traitlets.Unicode("Seed plane").tag(sync=True)
    reach = traitlets.Int(2).tag(sync=True)

    def show(self, image: Image.Image) -> None:
        """Replace the picture."""
        self.picture = png(image)
