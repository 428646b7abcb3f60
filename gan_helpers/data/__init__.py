"""Every source of images as one `ImageSet`: uint8 pixels, labels, attributes, and where they came from.

To add a data set with a name, write one function in `sets`. What the other modules do, from the file to the set:
`download` fetches a file, `listing` finds the images in a folder or zip, `layout` tells what its sub-folders mean,
`decoding` makes pixels of image files, `cache` keeps these on the disk, `folder` does all of that for own images,
`splits` tells which images train, choose and report, and `images` holds `ImageSet`, which all of them lead to.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..console import banner, say
from ..environment import at_home
from ..errors import CourseError, nearest
from .images import ImageSet, check_shape
from .sets import SETS, Downloaded, Embedded, apart
from .splits import SPLITS

EMBEDDED = {name: found.about for name, found in SETS.items() if isinstance(found, Embedded)}
DOWNLOADED = {name: found.about for name, found in SETS.items() if isinstance(found, Downloaded)}

__all__ = ["DOWNLOADED", "EMBEDDED", "SETS", "ImageSet", "apart", "load", "shadowed"]


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
        source: a name in `SETS`, or a path. A name goes before a folder that is called so, whose path is `./name`, or a
            `Path`.
        image_size: side in pixels; None keeps the set's own (64 for a folder).
        channels: 1 or 3; None keeps the set's own (3 for a folder).
        fallback: an embedded set to use, with a visible banner, where a download fails.
        skip_broken: leave out images of a folder that cannot be read, and say how many.
        split: 'train', or 'held-out', which no training sees: the official test split, every tenth image of an embedded
            set, and of a folder its folder `test`, or about a tenth, by content (see `splits.rows_of`). 'choose' and
            'report' are for scores: what is chosen by one is reported by the other.

    Raises:
        CourseError: unknown name or split, a shape that no image has, unreadable folder, or failed download without a
            fallback.
    """
    name = str(source)
    check_shape(image_size, channels)
    if split not in SPLITS:
        raise CourseError(f"There is no split '{split}'.{nearest(split, SPLITS)} Splits: {', '.join(SPLITS)}.")
    if source in SETS:
        found = by_name(name, split, fallback)
    elif name and (path := at_home(name)).exists():
        from .folder import open_folder

        found = open_folder(path, image_size or 64, channels or 3, skip_broken=skip_broken, split=split)
    else:
        raise CourseError(
            f"No data set or folder '{name}'.{nearest(name, SETS)} Data sets: {', '.join(SETS)}; or give a path to a "
            "folder or zip of images."
        )
    if found.note:
        banner(found.note)
    return found.resized(image_size or found.images.shape[-1], channels or found.images.shape[1])


def by_name(name: str, split: str, fallback: str | None) -> ImageSet:
    """A split of a set of `SETS`, or of `fallback` where it cannot be downloaded; raises CourseError."""
    try:
        found = SETS[name].open(split)
    except CourseError as error:
        if fallback is None or name in EMBEDDED:
            raise
        say(str(error))
        stand_in = SETS[fallback].open(split)
        return replace(stand_in, note=f"{name} could not be downloaded: this is the embedded set '{fallback}'.")
    return replace(found, note=shadowed(name, "a data set of the course"))


def shadowed(name: str, what: str) -> str:
    """What to tell where a file or folder is called `name`, which means `what`; else ''."""
    there = at_home(name).exists()
    return f"'{name}' is {what}; for the folder or file of that name write ./{name}." if there else ""
