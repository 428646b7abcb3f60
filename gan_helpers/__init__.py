"""Helpers of the GAN course: data, models, losses, training, pictures and widgets, small enough to read."""

import contextlib
import ctypes
import os

__version__ = "0.1.0"

# A training step gives back feature maps of many MB and asks for them again. On Linux the C library hands such blocks
# to the system, which clears every page before it comes again: up to 40 % of a step. It is told to keep them.
with contextlib.suppress(AttributeError, OSError, TypeError):  # macOS, Windows and musl have no mallopt
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(-4, 0)  # M_MMAP_MAX: large blocks come from the heap too
    mallopt(-1, 2**30)  # M_TRIM_THRESHOLD: up to 1 GiB of free heap is kept
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # pages of 2 MB; read by PyTorch when it makes its first tensor
