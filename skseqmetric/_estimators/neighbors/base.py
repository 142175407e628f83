"""The base class of the neighbour estimators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import plain_state, revived_state, shown
from skseqmetric._estimators.neighbors import radius
from skseqmetric._estimators.neighbors.graphs import csr, edge_values
from skseqmetric._estimators.neighbors.holder import MetricHolder
from skseqmetric._estimators.neighbors.linked import Linked
from skseqmetric._metrics.hooks import is_euclidean
from skseqmetric._metrics.indexing.approximation import shortlist_length
from skseqmetric._metrics.search import k_nearest, prepared_references, recall_at_k

Weights = str | Callable[[np.ndarray], np.ndarray] | None


class SequenceNeighbors(MetricHolder, ABC):
    """The search for neighbours among the fitted sequences, of all neighbour estimators."""

    _parameter_constraints: dict[str, list[Any]] = {
        **MetricHolder._parameter_constraints,
        "radius": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "algorithm": [StrOptions({"exact", "rerank", "hnsw"})],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
    }

    _stored: ClassVar[dict[str, str]] = {
        "n_candidates_": "none|int",
        "classes_": "labels K",
        "_y": "int64 n|floats n|floats n *",
        "_linked": "none|record StoredApproximation",
    }

    def _learn_from_references(self, n_new: int) -> None:
        if self.algorithm != "exact":
            self._shortlist_length(self._n_stored, self.n_samples_fit_)  # refused before a graph is made
        earlier = self.__dict__.pop("_linked", None)
        if self.algorithm == "hnsw":
            linked = Linked.of(self.metric_, self._references, n_new, earlier)
            if linked is not None:
                self._linked = linked
        elif self.algorithm == "rerank" or is_euclidean(self.metric_):
            prepared_references(self.metric_, self._references)
        is_shortlisted = self._is_shortlisted(self.algorithm)
        self.n_candidates_ = self._shortlist_length(self._n_stored, self.n_samples_fit_) if is_shortlisted else None

    @property
    @abstractmethod
    def _n_stored(self) -> int:
        """Number of neighbours that a prediction needs."""

    def _is_shortlisted(self, algorithm: str) -> bool:
        """Whether a search computes the distances to a shortlist alone. A graph of few sequences is not made."""
        return algorithm == "rerank" or (algorithm == "hnsw" and "_linked" in vars(self))

    def _shortlist_length(self, k: int, most: int) -> int:
        if self.n_candidates is None:
            is_linked = self.algorithm == "hnsw" and "_linked" in vars(self)
            return min(shortlist_length(k) if is_linked else max(20, 4 * k), most)
        if self.n_candidates < k:
            raise ValueError(
                f"n_candidates={self.n_candidates} is less than the {k} neighbours that the search must find."
            )
        return min(self.n_candidates, most)

    # ----------------------------------------------------------------------------------------------------------- search
    radius_neighbors = radius.radius_neighbors
    radius_neighbors_graph = radius.radius_neighbors_graph

    def kneighbors(
        self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
        """Find the nearest fitted sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
            Queries. None: the fitted sequences. A sequence is then not a neighbour of itself. It is excluded by its
            index, so that its duplicates remain neighbours.
        n_neighbors : int, optional
            Neighbours K. None: the parameter of the estimator.
        return_distance : bool, default=True
            Whether to return distances too.

        Returns
        -------
        distances : ndarray of shape (n, K), float64
            Only with `return_distance=True`.
        indices : ndarray of shape (n, K), int64
            Indices of fitted sequences. Each row is sorted by (distance, index).

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, or there are fewer fitted sequences than neighbours.
        """
        k = self._checked_k(n_neighbors)
        distances, indices = self._search(self._queries(X), k, itself=X is None)
        return (distances, indices) if return_distance else indices

    def kneighbors_graph(self, X: Any = None, n_neighbors: int | None = None, mode: str = "connectivity") -> Any:
        """Return the graph of nearest fitted sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
            As in `kneighbors`.
        n_neighbors : int, optional
            Neighbours K. None: the parameter of the estimator.
        mode : {"connectivity", "distance"}, default="connectivity"
            Value of an edge: 1, or the distance.

        Returns
        -------
        graph : CSR matrix of shape (n, n_samples_fit_)
            K edges per row, sorted by (distance, index).
        """
        k = self._checked_k(n_neighbors)
        return self._graph(self._queries(X), k, mode, itself=X is None)

    def rerank_recall(self, X: Any = None, n_neighbors: int | None = None) -> float:
        """Return the share of the exact neighbours that a shortlist holds.

        The shortlist is that of `algorithm="hnsw"` if this is the algorithm, else that of "rerank".

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
            As in `kneighbors`. The distances of all pairs are computed, so pass a sample of the queries.
        n_neighbors : int, optional
            Neighbours K. None: the parameter of the estimator.

        Returns
        -------
        recall : float in [0, 1]
            Share of the exact K nearest neighbours that are on the shortlist, and thus in the result of the search.
        """
        k, queries = self._checked_k(n_neighbors), self._queries(X)
        algorithms = "exact", "hnsw" if self.algorithm == "hnsw" else "rerank"
        found = [self._search(queries, k, itself=X is None, algorithm=a)[1] for a in algorithms]
        return recall_at_k(*found)

    def _checked_k(self, n_neighbors: Any) -> int:
        check_is_fitted(self)
        if n_neighbors is None:
            return self.n_neighbors
        if not isinstance(n_neighbors, Integral):
            raise TypeError(f"n_neighbors does not take {type(n_neighbors)} value, enter integer value")
        if n_neighbors <= 0:
            raise ValueError(f"Expected n_neighbors > 0. Got {n_neighbors}")
        return int(n_neighbors)

    @shown
    def _search(
        self, queries: Any, k: int, *, itself: bool = False, algorithm: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        algorithm = algorithm or self.algorithm
        most = self.n_samples_fit_ - int(itself)
        shortlisted = k <= most and self._is_shortlisted(algorithm)
        options: dict[str, Any] = {
            "n_candidates": self._shortlist_length(k, most) if shortlisted else None,
            "exclude": np.arange(self.n_samples_fit_) if itself else None,
            "n_jobs": self.n_jobs,
        }
        if shortlisted and algorithm == "hnsw":
            return self._linked.search(self.metric_, queries, k, **options)
        return k_nearest(self.metric_, queries, self._references, k, **options)

    def _graph(self, queries: Any, k: int, mode: str, *, itself: bool = False) -> Any:
        distances, indices = self._search(queries, k, itself=itself)
        starts = np.arange(0, indices.size + 1, k)
        return csr(edge_values(distances.ravel(), mode), indices.ravel(), starts, self.n_samples_fit_)

    # ------------------------------------------------------------------------------------------------------------ files
    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        linked = state.get("_linked")
        return state if linked is None else plain_state(self, {**state, "_linked": linked.stored()})

    def __setstate__(self, state: dict[str, Any]) -> None:
        revived = revived_state(self, state)
        stored = revived.pop("_linked", None)
        super().__setstate__(revived)
        if stored is not None:
            self._linked = Linked.restored(self.metric_, self._references, stored)


def neighbor_weights(distances: np.ndarray, weights: Weights) -> np.ndarray:
    """Return the weights (Q, K) of neighbours: finite, >= 0, and with a finite sum > 0 for every query.

    With "distance", neighbours at distance 0 get all the weight. None is "uniform".
    """
    if weights is None or weights == "uniform":
        return np.ones_like(distances)
    found = _inverse(distances) if weights == "distance" else _checked_weights(weights, distances)  # type: ignore[arg-type]
    with np.errstate(over="ignore"):
        totals = found.sum(axis=1)
    huge = ~np.isfinite(totals)
    found[huge] /= found[huge].max(axis=1, keepdims=True)
    return found


def _inverse(distances: np.ndarray) -> np.ndarray:
    if (distances < 0).any():
        i, j = divmod(int(np.argmax(distances < 0)), distances.shape[1])
        raise ValueError(
            f'weights="distance" needs distances >= 0, and neighbor {j} of query {i} is at {distances[i, j]}: use '
            'weights="uniform", or a metric that is never negative.'
        )
    with np.errstate(divide="ignore", over="ignore"):
        inverse = 1 / distances
    # the inverse of denormal distances overflows: they count as zero, as in scikit-learn
    exact = np.isinf(inverse)
    return np.where(exact.any(axis=1, keepdims=True), exact, inverse)


def _checked_weights(weights: Callable[[np.ndarray], np.ndarray], distances: np.ndarray) -> np.ndarray:
    """Return weights(distances) as a new array. They must be finite and >= 0, and not all 0 for any query."""
    with np.errstate(all="ignore"):  # a division by zero is named below
        given = weights(distances.copy())
    try:
        found = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"weights(distances) returned {type(given).__name__}, not an array of numbers.") from error
    if found.shape != distances.shape:
        raise ValueError(
            f"weights(distances) returned {type(given).__name__} of shape {found.shape}, the distances have "
            f"{distances.shape}: return one weight for every distance."
        )
    bad = ~np.isfinite(found) | (found < 0)
    if bad.any():
        i, j = divmod(int(np.argmax(bad)), bad.shape[1])
        raise ValueError(
            f"weights(distances) gave {found[i, j]} to neighbor {j} of query {i}, at distance {distances[i, j]}: "
            'weights must be finite and >= 0. weights="distance" is 1 / distance, also where the distance is 0.'
        )
    none = ~found.any(axis=1)
    if none.any():
        raise ValueError(
            f"All neighbors of query {int(np.argmax(none))} get zero weight: change the function `weights`."
        )
    return found
