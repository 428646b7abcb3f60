"""Which images are trained on, chosen by and reported on: an image's own content decides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..errors import CourseError
from .images import ImageSet, digest_of

SPLITS = ("train", "held-out", "choose", "report")
HELD_OUT = 0.9  # the rank from which an image is held out
ENOUGH, CHOOSE = 4000, 2000  # held-out images from which a fifth is spared to choose by; else training images that do


def rank(content: bytes | np.ndarray) -> float:
    """A number in [0, 1) that depends on the content alone, evenly spread: of its SHA-256."""
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(content)).digest()[:6], "big") / 2**48


def ranks(contents: Iterable[bytes | np.ndarray]) -> np.ndarray:
    """The rank (N,) of each image (N, C, H, W), or of each file's bytes."""
    return np.array([rank(content) for content in contents])


def roles_of(ranks: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """What images are there for by their content: str (N,), 'held-out' from the rank `HELD_OUT` on, else 'train'.

    A class that would be held out whole, as one of a single image may be, keeps the image that ranks lowest, and its
    copies, for training: otherwise nothing could draw it.
    """
    held = ranks >= HELD_OUT
    if labels is not None:
        lowest = np.ones(labels.max() + 1)
        np.minimum.at(lowest, labels, ranks)
        held &= ranks > lowest[labels]
    return np.where(held, "held-out", "train")


def rows_of(split: str, ranks: np.ndarray, roles: np.ndarray | None = None) -> np.ndarray:
    """Which images belong to a split, bool (N,).

    An image's own content decides, so one more photo moves no other, and copies stay together (see `roles_of`). A fifth
    of the held-out ones are there to choose by (recipes, the best of a run), the rest to report. Where fewer than 4,000
    are held out all of them report, and the choice falls by 2,000 fixed training images: a judge that uses these must
    watch for copies. Where some images have the role 'choose', these choose, and all held-out ones report.

    Args:
        ranks: (N,), of `rank`.
        roles: str (N,), 'train', 'held-out' or 'choose', where something else decides, such as an official test split.
    """
    roles = roles_of(ranks) if roles is None else roles
    held, train, spare = (roles == role for role in ("held-out", "train", "choose"))
    if split in ("train", "held-out"):
        return roles == split
    if spare.any() or (split == "report" and held.sum() < ENOUGH):
        return spare if split == "choose" else held
    if held.sum() >= ENOUGH:
        chosen = ranks * 1e6 % 1 < 0.2  # other digits than those that held it out
        return held & (chosen if split == "choose" else ~chosen)
    rows = np.flatnonzero(train)
    chosen = np.zeros(len(ranks), bool)
    chosen[rows[np.argsort(ranks[rows], kind="stable")[:CHOOSE]]] = True
    return chosen


def part(images: ImageSet, split: str, ranks: np.ndarray, roles: np.ndarray) -> ImageSet:
    """The images of one split (see `rows_of`): named after it, and marked as unseen where none of them trains.

    Raises:
        CourseError: there is none.
    """
    rows = rows_of(split, ranks, roles)
    if not rows.any():
        many, use = ("none is", "score by") if split in ("held-out", "report") else ("all are", f"{split} by")
        raise CourseError(
            f"'{images.origin}' has {len(images):,} images, of which {many} held out (about one in ten is, by its "
            f"content): too few to {use}. Add images."
        )
    found = images.take(rows, images.name if split == "train" else f"{images.name}-{split}")
    digest = found.digest or digest_of(ranks[rows])  # ranks follow from the source's content
    return replace(found, unseen=not (roles[rows] == "train").any(), digest=digest)
