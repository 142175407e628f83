"""Arrays that grow at their end in amortised constant time, while readers keep what they have."""

from __future__ import annotations

from typing import Any

import numpy as np

_GROWTH = 1.25  # of a buffer that is full: at most a quarter of it is unused


class _Buffer:
    """Memory with the number of rows in use, which only ever grows."""

    def __init__(self, values: np.ndarray, n_used: int) -> None:
        self.values, self.n_used = values, n_used


class Grown:
    """An array (n, ...) that never changes, at the beginning of a buffer.

    `with_rows` writes behind the end of the last array of the buffer. Arrays that were handed out before do not see it.
    """

    def __init__(self, array: np.ndarray, buffer: _Buffer | None = None) -> None:
        self.array = array
        self._buffer = buffer or _Buffer(array, len(array))

    def __len__(self) -> int:
        return len(self.array)

    def with_rows(self, rows: np.ndarray) -> Grown:
        """Return this array with further rows."""
        begin, end = len(self), len(self) + len(rows)
        buffer = self._buffer
        if buffer.n_used != begin or end > len(buffer.values):  # another array has grown into the buffer, or it is full
            values: Any = np.empty((max(end, int(_GROWTH * begin)), *self.array.shape[1:]), dtype=self.array.dtype)
            values[:begin] = self.array
            buffer = _Buffer(values if begin else values[:end], begin)
        buffer.values[begin:end] = rows
        buffer.n_used = end
        return Grown(buffer.values[:end], buffer)

    def taken(self, rows: np.ndarray) -> Grown:
        """Return a copy of some rows."""
        return Grown(self.array[rows])
