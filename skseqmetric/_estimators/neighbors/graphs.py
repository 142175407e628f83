"""Neighbours as sparse graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix
from sklearn import get_config


def edge_values(distances: np.ndarray, mode: str) -> np.ndarray:
    """Return the values of edges: their distances, or 1. ValueError: the mode is not known."""
    if mode not in ("connectivity", "distance"):
        raise ValueError(f'mode={mode!r} is neither "connectivity" nor "distance".')
    return distances if mode == "distance" else np.ones_like(distances)


def csr(values: np.ndarray, indices: np.ndarray, starts: np.ndarray, n_columns: int) -> Any:
    """Return the graph whose row i has the edges starts[i]..starts[i + 1], in the form that scikit-learn is set to."""
    form = csr_array if get_config().get("sparse_interface") == "sparray" else csr_matrix
    return form((values, indices, starts), shape=(len(starts) - 1, n_columns))
