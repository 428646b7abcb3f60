"""The losses of a run, a row for each step. A million steps take 32 MB, and no time to add to or to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class History:
    """A table of numbers that grows at its end. Rows are read as of an array: `history[-1]`, `history[100:]`, `len`.

    Args:
        columns: numbers in a row.   rows: those that there are already.
    """

    def __init__(self, columns: int, rows: Sequence[Sequence[float]] | np.ndarray = ()) -> None:
        self.room, self.count = np.empty((1024, columns)), 0
        self.extend(rows)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        return self.table[rows]

    @property
    def table(self) -> np.ndarray:
        """All rows, float64 (steps, columns); no copy."""
        return self.room[: self.count]

    def append(self, row: Sequence[float]) -> None:
        """Add one row."""
        self.extend([row])

    def extend(self, rows: Sequence[Sequence[float]] | np.ndarray) -> None:
        """Add rows (N, columns). Where the room is too small, twice as much is taken."""
        rows = np.asarray(rows, float).reshape(-1, self.room.shape[1])
        end = self.count + len(rows)
        if end > len(self.room):
            larger = np.empty((2 * end, self.room.shape[1]))
            larger[: self.count] = self.table
            self.room = larger
        self.room[self.count : end] = rows
        self.count = end
