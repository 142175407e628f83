"""Several metrics as one: the weighted root of the sum of their squares."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import _BaseComposition, available_if

from skseqmetric._base import fitting
from skseqmetric._estimators.ensemble.fusion import Fusion, PreparedEnsemble, Term
from skseqmetric._estimators.ensemble.members import (
    Fit,
    Member,
    can,
    check_members,
    is_frozen,
    is_supervised,
    kept_members,
    member_weights,
    new_metrics,
    prototype,
    run_fits,
)
from skseqmetric._estimators.ensemble.scales import root_mean_square
from skseqmetric._input import Sequences, check_groups, check_pairs, check_sequences, check_weights
from skseqmetric._metrics.euclidean import embedded_nearest
from skseqmetric._metrics.hooks import is_euclidean, prepare
from skseqmetric._metrics.protocol import Metric
from skseqmetric._training.callbacks import CallbackSupportMixin, reported_fit


def _all_can(method: str) -> Callable[[Any], bool]:
    """Return a check whether all members of an ensemble have this kind of fit."""

    def check(ensemble: Any) -> bool:
        return all(can(given, method) for _, given in kept_members(ensemble.metrics))

    return check


def _has_embedding(ensemble: Any) -> bool:
    """Whether the distance of the ensemble is that of one embedding."""
    return bool(ensemble._is_euclidean)


class MetricEnsemble(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, Metric, _BaseComposition):
    r"""Several metrics as one.

    .. math::
        d(x, y) = \sqrt{\sum_{m=1}^M w_m \frac{d_m(x, y)^2}{s_m^2}}, \qquad
        s_m^2 = \frac{1}{n^2} \sum_{i, j} d_m(x_i, x_j)^2

    with the sum over all pairs of training sequences, so that every member counts by its weight, whatever its unit. The
    ensemble learns and answers as any other metric does. Its errors are fewer if its members err on different
    sequences.

    If every :math:`d_m` is the Euclidean distance of an embedding, then so is d: the embedding of the ensemble has the
    columns of all members, each times :math:`\sqrt{w_m} / s_m`. `transform` returns it, and searches take place in it.
    Otherwise distances are computed member by member. A shortlist (`algorithm="rerank"`) is then taken from the members
    that have embeddings.

    Parameters
    ----------
    metrics : list of (str, metric) tuples
        Names and members. A member is a metric estimator, which is cloned; a `FrozenEstimator` of a fitted one, which
        is used as it is; a function of two sequences; the name of a metric, such as "dtw"; or "drop", which leaves the
        member out. Parameters of members are set by name: `set_params(gru__n_units=32)`.
    weights : array-like of shape (M,) or None, default=None
        Weight of every member, >= 0, also of those that are dropped. Only their ratios matter. A member of weight 0 is
        fitted, but costs nothing afterwards. None: equal weights.
    n_jobs : int or None, default=None
        Number of processes that fit members, as in joblib: None is 1, and -1 is all cores. Results have the same bits
        for any number. With callbacks of scikit-learn it is 1.

    Attributes
    ----------
    metrics_ : list of M metrics
        Fitted members, without those that are dropped.
    named_metrics_ : Bunch
        The same by name.
    weights_ : ndarray of shape (M,)
        Weights w, which sum to 1.
    scales_ : ndarray of shape (M,)
        Root mean square distances s. 1 for a member whose distances are all 0.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.
    threshold_ : float
        Set by `calibrate_threshold`.

    See Also
    --------
    SyncGRUMetric : A member that learns from labels or pairs.
    DTWMetric : A member that learns nothing.
    SequenceKNeighborsClassifier : Classify by the nearest sequences under the ensemble.
    sklearn.ensemble.VotingClassifier : Several classifiers as one.

    Notes
    -----
    A fit costs the fits of all members, and the embedding of the training sequences. For members without an embedding,
    s is the mean over a fixed sample of at most 2048 pairs. Distances and searches cost those of all members. One
    search in the joint embedding costs the sum of their dimensions.

    `fit_pairs` exists if every member has it or learns nothing, `partial_fit` if every member has it. After
    `partial_fit`, s is that of the sequences of the last call.

    Ctrl-C ends the training of the member in progress, which keeps what it learned. Members after it that are trained
    by gradient descent learn from one batch. Ctrl-C twice, or in a search, a cross-validation or a pipeline, or while
    other processes fit, raises KeyboardInterrupt. The ensemble is then as it was before, as after every other error.

    Examples
    --------
    >>> from skseqmetric import MetricEnsemble, NRNMMetric, SequenceKNeighborsClassifier, SyncGRUMetric
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    >>> small = {"n_units": 8, "n_filters": 8, "max_epochs": 5, "random_state": 0}
    >>> ensemble = MetricEnsemble([("gru", SyncGRUMetric(**small)), ("memory", NRNMMetric(**small))], weights=[3, 1])
    >>> knn = SequenceKNeighborsClassifier(ensemble, n_neighbors=1).fit(X[:40], y[:40])
    >>> knn.predict(X[40:]).shape
    (20,)
    >>> knn.metric_.weights_
    array([0.75, 0.25])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "metrics": [list, tuple],
        "weights": ["array-like", None],
        "n_jobs": [Integral, None],
    }
    _required_parameters = ("metrics",)

    metrics_: list[Any]

    def __init__(self, metrics: Any, weights: Any = None, *, n_jobs: int | None = None) -> None:
        self.metrics = metrics
        self.weights = weights
        self.n_jobs = n_jobs

    # ------------------------------------------------------------------ fitting
    @fitting
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit every member to the same sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,), or None
            Targets, which every member gets. They are needed if one member needs them.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence, for the members whose fit takes it and for the scales. At least one member must
            take it. With metadata routing enabled, members get it by request.
        groups : array-like of shape (n,), optional
            Groups of the sequences, for the members whose fit takes them, at least one.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, names or weights are wrong, or a member refuses the data.
        TypeError
            `sample_weight` or `groups` is given, and no member takes it.
        FloatingPointError
            The loss of a member is no longer finite. The ensemble is as it was before.
        KeyboardInterrupt
            Ctrl-C, as the notes say.
        """
        members = self._checked_members()
        sequences = check_sequences(X, estimator=self)
        sample_shares = check_weights(sample_weight, len(sequences))
        if groups is not None:
            check_groups(groups, len(sequences))
        options = self._routed("fit", members, sample_weight=sample_weight, groups=groups)
        metrics = new_metrics(members, sequences)
        fits = [Fit(m, "fit", (sequences, y), own) for m, own in zip(metrics, options, strict=True)]
        self._learn(members, fits, sequences, sample_shares, y)
        return self

    @available_if(_all_can("partial_fit"))
    @fitting
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Continue the fit of every member. It exists if every member has it.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        members, first = self._checked_members(), "metrics_" not in vars(self)
        sequences = check_sequences(X, estimator=self, reset=first)
        sample_shares = check_weights(sample_weight, len(sequences))
        options = self._routed("partial_fit", members, sample_weight=sample_weight)
        metrics = new_metrics(members, sequences) if first else self._continued(members)
        fits = [Fit(m, "partial_fit", (sequences, y), own) for m, own in zip(metrics, options, strict=True)]
        self._learn(members, fits, sequences, sample_shares, y)
        return self

    @available_if(_all_can("fit_pairs"))
    @fitting
    def fit_pairs(self, X: Any, pairs: Any, same: Any) -> Self:
        """Fit every member to pairs that are known to belong together or not.

        It exists if every member has it or learns nothing.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        pairs : array-like of int, shape (P, 2)
            Rows of X.
        same : array-like of shape (P,)
            +1 if both sequences belong together, -1 if not.

        Returns
        -------
        self

        Raises
        ------
        ValueError, FloatingPointError, KeyboardInterrupt
            As in `fit`.
        """
        members = self._checked_members()
        sequences = check_sequences(X, estimator=self)
        pairs, same = check_pairs(pairs, same, len(sequences))
        fits = [
            Fit(m, "fit_pairs", (sequences, pairs, same), {})
            if hasattr(m, "fit_pairs")
            else Fit(m, "fit", (sequences,), {})
            for m in new_metrics(members, sequences)
        ]
        self._learn(members, fits, sequences, np.ones(len(sequences)), same)
        return self

    def _checked_members(self) -> list[Member]:
        self._validate_params()
        members = check_members(self.metrics, self.get_params(deep=False))
        member_weights(self.weights, self.metrics)
        return members

    def _routed(self, method: str, members: list[Member], **given: Any) -> list[dict[str, Any]]:
        """Return what every member's fit gets of the arguments that are given."""
        given = {key: value for key, value in given.items() if value is not None}
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, method, **given)
            return [dict(routed[name][method]) for name, _ in members]
        taken = [_parameters(member, method) for member in members]
        for key in given:
            if not any(key in names for names in taken):
                raise TypeError(f"{key} is given, but no member of this MetricEnsemble takes it in {method}.")
        return [{key: value for key, value in given.items() if key in names} for names in taken]

    def _continued(self, members: list[Member]) -> list[Any]:
        """Return copies of the fitted members, because a fit that fails leaves the ensemble as it was."""
        if [name for name, _ in members] != list(self.named_metrics_):
            raise ValueError(
                f"the members are {[name for name, _ in members]}, but {list(self.named_metrics_)} were fitted: keep "
                "them, or call fit."
            )
        return [
            metric if is_frozen(given) else copy.deepcopy(metric)
            for metric, (_, given) in zip(self.metrics_, members, strict=True)
        ]

    def _learn(
        self, members: list[Member], fits: list[Fit], sequences: Sequences, sample_shares: np.ndarray, y: Any
    ) -> None:
        followed = bool(vars(self).get("_skl_callbacks"))
        with reported_fit(self, sequences, y, n_parts=len(fits)) as part:
            self.metrics_ = run_fits(fits, 1 if followed else self.n_jobs, part)
        self.named_metrics_ = Bunch(**dict(zip((name for name, _ in members), self.metrics_, strict=True)))
        self.weights_ = member_weights(self.weights, self.metrics)
        self.scales_ = np.array([root_mean_square(m, prepare(m, sequences), sample_shares) for m in self.metrics_])
        self._n_features_out = _n_columns(self._fusion.prepare(sequences.take(slice(0, 1))))
        self.__dict__.pop("threshold_", None)

    # ------------------------------------------------------------------ distances
    @property
    def _fusion(self) -> Fusion:
        factors = np.sqrt(self.weights_) / self.scales_
        return Fusion([Term(m, float(f)) for m, f in zip(self.metrics_, factors, strict=True) if f > 0])

    @property
    def _is_euclidean(self) -> bool:
        metrics = vars(self).get("metrics_") or [prototype(given) for _, given in kept_members(self.metrics)]
        return all(map(is_euclidean, metrics))

    def _prepare(self, sequences: Sequences) -> PreparedEnsemble:
        return self._fusion.prepare(sequences)

    def _tile(
        self, left: PreparedEnsemble, rows: np.ndarray, right: PreparedEnsemble, columns: np.ndarray
    ) -> np.ndarray:
        return self._fusion.tile(left, rows, right, columns)

    def _rows(
        self, left: PreparedEnsemble, rows: np.ndarray, right: PreparedEnsemble, columns: np.ndarray
    ) -> np.ndarray:
        return self._fusion.rows(left, rows, right, columns)

    def _embeddings(self, prepared: PreparedEnsemble) -> np.ndarray | None:
        return self._fusion.embeddings(prepared)

    def _nearest(
        self,
        queries: PreparedEnsemble,
        references: PreparedEnsemble,
        k: int,
        *,
        exclude: np.ndarray | None,
        n_candidates: int | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        if queries.fused is None or references.fused is None or queries.others:
            return self._nearest_by_pairs(queries, references, k, exclude=exclude, n_candidates=n_candidates)
        return embedded_nearest(queries.fused, references.fused, k, exclude)

    def transform(self, X: Any) -> np.ndarray:
        """Return the joint embedding of every sequence. It exists if the distance of every member is Euclidean.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        embeddings : ndarray of shape (n, D), float32
            Columns of all members of positive weight. Their Euclidean distances are those of the ensemble.
        """
        return self._prepared(X).fused

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Fit every member and return the joint embedding. It exists if `transform` does.

        Parameters
        ----------
        X, y, **fit_params
            As in `fit`.

        Returns
        -------
        embeddings : ndarray of shape (n, D), float32
        """
        return self.fit(X, y, **fit_params).transform(X)

    # ------------------------------------------------------------------ scikit-learn
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the members by name too, and their parameters as `name__parameter`.

        Returns
        -------
        params : dict
        """
        return self._get_params("metrics", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the ensemble, whole members by name, or parameters of members as `name__parameter`.

        Parameters
        ----------
        **params : dict
            New values.

        Returns
        -------
        self
        """
        self._set_params("metrics", **params)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata: from the fits of the ensemble to those of the members that request them.

        Returns
        -------
        router : MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="partial_fit", callee="partial_fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        for name, given in kept_members(self.metrics):
            metric = given if hasattr(given, "get_metadata_routing") else None
            router.add(**{name: metric}, method_mapping=mapping)
        return router

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.target_tags.required = any(is_supervised(given) for _, given in kept_members(self.metrics))
        if self._is_euclidean:
            tags.transformer_tags.preserves_dtype = ["float32"]
        else:
            tags.transformer_tags = None
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "metrics_")

    def _sk_visual_block_(self) -> Any:
        try:
            from sklearn.utils._repr_html.estimator import _VisualBlock
        except ImportError:  # scikit-learn < 1.8
            from sklearn.utils._estimator_html_repr import _VisualBlock
        names, metrics = zip(*self.metrics, strict=True)
        return _VisualBlock("parallel", metrics, names=names)


# scikit-learn has wrapped both methods for `set_output` when the class was made, and would do so with descriptors too
for _name in ("transform", "fit_transform"):
    setattr(MetricEnsemble, _name, available_if(_has_embedding)(getattr(MetricEnsemble, _name)))


def _parameters(member: Member, method: str) -> Any:
    """Return the names of the arguments that the fit of a member takes. A frozen one takes all, and ignores them."""
    if is_frozen(member.given):
        return ()
    return inspect.signature(getattr(prototype(member.given), method)).parameters


def _n_columns(prepared: PreparedEnsemble) -> int:
    return 0 if prepared.fused is None else prepared.fused.shape[1]
