"""The members of an ensemble: what may be one, and their fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skseqmetric._input import Sequences, as_array, lent_sequences, positional, real_numbers
from skseqmetric._metrics.callable import CallableMetric
from skseqmetric._metrics.given import unfitted_metric
from skseqmetric._metrics.protocol import PairMetric, metric_named
from skseqmetric._ops.parallel import ThreadCount, intra_op_threads
from skseqmetric._ops.progress import is_titled, titled, tracked


class Member(NamedTuple):
    """The name of a member, and what the user passed as its metric."""

    name: str
    given: Any


class Fit(NamedTuple):
    """One call of a fit of a member."""

    metric: Any
    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


# ------------------------------------------------------------------ what may be a member


def kept_members(metrics: Any) -> list[Member]:
    """Return the members that are not dropped, as far as they can be read. Nothing is refused."""
    pairs = [pair for pair in metrics if isinstance(pair, list | tuple) and len(pair) == 2]
    return [Member(*pair) for pair in pairs if not isinstance(pair[1], str) or pair[1] != "drop"]


def check_members(metrics: Any, parameters: Iterable[str]) -> list[Member]:
    """Return the members that are not dropped.

    Raises
    ------
    ValueError
        An entry is no pair (name, metric), a name is used twice, contains "__" or is that of a parameter, what should
        be a metric is none, or no member is left.
    """
    for i, pair in enumerate(metrics):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError(f"metrics[{i}] is {_brief(pair)}: pass pairs (name, metric), with a string as the name.")
    _check_names([name for name, _ in metrics], parameters)
    members = kept_members(metrics)
    if not members:
        raise ValueError(f"metrics={_brief(metrics)} leaves no member: pass at least one pair (name, metric).")
    for name, given in members:
        if isinstance(given, type) or not (
            isinstance(given, str) or hasattr(given, "pairwise_distances") or callable(given)
        ):
            raise ValueError(
                f"the member {name!r} is {_brief(given)}: pass a metric estimator such as SyncGRUMetric(), a function "
                "of two sequences, the name of a metric, or 'drop'."
            )
    return members


def _brief(value: Any) -> str:
    return " ".join(repr(value).split())[:80]


def _check_names(names: list[str], parameters: Iterable[str]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(
                f"the name {name!r} is used for metrics[{names.index(name)}] and metrics[{i}]: change one."
            )
        if "__" in name or not name:
            raise ValueError(f"the name {name!r} of metrics[{i}] is empty or has '__', which separates parameters.")
        if name in parameters:
            raise ValueError(f"the name {name!r} of metrics[{i}] is that of a parameter of the ensemble: change it.")


def member_weights(weights: Any, metrics: Any) -> np.ndarray:
    """Return the weights of the members that are not dropped. They sum to 1, and are equal until they are chosen.

    Raises
    ------
    ValueError
        There is not one weight for every entry of `metrics`, a weight is no finite number >= 0, or all of the members
        that are left have the weight 0.
    """
    kept = np.array([not isinstance(given, str) or given != "drop" for _, given in metrics])
    if weights is None or isinstance(weights, str):
        return np.full(kept.sum(), 1 / kept.sum())
    found = real_numbers(as_array(positional(weights, "weights"), "weights"), "weights").astype(np.float64)
    if found.shape != (len(metrics),):
        raise ValueError(f"weights has shape {found.shape}: pass one weight for each of {len(metrics)} members.")
    if not (np.isfinite(found) & (found >= 0)).all():
        i = int(np.argmin(np.isfinite(found) & (found >= 0)))
        raise ValueError(f"weights[{i}] is {found[i]}, but a weight must be a finite number >= 0.")
    if not found[kept].any():
        raise ValueError(f"weights={weights!r} gives every member the weight 0: one must be larger.")
    shares = found[kept] / found[kept].max()  # so that the sum is finite
    return shares / shares.sum()


def prototype(given: Any) -> Any:
    """Return the metric that has the methods of the member: it is not to be fitted or changed."""
    if isinstance(given, str):
        return metric_named(given)
    if isinstance(given, PairMetric):
        return given.metric
    metric = given.estimator if isinstance(given, FrozenEstimator) else given
    return metric if hasattr(metric, "pairwise_distances") else CallableMetric(metric)


def is_frozen(given: Any) -> bool:
    """Whether the member is used as it is, without a fit."""
    return isinstance(given, FrozenEstimator | PairMetric)


def is_supervised(given: Any) -> bool:
    """Whether the fit of the member needs y."""
    if is_frozen(given):
        return False
    metric = prototype(given)
    return hasattr(metric, "__sklearn_tags__") and bool(get_tags(metric).target_tags.required)


def can(given: Any, method: str) -> bool:
    """Whether the member has this kind of fit. One that is not fitted at all, or learns nothing from pairs, can."""
    if is_frozen(given) or hasattr(prototype(given), method):
        return True
    return method == "fit_pairs" and not is_supervised(given)


# ------------------------------------------------------------------ fits


def new_metrics(members: list[Member], sequences: Sequences, seed: int | None = None) -> list[Any]:
    """Return a metric that is not fitted for every member, or the frozen one, which must know these channels.

    With a seed, every `random_state` that is None becomes a number drawn with it. The place of the member decides it.
    """
    metrics = [unfitted_metric(given) for _, given in members]
    for metric in metrics:
        if isinstance(metric, FrozenEstimator):
            check_is_fitted(metric.estimator)
            lent_sequences(sequences, estimator=metric.estimator, reset=False)
    if seed is not None:
        for place, metric in enumerate(metrics):
            _set_random_states(metric, np.random.default_rng([place, seed]))
    return metrics


def _set_random_states(metric: Any, rng: np.random.Generator) -> None:
    if isinstance(metric, FrozenEstimator):
        return
    given = metric.get_params()
    names = sorted(name for name in given if name.rpartition("__")[2] == "random_state" and given[name] is None)
    metric.set_params(**{name: int(rng.integers(2**31 - 1)) for name in names})


def run_fits(
    fits: list[Fit],
    n_jobs: int | None,
    part: Callable[[Any], AbstractContextManager[Any]] = nullcontext,
) -> list[Any]:
    """Return the fitted metrics. A metric that is frozen is not fitted.

    With one job, they are fitted one after the other without joblib: it would look as if a library that goes on with
    half trained estimators had called them.
    """
    pending = [fit for fit in fits if not isinstance(fit.metric, FrozenEstimator)]
    if min(effective_n_jobs(n_jobs), len(pending)) < 2:
        for number, fit in enumerate(pending, 1):
            with part(fit.metric), _titled_part(fit, number, len(pending)):
                _run(fit)
        return [_thawed(fit.metric) for fit in fits]
    n_threads = intra_op_threads()
    # a fit has the same bits only with the same number of threads
    calls = (delayed(_run_elsewhere)(fit, n_threads) for fit in pending)
    fitted = Parallel(n_jobs=n_jobs, return_as="generator")(calls)
    done = iter(list(tracked(fitted, "members", len(pending), "fit")))
    return [fit.metric.estimator if isinstance(fit.metric, FrozenEstimator) else next(done) for fit in fits]


def _titled_part(fit: Fit, number: int, n_fits: int) -> AbstractContextManager[None]:
    """Return the context in which bars name the member and the number of its fit, if bars are shown."""
    return titled(f"{type(fit.metric).__name__} {number} of {n_fits}", wanted=is_titled())


def _run(fit: Fit) -> Any:
    getattr(fit.metric, fit.method)(*fit.arguments, **fit.options)
    return fit.metric


def _run_elsewhere(fit: Fit, n_threads: int) -> Any:
    before = ThreadCount(n_threads).set()
    try:
        return _run(fit)
    finally:
        before.set()


def _thawed(metric: Any) -> Any:
    return metric.estimator if isinstance(metric, FrozenEstimator) else metric
