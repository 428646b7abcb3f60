"""Decoded images on disk: written as a stream, mapped when read."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..files import save_atomically


def write_cache(
    target: Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray], arrays: dict[str, np.ndarray]
) -> None:
    """Write images uint8 to `target`.npy, then `arrays` to `target`.npz.

    The pixels are written as a stream: a full disk is then an error, where a memory map would kill the process.

    Args:
        target: without a suffix.
        shape: (N, C, H, W), of all blocks together; N may be more than come.
        blocks: uint8 (n, C, H, W).
        arrays: read last, so whoever makes the blocks may still fill it.
    """

    def write(part: Path) -> None:
        head, rows = {"descr": "|u1", "fortran_order": False}, 0
        with open(part, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {**head, "shape": shape})
            for block in blocks:
                file.write(np.ascontiguousarray(block))
                rows += len(block)
            file.seek(0)  # the header again, now that the number of rows is known: it is padded to the same length
            np.lib.format.write_array_header_1_0(file, {**head, "shape": (rows, *shape[1:])})

    for left in target.parent.glob(".part-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > 86400:  # left by a process that was killed
                left.unlink()
    save_atomically(Path(f"{target}.npy"), write, math.prod(shape))
    save_atomically(Path(f"{target}.npz"), lambda part: np.savez_compressed(part, **arrays))


def read_cache(target: Path) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """What `write_cache` wrote, the images mapped from disk and read-only; None where it is absent or damaged."""
    try:
        with np.load(f"{target}.npz", allow_pickle=False) as table:
            return np.load(f"{target}.npy", mmap_mode="r", allow_pickle=False), dict(table)
    except Exception:  # zipfile and numpy raise several kinds for damaged files
        return None
