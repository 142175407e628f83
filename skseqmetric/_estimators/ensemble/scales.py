"""How large the distances of a metric are: their root mean square over pairs of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._metrics.hooks import distances_of_pairs, embedded, is_euclidean

_FEW = 64  # sequences of which all pairs are taken
_PAIRS = 2048  # drawn among more sequences: their mean square is known to some percent then

Side = tuple[Any, np.ndarray]
"""Prepared sequences and the weight of each."""


def root_mean_square(metric: Any, left: Side, right: Side | None = None) -> float:
    r"""Return the root of sum_ij w_i v_j d_ij^2 / (sum_i w_i sum_j v_j), i of the left side and j of the right one.

    Without a right side, it is the left one. The result is exact for Euclidean distances, and among few sequences. Two
    copies of a sequence count as one of weight 2.
    """
    first = _shares(left)
    if is_euclidean(metric):
        return _of_embeddings(_moments(metric, left), _moments(metric, left if right is None else right))
    if right is None and len(first) <= _FEW:
        rows, columns = np.triu_indices(len(first), 1)
        parts = 2 * first[rows] * first[columns]
    else:
        second = first if right is None else _shares(right)
        rows, columns = _drawn_pairs(first, second, itself=right is None)
        parts = np.full(len(rows), 1 / _PAIRS)
    distances = np.abs(distances_of_pairs(metric, left[0], rows, left[0] if right is None else right[0], columns))
    largest = float(distances.max(initial=0.0))  # its square may be too large for a float
    return largest and largest * float(np.sqrt(parts @ (distances / largest) ** 2))


def _shares(side: Side) -> np.ndarray:
    """Return the weights as parts of one. Held-out sequences may all have the weight 0."""
    weights = side[1] if side[1].any() else np.ones(len(side[1]))
    return weights / weights.sum()


def _moments(metric: Any, side: Side) -> tuple[np.ndarray, float]:
    """Return the mean of the embeddings and their variance, summed over the columns."""
    points, shares = np.asarray(embedded(metric, side[0])).astype(np.float64), _shares(side)
    mean = shares @ points
    return mean, float((shares @ (points - mean) ** 2).sum())


def _of_embeddings(left: tuple[np.ndarray, float], right: tuple[np.ndarray, float]) -> float:
    return float(np.sqrt(((left[0] - right[0]) ** 2).sum() + left[1] + right[1]))


def _drawn_pairs(first: np.ndarray, second: np.ndarray, *, itself: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of a fixed random sample. A pair of a sequence with itself is left out: its distance is 0."""
    rng = np.random.default_rng(0)
    rows, columns = (rng.choice(len(shares), size=_PAIRS, p=shares) for shares in (first, second))
    kept = rows != columns if itself else np.ones(_PAIRS, dtype=bool)
    return rows[kept], columns[kept]
