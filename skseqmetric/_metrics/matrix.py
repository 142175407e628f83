"""All distances between two sets of prepared sequences, tile by tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._metrics.hooks import by_length, distance_tile
from skseqmetric._ops.progress import Bar, progress

_BLOCK = 512  # rows and columns of one block of a distance matrix
_SHOWN_BLOCK = 128  # the same, where a bar shows how many are done
_LEAF = 32  # diagonal blocks up to this size are computed in one call


def distance_matrix(metric: Any, left: Any, right: Any = None) -> np.ndarray:
    """Return the distances (n, m), float64. Without `right` they are those among `left`: symmetric, with 0 diagonal."""
    order = by_length(left)
    if right is None:
        distances = np.zeros((len(left), len(left)))
        with progress("pairwise distances", distances.size, "pair") as bar:
            _fill_symmetric(metric, left, order, distances, bar)
        return distances
    distances = np.empty((len(left), len(right)))
    with progress("pairwise distances", distances.size, "pair") as bar:
        _fill_block(metric, left, order, right, by_length(right), distances, bar)
    return distances


def _fill_block(
    metric: Any,
    left: Any,
    rows: np.ndarray,
    right: Any,
    columns: np.ndarray,
    out: np.ndarray,
    bar: Bar,
    mirror: bool = False,
) -> None:
    size = _SHOWN_BLOCK if bar.is_shown else _BLOCK
    for i in range(0, len(rows), size):
        for j in range(0, len(columns), size):
            part = rows[i : i + size], columns[j : j + size]
            tile = distance_tile(metric, left, part[0], right, part[1])
            out[np.ix_(*part)] = tile
            if mirror:
                out[np.ix_(part[1], part[0])] = tile.T
            bar.advance(tile.size * (1 + mirror))


def _fill_symmetric(metric: Any, prepared: Any, rows: np.ndarray, out: np.ndarray, bar: Bar) -> None:
    """Fill in the distances among `rows`: compute the off-diagonal quarter once and mirror it, then recurse."""
    if len(rows) <= _LEAF:
        tile = np.triu(distance_tile(metric, prepared, rows, prepared, rows), 1)
        out[np.ix_(rows, rows)] = tile + tile.T
        bar.advance(tile.size)
        return
    half = len(rows) // 2
    _fill_block(metric, prepared, rows[:half], prepared, rows[half:], out, bar, mirror=True)
    _fill_symmetric(metric, prepared, rows[:half], out, bar)
    _fill_symmetric(metric, prepared, rows[half:], out, bar)
