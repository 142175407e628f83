"""A map of recurrent states: fitted once, then frozen, so that everything placed in it can be compared."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import HDBSCAN
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from skseqmetric._input import as_array, joined_labels, label_array, positional
from skseqmetric._tensors.resolve import draw_seed
from skseqmetric.inspection._reduction import placed

_LEAST_STATES = 4  # distinct ones that UMAP needs
_N_NEIGHBORS = 15  # UMAP's default, if there are more states


class RecurrentStateMap(BaseEstimator):
    """A map of recurrent states in the plane, after RSSviz.

    Equal states are one row. The reducer is fitted once on the distinct rows, and the map is then frozen. A fitted
    state keeps its exact place; the reducer's `transform` places any other state.

    Parameters
    ----------
    reducer : object with `fit_transform`, or None, default=None
        From states to two numbers each; a copy of it is fitted. None: UMAP with its defaults (15 neighbours, or all of
        a smaller set), which needs ``pip install "skseqmetric[viz]"``. A reducer without `transform`, such as
        scikit-learn's TSNE, can place only fitted states.
    random_state : int, RandomState, Generator or None, default=42
        For the default reducer and for the choice of `max_states`. None: UMAP runs on all cores and differs each time.
    max_states : int or None, default=20000
        The map is fitted on at most so many distinct states, drawn without replacement; `transform` places the others.
        None: all.

    Attributes
    ----------
    states_ : ndarray of shape (n, H)
        The distinct states of the fit, in the order of their first appearance.
    points_ : ndarray of shape (n, 2)
        Their places.
    reducer_ : object
        The fitted reducer.

    Notes
    -----
    UMAP takes seconds for some thousand states, and once per process 10 to 40 s to be imported and compiled. Its
    `transform` takes longer than its `fit` for the same number of states: fit the map on all states that you show.

    In the map of a nonlinear reducer, distances mean little and neighbourhoods mean more. `trustworthiness` measures
    how far the neighbourhoods are correct.

    References
    ----------
    A. Variengien, X. Hinaut, "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv 2012.01748, 2020.

    L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction",
    arXiv 1802.03426, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skseqmetric.inspection import RecurrentStateMap
    >>> rng = np.random.default_rng(0)
    >>> states = [np.cumsum(rng.normal(size=(t, 5)), axis=0) for t in (4, 7)]
    >>> map_of_states = RecurrentStateMap(PCA(2)).fit(states)
    >>> [points.shape for points in map_of_states.transform(states)]
    [(4, 2), (7, 2)]
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "reducer": [HasMethods(["fit_transform"]), None],
        "random_state": ["random_state", np.random.Generator],
        "max_states": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, reducer: Any = None, *, random_state: Any = 42, max_states: int | None = 20000) -> None:
        self.reducer = reducer
        self.random_state = random_state
        self.max_states = max_states

    def fit(self, states: Any, y: Any = None) -> Self:
        """Fit the reducer on the distinct states.

        Parameters
        ----------
        states : list of arrays (T_i, H), array (n, T, H), or array (n, H)
            The states of all sequences, or all states in one array.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If states are not finite or differ in size, if UMAP gets fewer than four distinct states, or if the reducer
            does not return two numbers each.
        """
        self._validate_params()
        rows = _stacked(states)[0]
        distinct = rows[np.sort(np.unique(_keys(rows), return_index=True)[1])]
        if self.max_states is not None and len(distinct) > self.max_states:
            rng = np.random.default_rng([draw_seed(self.random_state), 0])
            distinct = distinct[np.sort(rng.choice(len(distinct), self.max_states, replace=False))]
        reducer = self._new_reducer(len(distinct))
        points = _fitted_points(reducer, distinct)
        self.states_, self.points_, self.reducer_ = distinct, points, reducer
        self._order = np.argsort(_keys(distinct))
        return self

    def transform(self, states: Any) -> Any:
        """Place states in the frozen map.

        Parameters
        ----------
        states : list of n arrays (T_i, H), array (n, T, H), or array (n, H)
            The states of all sequences, or all states in one array.

        Returns
        -------
        points : list of n arrays (T_i, 2), or array (n, 2) of one array of states (n, H)

        Raises
        ------
        ValueError
            If the states have another size than the fitted ones, or the reducer cannot place new ones.
        """
        check_is_fitted(self)
        rows, ends = _stacked(states)
        if rows.shape[1] != self.states_.shape[1]:
            raise ValueError(
                f"The states have H = {rows.shape[1]} numbers, but this map was fitted on states of "
                f"{self.states_.shape[1]}."
            )
        points = self._placed(rows.astype(self.states_.dtype))
        return points if ends is None else np.split(points, ends)

    def fit_transform(self, states: Any, y: Any = None) -> Any:
        """Fit on the states and return their places.

        Parameters
        ----------
        states : list of n arrays (T_i, H), array (n, T, H), or array (n, H)
            As in `fit`.
        y : None
            Ignored.

        Returns
        -------
        points : list of n arrays (T_i, 2), or array (n, 2) of one array of states (n, H)
        """
        return self.fit(states).transform(states)

    def _new_reducer(self, n_states: int) -> Any:
        if self.reducer is not None:
            return clone(self.reducer, safe=False)
        if n_states < _LEAST_STATES:
            raise ValueError(
                f"There are {n_states} distinct states, and UMAP needs {_LEAST_STATES} or more: give more sequences, "
                "or another reducer, such as PCA(2)."
            )
        seed = self.random_state
        if isinstance(seed, np.random.Generator):
            seed = draw_seed(seed)
        neighbors = min(_N_NEIGHBORS, n_states - 1)
        # with a seed UMAP uses one thread, and warns if more are asked for
        return _umap()(n_components=2, n_neighbors=neighbors, random_state=seed, n_jobs=-1 if seed is None else 1)

    def _placed(self, rows: np.ndarray) -> np.ndarray:
        """Places (n, 2) of states (n, H)."""
        keys, fitted = _keys(rows), _keys(self.states_)
        at = self._order[np.minimum(np.searchsorted(fitted, keys, sorter=self._order), len(fitted) - 1)]
        points, unseen = self.points_[at], np.flatnonzero(fitted[at] != keys)
        if not len(unseen):
            return points
        if not hasattr(self.reducer_, "transform"):
            raise ValueError(
                f"{len(unseen)} of {len(rows)} states were not fitted, and {type(self.reducer_).__name__} has no "
                "transform to place them: fit the map on all states that it is to show (with max_states=None), or use "
                "another reducer, such as UMAP or PCA."
            )
        _, first, back = np.unique(keys[unseen], return_index=True, return_inverse=True)
        new = rows[unseen[first]]
        points[unseen] = placed(self.reducer_, self.reducer_.transform(new), len(new), "states")[back]
        return points

    # ------------------------------------------------------------------ quality
    def trustworthiness(self, states: Any, *, n_neighbors: int = 10) -> float:
        r"""Measure how far neighbours in the map are neighbours among the states: 1 at best, 0 at worst.

        .. math:: 1 - \frac{2}{n k (2n - 3k - 1)} \sum_i \sum_{j \in U_k(i)} (r(i, j) - k)

        U_k(i) are the k nearest neighbours in the map that are not among the k nearest states. r(i, j) is the rank of
        state j by its Euclidean distance from state i. Equal states count once.

        Parameters
        ----------
        states : list of arrays (T_i, H), array (n, T, H), or array (n, H)
            The states, as in `transform`.
        n_neighbors : int, default=10
            Number k of neighbours, less than half the number of distinct states.

        Returns
        -------
        trustworthiness : float

        Notes
        -----
        The value is that of scikit-learn's `trustworthiness` for the distinct states, but its matrices (n, n) are not
        kept: memory is bounded by scikit-learn's `working_memory`. For 10,000 states of 200 units this took 24 s and
        0.5 GB on one core, scikit-learn's function 61 s and 1.9 GB. Cost O(n^2 H) for n distinct states.

        References
        ----------
        J. Venna, S. Kaski, "Neighborhood preservation in nonlinear projection methods: an experimental study", ICANN
        2001.
        """
        check_is_fitted(self)
        rows = _stacked(states)[0]
        rows = rows[np.unique(_keys(rows), return_index=True)[1]]
        n, k = len(rows), n_neighbors
        if not 1 <= k < n / 2:
            raise ValueError(f"n_neighbors={k} must be from 1 to less than half of the {n} distinct states.")
        neighbours = _nearest(self.transform(rows), k)

        def excess(distances: np.ndarray, start: int) -> np.ndarray:
            return _excess_ranks(distances, neighbours[start : start + len(distances)], start)

        total = sum(part.sum() for part in pairwise_distances_chunked(rows, reduce_func=excess))
        return float(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * total)

    def purity(self, states: Any, labels: Any, *, n_neighbors: int = 10) -> float:
        """Return the share of the nearest neighbours in the map that have the same label, in [0, 1].

        Parameters
        ----------
        states : list of arrays (T_i, H), array (n, T, H), or array (n, H)
            The states, as in `transform`.
        labels : list of arrays (T_i,), or array (n,)
            Label of every state. Rows equal in state and label count once, so a common beginning is not its own
            neighbour. Equal states with different labels are neighbours at one place.
        n_neighbors : int, default=10
            Number of nearest neighbours of every state.

        Returns
        -------
        purity : float

        Notes
        -----
        The chance level is the sum of the squared shares of the labels.
        """
        check_is_fitted(self)
        rows, ends = _stacked(states)
        codes = np.unique(_stacked_labels(labels, ends, len(rows)), return_inverse=True)[1]
        tagged = np.unique(_keys(rows), return_inverse=True)[1] * (codes.max() + 1) + codes
        chosen = np.unique(tagged, return_index=True)[1]
        if not 1 <= n_neighbors < len(chosen):
            raise ValueError(
                f"n_neighbors={n_neighbors} must be from 1 to less than the {len(chosen)} distinct states."
            )
        neighbours = _nearest(self.transform(rows[chosen]), n_neighbors)
        own = codes[chosen]
        return float((own[neighbours] == own[:, np.newaxis]).mean())

    def n_islands(self, *, min_cluster_size: int = 15) -> int:
        """Count the islands of the fitted states: clusters that HDBSCAN finds, one for a map in one piece.

        Parameters
        ----------
        min_cluster_size : int, default=15
            Least number of states in an island.

        Returns
        -------
        n_islands : int
        """
        check_is_fitted(self)
        if len(self.points_) < min_cluster_size:
            return 0
        found = HDBSCAN(min_cluster_size=min_cluster_size, allow_single_cluster=True, copy=True).fit(self.points_)
        return int(found.labels_.max()) + 1


def _umap() -> Any:
    """Import the class UMAP, which takes seconds, only when it is needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # of an optional part that needs Tensorflow
        try:
            from umap import UMAP
        except ImportError as error:
            raise ImportError('A map by UMAP needs umap-learn: pip install "skseqmetric[viz]".') from error
    return UMAP


def _stacked(states: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return all rows (N, H) as finite floats, and where the sequences end; None for one array (n, H)."""
    found = positional(states, "states", "Pass a list of arrays (T_i, H), or an array (n, T, H) or (n, H).")
    if isinstance(found, np.ndarray) and found.ndim == 2:
        arrays, ends = [found], None
    else:
        arrays = [as_array(rows, f"states[{i}]") for i, rows in enumerate(found)]
        if not arrays:
            raise ValueError("There are no states: the list of sequences is empty.")
        ends = np.cumsum([len(rows) if rows.ndim else 0 for rows in arrays])[:-1]
    for i, rows in enumerate(arrays):
        _check_rows(rows, arrays[0], f"states[{i}]" if ends is not None else "states")
    stacked = np.concatenate(arrays)
    stacked = stacked if stacked.dtype in (np.float32, np.float64) else stacked.astype(np.float64)
    return stacked + 0.0, ends  # -0 and 0 are one state


def _check_rows(rows: np.ndarray, first: np.ndarray, name: str) -> None:
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"{name} has shape {rows.shape}, but a sequence of states has shape (T, H).")
    if rows.shape[1] != first.shape[1]:
        raise ValueError(
            f"{name} has H = {rows.shape[1]} numbers a state, but the first sequence has {first.shape[1]}."
        )
    if rows.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {rows.dtype}, but states are real numbers.")
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} is not finite at step {int(np.argmin(np.isfinite(rows).all(axis=1)))}.")


def _stacked_labels(labels: Any, ends: np.ndarray | None, n_rows: int) -> np.ndarray:
    if ends is None:
        parts = [label_array(labels, "labels")]
    else:
        found = positional(labels, "labels", "Pass a list of arrays (T_i,).")
        parts = [label_array(part, f"labels[{i}]") for i, part in enumerate(found)]
    sizes = [n_rows] if ends is None else np.diff([0, *ends, n_rows]).tolist()
    if len(parts) != len(sizes):
        raise ValueError(f"labels are given for {len(parts)} sequences, but there are states of {len(sizes)}.")
    for i, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        if part.shape != (size,):
            raise ValueError(f"labels of sequence {i} have shape {part.shape}, but there are {size} states.")
    return joined_labels(parts, name="labels")


def _keys(rows: np.ndarray) -> np.ndarray:
    """View rows (n, H) as n values that NumPy compares byte by byte, so sorting is fast for any H."""
    rows = np.ascontiguousarray(rows)
    return rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))[:, 0]


def _fitted_points(reducer: Any, rows: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        # UMAP warns that a seed means one thread; the caller chose the seed
        warnings.filterwarnings("ignore", "n_jobs value", UserWarning)
        points = reducer.fit_transform(rows)
    return placed(reducer, points, len(rows), "states")


def _nearest(points: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest other points (n, k) of every point."""
    return NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)


def _excess_ranks(distances: np.ndarray, neighbours: np.ndarray, start: int) -> np.ndarray:
    """Sum over the k neighbours of rows start, ..., start + B - 1 by how much their ranks exceed k, (B,)."""
    distances[np.arange(len(distances)), start + np.arange(len(distances))] = np.inf  # no state is its own neighbour
    total, k = np.zeros(len(distances)), neighbours.shape[1]
    for column in neighbours.T:
        own = distances[np.arange(len(distances)), column]
        ranks = 1 + (distances < own[:, np.newaxis]).sum(axis=1)
        total += np.maximum(ranks - k, 0)
    return total
