"""One file from the first address that delivers it: taken up again after a cut, and never taken half or changed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import lock_descriptor

from ..console import bar
from ..errors import CourseError
from ..files import cannot_write, move, need_room

TIMEOUT, PAUSE, TRIES = 30, 2, 20  # seconds without an answer, seconds before going on after a cut, cuts borne
LOCAL = errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR  # not the net


def fetch(urls: list[str], path: Path, checksum: str, hint: str = "") -> Path:
    """Download to `path` from the first address that delivers the right checksum (MD5 or SHA-256, in hex).

    What is there already stays. The bytes go to `path`.part, which is continued after an interruption, and moved into
    place once checked.

    Raises:
        CourseError: no address delivered (each is named with its reason, then `hint`), or the disk is full.
    """
    if whole(path, checksum):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.parent / ".lock", "ab") as lock:
            with contextlib.suppress(OSError):  # a disk that knows no locks
                lock_descriptor(lock.fileno())  # waits while another process fetches into this folder
            if whole(path, checksum):
                return path
            reasons = [f"{path}: it is there, but its checksum is wrong"] if path.exists() else []
            for url in urls:
                if not (reason := attempt(url, path, checksum)):
                    return path
                reasons.append(f"{url}: {reason}")
    except OSError as error:
        raise cannot_write(path, error) from error
    listed = "".join(f"\n  {reason}" for reason in reasons)
    raise CourseError(f"{path.name} could not be downloaded.{listed}\n{hint}".rstrip())


def attempt(url: str, path: Path, checksum: str) -> str:
    """Fetch `path` from one address: why that failed, or "" when it is there; raises OSError for a full disk."""
    part, reason = path.with_name(path.name + ".part"), ""
    for _ in range(TRIES):
        before = part.stat().st_size if part.exists() else 0
        try:
            stream(url, part, before)
        except (OSError, HTTPException) as error:
            if getattr(error, "errno", None) in LOCAL:
                raise
            reason = str(error) or type(error).__name__
            if not part.exists() or part.stat().st_size <= before:
                break  # nothing came; otherwise the connection was cut, and goes on from there
            time.sleep(PAUSE)
            continue
        if whole(part, checksum):
            move(part, path)
            return ""
        part.unlink()
        reason = "the file has a wrong checksum"
        if before == 0:
            break  # all of it came from here; otherwise what was continued may be at fault
    return reason


def stream(url: str, part: Path, start: int) -> None:
    """Append what is missing after `start` bytes to `part`, or all of it where the server cannot continue.

    Raises:
        OSError, HTTPException: nothing or not all of it came, or it cannot be written.
    """
    request = Request(url, headers={"User-Agent": "gan-helpers", **({"Range": f"bytes={start}-"} if start else {})})
    try:
        answer = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416:  # there is nothing after `start`: whether `part` is whole, its checksum tells
            return
        raise
    with answer:
        if answer.headers.get_content_type() == "text/html":
            raise OSError("a web page came instead of the file (from Google Drive: its quota is exceeded)")
        start = start if answer.status == 206 else 0
        if start and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise OSError("the server sent another part of the file than was asked for")
        total = start + int(answer.headers.get("Content-Length") or 0)
        need_room(part.parent, total - start)
        options = {"unit": "B", "unit_scale": True, "desc": part.stem, "mininterval": 0.5}
        progress = bar(total=total or None, initial=start, **options)
        with open(part, "ab" if start else "wb") as file, progress:
            while block := answer.read(2**18):
                file.write(block)
                progress.update(len(block))
            if file.tell() < total:
                raise OSError(f"the connection was cut after {file.tell():,} of {total:,} bytes")


def whole(path: Path, checksum: str) -> bool:
    """Whether a file is there and has this checksum, in hex."""
    if not path.exists():
        return False
    digest = hashlib.md5(usedforsecurity=False) if len(checksum) == 32 else hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest() == checksum
