"""Helpers of the GAN course: data, models, losses, training, pictures and widgets, small enough to read."""

__version__ = "0.1.0"
