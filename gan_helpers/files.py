"""Files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import CourseError


def move(part: Path, path: Path) -> None:
    """Put a finished file in its place in one move. Windows refuses while another program reads it: try for a second.

    The folder is forced to the disk, too: after a power cut the move has happened, in the order of the calls.

    Raises:
        OSError: the place cannot be written.
    """
    for attempt in range(6):
        try:
            os.replace(part, path)
            break
        except PermissionError:
            if attempt == 5:
                raise
            time.sleep(0.2)
    with contextlib.suppress(OSError):  # Windows opens no folder, and some network disks force none
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def save_atomically(path: Path, write) -> None:
    """`write(part)` fills a temporary file beside `path` (same suffix), which then takes its place in one move.

    It is forced to the disk before: a file that appears is whole, whatever happens to the machine.

    Raises:
        CourseError: the disk is full or not writable; what stood at `path` still does.
    """
    part = path.with_name(f".part-{path.name}")
    try:
        write(part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        move(part, path)
    except OSError as error:
        raise CourseError(
            f"{path} could not be written ({error.strerror or error}). Free some space or choose another folder; "
            "what was saved before is intact."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def save_text(path: Path, text: str) -> None:
    """A text as UTF-8, written as `save_atomically` does."""
    save_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


@contextlib.contextmanager
def atomic(path: Path, size: int = 0) -> Iterator[BinaryIO]:
    """A file to write, which appears at `path` complete or not at all.

    Raises:
        CourseError: fewer than `size` bytes are free, the disk fills up, or the place cannot be written.
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob("*.tmp"):
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > 86400:  # left by a process that was killed
                    old.unlink()
        if shutil.disk_usage(path.parent).free < size:
            raise OSError(errno.ENOSPC, "too little room")
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        move(part, path)
    except OSError as error:
        raise cannot_write(path.parent, error, size) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def cannot_write(place: Path, error: OSError, size: int = 0) -> CourseError:
    """What to tell a person when `size` bytes cannot be written to the cache at `place`."""
    elsewhere = "or keep the cache elsewhere: set the environment variable GAN_HELPERS_CACHE to another folder"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return CourseError(f"Cannot write to '{place}' ({error}). Make it writable, {elsewhere}.")
    free = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free
    want = f"{size / 1e6:,.1f} MB are needed, " if size else ""
    return CourseError(f"The disk of '{place}' is full: {want}{free / 1e6:,.1f} MB are free. Make room, {elsewhere}.")
