"""Options that check themselves: default, meaning and what is allowed, declared in one line each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar

from .errors import CourseError, nearest

WANTED = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
WORDS = {"true": True, "1": True, "false": False, "0": False}


def option(default, about: str, *, low=None, high=None, choices: tuple = (), kind: type | None = None):
    """A field of an `Options` class.

    Args:
        default: its value where none is given. Its type is that of the option, unless it is None.
        about: what the option does, for a person.
        low, high: the least and the greatest number, both allowed.
        choices: all values that are allowed, where these are few.
        kind: int, float, bool or str, for an option that is None by default and may be set to None.
    """
    return field(default=default, metadata=dict(about=about, low=low, high=high, choices=choices, kind=kind))


@dataclass(frozen=True)
class Options:
    """A frozen dataclass whose fields are options. Making one converts and checks every value.

    Raises:
        CourseError: a value of the wrong kind, out of range, or none of the choices; the message names the option.
    """

    PREFIX: ClassVar[str] = ""  # before the names of its options in messages

    def __post_init__(self) -> None:
        for f in fields(self):
            if f.metadata:
                object.__setattr__(self, f.name, checked(f, getattr(self, f.name), self.PREFIX + f.name))

    def but(self, **changes) -> Options:
        """A copy with some options changed.

        Raises:
            CourseError: an option that there is not (the nearest is suggested, and all are listed), or a bad value.
        """
        names = [self.PREFIX + f.name for f in fields(self)]
        for name in (self.PREFIX + key for key in changes):
            if name not in names:
                raise CourseError(
                    f"There is no option '{name}' here.{nearest(name, names)} Options: {', '.join(names)}."
                )
        return replace(self, **changes)


def checked(f: dataclasses.Field, value, name: str):
    """`value` as the option `f` takes it, called `name` in messages; text, as it comes from a command line, is read.

    Raises:
        CourseError: it cannot be read so, or is not allowed.
    """
    rule = f.metadata
    if rule["kind"] and value in (None, "none", "None", ""):
        return None
    value = converted(name, rule["kind"] or type(f.default), value)
    if rule["choices"] and value not in rule["choices"]:
        known = ", ".join(str(choice) or "none ('')" for choice in rule["choices"])
        raise CourseError(f"{name} must be one of {known}; got {value!r}.")
    if rule["low"] is not None and not rule["low"] <= value <= rule["high"]:
        raise CourseError(f"{name} must lie between {rule['low']:g} and {rule['high']:g}; got {value:g}.")
    return value


def converted(name: str, kind: type, value):
    """`value` as a str, bool, int or float.

    Raises:
        CourseError: it is no such thing.
    """
    if kind is str:
        return str(value)
    try:
        if kind is bool:
            return WORDS[str(value).lower()]
        number = float(value)
        if isinstance(value, bool) or number != number or (kind is int and not number.is_integer()):
            raise ValueError
        return kind(number)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise CourseError(f"{name} must be {WANTED[kind]}; got {value!r}.") from None


def described(options: Options) -> list[tuple[str, str, str, str]]:
    """Name, value, what is allowed and meaning of every option, as text; also of those within an option."""
    rows = []
    for f in fields(options):
        if isinstance(getattr(options, f.name), Options):
            rows += described(getattr(options, f.name))
        elif rule := f.metadata:
            span = "" if rule["low"] is None else f"{rule['low']:g} to {rule['high']:g}"
            allowed = " | ".join(str(choice) or "''" for choice in rule["choices"]) or span
            rows.append((options.PREFIX + f.name, str(getattr(options, f.name)) or "''", allowed, rule["about"]))
    return rows
