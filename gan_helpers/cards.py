"""What a trained file tells of itself: texts in its header, a card in Markdown beside it. Nothing here needs torch."""

from __future__ import annotations

import contextlib
from pathlib import Path

import safetensors

from .errors import CourseError
from .files import save_text


def shipped(folder: Path) -> dict[str, Path]:
    """The trained files in a folder: name → file."""
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


@contextlib.contextmanager
def reading(path: Path, framework: str = "np"):
    """Inside, an open safetensors file, as long as its header says. Nothing is unpickled.

    Raises:
        CourseError: a missing, truncated or foreign file; the message names it.
    """
    try:
        with safetensors.safe_open(path, framework) as file:
            yield file
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CourseError(f"{path} is damaged or is no safetensors file ({error}).") from None


def header(path: Path) -> dict[str, str]:
    """The texts in a safetensors file's header.

    Raises:
        CourseError: as `reading`.
    """
    with reading(path) as file:
        return file.metadata() or {}


def card_path(path: Path) -> Path:
    """Where the card of a trained file lies: `NAME.md` beside it.

    Raises:
        CourseError: the trained file is new, and another text is called so already.
    """
    card = path.with_suffix(".md")
    if card.exists() and not path.exists():
        raise CourseError(f"{card} is there and no card of {path.name}: choose another name.")
    return card


def write_card(path: Path, about: str, rows: dict[str, object]) -> None:
    """Write the card of a trained file: its name, a sentence about it ("" for none), and a table.

    Args:
        rows: label → text, number, or a dict of settings; an underscore in a label becomes a space.

    Raises:
        CourseError: as `card_path`, or the disk is full.
    """
    lines = [f"# {path.stem}", "", *([f"{about}.", ""] if about else []), "| | |", "|---|---|"]
    for label, value in rows.items():
        if isinstance(value, dict):
            value = ", ".join(f"`{key}={setting}`" for key, setting in value.items()) or "none"
        lines.append(f"| {label.replace('_', ' ')} | {f'{value:,}' if isinstance(value, int) else value} |")
    save_text(card_path(path), "\n".join(lines) + "\n")
