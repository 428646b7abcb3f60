"""Memory that a step gives back, and asks for again in the next: it stays with the process."""

from __future__ import annotations

import contextlib
import ctypes
from functools import cache


@cache
def keep_freed() -> None:
    """From here on this process keeps what it frees, up to 1 GiB. Called where training or measuring starts.

    A training step frees feature maps of many MB. On Linux the C library hands such blocks to the system, which clears
    every page before it comes again: up to 40 % of a step. `benchmarks/memory.py` measures it.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # macOS, Windows and musl have no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: large blocks come from the heap too
        mallopt(-1, 2**30)  # M_TRIM_THRESHOLD: up to 1 GiB of free heap is kept
