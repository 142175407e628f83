"""The graph of nearest sequences."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import unchanged_if_refused
from skseqmetric._estimators.neighbors.base import SequenceNeighbors
from skseqmetric._input import lent_sequences


class SequenceNeighborsTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SequenceNeighbors):
    r"""The graph of nearest sequences, for any estimator that takes precomputed distances.

    It is `KNeighborsTransformer` of scikit-learn for sequences. In a pipeline it precedes an estimator with
    `metric="precomputed"`, such as `KNeighborsClassifier`, `DBSCAN`, `LocalOutlierFactor` or `TSNE`. With `symmetric`
    it also precedes `HDBSCAN` and `umap.UMAP`.

    Parameters
    ----------
    metric : metric estimator, FrozenEstimator, callable or str, default="random_convolution"
        The distance, as in `SequenceKNeighborsClassifier`.
    mode : {"distance", "connectivity"}, default="distance"
        Value of an edge: the distance, or 1.
    n_neighbors : int, default=5
        Edges per row. `mode="distance"` adds one edge, because a fitted sequence is its own nearest neighbour.
    algorithm : {"exact", "rerank", "hnsw"}, default="exact"
        As in `SequenceKNeighborsClassifier`.
    n_candidates : int or None, default=None
        Length of the shortlist, at most the number of fitted sequences. None: four times the edges per row, and at
        least as many as in `SequenceKNeighborsClassifier`.
    radius : float, default=1.0
        Largest distance of a neighbour for `radius_neighbors`. Predictions do not use it.
    symmetric : bool, default=False
        Whether `fit_transform` also returns every edge in the other direction. Rows then have more than `n_neighbors`
        edges where others have it as a neighbour. `transform` has edges to fitted sequences alone, and does not change.
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
        As in `SequenceKNeighborsClassifier`.

    Attributes
    ----------
    metric_ : metric
        The fitted metric.
    n_candidates_ : int or None
        Length of the shortlist. None if the search is exact.
    n_samples_fit_ : int
        Number of fitted sequences, which are the columns of the graph.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.
    n_features_in_ : int
        Number of steps. Only after fitting a 2-D table.

    See Also
    --------
    SequenceDistances : All distances, for estimators that need more than those of neighbours.

    Notes
    -----
    The estimator that follows decides how many edges it needs. If there are fewer, it says so. `TSNE` reads
    :math:`3 \cdot \mathrm{perplexity} + 1` neighbours, 91 by default, and needs ``init="random"``. `umap.UMAP` and
    `LocalOutlierFactor` read their `n_neighbors`, `HDBSCAN` its `min_samples`. `HDBSCAN` also refuses a graph in more
    than one piece: pass more neighbours, or use `SequenceDistances`.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skseqmetric import SequenceNeighborsTransformer
    >>> X, y = [[[0.0], [0.0]], [[0.1]], [[2.0], [2.0], [2.0]], [[2.1]]], ["low", "low", "high", "high"]
    >>> graph = SequenceNeighborsTransformer("dtw", n_neighbors=2)
    >>> make_pipeline(graph, KNeighborsClassifier(1, metric="precomputed")).fit(X, y).predict([[[1.9], [1.9]]])
    array(['high'], dtype='<U4')
    """

    _stored: ClassVar[dict[str, str]] = {"_n_features_out": "int"}

    _parameter_constraints: dict[str, list[Any]] = {
        **SequenceNeighbors._parameter_constraints,
        "mode": [StrOptions({"distance", "connectivity"})],
        "symmetric": ["boolean"],
    }

    def __init__(
        self,
        metric: Any = "random_convolution",
        *,
        mode: str = "distance",
        n_neighbors: int = 5,
        algorithm: str = "exact",
        n_candidates: int | None = None,
        radius: float = 1.0,
        symmetric: bool = False,
        missing: str = "error",
        n_jobs: int | None = None,
        verbose: int = 0,
        metric_params: dict[str, Any] | None = None,
    ) -> None:
        self.metric = metric
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.algorithm = algorithm
        self.n_candidates = n_candidates
        self.radius = radius
        self.symmetric = symmetric
        self.missing = missing
        self.n_jobs = n_jobs
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

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Keep further sequences under the fitted metric, which does not learn from them.

        The first call fits, as `fit` does. Later calls give what `fit` of all sequences gives if the metric is frozen.
        The graph gets a column for each sequence.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : array-like of shape (n,), default=None
            Targets for the metric in the first call. Later calls check their number only.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, y has another length, or the metric cannot prepare sequences that are
            joined. The estimator is then as it was before.
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X, y)
        self._validate_params()
        with unchanged_if_refused(self):
            sequences = lent_sequences(X, estimator=self, reset=False)
            if y is not None and len(y) != len(sequences):
                raise ValueError(f"y has {len(y)} entries, and X {len(sequences)} sequences.")
            self._extend(sequences)
            self._n_features_out = self.n_samples_fit_
        return self

    def transform(self, X: Any) -> Any:
        """Return the edges from X to the fitted sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        graph : CSR matrix of shape (n, n_samples_fit_)
            Rows are sorted by (distance, index), as scikit-learn expects.
        """
        check_is_fitted(self)
        return self._graph(self._prepare_queries(X), self._n_stored, self.mode)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Return `fit(X, y).transform(X)`, but prepare the sequences only once. `symmetric` adds edges to it.

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
        graph : CSR matrix of shape (n, n)
            Rows are sorted by (distance, index). With `symmetric` the matrix equals its transpose.
        """
        self.fit(X, y, **fit_params)
        graph = self._graph(self._references, self._n_stored, self.mode)
        return _in_both_directions(graph) if self.symmetric else graph

    @property
    def _n_stored(self) -> int:
        return self.n_neighbors + int(self.mode == "distance")

    def _exportable(self) -> NoReturn:
        raise ValueError(
            "SequenceNeighborsTransformer cannot be exported: its answer is a sparse graph of neighbours. Export its "
            "metric, as in estimator.metric_.export(path), keep estimator.metric_.transform(references), and search "
            "the nearest rows of that array."
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._is_supervised()
        return tags


def _in_both_directions(graph: Any) -> Any:
    """Return the graph (n, n) with every edge in both directions, also those of length 0.

    A distance that a function gives in two sizes has the larger one in both directions.
    """
    n = graph.shape[0]
    left, right = np.repeat(np.arange(n), np.diff(graph.indptr)), graph.indices.astype(np.int64)
    edges, places = np.unique(np.concatenate([left * n + right, right * n + left]), return_inverse=True)
    lengths = np.full(len(edges), -np.inf)
    np.maximum.at(lengths, places, np.concatenate([graph.data, graph.data]))
    rows, columns = np.divmod(edges, n)
    order = np.lexsort((columns, lengths, rows))
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
    return type(graph)((lengths[order], columns[order], ends), shape=graph.shape)
