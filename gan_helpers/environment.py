"""Where the course and its caches lie, and what environment variables ask of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKOUT = (ROOT / "pyproject.toml").exists()  # or else the package was installed from a wheel
DATA = ROOT / "data" if CHECKOUT else Path(__file__).with_name("_data")  # embedded sets, generators, networks
# What to do where one of them is missing or damaged; "" where git brings it back.
WITHOUT_DATA = "" if CHECKOUT else "Install the course's wheel again, with pip's --force-reinstall --no-deps."


def cache_dir() -> Path:
    """Where downloads and decoded images are kept: `$GAN_HELPERS_CACHE`, or `data/cache` in the course's folder.

    Where the course is installed without that folder, it is the user's cache folder.
    """
    named = os.environ.get("GAN_HELPERS_CACHE") or (DATA / "cache" if CHECKOUT else user_cache() / "gan-helpers")
    return Path(named).expanduser()


def user_cache() -> Path:
    """Where this system keeps what programs can make again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def at_home(name: str | Path) -> Path:
    """The path, with ~ for the home directory; a ~somebody who is not known here stays as it is."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def fast() -> bool:
    """Whether the environment variable GAN_COURSE_FAST asks for the shortest run."""
    return os.environ.get("GAN_COURSE_FAST", "0") not in ("", "0")
