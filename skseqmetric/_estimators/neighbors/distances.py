"""The distances to all fitted sequences, as a step of a pipeline."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import shown, unchanged_if_refused
from skseqmetric._estimators.neighbors.holder import MetricHolder
from skseqmetric._input import lent_sequences
from skseqmetric._metrics.hooks import distance_tile
from skseqmetric._metrics.matrix import distance_matrix

SAMPLE = 512
"""Fitted sequences whose distances decide the default of gamma."""


class SequenceDistances(ClassNamePrefixFeaturesOutMixin, TransformerMixin, MetricHolder):
    r"""The distances to all fitted sequences, or a kernel of them, for any estimator that takes them precomputed.

    In a pipeline it precedes an estimator with `metric="precomputed"`, such as `AgglomerativeClustering`, `OPTICS` or
    `MDS`. With `kernel` it precedes one with `kernel="precomputed"`, such as `SVC`. With distances d and
    :math:`\gamma` > 0 the kernels are

    .. math::
        k_\mathrm{laplacian}(X, Y) = e^{-\gamma d(X, Y)}, \qquad k_\mathrm{rbf}(X, Y) = e^{-\gamma d(X, Y)^2}

    Parameters
    ----------
    metric : metric estimator, FrozenEstimator, callable or str, default="random_convolution"
        The distance, as in `SequenceKNeighborsClassifier`.
    kernel : {"laplacian", "rbf"} or None, default=None
        What `transform` returns: a kernel, or with None the distances.
    gamma : float or None, default=None
        Factor of the distance or of its square in the kernel, > 0. None: 1 over the mean of d or of :math:`d^2` over
        all pairs of at most 512 fitted sequences, spread evenly over their order.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of missing values (NaN) in sequences. "error" refuses them. "interpolate" puts them on lines
        between observed values, and a channel without any in a sequence gets its training mean. "mask" then adds two
        channels for each: whether the value was observed, and the steps since the last one that was.
    verbose : int, default=0
        1 shows a progress bar for a fit, and for calls of `transform` that take longer than half a second.
    metric_params : dict or None, default=None
        As in `SequenceKNeighborsClassifier`.

    Attributes
    ----------
    metric_ : metric
        The fitted metric.
    gamma_ : float
        The factor in use. Only with a kernel.
    n_samples_fit_ : int
        Number of fitted sequences, which are the columns of the result.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.
    n_features_in_ : int
        Number of steps. Only after fitting a 2-D table.

    See Also
    --------
    SequenceNeighborsTransformer : The nearest sequences alone, as a sparse graph.

    Notes
    -----
    n sequences and m fitted ones cost n m distances, and the result has n m numbers of 8 bytes. For many sequences the
    sparse graph is smaller.

    Both kernels are positive semi-definite for a Euclidean metric, as that of `RandomConvolutionMetric` [1]_. For other
    distances they may not be: `SVC` then finds a local optimum.

    References
    ----------
    .. [1] I. J. Schoenberg, "Metric spaces and positive definite functions", Transactions of the American Mathematical
       Society 44, 1938.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from skseqmetric import SequenceDistances
    >>> X, y = [[[0.0], [0.0]], [[0.1]], [[2.0], [2.0], [2.0]], [[2.1]]], ["low", "low", "high", "high"]
    >>> SequenceDistances("dtw").fit(X).transform([[[1.0]]]).round(2)
    array([[1.41, 0.9 , 1.73, 1.1 ]])
    >>> machine = make_pipeline(SequenceDistances("dtw", kernel="rbf"), SVC(kernel="precomputed", random_state=0))
    >>> machine.fit(X, y).predict([[[1.9], [1.9]]])
    array(['high'], dtype='<U4')
    """

    _stored: ClassVar[dict[str, str]] = {"gamma_": "number", "_n_features_out": "int"}

    _parameter_constraints: dict[str, list[Any]] = {
        **MetricHolder._parameter_constraints,
        "kernel": [StrOptions({"laplacian", "rbf"}), None],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        metric: Any = "random_convolution",
        *,
        kernel: str | None = None,
        gamma: float | None = None,
        missing: str = "error",
        verbose: int = 0,
        metric_params: dict[str, Any] | None = None,
    ) -> None:
        self.metric = metric
        self.kernel = kernel
        self.gamma = gamma
        self.missing = missing
        self.verbose = verbose
        self.metric_params = metric_params

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit the metric and keep the sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,), optional
            Targets for the metric. `SyncGRUMetric` needs them. `RandomConvolutionMetric` also learns without.
        **fit_params : dict
            As in `SequenceKNeighborsClassifier.fit`.

        Returns
        -------
        self
        """
        self._validate_params()
        with unchanged_if_refused(self):
            self._fit_metric(lent_sequences(X, estimator=self), y, y, fit_params)
            self._n_features_out = self.n_samples_fit_
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the distances from X to the fitted sequences, or their kernel.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        distances : ndarray of shape (n, n_samples_fit_), float64

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, or `kernel` was None in the fit.
        """
        check_is_fitted(self)
        if self.kernel is not None and not hasattr(self, "gamma_"):
            raise ValueError(f"kernel={self.kernel!r} was None in the fit, which chooses gamma: call fit again.")
        return self._answer(self._prepare_queries(X))

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Return `fit(X, y).transform(X)`, but prepare the sequences once, and compute the distance of a pair once.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : array-like of shape (n,), or None
            As in `fit`.
        **fit_params
            As in `fit`.

        Returns
        -------
        distances : ndarray of shape (n, n), float64
            Symmetric to the bit.
        """
        self.fit(X, y, **fit_params)
        return self._answer(None)

    @shown
    def _answer(self, queries: Any) -> np.ndarray:
        """Return the distances or kernel of prepared queries; with None those among the fitted sequences."""
        itself = queries is None
        found = distance_matrix(
            self.metric_, self._references if itself else queries, None if itself else self._references
        )
        if self.kernel is None:
            return found
        if self.kernel == "rbf":
            np.square(found, out=found)
        return np.exp(np.multiply(found, -self.gamma_, out=found), out=found)

    def _exportable(self) -> NoReturn:
        raise ValueError(
            "SequenceDistances cannot be exported: its answers are distances to all fitted sequences. Export its "
            "metric, as in estimator.metric_.export(path), and keep estimator.metric_.transform(references)."
        )

    def _learn_from_references(self, n_new: int) -> None:
        self.__dict__.pop("gamma_", None)
        if self.kernel is not None:
            self.gamma_ = self._typical_factor() if self.gamma is None else float(self.gamma)

    def _typical_factor(self) -> float:
        n = self.n_samples_fit_
        rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64))
        found = distance_tile(self.metric_, self._references, rows, self._references, rows)
        powers = np.square(found) if self.kernel == "rbf" else found
        mean = powers.sum() / max(1, len(rows) * (len(rows) - 1))
        return float(1 / mean) if mean > 0 else 1.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._is_supervised()
        return tags
