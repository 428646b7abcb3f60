"""Files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

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
