"""Places in the plane, from any object with `fit_transform`."""

from __future__ import annotations

from typing import Any

import numpy as np


def placed(reducer: Any, points: Any, n: int, what: str) -> np.ndarray:
    """Return the places (n, 2) that a reducer gave n things, checked to be finite; `what` names the things."""
    points = np.asarray(points)
    if points.shape != (n, 2):
        raise ValueError(
            f"{type(reducer).__name__} returned shape {points.shape} for {n} {what}: a map needs a reducer to two "
            "numbers, such as PCA(2)."
        )
    if points.dtype.kind not in "biuf" or not np.isfinite(points).all():
        raise ValueError(
            f"{type(reducer).__name__} returned places that are not finite numbers for some of the {n} {what}: use "
            "another reducer, such as PCA(2), or check its parameters."
        )
    return points
