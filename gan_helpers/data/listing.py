"""The image files in a folder or zip: what they are called, whether they changed, and how to open one."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from ..errors import CourseError
from .decoding import EXTENSIONS, Opener
from .layout import printable

MAX_ENTRY = 100 * 2**20  # bytes that one zip entry may unpack to
MAX_RATIO, MAX_SMALL = 200, 2**30  # the images of a zip may unpack to 200 times its size, or to 1 GB
JUNK = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "thumbs.db", "desktop.ini"}  # systems' own; in lower case
PHOTOS = {".heic", ".heif", ".hif", ".avif"}  # are photos, even where this Pillow cannot read them
CONVERT = (
    "Convert them to JPEG, for example with ImageMagick: magick mogrify -format jpg *.heic (on a Mac: "
    "mkdir jpg && sips -s format jpeg *.heic --out jpg)."
)


@dataclass
class Listing:
    """The files of a set.

    Attributes:
        stamps: name of an image (`folder/file`) → what changes when it does: its size and time, in a zip size and CRC.
        others: kind of what is left out → names. Hidden files and a system's own are not even counted.
        open: name → the file, opened; also of files that are no images.
    """

    open: Opener
    stamps: dict[str, tuple[int, int]] = field(default_factory=dict)
    others: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def wants(self, name: str) -> bool:
        """Whether a file is an image to read; if not, it is kept in `others`."""
        if any(map(hidden, name.split("/"))):
            return False
        kind = os.path.splitext(name)[1].lower()
        if kind not in EXTENSIONS and not name.endswith("dataset.json"):
            self.others[printable(kind) or "without extension"].append(name)
        return kind in EXTENSIONS

    def left_out(self) -> list[str]:
        """What is not read, the most frequent first, and how to convert photos among it, in sentences."""
        counts = {kind: len(names) for kind, names in self.others.items()}
        kinds = sorted(counts, key=lambda kind: (-counts[kind], kind))
        told = [f"Not read: {', '.join(f'{counts[kind]:,} {kind}' for kind in kinds)}."] if kinds else []
        photos = [printable(name) for kind in kinds if kind in PHOTOS for name in sorted(self.others[kind])]
        if photos:
            more = f" and {len(photos) - 3:,} more" if len(photos) > 3 else ""
            told.append(f"This Pillow cannot read {', '.join(photos[:3])}{more}. {CONVERT}")
        return told


@contextlib.contextmanager
def listing(path: Path) -> Iterator[Listing]:
    """The images in a folder or zip, which can be opened as long as the context lasts. A zip is never unpacked to disk.

    Raises:
        CourseError: neither, or damaged, or a zip with an entry that points outside, is encrypted or absurdly large.
    """
    if path.is_dir():
        yield list_folder(path)
        return
    if not path.exists():
        raise CourseError(f"There is no folder or zip file '{path}'.")
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises several kinds for damaged files
        raise CourseError(f"'{path}' is no folder and no whole zip file ({error}). Fetch or pack it again.") from error
    with archive:
        yield list_zip(path, archive)


def list_folder(root: Path) -> Listing:
    """The images below a folder.

    A link to a file is read, because somebody put it there; a link to a folder is not followed, because it may lead
    round in circles or out to a whole disk.
    """

    def refuse(error: OSError) -> None:
        raise CourseError(f"'{printable(str(error.filename))}' cannot be read: {error.strerror}.") from error

    found = Listing(lambda name: open(root / name, "rb"))  # noqa: SIM115 (whoever asks closes it)
    for place, folders, files in os.walk(root, onerror=refuse):
        for name in folders:
            if os.path.islink(os.path.join(place, name)):
                found.others["links to folders"].append(name)
        folders[:] = [name for name in folders if not hidden(name)]  # the others are not entered
        below = "".join(f"{part}/" for part in Path(place).relative_to(root).parts)
        for file in files:
            try:
                about = os.stat(os.path.join(place, file))
            except FileNotFoundError:  # a link to nowhere
                continue
            except OSError as error:
                refuse(error)
            if stat.S_ISREG(about.st_mode) and found.wants(below + file):
                found.stamps[below + file] = about.st_size, about.st_mtime_ns
    return found


def list_zip(path: Path, archive: zipfile.ZipFile) -> Listing:
    """The images in a zip; raises CourseError as `listing` says."""
    entries = {}  # name → entry
    found = Listing(lambda name: open_entry(archive, entries.get(name) or archive.getinfo(name)))
    for info in archive.infolist():
        name, trouble = entry_name(info), ""
        if info.filename.startswith(("/", "\\")) or re.match("[A-Za-z]:", info.filename) or ".." in name.split("/"):
            trouble = "points outside the archive"
        elif stat.S_ISLNK(info.external_attr >> 16):
            found.others["links"].append(name)
        elif not info.filename.endswith(("/", "\\")) and found.wants(name):
            found.stamps[name], entries[name] = (info.file_size, info.CRC), info
            if info.flag_bits & 1:
                trouble = "is encrypted. Unpack the zip yourself and give the folder"
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                trouble = "is compressed in an unusual way. Unpack the zip yourself and give the folder"
            elif info.file_size > MAX_ENTRY:
                trouble = f"would unpack to {info.file_size / 1e6:,.0f} MB, more than {MAX_ENTRY / 1e6:,.0f}"
        if trouble:
            raise CourseError(f"'{path}' is refused: its entry '{printable(info.filename)}' {trouble}.")
    total = sum(size for size, _ in found.stamps.values())
    if total > max(MAX_SMALL, MAX_RATIO * path.stat().st_size):
        raise CourseError(f"'{path}' is refused: its images would unpack to {total / 1e9:,.1f} GB.")
    return found


def entry_name(info: zipfile.ZipInfo) -> str:
    """A zip entry's name as `folder/file`: Windows tools write backslashes, others `./`, macOS UTF-8 without saying."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return "/".join(part for part in re.split(r"[/\\]", name) if part not in ("", "."))


def open_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BytesIO:
    """An entry, in memory; never more of it than its directory declares, whatever the data hold."""
    with archive.open(info) as file:
        return BytesIO(file.read(min(info.file_size, MAX_ENTRY)))


def hidden(part: str) -> bool:
    """Whether a file or folder is hidden or a system's own, such as macOS' forks and a Synology's thumbnails."""
    return part.startswith(".") or part.lower() in JUNK
