"""Exact dynamic time warping of stacked sequences (`_ops.reference.dtw` defines it), in float64.

Distances have the same bits from every form and instruction set, whatever else is computed, and in either order of the
two sequences: local costs are summed channel after channel and are not fused, so that nothing depends on the order of
the work. Layouts: T steps, C channels, P pairs, Q queries, R references, K neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skseqmetric._files import check_lengths, record
from skseqmetric._input import rows_of_steps
from skseqmetric._ops import compiled
from skseqmetric._ops.dispatch import choose_dtw
from skseqmetric._ops.reference import dtw as reference


@record(values="float64 S C", lengths="int64 n")
@dataclass(frozen=True, eq=False)
class SteppedSeries:
    """n sequences stacked along time.

    Parameters
    ----------
    values : ndarray (sum of lengths, C) float64
        All steps of all sequences, finite and C-contiguous.
    lengths : ndarray (n,) int64
        Steps of each sequence, >= 1.
    """

    values: np.ndarray
    lengths: np.ndarray

    def check_record(self) -> None:
        """Raise ValueError if the lengths do not fit the values."""
        check_lengths(self.lengths, len(self.values))

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def starts(self) -> np.ndarray:
        """First row of each sequence in `values`, and the number of rows at last, (n + 1,) int64."""
        return np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])

    @cached_property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest value of every channel, (C,) each."""
        return self.values.min(axis=0), self.values.max(axis=0)

    def joined(self, other: SteppedSeries) -> SteppedSeries:
        """Return these sequences and then those of the other."""
        lengths = np.concatenate([self.lengths, other.lengths])
        return SteppedSeries(np.concatenate([self.values, other.values]), lengths)

    def taken(self, rows: np.ndarray) -> SteppedSeries:
        """Return a copy of some sequences."""
        return SteppedSeries(self.values[rows_of_steps(self.lengths, rows)], self.lengths[rows])

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self.values, "lengths": self.lengths}  # a search changes no pickle

    def __getitem__(self, i: int) -> np.ndarray:
        """View of sequence i, (T_i, C)."""
        return self.values[self.starts[i] : self.starts[i + 1]]


def dtw_table(
    left: SteppedSeries,
    rows: np.ndarray,
    right: SteppedSeries,
    columns: np.ndarray,
    radius: int | None,
    n_threads: int = 1,
) -> np.ndarray:
    """Return the distances (len(rows), len(columns)) of all pairs of two index arrays.

    `radius` is that of the Sakoe-Chiba band, or None. A pair costs O(T1 T2 C) time; memory beyond the result is
    O(T C) for each thread.
    """
    if choose_dtw() == "reference":
        return np.array([[reference.dtw(left[r], right[c], radius) for c in columns] for r in rows]).reshape(
            len(rows), len(columns)
        )
    return compiled.dtw_distances(left, rows, right, columns, radius, n_threads, table=True)


def dtw_pairs(
    left: SteppedSeries,
    rows: np.ndarray,
    right: SteppedSeries,
    columns: np.ndarray,
    radius: int | None,
    n_threads: int = 1,
) -> np.ndarray:
    """Return the distances (P,) of the pairs (rows[p], columns[p])."""
    if choose_dtw() == "reference":
        return np.array([reference.dtw(left[r], right[c], radius) for r, c in zip(rows, columns, strict=True)])
    return compiled.dtw_distances(left, rows, right, columns, radius, n_threads, table=False)


def dtw_nearest(
    queries: SteppedSeries,
    references: SteppedSeries,
    k: int,
    radius: int | None,
    exclude: np.ndarray | None = None,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances (Q, K) float64 and indices (Q, K) int64 of the nearest references, by (distance, index).

    `exclude` (Q,) has one reference a query that may not be its neighbour, or is None. Memory holds the values once
    more, in float32.
    """
    if choose_dtw() == "reference":
        each = [[series[i] for i in range(len(series))] for series in (queries, references)]
        return reference.nearest(each[0], each[1], k, radius, exclude)
    return compiled.dtw_nearest(queries, references, k, radius, exclude, n_threads)
