"""Exercises that check themselves: `check("01.3", my_answer)`, `hint("01.3")`, `solution("01.3")`.

The exercises of notebook XX stand in `nbXX.py` beside this file: a check is a function under `@exercise(…)` that gets
the learner's answer, raises `Wrong("what is wrong, in plain words")`, or returns a line of praise and insight.
"""

from __future__ import annotations

import dis
import functools
import importlib
import inspect
import linecache
import pkgutil
import site
import sysconfig
import textwrap
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ...errors import CourseError, nearest

PACKAGE = __name__.partition(".")[0]  # frames of these two are not the learner's
LIBRARY = (sysconfig.get_path("stdlib"), *site.getsitepackages())


class Wrong(Exception):
    """The answer is wrong; the message tells the learner what, without giving the solution away."""


class NotAttempted(Exception):
    """The answer is still blank."""


class Outcome(NamedTuple):
    """What a check found: state 'not attempted', 'right' or 'wrong', and the line for the learner."""

    state: str
    message: str


BLANK = Outcome("not attempted", "not attempted yet. Replace the ... and run the cell again.")


@dataclass
class Exercise:
    """One exercise; `shown` counts the hints given so far."""

    id: str
    title: str
    judge: Callable[[Any], str | None]
    hints: list[str]
    solution: Callable | str
    shown: int = 0


REGISTRY: dict[str, Exercise] = {}


def exercise(id: str, title: str, *, hints: list[str], solution: Callable | str):
    """Make the decorated check exercise `id`; `solution` is a function or class whose source is shown, or text."""

    def register(judge: Callable[[Any], str | None]):
        REGISTRY[id] = Exercise(id, title, judge, hints, solution)
        return judge

    return register


def find(id: str) -> Exercise:
    """The exercise of that id, loading its notebook's module on demand.

    Raises:
        CourseError: there is none; the message names the nearest.
    """
    modules = [m.name for m in pkgutil.iter_modules(__path__) if m.name.startswith("nb")]
    own = f"nb{str(id).partition('.')[0]}"
    for name in [own] if own in modules else modules:
        importlib.import_module(f"{__name__}.{name}")
    if id not in REGISTRY:
        raise CourseError(f"There is no exercise {id!r}.{nearest(str(id), REGISTRY)}")
    return REGISTRY[id]


def is_blank(function: Callable) -> bool:
    """Whether a function's (or a net's `forward`'s) body does nothing at all: `...`, `pass` or a docstring."""
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    code = getattr(getattr(function, "forward", function), "__code__", None)
    steps = dis.get_instructions(code) if code is not None else [None]
    return all(s and s.opname in idle and ("CONST" not in s.opname or s.argval in (None, ...)) for s in steps)


def call(function: Callable, *args, **kwargs):
    """`function(*args, **kwargs)`, where a blank result raises `NotAttempted`, and a result that got lost `Wrong`."""
    result = function(*args, **kwargs)
    if result is ... or (result is None and is_blank(function)):
        raise NotAttempted
    if result is None:
        raise Wrong(f"{getattr(function, '__name__', type(function).__name__)} returns None: is a `return` missing?")
    return result


def guarded(answer: Any) -> Any:
    """The answer as a check gets it: functions by way of `call`.

    Raises:
        NotAttempted: it is None, `...`, a blank function, or a collection with a `...` in it.
    """
    parts = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, (list, tuple)) else [answer]
    if answer is None or any(part is ... for part in parts):
        raise NotAttempted
    if not inspect.isroutine(answer):
        return answer
    if is_blank(answer):
        raise NotAttempted
    return functools.wraps(answer)(lambda *args, **kwargs: call(answer, *args, **kwargs))


def explain(error: BaseException, judge: Callable) -> str:
    """What was raised, and on which line of the learner's code: the innermost frame of neither package nor library."""
    what = f"{type(error).__name__}: {error}".strip().rstrip(":").splitlines()[0].rstrip(".")
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module, file = frame.f_globals.get("__name__", ""), frame.f_code.co_filename
        if module.startswith(PACKAGE) or file.startswith(LIBRARY) or frame.f_code is judge.__code__:
            continue
        text = linecache.getline(file, line).strip()
        return f"{what}, raised on line {line} of your code" + (f": `{text}`" if text else ".")
    return f"the check can't use this answer ({what}). Does it have the form that the exercise asks for?"


def grade(id: str, answer: Any = ...) -> Outcome:
    """State and message of an answer, without printing. Torch's CPU random numbers are seeded for it, then put back.

    Raises:
        CourseError: no such exercise.
    """
    task = find(id)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(0)
            return Outcome("right", task.judge(guarded(answer)) or "Right.")
    except (NotAttempted, NotImplementedError):
        return BLANK
    except Wrong as error:
        return Outcome("wrong", str(error))
    except (Exception, SystemExit) as error:  # a ... left between the learner's lines names itself in Python's message
        return BLANK if "ellipsis" in str(error).lower() else Outcome("wrong", explain(error, task.judge))


def prints_course_errors(function: Callable) -> Callable:
    """Turn a `CourseError`, for example an unknown id, into a printed line."""

    @functools.wraps(function)
    def printing(*args, **kwargs) -> None:
        try:
            function(*args, **kwargs)
        except CourseError as error:
            print(error)

    return printing


@prints_course_errors
def check(id: str, answer: Any = ...) -> None:
    """Print whether the answer is right, and if not, what is wrong with it. Never raises."""
    outcome = grade(id, answer)
    if outcome is BLANK:
        print(f"Exercise {id}: {BLANK.message}")
    elif outcome.state == "right":
        print(f"✓ Exercise {id}, {find(id).title}: {outcome.message}")
    else:
        print(f'✗ Exercise {id}, {find(id).title}: {outcome.message}\n  For a hint: hint("{id}")')


@prints_course_errors
def hint(id: str) -> None:
    """Print the exercise's next hint."""
    task = find(id)
    if task.shown == len(task.hints):
        print(f'No more hints for exercise {id}. solution("{id}") shows one way.')
        return
    task.shown += 1
    print(f"Hint {task.shown} of {len(task.hints)}: {task.hints[task.shown - 1]}")


@prints_course_errors
def solution(id: str) -> None:
    """Print the source of one solution."""
    shown = find(id).solution
    print(textwrap.dedent(shown if isinstance(shown, str) else inspect.getsource(shown)).strip())
