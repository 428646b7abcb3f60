"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .errors import CourseError


def move(part: Path, path: Path) -> None:
    """Put a finished file in its place in one move. Windows refuses while another program reads it: try for a second.

    Raises:
        OSError: the place cannot be written.
    """
    for _ in range(5):
        try:
            return os.replace(part, path)
        except PermissionError:
            time.sleep(0.2)
    os.replace(part, path)


def save_atomically(path: Path, write) -> None:
    """`write(part)` fills a temporary file beside `path` (same suffix), which then takes its place in one move.

    Raises:
        CourseError: the disk is full or not writable; what stood at `path` still does.
    """
    part = path.with_name(f".part-{path.name}")
    try:
        write(part)
        move(part, path)
    except OSError as error:
        raise CourseError(f"{path} could not be written ({error.strerror or error}).") from None
    finally:
        part.unlink(missing_ok=True)
