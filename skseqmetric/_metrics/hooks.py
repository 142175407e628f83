"""Calls of the hooks of a metric: what they get is sorted by length, and what they return is checked."""

from __future__ import annotations

from typing import Any

import numpy as np


def by_length(prepared: Any) -> np.ndarray:
    """Indices from the shortest sequence to the longest: what meets in a tile is about equally long."""
    return np.argsort(prepared.lengths, kind="stable")


def distance_tile(metric: Any, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
    """Distances of every pair, (len(rows), len(columns)), checked to be finite."""
    tile = np.require(metric._tile(left, rows, right, columns), np.float64, ["C", "W"])
    if not np.isfinite(tile).all():
        i, j = divmod(int(np.argmin(np.isfinite(tile))), len(columns))
        _refuse_distance(tile[i, j], rows[i], columns[j])
    return tile


def distances_of_pairs(metric: Any, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
    """Distances pair by pair, (P,), checked to be finite; the hook gets the pairs sorted by length."""
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
