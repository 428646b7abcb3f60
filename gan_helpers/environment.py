"""Where the course and its caches lie, and what environment variables ask of it."""

from __future__ import annotations

import os
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
    if named := os.environ.get("GAN_HELPERS_CACHE"):
        return at_home(named)
    if CHECKOUT:
        return DATA / "cache"
    from platformdirs import user_cache_path

    return user_cache_path("gan-helpers", appauthor=False, opinion=False)


def at_home(name: str | Path) -> Path:
    """The path, with ~ for the home directory; a ~somebody who is not known here stays as it is."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def fast() -> bool:
    """Whether the environment variable GAN_COURSE_FAST asks for the shortest run."""
    return os.environ.get("GAN_COURSE_FAST", "0") not in ("", "0")
