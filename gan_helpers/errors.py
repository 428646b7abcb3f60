"""The one exception that the helpers raise on purpose, and words that reach every terminal."""

import difflib
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
