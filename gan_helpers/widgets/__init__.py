"""Widgets that put a generator in one's hands. They work with ipywidgets 7.7.1 (Colab's) and 8."""

from .explorer import explore
from .pad import Pad
from .picture import Picture
from .slider import latent_slider
from .training import LiveView, scrub

__all__ = ["LiveView", "Pad", "Picture", "explore", "latent_slider", "scrub"]
