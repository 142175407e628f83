"""What a caller passes as a metric: an estimator, a frozen one, a name, or a function of two sequences."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skseqmetric._metrics.callable import CallableMetric
from skseqmetric._metrics.protocol import PairMetric, metric_named


def unfitted_metric(given: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return a new metric, or a frozen one, which is not to be fitted. Without the hooks of a metric: ValueError.

    `params` are those of a metric by name, or further arguments of a function.
    """
    if isinstance(given, str):
        return metric_named(given, params)
    if params and (isinstance(given, PairMetric) or hasattr(given, "pairwise_distances")):
        raise ValueError(f"metric_params={dict(params)} are for names and functions: set them on the metric itself.")
    if isinstance(given, PairMetric):
        # the same distances as its calls, but every sequence is prepared only once
        return FrozenEstimator(given.metric)
    if hasattr(given, "pairwise_distances"):
        return _with_hooks(clone(given))
    return CallableMetric(partial(given, **params) if params else given)


def _with_hooks(metric: Any) -> Any:
    wanted = metric.estimator if isinstance(metric, FrozenEstimator) else metric
    if not hasattr(wanted, "_prepare"):
        raise ValueError(
            f"metric={wanted!r} lacks the hooks of a metric estimator: derive its class from skseqmetric.Metric, or "
            "pass a function of two sequences."
        )
    return metric
