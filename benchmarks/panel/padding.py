"""Ragged sequences for classifiers that take equal lengths only. Nothing but NumPy is needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHORTEST = 9
"""Steps that the kernels of aeon need."""


def common_length(X: Sequence[np.ndarray]) -> int:
    """Of the longest training sequence, and enough for the kernels."""
    return max(SHORTEST, *(len(x) for x in X))


def padded(X: Sequence[np.ndarray], n_steps: int) -> np.ndarray:
    """(n, C, n_steps), as `aeon.transformations.collection.unequal_length.Padder` fills with zeros; longer ones cut."""
    out = np.zeros((len(X), X[0].shape[1], n_steps))
    for row, x in zip(out, X, strict=True):
        row[:, : len(x)] = x[:n_steps].T
    return out
