"""Several metrics as one: the weighted root of the sum of their squares."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import get_config
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import _BaseComposition, available_if

from skseqmetric._base import exporting, fitting
from skseqmetric._estimators.ensemble.defaults import DEFAULT_WEIGHTS, default_metrics, names_default
from skseqmetric._estimators.ensemble.folds import Fold, HeldOut, Outcome, chosen_weights, make_folds
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
from skseqmetric._input import (
    MISSING,
    Sequences,
    check_groups,
    check_pairs,
    check_weights,
    lent_sequences,
    n_channels_read,
)
from skseqmetric._metrics.euclidean import embedded_nearest
from skseqmetric._metrics.hooks import is_euclidean, prepare
from skseqmetric._metrics.protocol import Metric, register_metric
from skseqmetric._metrics.search import prepared_references
from skseqmetric._tensors.resolve import draw_seed
from skseqmetric._training.callbacks import CallbackSupportMixin, reported_fit
from skseqmetric._training.running import was_interrupted

_FOLDS = 3  # where weights are to be chosen, and cv does not say


def _all_can(method: str) -> Callable[[Any], bool]:
    """Return a check whether all members of an ensemble have this kind of fit."""

    def check(ensemble: Any) -> bool:
        return all(can(given, method) for _, given in kept_members(ensemble._all_members))

    return check


def _has_embedding(ensemble: Any) -> bool:
    """Whether the distance of the ensemble is that of one embedding."""
    return bool(ensemble._is_euclidean)


@register_metric("ensemble", random_state=0)
class MetricEnsemble(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, Metric, _BaseComposition):
    r"""Several metrics as one.

    .. math::
        d(x, y) = \sqrt{\sum_{m=1}^M w_m \frac{d_m(x, y)^2}{s_m^2}}, \qquad
        s_m^2 = \frac{1}{n^2} \sum_{i, j} d_m(x_i, x_j)^2

    with the sum over all pairs of training sequences, so that every member counts by its weight, whatever its unit. The
    ensemble learns and answers as any other metric does. Its errors are fewer if its members err on different
    sequences. `MetricEnsemble()` joins random convolutions and states that are matched.

    If every :math:`d_m` is the Euclidean distance of an embedding, then so is d: the embedding of the ensemble has the
    columns of all members, each times :math:`\sqrt{w_m} / s_m`. `transform` returns it, and searches take place in it.
    Otherwise distances are computed member by member. A shortlist (`algorithm="rerank"`) is then taken from the members
    that have embeddings.

    Parameters
    ----------
    metrics : list of (str, metric) tuples or None, default=None
        Names and members. A member is a metric estimator, which is cloned; a `FrozenEstimator` of a fitted one, which
        is used as it is; a function of two sequences; the name of a metric, such as "dtw"; or "drop", which leaves the
        member out. None: "convolution", a `RandomConvolutionMetric`, and "alignment", a `SyncGRUMetric` with
        ``coupling="alignment"``. Parameters of members are set by name: `set_params(alignment__n_units=32)`.
    weights : array-like of shape (M,), "cv" or None, default=None
        Weight of every member, >= 0, also of those that are dropped. Only their ratios matter. A member of weight 0 is
        fitted, but costs nothing afterwards. None: equal weights. "cv": chosen by cross-validation among all multiples
        of 1/4 that sum to 1. The loss is that of the nearest neighbour among the training sequences of the fold: an
        error for classes, a squared difference for numbers. Of all weights that are worse than the best ones by at most
        two standard errors, those nearest to equal ones are taken. It needs y.
    cv : int, splitter, iterable or None, default=None
        Folds in which s is corrected for sequences that the members have not seen. Members that learn bring their
        training sequences further apart than others. Each fold costs a fit of all members. An int is a number of folds,
        which hold the classes in equal shares and keep `groups` together. None: no correction, or 3 folds with
        `weights="cv"`. Only `fit` has folds.
    n_jobs : int or None, default=None
        Number of processes that fit members, as in joblib: None is 1, and -1 is all cores. Results have the same bits
        for any number. With callbacks of scikit-learn it is 1.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the members: each gets a number of its own for every `random_state` that it leaves at None. None:
        members stay as they are. A member that has a seed keeps it.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of missing values (NaN) in sequences. "error" refuses them. "interpolate" puts them on lines
        between observed values, and a channel without any in a sequence gets its training mean. "mask" then adds two
        channels for each: whether the value was observed, and the steps since the last one that was.
    verbose : int, default=0
        1 shows a progress bar for the fit of every member, and for searches that take longer than half a second.

    Attributes
    ----------
    metrics_ : list of M metrics
        Fitted members, without those that are dropped.
    named_metrics_ : Bunch
        The same by name.
    weights_ : ndarray of shape (M,)
        Weights w, which sum to 1.
    scales_ : ndarray of shape (M,)
        Root mean square distances s. 1 for a member whose distances are all 0. With folds they are multiplied by the
        root mean square of the distances from held-out to training sequences, relative to those among the latter.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.
    threshold_ : float
        Set by `calibrate_threshold`.

    See Also
    --------
    RandomConvolutionMetric : A member that learns in closed form.
    SyncGRUMetric : A member that is trained by gradient descent.
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
    >>> from skseqmetric import MetricEnsemble, NRNMMetric, RandomConvolutionMetric, SequenceKNeighborsClassifier
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    >>> ensemble = MetricEnsemble(random_state=0).set_params(alignment__max_epochs=5)
    >>> knn = SequenceKNeighborsClassifier(ensemble, n_neighbors=1).fit(X[:40], y[:40])
    >>> knn.predict(X[40:]).shape
    (20,)

    Other members, and weights:

    >>> members = [("convolution", RandomConvolutionMetric()), ("memory", NRNMMetric(8, n_filters=8, max_epochs=5))]
    >>> MetricEnsemble(members, weights=[3, 1], random_state=0).fit(X[:40], y[:40]).weights_
    array([0.75, 0.25])
    """

    _stored: ClassVar[dict[str, str]] = {
        "metrics_": "estimators",
        "named_metrics_": "list",
        "scales_": "float64 M",
        "weights_": "float64 M",
        "_n_features_out": "int",
    }

    _parameter_constraints: dict[str, list[Any]] = {
        "metrics": [list, tuple, None],
        "weights": [StrOptions({"cv"}), "array-like", None],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state", np.random.Generator],
        "missing": [StrOptions(set(MISSING))],
        "verbose": ["verbose"],
    }

    metrics_: list[Any]
    scales_: np.ndarray
    weights_: np.ndarray

    def __init__(
        self,
        metrics: Any = None,
        weights: Any = None,
        *,
        cv: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        missing: str = "error",
        verbose: int = 0,
    ) -> None:
        self.metrics = metrics
        self.weights = weights
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.missing = missing
        self.verbose = verbose

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
        sequences = lent_sequences(X, estimator=self)
        shares = check_weights(sample_weight, len(sequences))
        groups = None if groups is None else check_groups(groups, len(sequences))
        given = {"sample_weight": None if sample_weight is None else shares, "groups": groups}
        options = self._routed("fit", members, **given)
        folds = self._folds(y, groups, len(sequences))
        fresh = partial(new_metrics, members, sequences, self._drawn_seed())
        fits = [Fit(metric, "fit", (sequences, y), own) for metric, own in zip(fresh(), options, strict=True)]
        self._learn(members, fits, sequences, shares, y)
        if folds is not None:
            self._cross_validate(fresh, options, sequences, shares, *folds)
        return self

    @available_if(_all_can("partial_fit"))
    @fitting
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Continue the fit of every member. It exists if every member has it.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : array-like of shape (n,), or None
            As in `fit`.
        sample_weight : array-like of shape (n,), optional
            As in `fit`.

        Returns
        -------
        self
        """
        members, first = self._checked_members(), "metrics_" not in vars(self)
        self._refuse_choice("partial_fit")
        sequences = lent_sequences(X, estimator=self, reset=first)
        shares = check_weights(sample_weight, len(sequences))
        options = self._routed("partial_fit", members, sample_weight=sample_weight)
        metrics = new_metrics(members, sequences, self._drawn_seed()) if first else self._continued(members)
        fits = [Fit(m, "partial_fit", (sequences, y), own) for m, own in zip(metrics, options, strict=True)]
        self._learn(members, fits, sequences, shares, y)
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
        self._refuse_choice("fit_pairs")
        sequences = lent_sequences(X, estimator=self)
        pairs, same = check_pairs(pairs, same, len(sequences))
        fits = [
            Fit(m, "fit_pairs", (sequences, pairs, same), {})
            if hasattr(m, "fit_pairs")
            else Fit(m, "fit", (sequences,), {})
            for m in new_metrics(members, sequences, self._drawn_seed())
        ]
        self._learn(members, fits, sequences, np.ones(len(sequences)), same)
        return self

    def _checked_members(self) -> list[Member]:
        self._validate_params()
        members = check_members(self._all_members, self.get_params(deep=False))
        self._shares_of_members()
        return members

    def _drawn_seed(self) -> int | None:
        return None if self.random_state is None else draw_seed(self.random_state)

    @property
    def _all_members(self) -> Any:
        return default_metrics() if self.metrics is None else self.metrics

    def _shares_of_members(self) -> np.ndarray:
        weights = DEFAULT_WEIGHTS if self.metrics is None and self.weights is None else self.weights
        return member_weights(weights, self._all_members)

    def _refuse_choice(self, method: str) -> None:
        if self._chooses:
            raise ValueError(f'weights="cv" needs y for all sequences, and {method} has none: pass the weights.')

    @property
    def _chooses(self) -> bool:
        return isinstance(self.weights, str)

    def _folds(self, y: Any, groups: np.ndarray | None, n: int) -> tuple[Outcome, list[Fold]] | None:
        """Return what y means, and the folds of the cross-validation, if there is to be one."""
        if self._chooses and y is None:
            self._refuse_choice("this fit")
        if self.cv is None and not self._chooses:
            return None
        outcome = Outcome.of(y, n)
        return outcome, make_folds(_FOLDS if self.cv is None else self.cv, outcome.codes, groups, n)

    def _cross_validate(
        self,
        fresh: Callable[[], list[Any]],
        options: list[dict[str, Any]],
        sequences: Sequences,
        shares: np.ndarray,
        outcome: Outcome,
        folds: list[Fold],
    ) -> None:
        """Fit the members to the folds, and correct scales and weights by what they make of the rest."""
        fits = []
        for fold in folds:
            some = sequences.take(fold.kept), outcome.take(fold.kept)
            for metric, own in zip(fresh(), options, strict=True):
                fits.append(Fit(metric, "fit", some, {key: value[fold.kept] for key, value in own.items()}))
        if not was_interrupted():
            metrics = run_fits(fits, self.n_jobs)
        if was_interrupted():
            warnings.warn(
                "MetricEnsemble: Ctrl-C came before the end of the cross-validation; all members are kept, with "
                "scales of the training distances and, if they were to be chosen, equal weights.",
                ConvergenceWarning,
                stacklevel=6,
            )
            return
        n = len(options)
        parts = [HeldOut(fold, metrics[i * n : (i + 1) * n], sequences, shares) for i, fold in enumerate(folds)]
        held_out = np.array([shares[part.fold.held_out].sum() for part in parts])
        sizes = held_out if held_out.any() else None
        self.scales_ = self.scales_ * np.sqrt(np.average([p.shrinkage**2 for p in parts], axis=0, weights=sizes))
        if self._chooses:
            self.weights_ = chosen_weights(parts, outcome, shares)
            self._count_columns(sequences)

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

    def _learn(self, members: list[Member], fits: list[Fit], sequences: Sequences, shares: np.ndarray, y: Any) -> None:
        followed = bool(vars(self).get("_skl_callbacks"))
        with reported_fit(self, sequences, y, n_parts=len(fits)) as part:
            self.metrics_ = run_fits(fits, 1 if followed else self.n_jobs, part)
        self.named_metrics_ = Bunch(**dict(zip((name for name, _ in members), self.metrics_, strict=True)))
        self.weights_ = self._shares_of_members()
        sides = [(prepare(metric, sequences), shares) for metric in self.metrics_]
        self.scales_ = np.array([root_mean_square(m, own) or 1.0 for m, own in zip(self.metrics_, sides, strict=True)])
        self._count_columns(sequences)
        self.__dict__.pop("threshold_", None)

    def _count_columns(self, sequences: Sequences) -> None:
        fused = self._fusion.prepare(sequences.take(slice(0, 1))).fused
        self._n_features_out = 0 if fused is None else fused.shape[1]

    # ------------------------------------------------------------------ distances
    @property
    def _fusion(self) -> Fusion:
        factors = np.sqrt(self.weights_) / self.scales_
        return Fusion([Term(m, float(f)) for m, f in zip(self.metrics_, factors, strict=True) if f > 0])

    _reads_lent = True

    @property
    def _is_euclidean(self) -> bool:
        metrics = vars(self).get("metrics_") or [prototype(given) for _, given in kept_members(self._all_members)]
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
        return embedded_nearest(queries.fused, prepared_references(self, references), k, exclude)

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
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : array-like of shape (n,), or None
            As in `fit`.
        **fit_params
            As in `fit`.

        Returns
        -------
        embeddings : ndarray of shape (n, D), float32
        """
        return self.fit(X, y, **fit_params).transform(X)

    # ------------------------------------------------------------------ export
    export = exporting.export

    def _exportable(self) -> exporting.ExportedModel:
        if not self._is_euclidean:
            raise ValueError(
                "MetricEnsemble with a member whose distance is not that of an embedding cannot be exported as one "
                "program. Export the members, as in ensemble.metrics_[0].export(path), and add their squared distances "
                "by ensemble.weights_ and ensemble.scales_."
            )
        return self._fusion.exportable(self)

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
        return self._get_params("_all_members", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the ensemble, whole members by name, or parameters of members as `name__parameter`.

        Parameters
        ----------
        **params : dict
            New values. With ``metrics=None``, a parameter of a default member makes `metrics` the list of both.

        Returns
        -------
        self
        """
        if "metrics" in params:
            self.metrics = params.pop("metrics")
        if self.metrics is None and names_default(params):
            self.metrics = default_metrics()
            if self.weights is None and len(set(DEFAULT_WEIGHTS)) > 1:
                self.weights = list(DEFAULT_WEIGHTS)
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
        for name, given in kept_members(self._all_members):
            metric = given if hasattr(given, "get_metadata_routing") else None
            router.add(**{name: metric}, method_mapping=mapping)
        return router

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "error"
        tags.target_tags.required = any(is_supervised(given) for _, given in kept_members(self._all_members))
        if self._is_euclidean:
            tags.transformer_tags.preserves_dtype = ["float32"]
        else:
            tags.transformer_tags = None
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "metrics_")

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "named_metrics_" in state:
            state["named_metrics_"] = list(state["named_metrics_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if isinstance(vars(self).get("named_metrics_"), list):
            self.named_metrics_ = Bunch(**dict(zip(self.named_metrics_, self.metrics_, strict=True)))

    def _check_loaded(self) -> None:
        """Raise ValueError if the parts of a model that was loaded do not fit each other."""
        if "metrics_" not in vars(self):
            return
        n_members, own = len(self.metrics_), (self.scales_, self.weights_, self.named_metrics_)
        if not n_members or any(len(part) != n_members for part in own) or not (self.scales_ > 0).all():
            raise ValueError("its members have not one name, weight and positive scale each.")
        n_channels = n_channels_read(self)
        if any(getattr(metric, "n_channels_", n_channels) != n_channels for metric in self.metrics_):
            raise ValueError("its members read other channels.")

    def _sk_visual_block_(self) -> Any:
        try:
            from sklearn.utils._repr_html.estimator import _VisualBlock
        except ImportError:  # scikit-learn < 1.8
            from sklearn.utils._estimator_html_repr import _VisualBlock
        names, metrics = zip(*self._all_members, strict=True)
        return _VisualBlock("parallel", metrics, names=names)


# scikit-learn has wrapped both methods for `set_output` when the class was made, and would do so with descriptors too
for _name in ("transform", "fit_transform"):
    setattr(MetricEnsemble, _name, available_if(_has_embedding)(getattr(MetricEnsemble, _name)))


def _parameters(member: Member, method: str) -> Any:
    """Return the names of the arguments that the fit of a member takes. A frozen one takes all, and ignores them."""
    if is_frozen(member.given):
        return ()
    return inspect.signature(getattr(prototype(member.given), method)).parameters
