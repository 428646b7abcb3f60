"""The image of every widget here: replaced in place, and said in words for those who cannot see it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from PIL import Image

PICTURE_JS = Path(__file__).with_name("picture.js").read_text(encoding="utf-8")


def png(image: Image.Image) -> bytes:
    """The image as PNG bytes, for `Picture.value`."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def figure_png(figure) -> bytes:
    """A matplotlib Figure as PNG bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return file.getvalue()


class Picture(anywidget.AnyWidget):
    """An image like `ipywidgets.Image`, which has no alternative text.

    Attributes:
        value: PNG bytes; nothing is shown while there are none.
        alt: what is to be seen, in words.
        caption: what stands below it.
        width: in pixels of the page; 0: as many as the image has.
        crisp: whether pixels stay squares where the image is enlarged.
    """

    _esm = PICTURE_JS + "export default { render: ({ model, el }) => makePicture(model, el) };"
    value = traitlets.Bytes(b"").tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    width = traitlets.Int(0).tag(sync=True)
    crisp = traitlets.Bool(False).tag(sync=True)

    def show(self, image: Image.Image | bytes, alt: str, caption: str = "") -> None:
        """Replace the image (a Pillow image, or PNG bytes) and its words, all in one message to the page."""
        with self.hold_sync():
            self.value = image if isinstance(image, bytes) else png(image)
            self.alt, self.caption = alt, caption


class Newest:
    """A callback that draws what `read()` gives, if that has changed since it last drew.

    JupyterLab can run callbacks side by side. Then one draws for all until the newest value is drawn, and values that
    have been passed over never are: a fast drag leaves no queue.

    Attributes:
        drawn: the value that was drawn last.
    """

    def __init__(self, read: Callable[[], Any], draw: Callable[[Any], None]) -> None:
        self.read, self.draw, self.drawn, self.drawing = read, draw, object(), threading.Lock()

    def __call__(self, *_) -> None:
        while self.read() != self.drawn and self.drawing.acquire(blocking=False):
            try:
                self.drawn = self.read()
                self.draw(self.drawn)
            finally:
                self.drawing.release()


def follow(slider, draw: Callable[[Any], None]) -> None:
    """Draw the value of a slider (or any control) now, and whenever it moves the newest one."""
    newest = Newest(lambda: slider.value, draw)
    newest()
    slider.observe(newest, "value")
