"""Classification by the nearest sequences."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions

from skseqmetric._base import exporting, unchanged_if_refused
from skseqmetric._estimators.neighbors.base import SequenceNeighbors, Weights, neighbor_weights
from skseqmetric._estimators.neighbors.exported import of_neighbors
from skseqmetric._input import check_classes, check_labels, lent_sequences
from skseqmetric._tasks import Classes, check_same_type


class SequenceKNeighborsClassifier(ClassifierMixin, SequenceNeighbors):
    """Classification by a vote among the nearest sequences.

    Parameters
    ----------
    metric : metric estimator, FrozenEstimator, callable or str, default="random_convolution"
        The distance. A metric estimator, such as `SyncGRUMetric()` or `DTWMetric(window=5)`, is cloned and fitted to
        the training sequences. Names stand for metrics: "random_convolution" for `RandomConvolutionMetric`, "alignment"
        for `SyncGRUMetric(coupling="alignment")`, "ensemble" for `MetricEnsemble`, which joins both, and "dtw" for
        `DTWMetric`. The first three have ``random_state=0``, so that a fit can be repeated. "softdtw", "gak", "lcss",
        "frechet", "ctw" and "sax" are distances of tslearn; of the similarities "gak" and "lcss" the distance is 1
        minus the similarity.
        `sklearn.frozen.FrozenEstimator(metric)` is used without fitting it again, and so is a
        function from `metric.get_metric()`. A callable takes two (T_i, C) arrays and returns their distance, a finite
        number, as `tslearn.metrics.dtw` does. Or it takes two lists of such arrays, of lengths Q and R, and returns all
        distances between them, shape (Q, R). `fit` finds out by trial calls on two sequences.
    n_neighbors : int, default=5
        Number of neighbours that vote.
    weights : {"uniform", "distance"}, callable or None, default="uniform"
        Weights of the votes. "uniform" or None: equal weights. "distance": 1 / distance, and fitted sequences at
        distance 0 then decide alone. A callable maps distances (Q, K) to weights of the same shape. They must be finite
        and >= 0, and not all 0 for a query. The first class wins a tie.
    algorithm : {"exact", "rerank", "hnsw"}, default="exact"
        "exact" computes the distance to every fitted sequence. "rerank" computes it only to the `n_candidates` fitted
        sequences with the nearest embeddings. "hnsw" finds such a shortlist along the links of a graph, without
        comparing all embeddings, and may miss some of them. Both need a metric with an embedding. "hnsw" also needs
        faiss, ``pip install "skseqmetric[ann]"``. `fit` and `partial_fit` make its graph. Up to 1,000 fitted sequences
        there is none, and the search is exact.
    n_candidates : int or None, default=None
        Length of the shortlist, at most the number of fitted sequences. "hnsw" follows the links of so many. None:
        four times the neighbours, and at least 20 for "rerank" or 64 for "hnsw".
    radius : float, default=1.0
        Largest distance of a neighbour for `radius_neighbors`. Predictions do not use it.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of missing values (NaN) in sequences. "error" refuses them. "interpolate" puts them on lines
        between observed values, and a channel without any in a sequence gets its training mean. "mask" then adds two
        channels for each: whether the value was observed, and the steps since the last one that was.
    n_jobs : int or None, default=None
        Jobs of a search, each with some of the queries: threads, or processes if the distance is a function. None: one,
        which may use all threads of torch. -1: as many as there are cores. Answers have the same bits.
    verbose : int, default=0
        1 shows a progress bar for a fit, and for predictions and searches that take longer than half a second.
    metric_params : dict or None, default=None
        Parameters of a metric by name, such as ``{"gamma": 0.1}`` of "softdtw", or further arguments of a callable. A
        metric estimator has its own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    metric_ : metric
        The fitted metric.
    n_candidates_ : int or None
        Length of the shortlist. None if the search is exact.
    n_samples_fit_ : int
        Number of fitted sequences.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.
    n_features_in_ : int
        Number of steps. Only after fitting a 2-D table.

    See Also
    --------
    SequenceKNeighborsRegressor : The same for numbers.
    SequenceNeighborsTransformer : The neighbour graph, for estimators that take precomputed distances.

    Notes
    -----
    An exact search computes Q R distances. It fits into scikit-learn's `working_memory`, without a (Q, R) matrix. With
    "hnsw" a query costs about `n_candidates` log R comparisons of embeddings. The graph takes 4 D + 150 bytes for each
    fitted sequence, with embeddings of D numbers. `rerank_recall` says how many neighbours are found.
    `predict` and `kneighbors` do not change the estimator, so that threads may share it.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import SequenceKNeighborsClassifier
    >>> slow, fast = (lambda n: np.sin(np.arange(n) / 4)), (lambda n: np.sin(np.arange(n)))
    >>> X = [slow(20), fast(22), slow(24), fast(21)]
    >>> X = [wave[:, np.newaxis] for wave in X]
    >>> classifier = SequenceKNeighborsClassifier(n_neighbors=1).fit(X, ["slow", "fast", "slow", "fast"])
    >>> classifier.predict([np.sin(np.arange(5, 28))[:, np.newaxis]])
    array(['fast'], dtype='<U4')
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **SequenceNeighbors._parameter_constraints,
        "weights": [StrOptions({"uniform", "distance"}), callable, None],
    }

    def __init__(
        self,
        metric: Any = "random_convolution",
        *,
        n_neighbors: int = 5,
        weights: Weights = "uniform",
        algorithm: str = "exact",
        n_candidates: int | None = None,
        radius: float = 1.0,
        missing: str = "error",
        n_jobs: int | None = None,
        verbose: int = 0,
        metric_params: dict[str, Any] | None = None,
    ) -> None:
        self.metric = metric
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.algorithm = algorithm
        self.n_candidates = n_candidates
        self.radius = radius
        self.missing = missing
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.metric_params = metric_params

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit the metric and keep the sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,)
            Class labels of any type, at least two classes.
        **fit_params : dict
            Arguments for the `fit` of the metric, such as `sample_weight` and `groups`. With metadata routing enabled,
            the metric gets those that it requests.

        Returns
        -------
        self
        """
        self._validate_params()
        with unchanged_if_refused(self):
            sequences = lent_sequences(X, estimator=self)
            self.classes_, self._y = check_labels(y, len(sequences), estimator=self)
            labels = self.classes_[self._y]
            self._fit_metric(sequences, labels, labels, fit_params, kind="classes")
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Keep further sequences under the fitted metric, which does not learn from them.

        The first call fits, as `fit` does. Later calls give what `fit` of all sequences gives if the metric is frozen.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : array-like of shape (n,)
            Class labels. A class that is new is added to `classes_`.
        classes : array-like of shape (K,), optional
            Labels to have among `classes_` in advance, so that the columns of `predict_proba` stay the same.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, labels are of another type than `classes_`, or the metric cannot
            prepare sequences that are joined. The estimator is then as it was before.
        """
        with unchanged_if_refused(self):
            if not self.__sklearn_is_fitted__():
                self.fit(X, y)
            else:
                self._validate_params()
                sequences = lent_sequences(X, estimator=self, reset=False)
                labels, codes = check_labels(y, len(sequences), estimator=self, min_classes=1)
                self._know_classes(labels)
                self._y = np.concatenate([self._y, np.searchsorted(self.classes_, labels)[codes]])
                self._extend(sequences)
            if classes is not None:
                self._know_classes(check_classes(classes))
        return self

    def _know_classes(self, labels: np.ndarray) -> None:
        """Add labels to the classes. Codes of known labels follow."""
        check_same_type(labels, self.classes_)
        known = self.classes_
        self.classes_ = np.union1d(known, labels)
        self._y = np.searchsorted(self.classes_, known)[self._y]

    @property
    def _n_stored(self) -> int:
        return self.n_neighbors

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of every sequence.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
            Sequences. None: the fitted sequences, each predicted from the others (leave-one-out).

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        votes = self._votes(X)
        return self.classes_[np.argmax(votes, axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the share of votes of every class.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
            As in `predict`.

        Returns
        -------
        shares : ndarray of shape (n, n_classes)
            Columns as in `classes_`. Rows sum to 1.
        """
        votes = self._votes(X)
        return votes / votes.sum(axis=1, keepdims=True)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
            As in `predict`.
        y : array-like of shape (n,)
            True labels.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence.

        Returns
        -------
        accuracy : float in [0, 1]
        """
        return Classes(labels=self.classes_).score(y, self.predict(X), sample_weight)

    def _exportable(self) -> exporting.ExportedModel:
        meanings = np.eye(len(self.classes_))[self._y]
        outputs: exporting.Axes = {"probabilities": ("batch", "class")}
        return of_neighbors(self, meanings, outputs, self.predict_proba, classes=exporting.plain(self.classes_))

    def _votes(self, X: Any) -> np.ndarray:
        distances, indices = self._search(self._queries(X), self.n_neighbors, itself=X is None)
        weights = neighbor_weights(distances, self.weights)
        votes = np.zeros((len(indices), len(self.classes_)))
        for labels, weight in zip(self._y[indices].T, weights.T, strict=True):
            votes[np.arange(len(votes)), labels] += weight
        return votes
