"""A folder or zip of the user's own images: any size and mode, decoded once, then mapped from disk.

Its parts serve the downloads too: `decode_many` decodes in parallel, `write_cache` and `read_cache` keep the result.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..console import bar
from ..environment import at_home, cache_dir
from ..errors import CourseError
from ..files import atomic
from . import apart
from .cache import read_cache, write_cache
from .decoding import EXTENSIONS, FORMATS, VERSION, Opener, Whites, attempt, decode_many, whites_of
from .images import ImageSet, check_shape, digest_of
from .layout import layout_of, printable
from .splits import HELD_OUT, held_out, rank, rows_of

MAX_ENTRY = 100 * 2**20  # bytes that one zip entry may unpack to
MAX_RATIO, MAX_SMALL = 200, 2**30  # the images of a zip may unpack to 200 times its size, or to 1 GB
JUNK = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "thumbs.db", "desktop.ini"}  # systems' own; in lower case
FOLDERS = 2  # of what makes a folder's cache beyond that


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
        split: of `data.SPLITS`, by the content of the files (see `data.rows_of`); None for all.

    Raises:
        CourseError: missing, empty, a damaged or malicious zip, broken images (the others stay decoded in the cache),
            or no room for the cache.
    """
    path = at_home(path).resolve()
    check_shape(image_size, channels)
    with contextlib.ExitStack() as stack:
        stamps, ignored, opener = _list_folder(path) if path.is_dir() else _list_zip(path, stack)
        others = ", ".join(f"{n:,} {kind}" for kind, n in sorted(ignored.items(), key=lambda item: (-item[1], item[0])))
        if not stamps:
            only = f" There are only: {others}." if others else ""
            raise CourseError(f"No images in '{path}'.{only} Looked for: {', '.join(sorted(EXTENSIONS))}.")
        layout = layout_of(sorted(stamps), opener, path.name)
        everything, labels, names, notes = layout.names, layout.labels, layout.names, [*layout.notes]
        content = {}  # name → what its bytes are
        if split:
            ranks, held = file_ranks(path, everything, stamps, opener), layout.held
            if held is None:
                held = held_out(ranks, labels)
                if kept := len({*labels[(ranks >= HELD_OUT) & ~held]} if labels is not None else ()):
                    notes.append(f"All images of {kept:,} small classes of {path.name} would be held out: one trains.")
            names = [name for name, mine in zip(everything, rows_of(split, ranks, held), strict=True) if mine]
            content = dict(zip(everything, ranks, strict=True))
        if not names:
            whole = {"train": ("all are", "train on"), "choose": ("all are", "choose by")}
            many, use = whole.get(split, ("none is", "score by"))
            raise CourseError(
                f"'{path}' has {len(everything):,} images, of which {many} held out (about one in ten is, by its "
                f"content): too few to {use}. Add images."
            )
        which = hashlib.sha256(repr((str(path), image_size, channels, split)).encode()).hexdigest()[:12]
        state = hashlib.sha256(repr((FOLDERS, VERSION, sorted(stamps.items()))).encode()).hexdigest()[:12]
        label = re.sub(r"[^A-Za-z0-9]+", "-", path.stem)[:40]
        target = cache_dir() / "folders" / f"{label}-{image_size}x{channels}-{which}-{state}"
        found = read_cache(target)
        if found is None or _outdated(*found, opener, len(names)):
            whites = whites_of(sorted(stamps), opener)
            arrays: dict[str, np.ndarray] = {f"white_{mode}": np.array(white) for mode, white in whites.items()}
            blocks = _decoded(names, opener, image_size, channels, path, arrays, whites)
            with contextlib.closing(blocks):
                write_cache(target, blocks, len(names), (channels, image_size, image_size), arrays)
            found = read_cache(target)
            for old in target.parent.glob(f"*-{which}-*.np[yz]"):  # the same set before it changed
                if not old.name.startswith(target.name):
                    with contextlib.suppress(OSError):
                        old.unlink()
    images, table = found
    broken = dict(table["broken"].tolist())
    if broken and not skip_broken:
        listed = "".join(f"\n  {printable(name)}: {reason}" for name, reason in islice(broken.items(), 5))
        more = f"\n  and {len(broken) - 5:,} more" if len(broken) > 5 else ""
        raise CourseError(
            f"{len(broken):,} of {len(names):,} images in '{path}' cannot be read:{listed}{more}\n"
            "Repair or remove them, or leave them out: skip_broken=True (on the command line --skip-broken)."
        )
    if labels is not None:
        of = dict(zip(everything, labels.tolist(), strict=True))
        there = sorted({k for name, k in of.items() if name not in broken})  # in both splits, which so have the same
        labels = np.searchsorted(there, [of[name] for name in names if name not in broken]).astype(np.int64)
    classes = tuple(layout.classes[k] for k in there) if labels is not None else ()
    for mode, kind in {"I": "whole numbers", "F": "floats"}.items():
        if (white := table.get(f"white_{mode}", 65535)) != 65535:
            notes.append(f"Greys of {path.name} that are {kind} of over 8 bits: {white:g} is white in all of them.")
    notes += [f"{len(broken):,} broken images left out of {path.name}."] if broken else []
    notes += [f"Not read in {path.name}, because they are no images: {others}."] if others else []
    title = apart(path.stem) if split in (None, "train") else f"{apart(path.stem)}-{split}"
    digest = digest_of(np.array([content[name] for name in names if name not in broken])) if content else ""
    card = {"origin": str(path), "licence": "yours to know", "note": " ".join(notes), "digest": digest}
    return ImageSet(images, title, labels, classes, **card)


def open_as_it_is(path: Path, skip_broken: bool = False) -> ImageSet:
    """A folder or zip of generated images at their own size, in grey where all of them are grey.

    Raises:
        CourseError: as `open_folder`, and for images that are not all of one square size.
    """
    path = at_home(path).resolve()
    with contextlib.ExitStack() as stack:
        stamps, _, opener = _list_folder(path) if path.is_dir() else _list_zip(path, stack)
        first, grey = None, True
        for name in sorted(stamps):
            try:
                with opener(name) as file, Image.open(file, formats=FORMATS) as image:  # its header only
                    size, grey = image.size, grey and image.mode.partition(";")[0] in ("1", "L", "LA", "La", "I", "F")
            except Exception:  # open_folder tells about broken ones
                continue
            first = first or (name, size)
            if size != first[1] or size[0] != size[1]:
                pair = dict([first, (name, size)]).items()
                told = " and ".join(f"{printable(n)} is {width}x{height}" for n, (width, height) in pair)
                raise CourseError(
                    f"Generated images to score must be squares of one size; in '{path}' {told}. Make them alike first."
                )
    return open_folder(path, first[1][0] if first else 64, 1 if grey and first else 3, skip_broken=skip_broken)


def file_ranks(path: Path, names: list[str], stamps: dict, opener: Opener) -> np.ndarray:
    """`data.rank` (N,) of each file's bytes, read once and kept in the cache until the files change.

    One that cannot be read ranks by its name: it is broken, and will be told as such. Then nothing is kept, for it may
    be readable the next time (permissions, a network disk).
    """
    unread = []

    def one(name: str) -> float:
        try:
            with opener(name) as file:
                return rank(file.read(MAX_ENTRY))
        except Exception:  # zipfile and the disk raise several kinds
            unread.append(name)
            return rank(name.encode("utf-8", "surrogateescape"))

    which = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    state = hashlib.sha256(repr([(name, stamps[name]) for name in names]).encode()).hexdigest()[:16]
    kept = cache_dir() / "folders" / f"ranks-{which}-{state}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        found = np.load(kept, allow_pickle=False)
        if found.shape == (len(names),):
            return found
    found = np.array([one(name) for name in bar(names, desc="reading images", unit="image", delay=3)])
    if not unread:
        with contextlib.suppress(CourseError), atomic(kept) as file:
            np.save(file, found)
        for old in kept.parent.glob(f"ranks-{which}-*.npy"):  # of the same set before it changed
            if old != kept:
                with contextlib.suppress(OSError):
                    old.unlink()
    return found


def _outdated(images: np.ndarray, table: dict[str, np.ndarray], opener: Opener, count: int) -> bool:
    """Whether a cache is damaged, or an image that could not be read can be read now (permissions, a network disk)."""
    _, channels, size, _ = images.shape
    again = (attempt(name, opener, size, channels) for name in table["broken"][:, 0])
    return len(images) + len(table["broken"]) != count or any(not isinstance(image, str) for image in again)


def _decoded(
    names: list[str], opener: Opener, image_size: int, channels: int, path: Path, arrays: dict, whites: Whites
) -> Iterator[np.ndarray]:
    """`decode_many`, then `arrays["broken"]`: str (K, 2), the name and the reason of each image that is left out."""
    broken: dict[str, str] = {}
    yield from decode_many(names, opener, image_size, channels, broken, whites)
    if len(broken) == len(names):
        raise CourseError(f"None of the images in '{path}' can be read. {printable(names[0])}: {broken[names[0]]}")
    arrays["broken"] = np.array(list(broken.items()), np.str_).reshape(-1, 2)


def _hidden(part: str) -> bool:
    """Whether a file or folder is hidden or a system's own, such as macOS' forks and a Synology's thumbnails."""
    return part.startswith(".") or part.lower() in JUNK


def _wanted(name: str, ignored: Counter) -> bool:
    """Whether a file inside the set is an image to read; other files are counted, hidden ones and a system's not."""
    if any(map(_hidden, name.split("/"))):
        return False
    kind = os.path.splitext(name)[1].lower()
    if kind not in EXTENSIONS and not name.endswith("dataset.json"):
        ignored[printable(kind) or "without extension"] += 1
    return kind in EXTENSIONS


def _list_folder(root: Path) -> tuple[dict[str, tuple], Counter, Opener]:
    """Images below a folder: name → (size, time of change); other files counted; how to open one.

    A link to a file is read, because somebody put it there; a link to a folder is not followed, because it may lead
    round in circles or out to a whole disk.
    """
    stamps, ignored, prefixes = {}, Counter(), [""]
    while prefixes:
        prefix = prefixes.pop()
        try:
            for entry in os.scandir(root / prefix):
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    prefixes += [] if _hidden(entry.name) else [name + "/"]
                elif entry.is_dir():
                    ignored["links to folders"] += 1
                elif entry.is_file() and _wanted(name, ignored):
                    stamps[name] = (entry.stat().st_size, entry.stat().st_mtime_ns)
        except OSError as error:
            raise CourseError(f"'{printable(str(root / prefix))}' cannot be read: {error.strerror}.") from error
    return stamps, ignored, lambda name: open(root / name, "rb")  # noqa: SIM115


def _list_zip(path: Path, stack: contextlib.ExitStack) -> tuple[dict[str, tuple], Counter, Opener]:
    """Images in a zip: name → (size, CRC); other files counted; how to open one, while `stack` is open.

    Raises:
        CourseError: no zip, or damaged; an entry points outside, is encrypted, or unpacks to an absurd size.
    """
    if not path.exists():
        raise CourseError(f"There is no folder or zip file '{path}'.")
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except Exception as error:  # zipfile raises several kinds for damaged files
        raise CourseError(f"'{path}' is no folder and no whole zip file ({error}). Fetch or pack it again.") from error
    stamps, ignored, total, entries = {}, Counter(), 0, {}
    for info in archive.infolist():
        name, trouble = _entry_name(info), ""
        if info.filename.startswith(("/", "\\")) or re.match("[A-Za-z]:", info.filename) or ".." in name.split("/"):
            trouble = "points outside the archive"
        elif stat.S_ISLNK(info.external_attr >> 16):
            ignored["links"] += 1
        elif not info.filename.endswith(("/", "\\")) and _wanted(name, ignored):
            stamps[name], total, entries[name] = (info.file_size, info.CRC), total + info.file_size, info
            if info.flag_bits & 1:
                trouble = "is encrypted. Unpack the zip yourself and give the folder"
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                trouble = "is compressed in an unusual way. Unpack the zip yourself and give the folder"
            elif info.file_size > MAX_ENTRY:
                trouble = f"would unpack to {info.file_size / 1e6:,.0f} MB, more than {MAX_ENTRY / 1e6:,.0f}"
        if trouble:
            raise CourseError(f"'{path}' is refused: its entry '{printable(info.filename)}' {trouble}.")
    if total > max(MAX_SMALL, MAX_RATIO * path.stat().st_size):
        raise CourseError(f"'{path}' is refused: its images would unpack to {total / 1e9:,.1f} GB.")
    opener = zip_opener(archive)
    return stamps, ignored, lambda name: opener(entries.get(name, name))


def _entry_name(info: zipfile.ZipInfo) -> str:
    """A zip entry's name as `folder/file`: Windows tools write backslashes, others `./`, macOS UTF-8 without saying."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return "/".join(part for part in re.split(r"[/\\]", name) if part not in ("", "."))


def zip_opener(archive: zipfile.ZipFile) -> Callable[[str | zipfile.ZipInfo], BinaryIO]:
    """Opens entries in memory; never unpacks more of one than its directory declares, whatever the data hold."""

    def opener(entry: str | zipfile.ZipInfo) -> BinaryIO:
        info = archive.getinfo(entry) if isinstance(entry, str) else entry
        with archive.open(info) as file:
            return BytesIO(file.read(min(info.file_size, MAX_ENTRY)))

    return opener
