"""Pictures made in advance, and a slider that turns their pages."""

from __future__ import annotations

import io

import ipywidgets as widgets
from PIL import Image

from ..errors import CourseError
from .training import png


def flipbook(pictures: list, labels: list[str], description: str = "page", width: int = 640) -> widgets.VBox:
    """A slider through pictures.

    Args:
        pictures: Pillow images or matplotlib figures.
        labels: what the slider says at each, all different.
        width: in pixels of the page.

    Returns:
        A box with the parts `slider` and `picture`.

    Raises:
        CourseError: no pictures, or not one label for each.
    """
    if not pictures or len(set(labels)) != len(pictures):
        raise CourseError(f"{len(pictures)} pictures need as many different labels; got {len(set(labels))}.")

    def page(picture) -> bytes:
        if isinstance(picture, Image.Image):
            return png(picture)
        file = io.BytesIO()
        picture.savefig(file, format="png")
        return file.getvalue()

    pages = dict(zip(labels, map(page, pictures), strict=True))
    slider = widgets.SelectionSlider(options=labels, description=description)
    picture = widgets.Image(value=pages[labels[0]], format="png", layout=widgets.Layout(width=f"{width}px"))
    slider.observe(lambda change: setattr(picture, "value", pages[change["new"]]), "value")
    box = widgets.VBox([slider, picture])
    box.slider, box.picture = slider, picture
    return box
