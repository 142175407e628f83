"""The protocol of metrics: five hooks, and the public methods that every metric builds on them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import holds, kept_plain, save, shown
from skseqmetric._input import (
    Sequences,
    check_pair_indices,
    check_pairs,
    check_sequences,
    chosen,
    lent_sequences,
)
from skseqmetric._metrics.hooks import distances_of_pairs, prepare
from skseqmetric._metrics.matrix import distance_matrix
from skseqmetric._metrics.reader import Reader, reads_tokens, steps_of
from skseqmetric._metrics.search import nearest_by_pairs
from skseqmetric._metrics.threshold import best_threshold, check_strategy
from skseqmetric._tasks import Pairs

_REGISTRY: dict[str, Callable[..., Metric]] = {}
Maker = TypeVar("Maker", bound=Callable[..., Any])


def register_metric(name: str, /, **settings: Any) -> Callable[[Maker], Maker]:
    """Register a class or a maker, as a decorator. `metric=name` of the neighbour estimators then calls it."""

    def register(make: Maker) -> Maker:
        _REGISTRY[name] = partial(make, **settings)
        return make

    return register


def metric_named(name: str, params: Mapping[str, Any] | None = None) -> Metric:
    """Return a new metric of a registered name, with these parameters. Unknown ones raise ValueError."""
    if name not in _REGISTRY:
        known = ", ".join(repr(k) for k in sorted(_REGISTRY))
        raise ValueError(
            f"metric={name!r} is not known. Known names: {known}; or pass a metric estimator or a callable."
        )
    try:
        return _REGISTRY[name](**(params or {}))
    except TypeError as error:
        raise ValueError(f"metric_params={dict(params or {})} do not suit metric={name!r}: {error}.") from error


@kept_plain
class Metric(BaseEstimator, ABC):
    """Base class of all distances between sequences. Derive from it to write your own metric.

    A metric is symmetric to the bit, and d(x, x) = 0. A subclass implements `fit` and five hooks:

    - `fit(X, y=None)` passes X through `check_sequences`, deletes an earlier `threshold_` and returns `self`.
    - `_prepare(sequences)` returns everything that the metric needs of n `Sequences`. It runs once per sequence. The
      result can be pickled, and has `__len__` and an attribute `lengths` (n,) of int.
    - `_tile(left, rows, right, columns)` takes two prepared sets and two index arrays. It returns the distances
      (len(rows), len(columns)) of all pairs.
    - `_rows(left, rows, right, columns)` takes index arrays of equal length P. It returns the distances (P,) of the
      pairs (rows[p], columns[p]).
    - `_embeddings(prepared)` returns vectors (n, D) in float32, or None if the metric has no embedding.
    - `_nearest(queries, references, k, *, exclude, n_candidates)` returns distances and indices (Q, k) of the nearest
      references. `self._nearest_by_pairs` takes the same arguments and works for every metric.

    The public methods, the neighbour estimators and `sklearn.base.clone` then work with the subclass.

    A subclass whose distance is the Euclidean distance of its embeddings may say so by an attribute
    `_is_euclidean = True`. A `MetricEnsemble` then joins these embeddings with those of other members.

    Attributes
    ----------
    n_channels_ : int
        Channels C. `check_sequences` sets it in `fit`.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.
    threshold_ : float
        Set by `calibrate_threshold`.

    See Also
    --------
    DTWMetric : A metric that learns nothing.
    SyncGRUMetric : A metric that learns from labels.
    SequenceKNeighborsClassifier : Classify by the nearest sequences under any metric.

    Notes
    -----
    The hooks read `self` and never change it, so that several threads may use one fitted metric. Distances are float64
    and finite. The public methods raise ValueError if a hook returns another shape or type, or a distance that is not
    finite. The memory of `_tile` and `_rows` must not grow with the number of sequences.

    Examples
    --------
    The Euclidean distance between the last steps of two sequences:

    >>> import numpy as np
    >>> from skseqmetric import Metric, SequenceKNeighborsClassifier, Sequences, check_sequences
    >>> class LastStepMetric(Metric):
    ...     def fit(self, X, y=None):
    ...         check_sequences(X, estimator=self)
    ...         self.__dict__.pop("threshold_", None)
    ...         return self
    ...
    ...     def _prepare(self, sequences):
    ...         last = np.cumsum(sequences.lengths) - 1
    ...         return Sequences(sequences.values[last], np.ones_like(last))
    ...
    ...     def _tile(self, left, rows, right, columns):
    ...         return np.linalg.norm(left.values[rows, np.newaxis] - right.values[columns], axis=2)
    ...
    ...     def _rows(self, left, rows, right, columns):
    ...         return np.linalg.norm(left.values[rows] - right.values[columns], axis=1)
    ...
    ...     def _embeddings(self, prepared):
    ...         return None
    ...
    ...     def _nearest(self, queries, references, k, **options):
    ...         return self._nearest_by_pairs(queries, references, k, **options)
    >>> X, y = [[[5.0], [0.0]], [[1.0]], [[5.0], [7.0], [8.0]]], ["low", "low", "high"]
    >>> LastStepMetric().fit(X).pairwise_distances(X)
    array([[0., 1., 8.],
           [1., 0., 7.],
           [8., 7., 0.]])
    >>> SequenceKNeighborsClassifier(LastStepMetric(), n_neighbors=1).fit(X, y).predict([[[0.0], [6.0]]])
    array(['high'], dtype='<U4')
    """

    _stored: ClassVar[dict[str, str]] = {"threshold_": "number"}

    # whether `_prepare` takes sequences that lie in the caller's data, and returns something with a method `kept`
    _reads_lent: bool = False

    # ------------------------------------------------------------------ hooks
    @abstractmethod
    def _prepare(self, sequences: Sequences) -> Any:
        """Return what the distances need, computed once per sequence: an object with `__len__` and `lengths` (n,)."""

    @abstractmethod
    def _tile(self, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
        """Return the distances (len(rows), len(columns)) of all pairs of two index arrays, float64."""

    @abstractmethod
    def _rows(self, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
        """Return the distances (P,) of the pairs (rows[p], columns[p]), float64."""

    @abstractmethod
    def _embeddings(self, prepared: Any) -> np.ndarray | None:
        """Return embeddings (n, D), float32, or None if the metric has no embedding."""

    @abstractmethod
    def _nearest(
        self, queries: Any, references: Any, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return distances (Q, k) float64 and indices (Q, k) int64 of the nearest references.

        Rows are sorted by (distance, index). `exclude` (Q,) has one reference index per query that may not be its
        neighbour. `n_candidates` is the length of a shortlist by embedding. Either may be None.
        """

    def _nearest_by_pairs(
        self, queries: Any, references: Any, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Search by `_tile` and `_rows` within scikit-learn's `working_memory`. `_nearest` may return its result."""
        return nearest_by_pairs(self, queries, references, k, exclude=exclude, n_candidates=n_candidates)

    # ------------------------------------------------------------------ distances

    @shown
    def pair_distance(self, X: Any, Y: Any) -> np.ndarray:
        """Return the distance of X[p] to Y[p] for every p.

        Parameters
        ----------
        X, Y : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            The same number of sequences in both. The two sequences of a pair may differ in length.

        Returns
        -------
        distances : ndarray of shape (n,), float64

        Raises
        ------
        ValueError
            X and Y have different numbers of sequences, or `check_sequences` does not accept them.
        """
        left = self._prepared(X)
        right = left if Y is X else self._prepared(Y)
        if len(left) != len(right):
            raise ValueError(f"X has {len(left)} sequences and Y has {len(right)}: they are paired row by row.")
        return distances_of_pairs(self, left, np.arange(len(left)), right, np.arange(len(right)))

    @shown
    def pairwise_distances(self, X: Any, Y: Any = None) -> np.ndarray:
        """Return the distance of every X[i] to every Y[j].

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        Y : m sequences, optional
            None means X itself. Each unordered pair is then computed once, the result is symmetric to the bit, and its
            diagonal is 0.

        Returns
        -------
        distances : ndarray of shape (n, m), float64

        Notes
        -----
        Memory holds the result and tiles of at most 512 x 512 pairs.
        """
        left = self._prepared(X)
        return distance_matrix(self, left, None if Y is None else self._prepared(Y))

    def get_metric(self) -> PairMetric:
        """Return the fitted distance as a function of two sequences.

        Returns
        -------
        metric : callable (x, y) -> float
            x and y are arrays (T, C), or (T,) for one channel. The function can be pickled. A later `fit` does not
            change it.
        """
        check_is_fitted(self)
        return PairMetric(copy.copy(self))

    # ------------------------------------------------------------------------------------------------ same or different

    @shown
    def score_pairs(self, X: Any, pairs: Any) -> np.ndarray:
        """Return a similarity score of every pair: minus the distance.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        pairs : array-like of int, shape (P, 2)
            Rows of X.

        Returns
        -------
        scores : ndarray of shape (P,), float64
            A larger score means more similar sequences. The largest score is 0.
        """
        check_is_fitted(self)
        sequences = lent_sequences(X, estimator=self, reset=False)
        pairs = check_pair_indices(pairs, len(sequences))
        used, places = np.unique(pairs, return_inverse=True)
        rows, columns = places.reshape(pairs.shape).T
        prepared = prepare(self, chosen(sequences, used))
        return -distances_of_pairs(self, prepared, rows, prepared, columns)

    def calibrate_threshold(
        self, X: Any, pairs: Any, same: Any, *, strategy: str = "accuracy", min_rate: float | None = None
    ) -> Self:
        """Choose the threshold: the distance up to which two sequences are called the same.

        The method tries every cut between two neighbouring distances. Among equally good cuts it takes the one in the
        widest gap. The threshold is the middle of this gap. Use pairs that the metric was not fitted on.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        pairs : array-like of int, shape (P, 2)
            Rows of X.
        same : array-like of shape (P,)
            +1 if both sequences belong together, -1 if not. Both values must occur.
        strategy : {"accuracy", "balanced_accuracy", "f1", "max_tpr", "max_tnr"}, default="accuracy"
            The score that is maximised. TPR is the share of same pairs that are called the same. TNR is the share of
            different pairs that are called different. "balanced_accuracy" is (TPR + TNR) / 2. "f1" is the F1 score of
            the same pairs. "max_tpr" is the largest TPR among the cuts with TNR >= `min_rate`; the higher TNR decides
            ties. "max_tnr" is the reverse.
        min_rate : float in [0, 1], optional
            Required by "max_tpr" and "max_tnr". None for the other strategies.

        Returns
        -------
        self
            The metric, with `threshold_`.

        Notes
        -----
        The choice costs O(P log P), in addition to the P distances.
        """
        check_strategy(strategy, min_rate)
        check_is_fitted(self)
        sequences = lent_sequences(X, estimator=self, reset=False)
        pairs, same = check_pairs(pairs, same, len(sequences))
        distances = -self.score_pairs(sequences, pairs)
        self.threshold_ = best_threshold(distances, same > 0, strategy, min_rate)
        return self

    def predict_pairs(self, X: Any, pairs: Any) -> np.ndarray:
        """Predict whether the two sequences of every pair are the same.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        pairs : array-like of int, shape (P, 2)
            Rows of X.

        Returns
        -------
        same : ndarray of shape (P,), int64
            +1 if the distance is at most `threshold_`, else -1.

        Raises
        ------
        NotFittedError
            `fit` or `calibrate_threshold` has not been called.
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
        return prepare(self, lent_sequences(X, estimator=self, reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = getattr(self, "missing", "error") != "error"
        return tags

    save = save


@holds("pair metric", "metric")
class PairMetric:
    """A fitted metric as a function of two sequences (T, C). A sequence (T,) has one channel."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric

    def __call__(self, x: Any, y: Any) -> float:
        """Return the distance of x to y."""
        metric = self.metric
        if reads_tokens(metric):
            sequences = check_sequences([x, y], estimator=metric, reset=False)
        else:
            sequences = check_sequences([steps_of(x, "x"), steps_of(y, "y")], estimator=Reader(metric))
        names = getattr(self.metric, "channel_names_in_", None)
        if sequences.channel_names is None and names is not None:  # arrays have the channels in the order of the fit
            sequences = replace(sequences, channel_names=tuple(names))
        prepared = self.metric._prepared(sequences)
        return float(distances_of_pairs(self.metric, prepared, np.array([0]), prepared, np.array([1]))[0])

    def __repr__(self) -> str:
        return f"PairMetric({self.metric!r})"
