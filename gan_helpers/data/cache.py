"""Decoded images on disk: written as a stream, mapped when read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..files import atomic


def write_cache(
    target: Path, blocks: Iterable[np.ndarray], rows: int, shape: tuple[int, ...], arrays: dict[str, np.ndarray]
) -> None:
    """Write blocks of uint8 (n, *shape), at most `rows` rows, to `target`.npy, then `arrays` to `target`.npz.

    The pixels are written as a stream: a full disk is then an error, where a memory map would kill the process.
    `arrays` is read last, so whoever makes the blocks may still fill it.
    """
    head, kept = {"descr": "|u1", "fortran_order": False}, 0
    with atomic(Path(f"{target}.npy"), rows * math.prod(shape)) as file:
        np.lib.format.write_array_header_1_0(file, {**head, "shape": (rows, *shape)})
        for block in blocks:
            file.write(np.ascontiguousarray(block))
            kept += len(block)
        file.seek(0)  # the header again, now that the number of rows is known: it is padded to the same length
        np.lib.format.write_array_header_1_0(file, {**head, "shape": (kept, *shape)})
    with atomic(Path(f"{target}.npz")) as file:
        np.savez_compressed(file, **arrays)


def read_cache(target: Path) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """What `write_cache` wrote, the images mapped from disk and read-only; None where it is absent or damaged."""
    try:
        with np.load(f"{target}.npz", allow_pickle=False) as table:
            return np.load(f"{target}.npy", mmap_mode="r", allow_pickle=False), dict(table)
    except Exception:
        return None
