"""Every case over five seeds, kept in `benchmarks/results/failures.txt`: does it fail, does the cure cure?"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ... import environment
from ...files import save_text
from .cases import CASES, Case

RESULTS = (environment.ROOT / "benchmarks" / "results" if environment.CHECKOUT else environment.DATA) / "failures.txt"


class Row(NamedTuple):
    """One line of the record: what one arm of a case measured with each seed, and what that shows.

    `how` is the call that makes the patients. `verdict` is 'fails' or 'cures' where the lowest and highest of the seeds
    leave a gap to the healthy (or the sick) patients', on the right side; 'not shown' otherwise; '' for the healthy.
    """

    case: str
    what: str
    arm: str
    how: str
    values: tuple[float, ...]
    verdict: str
    seconds: float

    def __str__(self) -> str:
        values = " ".join(f"{value:.3g}" for value in self.values)
        return " | ".join([*self[:4], values, self.verdict, f"{self.seconds:.1f}"])

    @classmethod
    def read(cls, line: str) -> Row:
        *names, values, verdict, seconds = line.split(" | ")
        return cls(*names, tuple(map(float, values.split())), verdict, float(seconds))


def call(make: Callable, how: dict) -> str:
    """The call as one would type it."""
    values = (f"{key}={getattr(value, '__name__', repr(value))}" for key, value in how.items())
    return f"{make.__name__}({', '.join(values)})"


def verdict(arm: str, values: tuple, healthy: tuple, sick: tuple) -> str:
    """See `Row`."""
    up = np.mean(healthy) > np.mean(sick)  # whether more is better
    if arm == "healthy":
        return ""
    better, worse = (healthy, values) if arm == "sick" else (values, sick)
    apart = min(better) > max(worse) if up else max(better) < min(worse)
    return ("fails" if arm == "sick" else "cures") if apart else "not shown"


def treat_all(name: str, case: Case, seeds: int) -> list[Row]:
    """Every arm of a case over `seeds` seeds; arms that the record has already, for any case, are taken from it."""
    rows = {}
    for arm, how in case.arms.items():
        text = call(case.make, how)
        same = [row for row in results() if (row.what, row.how) == (case.what, text) and len(row.values) == seeds]
        began = time.process_time()
        values = same[0].values if same else tuple(case.measure(case.make(seed, **how)) for seed in range(seeds))
        seconds = same[0].seconds if same else (time.process_time() - began) / seeds
        row = rows[arm] = Row(name, case.what, arm, text, values, "", seconds)
        rows[arm] = row._replace(verdict=verdict(arm, values, rows["healthy"].values, rows.get("sick", row).values))
        print(rows[arm], flush=True)
        save([row for row in results() if (row.case, row.arm) != (name, arm)] + [rows[arm]])
    return list(rows.values())


def results(path: Path = RESULTS) -> list[Row]:
    """The rows of the record."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Row.read(line) for line in lines[2:]]


def save(rows: list[Row]) -> None:
    order = {(name, arm): k for k, (name, arm) in enumerate((n, a) for n, case in CASES.items() for a in case.arms)}
    rows = sorted((row for row in rows if (row.case, row.arm) in order), key=lambda row: order[row.case, row.arm])
    about = f"{platform.machine()}, 1 thread, PyTorch {torch.__version__}; one value for each seed from 0"
    columns = "case | what is measured | arm | made by | values | shown beyond seed spread | CPU seconds a run"
    text = "\n".join([about, columns, *map(str, rows)]) + "\n"
    save_text(RESULTS, text)


def record(name: str) -> str:
    """What was recorded of a case over five seeds, as a table in words."""
    rows = [row for row in results() if row.case == name]
    if not rows:
        return f"{name}: not recorded yet. Run: python -m gan_helpers.course.failures --only '{name}'"
    lines = [f"{name}, five seeds: {rows[0].what}"]
    for row in rows:
        mean, low, high = (f"{f(row.values):.3g}" for f in (np.mean, min, max))
        lines.append(f"  {row.arm:<24}{mean:>8}   ({low} to {high})  {row.verdict}".rstrip())
    return "\n".join(lines)
