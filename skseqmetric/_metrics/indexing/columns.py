"""Numbers or names of references, one for each row. They grow at their end, while readers keep what they have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

_GROWTH = 1.25  # of a buffer that is full: at most a quarter of it is unused


class Column(ABC):
    """Values of rows, (n,). It never changes: adding and taking make new ones."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def array(self) -> np.ndarray:
        """All values."""

    @property
    @abstractmethod
    def holds_text(self) -> bool:
        """Whether the values are text."""

    @abstractmethod
    def at(self, rows: Any) -> Any:
        """Return the values of rows, which are >= 0."""

    @abstractmethod
    def rows(self, values: np.ndarray) -> np.ndarray:
        """Return the rows of values, -1 where a value is not there. The values of the column must grow."""

    @abstractmethod
    def with_rows(self, values: np.ndarray) -> Column:
        """Return a column with further values, which takes amortised constant time."""

    @abstractmethod
    def taken(self, rows: np.ndarray) -> Column:
        """Return a column of some rows, which grow."""


def column_of(values: np.ndarray) -> Column:
    """Return a column of these values (n,). Whole numbers that follow each other take no memory."""
    if values.dtype != np.int64 or not len(values) or not _follow(values):
        return Grown(values)
    return Consecutive(int(values[0]), len(values))


def _follow(values: np.ndarray) -> bool:
    return bool((values[1:] - values[:-1] == 1).all())


@dataclass(frozen=True)
class Consecutive(Column):
    """The n whole numbers from `start` on."""

    start: int
    n: int

    def __len__(self) -> int:
        return self.n

    @property
    def array(self) -> np.ndarray:
        return np.arange(self.start, self.start + self.n)

    @property
    def holds_text(self) -> bool:
        return False

    def at(self, rows: Any) -> Any:
        return rows + self.start

    def rows(self, values: np.ndarray) -> np.ndarray:
        rows = values - self.start
        return np.where((rows >= 0) & (rows < self.n), rows, -1)

    def with_rows(self, values: np.ndarray) -> Column:
        follows = not len(values) or (values[0] == self.start + self.n and _follow(values))
        return Consecutive(self.start, self.n + len(values)) if follows else Grown(self.array).with_rows(values)

    def taken(self, rows: np.ndarray) -> Column:
        return column_of(self.at(rows))


class _Buffer:
    """Memory with the number of rows in use, which only ever grows."""

    def __init__(self, values: np.ndarray, n_used: int) -> None:
        self.values, self.n_used = values, n_used


class Grown(Column):
    """An array (n,) that never changes, at the beginning of a buffer.

    `with_rows` writes behind the end of the last array of the buffer. Arrays that were handed out before do not see it.
    """

    def __init__(self, array: np.ndarray, buffer: _Buffer | None = None) -> None:
        self._array = array
        self._buffer = buffer or _Buffer(array, len(array))

    def __len__(self) -> int:
        return len(self._array)

    @property
    def array(self) -> np.ndarray:
        return self._array

    @property
    def holds_text(self) -> bool:
        return self._array.dtype == object

    def at(self, rows: Any) -> Any:
        return self._array[rows]

    def rows(self, values: np.ndarray) -> np.ndarray:
        if not len(self):
            return np.full(values.shape, -1)
        rows = np.minimum(np.searchsorted(self._array, values), len(self) - 1)
        return np.where(self._array[rows] == values, rows, -1)

    def with_rows(self, values: np.ndarray) -> Column:
        if not len(self):
            return column_of(values)
        begin, end = len(self), len(self) + len(values)
        buffer = self._buffer
        if buffer.n_used != begin or end > len(buffer.values):  # another array has grown into the buffer, or it is full
            grown: Any = np.empty(max(end, int(_GROWTH * begin)), dtype=self._array.dtype)
            grown[:begin] = self._array
            buffer = _Buffer(grown, begin)
        buffer.values[begin:end] = values
        buffer.n_used = end
        return Grown(buffer.values[:end], buffer)

    def taken(self, rows: np.ndarray) -> Column:
        return column_of(self.at(rows))
