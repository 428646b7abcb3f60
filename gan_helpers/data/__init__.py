"""Every source of images as one `ImageSet`: uint8 pixels, labels, attributes, and where they came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..console import banner, say
from ..environment import at_home
from ..errors import CourseError, nearest
from .images import ImageSet, check_shape
from .splits import SPLITS, ranks, rows_of

EMBEDDED = {
    "faces": "10,000 cartoon faces, 64x64 colour, with attributes",
    "fashion": "10,000 Fashion-MNIST images, 28x28 grey",
}
DOWNLOADED = {
    "mnist": "60,000 handwritten digits, 28x28 grey (11 MB)",
    "fashion_mnist": "60,000 clothes, 28x28 grey (30 MB)",
    "cifar10": "50,000 photos in 10 classes, 32x32 colour (170 MB)",
    "celeba": "162,770 celebrity faces, 64x64 colour, 40 attributes (1.4 GB); non-commercial research only",
}


def load(
    source: str | Path,
    image_size: int | None = None,
    channels: int | None = None,
    *,
    fallback: str | None = None,
    skip_broken: bool = False,
    split: str = "train",
) -> ImageSet:
    """Open a data set by name, or a folder or zip of images by path.

    Args:
        source: a name in `EMBEDDED` or `DOWNLOADED`, or a path. A name goes before a folder that is called so, whose
            path is `./name`, or a `Path`.
        image_size: side in pixels; None keeps the set's own (64 for a folder).
        channels: 1 or 3; None keeps the set's own (3 for a folder).
        fallback: an embedded set to use, with a visible banner, where a download fails.
        skip_broken: leave out images of a folder that cannot be read, and say how many.
        split: 'train', or 'held-out', which no training sees: the official test split, every tenth image of an embedded
            set, and of a folder about a tenth, by content (see `rows_of`). 'choose' and 'report' are for scores: what
            is chosen by one is reported by the other.

    Raises:
        CourseError: unknown name or split, a shape that no image has, unreadable folder, or failed download without a
            fallback.
    """
    name = str(source)
    check_shape(image_size, channels)
    if split not in SPLITS:
        raise CourseError(f"There is no split '{split}'.{nearest(split, SPLITS)} Splits: {', '.join(SPLITS)}.")
    if source in EMBEDDED:
        from . import embedded

        found = noted(embedded.part(getattr(embedded, name)(), split), shadowed(name, "the embedded set"))
    elif source in DOWNLOADED:
        from . import download, embedded

        try:
            found = getattr(download, name)("train" if split == "train" else "test")
            if split in ("choose", "report"):  # the official test splits are large enough for both
                everything = ranks(found.images)
                rows = rows_of(split, everything, np.ones(len(found), bool))
                found = found.take(rows, f"{name}-{split}")
            found = noted(found, shadowed(name, "the set to download"))
        except CourseError as error:
            if fallback is None:
                raise
            found = load(fallback, split=split)
            say(str(error))
            found = replace(found, note=f"{name} could not be downloaded: this is the embedded set '{fallback}'.")
    elif name and (path := at_home(name)).exists():
        from . import folder

        size = image_size or 64
        found = folder.open_folder(path, size, channels or 3, skip_broken=skip_broken, split=split)
    else:
        names = [*EMBEDDED, *DOWNLOADED]
        raise CourseError(
            f"No data set or folder '{name}'.{nearest(name, names)} Data sets: {', '.join(names)}; "
            "or give a path to a folder or zip of images."
        )
    if found.note:
        banner(found.note)
    return found.resized(image_size or found.images.shape[-1], channels or found.images.shape[1])


def noted(images: ImageSet, sentence: str) -> ImageSet:
    """The set with one more sentence in its note; itself for none."""
    return replace(images, note=f"{images.note} {sentence}".strip()) if sentence else images


def shadowed(name: str, what: str) -> str:
    """What to tell where a file or folder is called `name`, which means `what`; else ''."""
    there = at_home(name).exists()
    return f"'{name}' is {what}; for the folder or file of that name write ./{name}." if there else ""


def apart(name: str) -> str:
    """The name of somebody's own images: after ./ where a data set is called so, and nobody may take it for that."""
    return f"./{name}" if name in EMBEDDED or name in DOWNLOADED else name
