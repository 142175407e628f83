"""The base class of estimators that hold a metric and the sequences it was fitted to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import Any, ClassVar

from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import (
    CallbackSupportMixin,
    exporting,
    finished_despite_ctrl_c,
    kept_plain,
    save,
    shown,
    shown_by,
)
from skseqmetric._input import MISSING, Sequences, lent_sequences, missing_rule
from skseqmetric._metrics.given import unfitted_metric
from skseqmetric._metrics.hooks import check_prepared, kept, prepare
from skseqmetric._metrics.parts import check_growing, joined
from skseqmetric._training.callbacks import reported_fit, with_callbacks


@kept_plain
class MetricHolder(CallbackSupportMixin, BaseEstimator, ABC):
    """A metric, fitted or frozen, and the fitted sequences, prepared for distances to them."""

    _parameter_constraints: dict[str, list[Any]] = {
        "metric": [str, HasMethods(["fit", "pairwise_distances"]), callable],
        "metric_params": [dict, None],
        "missing": [StrOptions(set(MISSING))],
        "verbose": ["verbose"],
    }

    _stored: ClassVar[dict[str, str]] = {
        "metric_": "estimator",
        "n_samples_fit_": "size n",
        "_references": "record Embedded,EmbeddedSequences,PreparedEnsemble,SteppedSeries",
    }

    @abstractmethod
    def _learn_from_references(self, n_new: int) -> None:
        """Learn what else there is to learn of the fitted sequences, the last `n_new` of which are new."""

    # ---------------------------------------------------------------------------------------------------------- fitting

    @with_callbacks
    def _fit_metric(
        self, sequences: Sequences, y: Any, target: Any, fit_params: dict[str, Any], *, kind: str | None = None
    ) -> None:
        """Fit the metric to the target, unless it is frozen, and prepare the fitted sequences for distances.

        `kind` says what the target is, "classes" or "numbers", to metrics that would have to guess it.
        """
        metric = unfitted_metric(self.metric, self.metric_params)
        frozen = isinstance(metric, FrozenEstimator)
        with shown_by(self, fits=True), reported_fit(self, sequences, y, n_parts=0 if frozen else 1) as part:
            if frozen:
                metric = metric.estimator
                check_is_fitted(metric)
                lent_sequences(sequences, estimator=metric, reset=False)
            else:
                routed = process_routing(self, "fit", **fit_params).metric.fit if _routing() else fit_params
                _tell_target(metric, kind)
                with part(metric):
                    metric.fit(sequences, target, **routed)
            with nullcontext() if frozen else finished_despite_ctrl_c(self):
                self._keep(metric, sequences)

    def _keep(self, metric: Any, sequences: Sequences) -> None:
        self.metric_ = metric
        self._references = kept(prepare(metric, sequences))
        self.n_samples_fit_ = len(sequences)
        self._learn_from_references(len(sequences))

    def _extend(self, sequences: Sequences) -> None:
        """Keep further sequences under the fitted metric."""
        check_growing(self.metric_, self._references)
        self._references = joined(self._references, kept(prepare(self.metric_, sequences)))
        self.n_samples_fit_ += len(sequences)
        self._learn_from_references(len(sequences))

    @shown
    def _prepare_queries(self, X: Any) -> Any:
        return prepare(self.metric_, lent_sequences(X, estimator=self, reset=False))

    def _queries(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._references if X is None else self._prepare_queries(X)

    # ----------------------------------------------------------------------------------------------------------- export
    export = exporting.export

    @abstractmethod
    def _exportable(self) -> exporting.ExportedModel:
        """Return the fitted model for `export`. ValueError if it has a form that cannot be exported."""

    # ----------------------------------------------------------------------------------------------------- scikit-learn

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata: from `fit` to the `fit` of the metric, if the metric requests them.

        Returns
        -------
        router : MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="fit_transform", callee="fit")
        metric = self.metric if hasattr(self.metric, "get_metadata_routing") else None
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(metric=metric, method_mapping=mapping)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "error" or self._keeps_missing(reset=True)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        # a refused fit may have set attributes of the input, so they cannot decide
        return hasattr(self, "_references")

    save = save

    def _check_loaded(self) -> None:
        """Raise ValueError if the parts of a model that was loaded do not fit each other."""
        if "_references" not in vars(self):
            return
        check_prepared(self.metric_, self._references, self.n_samples_fit_)
        if "classes_" in vars(self):
            codes = vars(self)["_y"]
            if codes.dtype.kind != "i" or (codes < 0).any() or (codes >= len(vars(self)["classes_"])).any():
                raise ValueError("the classes of its sequences are not among its classes.")

    def _reads_tokens(self, *, reset: bool) -> bool:
        """Whether the metric reads tokens. A frozen metric is fitted already."""
        metric = self.metric if reset else self.metric_
        frozen = isinstance(metric, FrozenEstimator)
        metric = metric.estimator if frozen else metric
        return hasattr(metric, "_reads_tokens") and metric._reads_tokens(reset=reset and not frozen)

    def _keeps_missing(self, *, reset: bool) -> bool:
        """Whether the metric fills missing values itself. A frozen metric is fitted already."""
        metric = self.metric if reset else self.metric_
        frozen = isinstance(metric, FrozenEstimator)
        metric = metric.estimator if frozen else metric
        return missing_rule(metric, reset=reset and not frozen) != "error"

    def _is_supervised(self) -> bool:
        """Return whether the metric needs y, as classes. Named metrics and callables do not."""
        return hasattr(self.metric, "__sklearn_tags__") and bool(get_tags(self.metric).target_tags.required)


def _routing() -> bool:
    return bool(get_config()["enable_metadata_routing"])


def _tell_target(metric: Any, kind: str | None) -> None:
    """Set target="auto" of a metric, or of metrics that it holds, to what the target is."""
    names = [
        name for name, value in metric.get_params().items() if name.split("__")[-1] == "target" and value == "auto"
    ]
    if kind is not None and names:
        metric.set_params(**dict.fromkeys(names, kind))
