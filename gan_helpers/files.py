"""Files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from .environment import cache_dir
from .errors import CourseError


def save_atomically(path: Path, write: Callable[[Path], object], size: int = 0) -> None:
    """`write(part)` fills a temporary file beside `path` (same suffix), which then takes its place in one move.

    It is forced to the disk before: a file that appears is whole, whatever happens to the machine. Several processes
    may write the same file at once.

    Args:
        path: the file; its folder is made where there is none.
        write: is given the temporary path, and fills it.
        size: bytes that must be free before; 0 where nobody knows.

    Raises:
        CourseError: the disk is full or not writable; what stood at `path` still does.
    """
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        need_room(path.parent, size)
        write(part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        move(part, path)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def save_text(path: Path, text: str) -> None:
    """A text as UTF-8, written as `save_atomically` does."""
    save_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


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


def need_room(folder: Path, size: int) -> None:
    """Raises OSError where fewer than `size` bytes are free on the disk of `folder`."""
    if size and (free := shutil.disk_usage(folder).free) < size:
        needed = f"the disk is full: {size / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB are free"
        raise OSError(errno.ENOSPC, needed)


def cannot_write(path: Path, error: OSError) -> CourseError:
    """What to tell a person when `path` cannot be written."""
    cached = path.absolute().is_relative_to(cache_dir().absolute())
    elsewhere = (
        "set the environment variable GAN_HELPERS_CACHE to another folder" if cached else "choose another folder"
    )
    return CourseError(
        f"{path} could not be written ({error.strerror or error}). Free some space or {elsewhere}; what was saved "
        "before is intact."
    )
