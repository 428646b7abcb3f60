"""A benchmark's lines: printed as they come, and kept in its file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def arguments(about: str, name: str, rounds: int, seconds: float) -> argparse.ArgumentParser:
    """The options that side-by-side timings share: rounds, seconds of each, and the file of results."""
    p = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=rounds)
    p.add_argument("--seconds", type=float, default=seconds)
    p.add_argument("--out", type=Path, default=RESULTS / name)
    return p


def reporter(out: Path) -> Callable[[str], None]:
    """A function that prints a line and rewrites the file with all lines so far, so that a stopped run leaves them."""
    lines: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return say
