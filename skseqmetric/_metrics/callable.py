"""A distance given as a function of the user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from skseqmetric._input import Sequences, check_sequences
from skseqmetric._metrics.protocol import Metric

_MOST_PAIRS = 2**16  # in one call


@dataclass(frozen=True)
class PreparedList:
    """The sequences as a list of (T_i, C) arrays."""

    series: list[np.ndarray]
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)


class CallableMetric(Metric):
    """A distance that the user gives as a function.

    Parameters
    ----------
    function : callable (queries, references) -> array-like (len(queries), len(references))
        It takes two lists of (T_i, C) arrays and returns all distances between them. Distances must be finite. They
        should be symmetric, with d(x, x) = 0. The function must not change the arrays. One call has at most 65536
        pairs.
    """

    def __init__(self, function: Callable[[list[np.ndarray], list[np.ndarray]], Any]) -> None:
        self.function = function

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the input. The metric learns nothing.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : None
            Not used.

        Returns
        -------
        self
        """
        check_sequences(X, estimator=self)
        self.__dict__.pop("threshold_", None)
        return self

    def _prepare(self, sequences: Sequences) -> PreparedList:
        return PreparedList(sequences.to_list(), sequences.lengths)

    def _tile(self, left: PreparedList, rows: np.ndarray, right: PreparedList, columns: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), len(columns)))
        width = min(len(columns), int(_MOST_PAIRS**0.5))
        height = max(1, _MOST_PAIRS // max(1, width))
        for i in range(0, len(rows), height):
            for j in range(0, len(columns), width):
                part = slice(i, i + height), slice(j, j + width)
                out[part] = self._call(left, rows[part[0]], right, columns[part[1]])
        return out

    def _rows(self, left: PreparedList, rows: np.ndarray, right: PreparedList, columns: np.ndarray) -> np.ndarray:
        out = np.empty(len(rows))
        for row in np.unique(rows):
            at = np.flatnonzero(rows == row)
            out[at] = self._tile(left, np.array([row]), right, columns[at])[0]
        return out

    def _embeddings(self, prepared: PreparedList) -> None:
        return None

    def _nearest(
        self, queries: Any, references: Any, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._nearest_by_pairs(queries, references, k, exclude=exclude, n_candidates=n_candidates)

    def _call(self, left: PreparedList, rows: np.ndarray, right: PreparedList, columns: np.ndarray) -> np.ndarray:
        tile = self.function([left.series[i] for i in rows], [right.series[j] for j in columns])
        array = np.asarray(tile, dtype=np.float64)
        if array.shape != (len(rows), len(columns)):
            raise ValueError(
                f"metric={self.function!r} was given {len(rows)} and {len(columns)} sequences and returned shape "
                f"{array.shape}: it must return all distances between them, shape ({len(rows)}, {len(columns)})."
            )
        return array
