"""Widgets that put a generator in one's hands, in JupyterLab, VS Code and Colab, with ipywidgets 7.7.1 (Colab's) and 8.

`explore` is the latent explorer: what it does is in `state` and works without widgets, what one sees is in `explorer`,
and `expression` keeps the code for what is seen. `latent_slider` walks from seed to seed. `LiveView` shows a run while
it trains, `scrub` when it has. They are made of `Picture`, an image with words, and `Pad`, a place in two dimensions,
whose drawing is JavaScript in the files beside; `picture.Newest` is what keeps a fast drag from leaving a queue.
"""

try:
    import anywidget  # noqa: F401
    import ipywidgets  # noqa: F401
except ModuleNotFoundError as error:
    told = f"The widgets need {error.name}: pip install 'gan-helpers[jupyter]'"
    raise ModuleNotFoundError(told, name=error.name) from None

from .explorer import explore
from .pad import Pad
from .picture import Picture
from .slider import latent_slider
from .training import LiveView, scrub

__all__ = ["LiveView", "Pad", "Picture", "explore", "latent_slider", "scrub"]
