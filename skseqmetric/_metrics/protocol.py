"""The metric protocol: the public methods of every distance between sequences, written once over five hooks."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skseqmetric._input import Sequences, check_pair_indices, check_pairs, check_sequences
from skseqmetric._metrics.hooks import by_length, distance_tile, distances_of_pairs
from skseqmetric._metrics.search import nearest_by_pairs
from skseqmetric._metrics.threshold import best_threshold, check_strategy
from skseqmetric._tasks import Pairs

_BLOCK = 512  # rows and columns of one block of a distance matrix
_LEAF = 32  # diagonal blocks up to this size are computed whole

_REGISTRY: dict[str, type[Metric]] = {}


def register_metric(name: str) -> Callable[[type[Metric]], type[Metric]]:
    """Class decorator: `metric=name` of the neighbour estimators means this class with its defaults."""

    def register(cls: type[Metric]) -> type[Metric]:
        _REGISTRY[name] = cls
        return cls

    return register


def metric_named(name: str) -> Metric:
    """A new metric of a registered name; an unknown name is a ValueError that lists the known ones."""
    if name not in _REGISTRY:
        known = ", ".join(repr(k) for k in sorted(_REGISTRY))
        raise ValueError(
            f"metric={name!r} is not known. Known names: {known}; or pass a metric estimator or a callable."
        )
    return _REGISTRY[name]()


class Metric(BaseEstimator, ABC):
    """A distance between sequences: smaller is closer, symmetric to the bit, d(x, x) = 0.

    Derive from this class to write a metric of your own. Implement the five hooks below, and a `fit` that checks X by
    `check_sequences` and deletes an earlier `threshold_`. The hooks only read `self`: several threads may use one
    fitted metric.
    """

    # ------------------------------------------------------------------ hooks
    @abstractmethod
    def _prepare(self, sequences: Sequences) -> Any:
        """What is computed once per sequence: a picklable object with `__len__` and `lengths` (n,) int."""

    @abstractmethod
    def _tile(self, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
        """Every pair of two index arrays, (len(rows), len(columns)) float64, in bounded memory."""

    @abstractmethod
    def _rows(self, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
        """Pair by pair, (P,) float64; rows and columns both have length P."""

    @abstractmethod
    def _embeddings(self, prepared: Any) -> np.ndarray | None:
        """(n, D) float32, or None where the metric has no embedding."""

    @abstractmethod
    def _nearest(
        self, queries: Any, references: Any, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distances (Q, k) float64 and indices (Q, k) int64 of the nearest references, by (distance, index).

        `exclude` (Q,) has one reference index per query that may not be its neighbour. `n_candidates` is the length of
        a shortlist by embedding. Either may be None. `self._nearest_by_pairs` answers this for any distance.
        """

    def _nearest_by_pairs(
        self, queries: Any, references: Any, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `_nearest` may return: the search by tiles and pairs within scikit-learn's `working_memory`."""
        return nearest_by_pairs(self, queries, references, k, exclude=exclude, n_candidates=n_candidates)

    # ------------------------------------------------------------------ distances

    def pair_distance(self, X: Any, Y: Any) -> np.ndarray:
        """Distance of X[p] to Y[p], pair by pair.

        Parameters
        ----------
        X, Y : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Equally many sequences; the lengths of a pair may differ.

        Returns
        -------
        distances : ndarray of shape (n,), float64

        Raises
        ------
        ValueError
            For X and Y of different length, or input outside the contract.
        """
        left = self._prepared(X)
        right = left if Y is X else self._prepared(Y)
        if len(left) != len(right):
            raise ValueError(f"X has {len(left)} sequences and Y has {len(right)}: they are paired row by row.")
        return distances_of_pairs(self, left, np.arange(len(left)), right, np.arange(len(right)))

    def pairwise_distances(self, X: Any, Y: Any = None) -> np.ndarray:
        """Distance of every X[i] to every Y[j].

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Y : m sequences, optional
            None means X itself: every unordered pair is computed once, the result is symmetric to the bit and
            its diagonal is 0.

        Returns
        -------
        distances : ndarray of shape (n, m), float64

        Notes
        -----
        Memory: the result and tiles of at most 512 x 512 pairs.
        """
        left = self._prepared(X)
        if Y is None:
            distances = np.zeros((len(left), len(left)))
            _fill_symmetric(self, left, by_length(left), distances)
            return distances
        right = self._prepared(Y)
        distances = np.empty((len(left), len(right)))
        _fill_block(self, left, by_length(left), right, by_length(right), distances)
        return distances

    def get_metric(self) -> PairMetric:
        """The fitted distance as a plain function of two sequences.

        Returns
        -------
        metric : callable (x, y) -> float
            x and y are arrays (T, C), or (T,) for one channel. Picklable; it keeps the state of this moment, so a
            later `fit` does not change it.
        """
        check_is_fitted(self)
        return PairMetric(copy.copy(self))

    # ------------------------------------------------------------------------------------------------ same or different

    def score_pairs(self, X: Any, pairs: Any) -> np.ndarray:
        """How alike the sequences of each pair are: minus their distance.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        pairs : array-like of int, shape (P, 2)
            Rows of X.

        Returns
        -------
        scores : ndarray of shape (P,), float64
            Larger is more alike; 0 is the largest.
        """
        check_is_fitted(self)
        sequences = check_sequences(X, estimator=self, reset=False)
        pairs = check_pair_indices(pairs, len(sequences))
        used, places = np.unique(pairs, return_inverse=True)
        rows, columns = places.reshape(pairs.shape).T
        prepared = self._prepare(sequences.take(used))
        return -distances_of_pairs(self, prepared, rows, prepared, columns)

    def calibrate_threshold(
        self, X: Any, pairs: Any, same: Any, *, strategy: str = "accuracy", min_rate: float | None = None
    ) -> Self:
        """Choose the distance up to which two sequences are called the same.

        Every cut between two neighbouring distances is tried. Among equally good cuts the one in the widest gap
        is taken, and the threshold is the middle of its gap. Use pairs that the metric was not fitted on.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        pairs : array-like of int, shape (P, 2)
            Rows of X.
        same : array-like of shape (P,)
            +1 where both belong together, -1 where they do not; both kinds must occur.
        strategy : {"accuracy", "balanced_accuracy", "f1", "max_tpr", "max_tnr"}, default="accuracy"
            What is maximised. With TPR = share of the same pairs called same and TNR = share of the different
            pairs called different: "balanced_accuracy" is (TPR + TNR) / 2; "f1" is that of the same pairs;
            "max_tpr" is the TPR among the cuts with TNR >= `min_rate` (then the higher TNR), "max_tnr" the reverse.
        min_rate : float in [0, 1], optional
            For "max_tpr" and "max_tnr", which need it; None otherwise.

        Returns
        -------
        self
            With `threshold_`.

        Notes
        -----
        O(P log P) beside the distances.
        """
        check_strategy(strategy, min_rate)
        check_is_fitted(self)
        sequences = check_sequences(X, estimator=self, reset=False)
        pairs, same = check_pairs(pairs, same, len(sequences))
        distances = -self.score_pairs(sequences, pairs)
        self.threshold_ = best_threshold(distances, same > 0, strategy, min_rate)
        return self

    def predict_pairs(self, X: Any, pairs: Any) -> np.ndarray:
        """Whether the sequences of each pair are the same.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        pairs : array-like of int, shape (P, 2)
            Rows of X.

        Returns
        -------
        same : ndarray of shape (P,), int64
            +1 where the distance is at most `threshold_`, else -1.

        Raises
        ------
        NotFittedError
            Before `fit`, or before `calibrate_threshold`.
        """
        check_is_fitted(self)
        if not hasattr(self, "threshold_"):
            raise NotFittedError(
                f"This {type(self).__name__} has no threshold yet: call calibrate_threshold(X, pairs, same) "
                "before predict_pairs."
            )
        return Pairs(threshold=self.threshold_).answer(-self.score_pairs(X, pairs))

    def _prepared(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._prepare(check_sequences(X, estimator=self, reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        return tags


class PairMetric:
    """A fitted metric as a function of two sequences (T, C); a sequence (T,) has one channel."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric

    def __call__(self, x: Any, y: Any) -> float:
        """Distance of x to y."""
        pair = [np.asarray(sequence) for sequence in (x, y)]
        pair = [sequence[:, np.newaxis] if sequence.ndim == 1 else sequence for sequence in pair]
        prepared = self.metric._prepared(pair)
        return float(distances_of_pairs(self.metric, prepared, np.array([0]), prepared, np.array([1]))[0])

    def __repr__(self) -> str:
        return f"PairMetric({self.metric!r})"


# ------------------------------------------------------------------ blocks of a distance matrix


def _fill_block(
    metric: Any,
    left: Any,
    rows: np.ndarray,
    right: Any,
    columns: np.ndarray,
    out: np.ndarray,
    mirror: bool = False,
) -> None:
    for i in range(0, len(rows), _BLOCK):
        for j in range(0, len(columns), _BLOCK):
            part = rows[i : i + _BLOCK], columns[j : j + _BLOCK]
            tile = distance_tile(metric, left, part[0], right, part[1])
            out[np.ix_(*part)] = tile
            if mirror:
                out[np.ix_(part[1], part[0])] = tile.T


def _fill_symmetric(metric: Any, prepared: Any, rows: np.ndarray, out: np.ndarray) -> None:
    """Distances among `rows`: the off-diagonal quarter once and mirrored, then both halves likewise."""
    if len(rows) <= _LEAF:
        tile = np.triu(distance_tile(metric, prepared, rows, prepared, rows), 1)
        out[np.ix_(rows, rows)] = tile + tile.T
        return
    half = len(rows) // 2
    _fill_block(metric, prepared, rows[:half], prepared, rows[half:], out, mirror=True)
    _fill_symmetric(metric, prepared, rows[:half], out)
    _fill_symmetric(metric, prepared, rows[half:], out)
