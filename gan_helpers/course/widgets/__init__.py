"""Widgets of the lessons: the lab of 2-D GANs, the clinic of failing ones, and a flipbook of pictures made before."""

from .clinic import Clinic
from .flipbook import flipbook
from .lab import Lab, filmstrip

__all__ = ["Clinic", "Lab", "filmstrip", "flipbook"]
