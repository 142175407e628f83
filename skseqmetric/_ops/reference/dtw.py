"""Dynamic time warping as a plain loop: the definition that every fast form is tested against.

Layouts: T1 and T2 steps, C channels, Q queries, R references, K neighbours.
"""

from __future__ import annotations

import numpy as np


def dtw(x: np.ndarray, y: np.ndarray, radius: int | None = None) -> float:
    """Return the square root of D(T1, T2) for x (T1, C) and y (T2, C), float64.

    D(i, j) = sum_c (x_ic - y_jc)^2 + min(D(i-1, j-1), D(i-1, j), D(i, j-1)), with D(0, 0) = 0 and D = inf outside of
    the band. In the band of radius r, step s of the shorter sequence meets the steps s - r to s + r + |T1 - T2| of the
    longer one (Sakoe & Chiba 1978).
    """
    if len(x) > len(y):
        x, y = y, x
    reach = len(x) + len(y) if radius is None else radius
    cost = np.full((len(x) + 1, len(y) + 1), np.inf)
    cost[0, 0] = 0.0
    for i in range(len(x)):
        for j in range(max(0, i - reach), min(len(y), i + reach + len(y) - len(x) + 1)):
            local = np.float64(0.0)
            for difference in x[i] - y[j]:
                local += difference * difference
            cost[i + 1, j + 1] = local + min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
    return float(np.sqrt(cost[-1, -1]))


def nearest(
    queries: list[np.ndarray],
    references: list[np.ndarray],
    k: int,
    radius: int | None = None,
    exclude: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and indices (Q, K) of the nearest references, by (distance, index).

    Reference `exclude[q]` is no neighbour of query q.
    """
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.int64)
    for q, query in enumerate(queries):
        allowed = [r for r in range(len(references)) if exclude is None or r != exclude[q]]
        best = sorted((dtw(query, references[r], radius), r) for r in allowed)[:k]
        distances[q], indices[q] = zip(*best, strict=True)
    return distances, indices
