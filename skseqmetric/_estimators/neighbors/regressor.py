"""Regression by the nearest sequences."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions

from skseqmetric._base import exporting, unchanged_if_refused
from skseqmetric._estimators.neighbors.base import SequenceNeighbors, Weights, neighbor_weights
from skseqmetric._estimators.neighbors.exported import of_neighbors
from skseqmetric._input import check_real_targets, lent_sequences
from skseqmetric._tasks import Numbers


class SequenceKNeighborsRegressor(MultiOutputMixin, RegressorMixin, SequenceNeighbors):
    """Regression by the mean of the nearest sequences.

    Parameters
    ----------
    metric : metric estimator, FrozenEstimator, callable or str, default="random_convolution"
        The distance, as in `SequenceKNeighborsClassifier`. `RandomConvolutionMetric` learns from y itself. A metric
        that learns from classes alone is fitted to bins of y, see `n_bins`.
    n_neighbors : int, default=5
        Number of neighbours in the mean.
    weights : {"uniform", "distance"}, callable or None, default="uniform"
        Weights of the mean, as in `SequenceKNeighborsClassifier`. None is "uniform".
    algorithm : {"exact", "rerank", "hnsw"}, default="exact"
        As in `SequenceKNeighborsClassifier`.
    n_candidates : int or None, default=None
        Length of the shortlist, at most the number of fitted sequences. "hnsw" follows the links of so many. None:
        four times the neighbours, and at least 20 for "rerank" or 64 for "hnsw".
    radius : float, default=1.0
        Largest distance of a neighbour for `radius_neighbors`. Predictions do not use it.
    n_bins : int, default=10
        Number of classes for a metric that learns from classes alone. They are quantile bins of y, which hold equal
        numbers but for ties. A y with at most `n_bins` different values is not binned. With several outputs, each
        output is cut into `n_bins ** (1 / n_outputs)` bins, rounded down and at least 2. A class is then a combination
        of bins.
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
    SequenceKNeighborsClassifier : The same for classes.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import SequenceKNeighborsRegressor
    >>> X = [np.full((steps, 1), level) for steps, level in [(3, 0.0), (5, 1.0), (4, 2.0), (6, 3.0)]]
    >>> SequenceKNeighborsRegressor("dtw", n_neighbors=2).fit(X, [0.0, 10.0, 20.0, 30.0]).predict([X[3]])
    array([25.])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **SequenceNeighbors._parameter_constraints,
        "weights": [StrOptions({"uniform", "distance"}), callable, None],
        "n_bins": [Interval(Integral, 2, None, closed="left")],
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
        n_bins: int = 10,
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
        self.n_bins = n_bins
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
        y : array-like of shape (n,) or (n, n_outputs)
            Finite numbers.
        **fit_params : dict
            As in `SequenceKNeighborsClassifier.fit`.

        Returns
        -------
        self
        """
        self._validate_params()
        with unchanged_if_refused(self):
            sequences = lent_sequences(X, estimator=self)
            self._y = _check_values(y, len(sequences), self)
            binned = self._is_supervised()
            target = self._classes_for_metric() if binned else self._y
            self._fit_metric(sequences, self._y, target, fit_params, kind="classes" if binned else "numbers")
        return self

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Keep further sequences under the fitted metric, which does not learn from them.

        The first call fits, as `fit` does. Later calls give what `fit` of all sequences gives if the metric is frozen.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : array-like of shape (n,) or (n, n_outputs)
            Finite numbers, of as many outputs as in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, y has another shape, or the metric cannot prepare sequences that are
            joined. The estimator is then as it was before.
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X, y)
        self._validate_params()
        with unchanged_if_refused(self):
            sequences = lent_sequences(X, estimator=self, reset=False)
            values = _check_values(y, len(sequences), self)
            if values.shape[1:] != self._y.shape[1:]:
                raise ValueError(f"y has shape {values.shape}, and that of the first fit was {self._y.shape}.")
            self._y = np.concatenate([self._y, values])
            self._extend(sequences)
        return self

    def _classes_for_metric(self) -> np.ndarray:
        classes = quantile_classes(self._y, self.n_bins)
        if len(np.unique(classes)) < 2:
            raise ValueError(
                f"y is constant, which leaves one class for {type(self.metric).__name__} to learn from: pass a y with "
                'different values, or a metric that learns nothing, such as metric="dtw".'
            )
        return classes

    @property
    def _n_stored(self) -> int:
        return self.n_neighbors

    def predict(self, X: Any) -> np.ndarray:
        """Predict the weighted mean of y over the nearest sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
            Sequences. None: the fitted sequences, each predicted from the others (leave-one-out).

        Returns
        -------
        values : ndarray of shape (n,) or (n, n_outputs)
        """
        distances, indices = self._search(self._queries(X), self.n_neighbors, itself=X is None)
        weights = neighbor_weights(distances, self.weights)
        shares = weights / weights.sum(axis=1, keepdims=True)
        return np.einsum("qk,qk...->q...", shares, self._y[indices])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R^2, averaged over the outputs.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or None
            As in `predict`.
        y : array-like of shape (n,) or (n, n_outputs)
            True numbers.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence.

        Returns
        -------
        score : float
            The best score is 1.
        """
        return Numbers().score(y, self.predict(X), sample_weight)

    def _exportable(self) -> exporting.ExportedModel:
        axes = ("batch",) if self._y.ndim == 1 else ("batch", "output")
        return of_neighbors(self, self._y.astype(np.float64), {"predictions": axes}, self.predict)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # scikit-learn's test data are a table whose columns have no order in time, so that warping must fail
        tags.regressor_tags.poor_score = True
        return tags


def _check_values(y: Any, n: int, estimator: Any) -> np.ndarray:
    values, one_column = check_real_targets(y, n, estimator=estimator)
    return values[:, 0] if one_column else values


def quantile_classes(y: np.ndarray, n_bins: int) -> np.ndarray:
    """Bin values (n,) or (n, n_outputs) at their quantiles. See `n_bins` of `SequenceKNeighborsRegressor`."""
    outputs = y.reshape(len(y), -1)
    n_outputs = outputs.shape[1]
    width = max(2, int(n_bins ** (1 / n_outputs) + 1e-9))
    bins = np.stack([_quantile_bins(column, width) for column in outputs.T], axis=1)
    return np.unique(bins, axis=0, return_inverse=True)[1].ravel()


def _quantile_bins(column: np.ndarray, width: int) -> np.ndarray:
    values, places = np.unique(column, return_inverse=True)
    if len(values) <= width:
        return places
    edges = np.quantile(column, np.arange(1, width) / width)
    return np.searchsorted(edges, column, side="right")
