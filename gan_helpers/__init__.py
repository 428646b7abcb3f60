"""Helpers of the GAN course: data, models, losses, training, pictures and widgets, small enough to read."""

import os

__version__ = "0.1.0"

# On Linux PyTorch then asks for memory in pages of 2 MB instead of 4 kB, if no tensor was made before. Large feature
# maps are given back and fetched again every step; clearing them page by page took up to 40 % of a training.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
