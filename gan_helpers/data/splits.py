"""Which images are trained on, chosen by and reported on: an image's own content decides."""

from __future__ import annotations

import hashlib

import numpy as np

SPLITS = ("train", "held-out", "choose", "report")


HELD_OUT = 0.9  # the rank from which an image is held out


ENOUGH, CHOOSE = 4000, 2000  # held-out images from which a fifth is spared to choose by; else training images that do


def rank(content: bytes | np.ndarray) -> float:
    """A number in [0, 1) that depends on the content alone, evenly spread: of its SHA-256."""
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(content)).digest()[:6], "big") / 2**48


def ranks(images: np.ndarray) -> np.ndarray:
    """The rank (N,) of each image (N, C, H, W)."""
    return np.array([rank(image) for image in images])


def held_out(ranks: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Which images are held out, bool (N,): those that rank at `HELD_OUT` or above, about a tenth.

    A class that would be held out whole, as one of a single image may be, keeps the image that ranks lowest, and its
    copies, for training: otherwise nothing could draw it.
    """
    held = ranks >= HELD_OUT
    if labels is not None:
        lowest = np.ones(labels.max() + 1)
        np.minimum.at(lowest, labels, ranks)
        held &= ranks > lowest[labels]
    return held


def rows_of(split: str, ranks: np.ndarray, held: np.ndarray | None = None) -> np.ndarray:
    """Which images belong to a split, bool (N,).

    An image's own content decides, so one more photo moves no other, and copies stay together (see `held_out`). A fifth
    of the held-out ones are there to choose by (recipes, the best of a run), the rest to report. Where fewer than 4,000
    are held out all of them report, and the choice falls by 2,000 fixed training images: a judge that uses these must
    watch for copies.

    Args:
        ranks: (N,), of `rank`.
        held: bool (N,), where something else decides what is held out, such as an official test split.
    """
    held = held_out(ranks) if held is None else held
    if split in ("train", "held-out"):
        return held == (split == "held-out")
    if held.sum() >= ENOUGH:
        spare = np.zeros(len(ranks), bool)
        spare[np.flatnonzero(held)] = ranks[held] * 1e6 % 1 < 0.2  # other digits than those that held it out
        return spare if split == "choose" else held & ~spare
    if split == "report":
        return held
    train = np.flatnonzero(~held)
    chosen = np.zeros(len(ranks), bool)
    chosen[train[np.argsort(ranks[train], kind="stable")[:CHOOSE]]] = True
    return chosen
