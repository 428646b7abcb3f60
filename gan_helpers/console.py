"""What a run tells the person: lines and progress bars that never end it, whatever screen there is, or none."""

from __future__ import annotations

import contextlib
import functools
import io
import sys

MINUTE = 60.0  # seconds between two lines of a bar where nobody watches


def say(text: str) -> None:
    """Print a line; letters that the screen cannot show become '?', and a screen that is gone is no error."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with contextlib.suppress(OSError, ValueError):
        print(text.encode(encoding, "replace").decode(encoding))


class Lines(io.StringIO):
    """A file for a bar where stderr is no terminal: each state is a line of its own, instead of over the last one."""

    def write(self, text: str) -> int:
        if text.strip():
            with contextlib.suppress(OSError, ValueError):
                print(text.strip(), file=sys.stderr, flush=True)
        return len(text)


def bar(*args, **options):
    """A tqdm bar in a terminal or a notebook; a line a minute in a log; nothing where there is no stderr."""
    from tqdm import auto, std

    in_notebook, watched = auto.notebook_tqdm is not std.tqdm, None
    with contextlib.suppress(AttributeError, ValueError):  # no stderr at all, or a closed one
        watched = sys.stderr.isatty()
    if watched is None:
        options["disable"] = True
    elif not (in_notebook or watched):
        options |= {"file": Lines(), "ascii": True, "ncols": 100}
        options |= dict.fromkeys(("delay", "mininterval", "maxinterval"), MINUTE)
    return auto.tqdm(*args, **options)


@functools.cache
def say_once(text: str) -> None:
    """`say`, but only the first time in a process that there is this to tell."""
    say(text)


def banner(text: str) -> None:
    """Print a line that cannot be overlooked."""
    say(f"{'!' * 8} {text} {'!' * 8}")
