"""The search for all fitted sequences up to a distance.

The functions are methods: an estimator takes them into its class.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skseqmetric._base import shown
from skseqmetric._estimators.neighbors.graphs import csr, edge_values
from skseqmetric._metrics.search import neighbors_within


def radius_neighbors(
    self: Any, X: Any = None, radius: float | None = None, return_distance: bool = True, sort_results: bool = False
) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
    """Find all fitted sequences up to a distance.

    The search is exact, whatever `algorithm` is.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
        Queries. None: the fitted sequences. A sequence is then not a neighbour of itself. It is excluded by its
        index, so that its duplicates remain neighbours.
    radius : float, optional
        Largest distance of a neighbour, >= 0. None: the parameter of the estimator.
    return_distance : bool, default=True
        Whether to return distances too.
    sort_results : bool, default=False
        Whether to sort the neighbours of each query by (distance, index). They are sorted by index otherwise.

    Returns
    -------
    distances : ndarray of shape (n,), dtype object
        An array (K_i,) of float64 for each query. Only with `return_distance=True`.
    indices : ndarray of shape (n,), dtype object
        An array (K_i,) of int64 for each query: indices of fitted sequences. It may be empty.

    Raises
    ------
    ValueError
        `check_sequences` does not accept X, the radius is negative or NaN, or `sort_results` is asked for without
        distances.

    Notes
    -----
    Costs the distances of all pairs, and the memory of all that are found. Embeddings are compared by matrix
    products first, so that only pairs near the radius or inside cost a distance.
    """
    if sort_results and not return_distance:
        raise ValueError("return_distance must be True if sort_results is True.")
    queries = self._queries(X)
    starts, distances, indices = _within(self, queries, radius, itself=X is None, sort_results=sort_results)
    found = _by_query(indices, starts)
    return (_by_query(distances, starts), found) if return_distance else found


def radius_neighbors_graph(
    self: Any, X: Any = None, radius: float | None = None, mode: str = "connectivity", sort_results: bool = False
) -> Any:
    """Return the graph of all fitted sequences up to a distance.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
        As in `radius_neighbors`.
    radius : float, optional
        Largest distance of a neighbour, >= 0. None: the parameter of the estimator.
    mode : {"connectivity", "distance"}, default="connectivity"
        Value of an edge: 1, or the distance.
    sort_results : bool, default=False
        Whether to sort the edges of each row by (distance, index). They are sorted by index otherwise.

    Returns
    -------
    graph : CSR matrix of shape (n, n_samples_fit_)

    Raises
    ------
    ValueError
        As in `radius_neighbors`, or the mode is neither of these.
    """
    queries = self._queries(X)
    starts, distances, indices = _within(self, queries, radius, itself=X is None, sort_results=sort_results)
    return csr(edge_values(distances, mode), indices, starts, self.n_samples_fit_)


@shown
def _within(
    self: Any, queries: Any, radius: float | None, *, itself: bool, sort_results: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    starts, distances, indices = neighbors_within(
        self.metric_,
        queries,
        self._references,
        self.radius if radius is None else _checked_radius(radius),
        exclude=np.arange(self.n_samples_fit_) if itself else None,
        n_jobs=self.n_jobs,
    )
    if sort_results:
        owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        order = np.lexsort((indices, distances, owners))
        distances, indices = distances[order], indices[order]
    return starts, distances, indices


def _checked_radius(radius: Any) -> float:
    if not isinstance(radius, Real) or not float(radius) >= 0:
        raise ValueError(f"radius={radius!r} must be a number >= 0.")
    return float(radius)


def _by_query(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return an array (n,) of the values of each query."""
    out = np.empty(len(starts) - 1, dtype=object)
    for query, (start, stop) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        out[query] = values[start:stop]
    return out
