"""How large the distances of a metric are: their root mean square over pairs of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._metrics.hooks import distances_of_pairs, embedded, is_euclidean

_FEW = 64  # sequences of which all pairs are taken
_PAIRS = 2048  # drawn among more sequences: their mean square is known to some percent then


def root_mean_square(metric: Any, prepared: Any, weights: np.ndarray) -> float:
    r"""Return the root of sum_ij w_i w_j d_ij^2 / (sum_i w_i)^2; 1 if all distances are 0.

    It is exact for Euclidean distances, and for few sequences. Two copies of a sequence count as one of weight 2.
    """
    shares = weights / weights.sum()
    if is_euclidean(metric):
        found = _of_embeddings(embedded(metric, prepared), shares)
    else:
        rows, columns, parts = _all_pairs(shares) if len(shares) <= _FEW else _some_pairs(shares)
        distances = np.abs(distances_of_pairs(metric, prepared, rows, prepared, columns))
        found = _root(distances, parts)
    return found if found > 0 else 1.0


def _of_embeddings(embeddings: Any, shares: np.ndarray) -> float:
    """The mean squared distance is twice the variance, summed over the columns."""
    points = embeddings.astype(np.float64)
    centred = points - shares @ points
    return float(np.sqrt(2 * (shares @ centred**2).sum()))


def _root(distances: np.ndarray, parts: np.ndarray) -> float:
    """Return the root of the sum of parts times squares, which may be too large for a float."""
    largest = float(distances.max(initial=0.0))
    return largest and largest * float(np.sqrt(parts @ (distances / largest) ** 2))


def _all_pairs(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, columns = np.triu_indices(len(shares), 1)
    return rows, columns, 2 * shares[rows] * shares[columns]


def _some_pairs(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of a fixed random sample. Pairs of equal sequences are left out, because their distance is 0."""
    rows, columns = np.random.default_rng(0).choice(len(shares), size=(2, _PAIRS), p=shares)
    other = rows != columns
    return rows[other], columns[other], np.full(other.sum(), 1 / _PAIRS)
