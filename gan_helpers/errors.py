"""The one exception that the helpers raise on purpose, and words that reach every terminal."""

import difflib
import re
import sys
from collections.abc import Iterable


class CourseError(Exception):
    """Something a person can put right: the message says what is wrong, where, and what to do.

    The command line prints it without a traceback; a notebook shows it as the last line.
    """


def nearest(word: str, words: Iterable[str]) -> str:
    """' Did you mean …?' for the closest of `words`, or nothing."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def speak_anyway() -> None:
    """From here on a letter that the terminal lacks is printed as ?, where it would end the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not in a notebook, or where there is none
            stream.reconfigure(errors="replace")


def out_of_memory(error: BaseException) -> bool:
    """Whether the machine or the GPU has too little memory; PyTorch says so in a RuntimeError, in several words."""
    words = r"out of memory|can't allocate memory|not enough memory|ALLOC_FAILED"
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(re.search(words, str(error))))


def in_one_line(error: Exception) -> str | None:
    """What to tell a person of an error that they can put right; None of one that is a fault of the course."""
    if isinstance(error, (CourseError, OSError)):
        return str(error)
    if out_of_memory(error):
        return "There is not enough memory: ask for fewer or smaller images, or end other programs."
    if isinstance(error, ModuleNotFoundError):
        return f"The package '{error.name}' is missing: pip install {error.name}, or install the course again."
    if isinstance(error, ImportError):
        return f"A package cannot be imported ({error}): install the course again."
    if isinstance(error, UnicodeError):
        return f"Some letters cannot be read or shown ({error}): set the environment variable PYTHONUTF8=1."
    return None
