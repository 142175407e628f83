"""Calls of the hooks of a metric. The hooks get sequences sorted by length, and their results are checked."""

from __future__ import annotations

from typing import Any

import numpy as np


def by_length(prepared: Any) -> np.ndarray:
    """Return indices from the shortest to the longest sequence, so that a tile holds sequences of similar length."""
    return np.argsort(prepared.lengths, kind="stable")


def distance_tile(metric: Any, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
    """Return the distances (len(rows), len(columns)) of all pairs. They are checked to be finite."""
    tile = np.require(metric._tile(left, rows, right, columns), np.float64, ["C", "W"])
    if not np.isfinite(tile).all():
        i, j = divmod(int(np.argmin(np.isfinite(tile))), len(columns))
        _refuse_distance(tile[i, j], rows[i], columns[j])
    return tile


def distances_of_pairs(metric: Any, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
    """Return the distances (P,) of single pairs. They are checked to be finite.

    The hook gets the pairs sorted by length.
    """
    order = np.argsort(np.maximum(left.lengths[rows], right.lengths[columns]), kind="stable")
    distances = np.empty(len(rows))
    distances[order] = metric._rows(left, rows[order], right, columns[order])
    if not np.isfinite(distances).all():
        p = int(np.argmin(np.isfinite(distances)))
        _refuse_distance(distances[p], rows[p], columns[p])
    return distances


def _refuse_distance(value: float, row: int, column: int) -> None:
    raise ValueError(
        f"the distance between sequence {row} (of the first set) and sequence {column} (of the second) is "
        f"{value}: distances must be finite. Check the metric, and that the values are of moderate size."
    )
