"""Matching of places as a plain loop: the definition that every fast form is tested against.

Layouts: P and P' places, D numbers of a place.
"""

from __future__ import annotations

import numpy as np


def costs(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return c_pq = |x_p - y_q|^2, (P, P') float64, of x (P, D) and y (P', D)."""
    found = np.zeros((len(x), len(y)))
    for p in range(len(x)):
        for q in range(len(y)):
            for difference in x[p].astype(np.float64) - y[q].astype(np.float64):
                found[p, q] += difference * difference
    return found


def matches(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return which q every p matches (P,), which p every q matches (P',), and their costs. The lowest index wins."""
    cost = costs(x, y)
    forward, backward = cost.argmin(1), cost.argmin(0)
    return forward, backward, cost[np.arange(len(x)), forward], cost[backward, np.arange(len(y))]


def alignment(x: np.ndarray, y: np.ndarray) -> float:
    """Return mean_p min_q c_pq + mean_q min_p c_pq."""
    _, _, forward, backward = matches(x, y)
    return float(forward.sum() / len(x) + backward.sum() / len(y))
