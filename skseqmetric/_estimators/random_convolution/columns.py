"""Mean and standard deviation of columns of features, in one pass over rows that arrive in parts."""

from __future__ import annotations

import numpy as np

_ROWS = 16  # whose copies in float64 stay in the cache


class ColumnMoments:
    """Weighted sums of rows (P,) and of their squares, less the first row, so that equal values leave no rounding."""

    def __init__(self) -> None:
        self._weight = 0.0
        self._first = self._total = self._squares = np.zeros(0)

    def add(self, rows: np.ndarray, weights: np.ndarray) -> None:
        """Add rows (n, P) with weights (n,)."""
        rows, weights = rows[weights > 0], weights[weights > 0]
        if not len(rows):
            return
        if not self._weight:
            self._first = rows[0].astype(np.float64)
            self._total, self._squares = np.zeros_like(self._first), np.zeros_like(self._first)
        self._weight += float(weights.sum())
        for start in range(0, len(rows), _ROWS):
            difference = rows[start : start + _ROWS] - self._first
            weighted = difference * weights[start : start + _ROWS, None]
            self._total += weighted.sum(axis=0)
            self._squares += np.multiply(weighted, difference, out=weighted).sum(axis=0)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations (P,) in float64. The deviation of a constant column is 0."""
        shift = self._total / self._weight
        variance = np.maximum(self._squares / self._weight - shift**2, 0)
        return self._first + shift, np.where(self._squares > 0, np.sqrt(variance), 0)
