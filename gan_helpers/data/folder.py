"""A folder or zip of the user's own images: any size and mode, decoded once, then mapped from disk."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ..console import bar
from ..environment import at_home, cache_dir
from ..errors import CourseError
from . import splits
from .cache import read_cache, write_cache
from .decoding import EXTENSIONS, FORMATS, VERSION, Opener, decode_many, reader, whites_of
from .images import ImageSet, check_shape
from .layout import Layout, layout_of, printable
from .listing import MAX_ENTRY, Listing, listing
from .sets import apart

FOLDERS = 3  # of what makes a folder's cache beyond decoding.VERSION


def open_folder(
    path: Path, image_size: int = 64, channels: int = 3, *, skip_broken: bool = False, split: str | None = None
) -> ImageSet:
    """A folder or zip of images: decoded the first time, then mapped from the cache.

    What its sub-folders mean, classes or splits, is told by `layout.layout_of`.

    Args:
        path: a folder or a zip file; a zip is read where it is, never unpacked to disk.
        image_size: side of the squares, in pixels.
        channels: 1 (grey) or 3 (RGB).
        skip_broken: leave out images that cannot be read instead of refusing the set.
        split: of `splits.SPLITS`, by the content of the files (see `splits.rows_of`); None for all.

    Raises:
        CourseError: missing, empty, a damaged or malicious zip, broken images (the others stay decoded in the cache),
            no image in this split, or no room for the cache.
    """
    path = at_home(path).resolve()
    check_shape(image_size, channels)
    with listing(path) as files:
        if not files.stamps:
            looked = f"Looked for: {', '.join(sorted(EXTENSIONS))}."
            raise CourseError(" ".join([f"No images in '{path}'.", *files.left_out(), looked]))
        layout = layout_of(sorted(files.stamps), files.open, path.name)
        images, table = decoded(path, files, layout, image_size, channels, by_role=split is not None)
    if len(table["broken"]) and not skip_broken:
        raise broken_images(path, table["broken"].tolist(), len(layout.names))
    labels, classes = None, ()
    if layout.labels is not None:  # a class without a readable image is none
        there, labels = np.unique(layout.labels[table["rows"]], return_inverse=True)
        classes = tuple(layout.classes[k] for k in there)
    notes = " ".join([*layout.notes, *notes_of(path.name, table, layout), *files.left_out()])
    name = apart(path.name if path.is_dir() else path.stem)
    whole = ImageSet(images, name, labels, classes, origin=str(path), licence="yours to know", note=notes)
    return whole if split is None else splits.part(whole, split, table["ranks"], table["roles"])


def open_as_it_is(path: Path, skip_broken: bool = False) -> ImageSet:
    """A folder or zip of generated images at their own size, in grey where all of them are grey.

    Raises:
        CourseError: as `open_folder`, and for images that are not all of one square size.
    """
    path = at_home(path).resolve()
    sizes, modes = {}, set()
    with listing(path) as files:
        for name in sorted(files.stamps):
            try:
                with files.open(name) as file, Image.open(file, formats=FORMATS) as image:  # its header only
                    sizes.setdefault(image.size, name)
                    modes.add(image.mode.partition(";")[0])
            except Exception:  # open_folder tells about broken ones
                continue
    if len(sizes) > 1 or any(width != height for width, height in sizes):
        told = [f"{printable(name)} is {width}x{height}" for (width, height), name in sizes.items()]
        raise CourseError(
            f"Generated images to score must be squares of one size; in '{path}' {' and '.join(told[:2])}. Make them "
            "alike first."
        )
    size = next(iter(sizes), (64, 64))[0]
    grey = modes and modes <= {"1", "L", "LA", "La", "I", "F"}
    return open_folder(path, size, 1 if grey else 3, skip_broken=skip_broken)


def decoded(
    path: Path, files: Listing, layout: Layout, image_size: int, channels: int, by_role: bool
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The readable images of a set, mapped from the cache, which is filled where there is none or the set has changed.

    Returns:
        uint8 (N, C, S, S) in the order of their names; `by_role` sorted by role before, so that a split is one stretch
        of the cache, and stays mapped.
        A table: `rows` int (N,), where each stands in `layout.names`; `ranks` (N,) and `roles` (N,), of `splits`;
        `broken` str (K, 2), name and reason of the others; `white_I`, `white_F`, `white_C`, of `whites_of`.
    """
    names, labels = layout.names, layout.labels
    which = short_digest(str(path), image_size, channels, by_role)
    told = [None if array is None else array.tolist() for array in (labels, layout.roles)]
    state = short_digest(FOLDERS, VERSION, names, told, sorted(files.stamps.items()))
    label = re.sub(r"[^A-Za-z0-9]+", "-", path.stem)[:40]
    title = f"{label}-{image_size}x{channels}-{which}"
    target = cache_dir() / "folders" / f"{title}-{state}"
    if found := read_cache(target):
        broken = found[1]["broken"][:, 0].tolist()
        unreadable = all(isinstance(image, str) for image in map(reader(files.open, image_size, channels), broken))
        if unreadable and len(found[0]) + len(broken) == len(names):  # it is whole, and nothing was repaired since
            return found
        del found  # Windows replaces no file that is mapped
    ranks = splits.ranks(contents(names, files.open))
    roles = splits.roles_of(ranks, labels) if layout.roles is None else layout.roles
    order = np.argsort(roles, kind="stable") if by_role else np.arange(len(names))
    whites = whites_of(sorted(files.stamps), files.open)
    table = {f"white_{mode}": np.array(white) for mode, white in whites.items()}

    def blocks() -> Iterator[np.ndarray]:
        broken: dict[str, str] = {}
        yield from decode_many([names[row] for row in order], reader(files.open, image_size, channels, whites), broken)
        if len(broken) == len(names):
            raise CourseError(f"None of the images in '{path}' can be read. {printable(names[0])}: {broken[names[0]]}")
        rows = order[[names[row] not in broken for row in order]]
        table.update(rows=rows, ranks=ranks[rows], roles=roles[rows])
        table["broken"] = np.array([*broken.items()], np.str_).reshape(-1, 2)

    write_cache(target, (len(names), channels, image_size, image_size), blocks(), table)
    for old in target.parent.glob(f"{title}-*"):  # the same set before it changed
        if not old.name.startswith(target.name):
            with contextlib.suppress(OSError):
                old.unlink()
    return read_cache(target)


def short_digest(*what: object) -> str:
    """12 hex digits that tell things apart, as part of a file's name."""
    return hashlib.sha256(repr(what).encode()).hexdigest()[:12]


def contents(names: list[str], opener: Opener) -> Iterator[bytes]:
    """Each file's bytes, or its name where it cannot be read: it is broken, then."""
    for name in bar(names, desc="reading images", unit="image", delay=3):
        try:
            with opener(name) as file:
                yield file.read(MAX_ENTRY)
        except Exception:  # zipfile and the disk raise several kinds
            yield name.encode("utf-8", "surrogateescape")


def broken_images(path: Path, broken: list[tuple[str, str]], count: int) -> CourseError:
    """What to tell of images that cannot be read: the first five by name."""
    listed = "".join(f"\n  {printable(name)}: {reason}" for name, reason in broken[:5])
    more = f"\n  and {len(broken) - 5:,} more" if len(broken) > 5 else ""
    return CourseError(
        f"{len(broken):,} of {count:,} images in '{path}' cannot be read:{listed}{more}\n"
        "Repair or remove them, or leave them out: skip_broken=True (on the command line --skip-broken)."
    )


def notes_of(title: str, table: dict[str, np.ndarray], layout: Layout) -> Iterator[str]:
    """What a person must know about how the images of a set were read."""
    for mode, kind in {"I": "whole numbers", "F": "floats"}.items():
        if (white := table.get(f"white_{mode}", 65535)) != 65535:
            yield f"Greys of {title} that are {kind} of over 8 bits: {white:g} is white in all of them."
    if (white := table.get("white_C", 65535)) < 65535:
        yield f"No 16-bit colour of {title} exceeds {white:g}: they come out nearly black. Save them with 8 bits."
    if broken := len(table["broken"]):
        yield f"{broken:,} broken image{'s' if broken > 1 else ''} left out of {title}."
    if layout.labels is not None and layout.roles is None:
        kept = (table["ranks"] >= splits.HELD_OUT) & (table["roles"] == "train")
        if small := {*layout.labels[table["rows"][kept]]}:
            yield f"All images of {len(small):,} small classes of {title} would be held out: one trains."
