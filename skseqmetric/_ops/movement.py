"""How much a sequence moves at every step, and where it begins and ends to move."""

from __future__ import annotations

import numpy as np


def movement(values: np.ndarray, scale: np.ndarray, width: int) -> np.ndarray:
    """Return the energy of movement (T,): squared changes in units of `scale` (C,), averaged over `width` steps.

    The change of a step is the mean of those into it and out of it, so that a movement has the same ends in reverse.
    """
    squares = np.square(np.diff(values / scale, axis=0)).mean(axis=1)
    if not len(squares):
        return np.zeros(len(values))
    around = np.concatenate([squares[:1], (squares[1:] + squares[:-1]) / 2, squares[-1:]])
    sums = np.concatenate([[0.0], np.cumsum(around)])
    steps = np.arange(len(values))
    left, right = np.maximum(steps - (width - 1) // 2, 0), np.minimum(steps + width // 2 + 1, len(values))
    return (sums[right] - sums[left]) / (right - left)


def active_range(energy: np.ndarray, threshold: float, margin: int) -> tuple[int, int]:
    """Return the first step with more than a share of the largest energy, and the one behind the last; with a margin.

    A sequence that never moves is active as a whole.
    """
    active = np.flatnonzero(energy > threshold * energy.max())
    if not len(active):
        return 0, len(energy)
    return max(0, int(active[0]) - margin), min(len(energy), int(active[-1]) + 1 + margin)


def liveliest(energy: np.ndarray, length: int) -> int:
    """Return the first step of the `length` steps in a row that have the most energy."""
    sums = np.concatenate([[0.0], np.cumsum(energy)])
    return int(np.argmax(sums[length:] - sums[:-length])) if length < len(energy) else 0
