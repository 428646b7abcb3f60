"""Values that know the Python expression that makes them, so that what is shown and the code for it never part."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Expression:
    """A value, and the Python expression that makes it.

    Attributes:
        value: most often latent vectors (1, latent_dim).
        code: the expression.
        uses: the functions that it calls.
        sets: the letters of the sets of directions that it names.
    """

    value: Any
    code: str
    uses: frozenset[Callable] = frozenset()
    sets: frozenset[str] = frozenset()


def call(function: Callable, *arguments: Expression | list[Expression] | str | float, value: Any = None) -> Expression:
    """What the function makes of the arguments, and the call that says so; numbers are rounded for both alike.

    `value` is what it would return, where that is known already.
    """
    values, texts, parts = [], [], []
    for argument in arguments:
        if isinstance(argument, Expression):
            text, known = argument.code, argument.value
            parts.append(argument)
        elif isinstance(argument, list):
            text, known = f"[{', '.join(part.code for part in argument)}]", [part.value for part in argument]
            parts.extend(argument)
        elif isinstance(argument, float):
            text, known = f"{argument:g}", float(f"{argument:g}")
        else:
            text, known = json.dumps(argument, ensure_ascii=False), argument
        texts.append(text)
        values.append(known)
    name = function.__name__ if function.__module__ == "torch" else function.__qualname__  # latent.slerp, torch.cat
    return Expression(
        function(*values) if value is None else value,
        f"{function.__module__.rpartition('.')[2]}.{name}({', '.join(texts)})",
        frozenset({function}).union(*(part.uses for part in parts)),
        frozenset().union(*(part.sets for part in parts)),
    )


def import_lines(functions: Iterable[Callable]) -> list[str]:
    """The lines that import the modules of functions: torch, and those of this package."""
    modules = sorted({function.__module__ for function in functions})
    ours = [module.removeprefix("gan_helpers.") for module in modules if module != "torch"]
    return ["import torch"] * ("torch" in modules) + [f"from gan_helpers import {', '.join(ours)}"]
