"""Sequences that stay where the caller has them: large input is stacked and converted only where it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

FEWEST_LENT = 2**20
"""Values below which sequences are copied at once: 8 MB at most, and every later step has plain arrays."""

BLOCK = 2**18
"""Values that are read at a time: they stay in the cache."""


class LentSteps:
    """The steps (sum of lengths, C) of sequences that lie in arrays of the caller. It reads like an array of floats.

    A slice is stacked and converted when it is asked for. Where the steps lie next to each other in the right form,
    it is a view: nobody may write into it.

    Parameters
    ----------
    source : list of (T_i, C) arrays, or array (m, T, C)
        Real numbers. A sequence may end before its array does.
    lengths : ndarray (n,) int64
        Steps of every sequence.
    dtype : dtype
        float32 or float64, to which the steps are converted.
    rows : ndarray (n,) int64, optional
        The places of the sequences in the source. None: all, in their order.
    """

    ndim = 2

    def __init__(
        self, source: Sequence[np.ndarray] | np.ndarray, lengths: np.ndarray, dtype: Any, rows: np.ndarray | None = None
    ) -> None:
        self._source, self._lengths, self.dtype = source, lengths, np.dtype(dtype)
        self._rows = np.arange(len(lengths)) if rows is None else rows
        self._ends = np.cumsum(lengths)
        self.shape = (int(self._ends[-1]), int(source[0].shape[1]))
        self._whole = self._next_to_each_other() if rows is None else None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and key.step in (None, 1):
            start, stop, _ = key.indices(len(self))
            return self._steps(start, max(start, stop))
        if isinstance(key, tuple) and np.ndim(key[0]) == 0 and not isinstance(key[0], slice):
            return self._steps(int(key[0]), int(key[0]) + 1)[(0, *key[1:])]
        return np.asarray(self)[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = self._steps(0, len(self))
        return np.array(found, dtype=dtype) if copy else np.asarray(found, dtype=dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return LentSteps, (self._source, self._lengths, self.dtype, self._rows)

    def chosen(self, indices: np.ndarray) -> LentSteps:
        """Return the steps of some of the sequences. Nothing is read yet."""
        return LentSteps(self._source, self._lengths[indices], self.dtype, self._rows[indices])

    def _next_to_each_other(self) -> np.ndarray | None:
        """Return all steps as a view, if they are one array without gaps in the right form."""
        source = self._source
        if not isinstance(source, np.ndarray) or source.dtype != self.dtype or not source.flags.c_contiguous:
            return None
        return source.reshape(-1, source.shape[2]) if (self._lengths == source.shape[1]).all() else None

    def _steps(self, start: int, stop: int) -> np.ndarray:
        if self._whole is not None:
            return self._whole[start:stop].view(np.ndarray)
        if start == stop:
            return np.empty((0, self.shape[1]), dtype=self.dtype)
        first, last = np.searchsorted(self._ends, (start, stop - 1), side="right").tolist()
        begin = int(self._ends[first] - self._lengths[first])
        parts = self._parts(first, last + 1)
        parts[-1] = parts[-1][: len(parts[-1]) - (int(self._ends[last]) - stop)]
        parts[0] = parts[0][start - begin :]
        found = np.empty((stop - start, self.shape[1]), dtype=self.dtype)
        with np.errstate(over="ignore"):  # an extended float that becomes inf is found and named later
            return np.concatenate(parts, out=found, casting="unsafe")

    def _parts(self, first: int, stop: int) -> list[np.ndarray]:
        """Return arrays that hold the steps of these sequences one after the other: one, or one for each sequence."""
        rows, lengths = self._rows[first:stop], self._lengths[first:stop]
        source = self._source
        if isinstance(source, np.ndarray) and (lengths == lengths[0]).all():
            follow = len(rows) == rows[-1] - rows[0] + 1 and bool((np.diff(rows) == 1).all())
            chosen = source[rows[0] : rows[-1] + 1] if follow else source[rows]
            return [chosen[:, : lengths[0]].reshape(-1, source.shape[2])]
        return [source[row][:length] for row, length in zip(rows.tolist(), lengths.tolist(), strict=True)]


def is_large(n_values: int) -> bool:
    """Whether so many values are read where they lie."""
    return n_values >= FEWEST_LENT


def owned(sequences: Any) -> Any:
    """Return sequences that hold nothing of the caller's: a copy, unless their steps are no longer lent."""
    if not isinstance(sequences.values, LentSteps):
        return sequences
    return replace(sequences, values=np.array(sequences.values[:], order="C"))


def chosen(sequences: Any, indices: np.ndarray) -> Any:
    """Return some of the sequences. Large ones are not copied, but read where they lie."""
    lengths = sequences.lengths[indices]
    if isinstance(sequences.values, LentSteps) or not is_large(int(lengths.sum()) * sequences.n_channels):
        return sequences.take(indices)
    steps = LentSteps(sequences.to_list(), sequences.lengths, sequences.values.dtype)
    return replace(sequences, values=steps.chosen(indices), lengths=lengths)


def in_parts(lengths: np.ndarray, most_steps: int) -> Iterator[tuple[int, int]]:
    """Yield the ends (first, stop) of ranges of sequences of at most `most_steps` steps, or of a single sequence."""
    ends = np.cumsum(lengths)
    first, done = 0, 0
    while first < len(lengths):
        stop = max(first + 1, int(np.searchsorted(ends, done + most_steps, side="right")))
        yield first, stop
        first, done = stop, int(ends[stop - 1])


def each_sequence(sequences: Any) -> Iterator[np.ndarray]:
    """Yield every sequence (T_i, C). Only a block of them is read at a time."""
    offsets, lengths = sequences.offsets, sequences.lengths
    for first, stop in in_parts(lengths, max(1, BLOCK // sequences.n_channels)):
        begin = int(offsets[first])
        block = sequences.values[begin : begin + int(lengths[first:stop].sum())]
        yield from np.split(block, (offsets[first + 1 : stop] - begin))


def blocks_of_steps(sequences: Any, n_values: int = BLOCK) -> Iterator[slice]:
    """Yield slices of steps, of at most `n_values` values each, whatever sequences they belong to."""
    size = max(1, n_values // sequences.n_channels)
    yield from (slice(start, start + size) for start in range(0, len(sequences.values), size))
