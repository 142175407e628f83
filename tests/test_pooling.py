"""pooling="both": the last state and the mean of all, side by side, in every family."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from skseqmetric import (
    EchoStateClassifier,
    EchoStateRegressor,
    EchoStateTransformer,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    RecurrentClassifier,
    RecurrentRegressor,
    SyncGRUMetric,
)

FAST: dict[str, Any] = {"max_epochs": 2, "min_batches": 2, "random_state": 0}
MEMORY: dict[str, Any] = {**FAST, "n_units": 4, "n_heads": 2}
X = [np.random.default_rng(n).normal(size=(n, 2)) for n in (1, 12, 5, 9, 3, 7)]
Y = np.arange(6) % 2
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def with_other_pooling(fitted: Any, pooling: str) -> Any:
    """The same weights, all but those of the head, pooled otherwise."""
    other = clone(fitted).set_params(pooling=pooling).fit(X, Y)
    state = {name: value for name, value in fitted.module_.state_dict().items() if not name.startswith("head")}
    missing, unexpected = other.module_.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith("head") for name in missing)
    return other


@pytest.mark.parametrize("coupling", [None, "scalar", "symmetric", "diffusive"])
@pytest.mark.parametrize("n_filters", [None, 4])
def test_both_in_a_metric_adds_the_squared_distances(coupling: str | None, n_filters: int | None) -> None:
    both = SyncGRUMetric(4, coupling=coupling, n_filters=n_filters, pooling="both", **FAST).fit(X, Y)
    last, mean = (with_other_pooling(both, pooling) for pooling in ("last", "mean"))
    assert both.transform(X).shape == (6, 16)
    np.testing.assert_allclose(both.transform(X), np.hstack([last.transform(X), mean.transform(X)]), **CLOSE)
    assert not np.allclose(last.pairwise_distances(X), mean.pairwise_distances(X), atol=1e-3)
    squared = np.square(last.pairwise_distances(X)) + np.square(mean.pairwise_distances(X))
    np.testing.assert_allclose(np.square(both.pairwise_distances(X)), squared, **CLOSE)
    np.testing.assert_allclose(np.square(both.pair_distance(X[:3], X[3:])), np.diag(squared[:3, 3:]), **CLOSE)


@pytest.mark.parametrize(
    "made",
    [
        NRNMClassifier(**MEMORY, n_filters=4, pooling="both"),
        NRNMRegressor(**MEMORY, n_filters=None, n_layers=2, pooling="both"),
        RecurrentClassifier(3, pooling="both", **FAST),
        RecurrentRegressor(3, cell="gru", n_layers=2, bidirectional=True, pooling="both", **FAST),
    ],
    ids=lambda made: type(made).__name__,
)
def test_both_in_a_trained_network_are_the_two_others_side_by_side(made: Any) -> None:
    both = made.fit(X, Y)
    last, mean = (with_other_pooling(both, pooling).transform(X) for pooling in ("last", "mean"))
    np.testing.assert_allclose(both.transform(X), np.hstack([last, mean]), **CLOSE)
    assert not np.allclose(last[1:], mean[1:], atol=1e-3)
    head = both.module_.head
    outputs = both.transform(X) @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    if isinstance(made, NRNMRegressor | RecurrentRegressor):
        np.testing.assert_allclose((both.predict(X) - both.y_mean_) / both.y_scale_, outputs[:, 0], **CLOSE)
    else:
        np.testing.assert_allclose(both.decision_function(X), outputs[:, 1] - outputs[:, 0], **CLOSE)


@pytest.mark.parametrize("pooling", ["last", "mean", "both"])
def test_a_memory_metric_projects_pooled_states_onto_the_sphere(pooling: str) -> None:
    metric = NRNMMetric(**MEMORY, n_filters=4, n_components=3, pooling=pooling).fit(X, Y)
    states = metric.hidden_states(X)
    last, mean = np.array([h[-1] for h in states]), np.array([h.mean(axis=0) for h in states])
    read = {"last": last, "mean": mean, "both": np.hstack([last, mean])}[pooling]
    points = read @ metric.module_.head.weight.detach().numpy().T + metric.module_.head.bias.detach().numpy()
    np.testing.assert_allclose(metric.transform(X), points / np.linalg.norm(points, axis=1, keepdims=True), **CLOSE)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_both_in_echo_state_networks(bidirectional: bool) -> None:
    settings: dict[str, Any] = {"bidirectional": bidirectional, "n_reservoirs": 2, "random_state": 0}
    last, mean, both = (EchoStateTransformer(5, pooling=p, **settings).fit(X) for p in ("last", "mean", "both"))
    features = np.hstack([last.transform(X), mean.transform(X)])
    np.testing.assert_allclose(both.transform(X), features, **CLOSE)
    for estimator in (EchoStateRegressor, EchoStateClassifier):
        fitted = estimator(5, pooling="both", alpha=1.0, **settings).fit(X, Y)
        outputs = features @ fitted.coef_.T + fitted.intercept_
        np.testing.assert_allclose([rows[-1] for rows in fitted.predict_prefixes(X)], outputs, **CLOSE)
        said = fitted.predict(X) if estimator is EchoStateRegressor else fitted.decision_function(X)
        np.testing.assert_allclose(said, outputs[:, -1] - (estimator is EchoStateClassifier) * outputs[:, 0], **CLOSE)


@pytest.mark.parametrize("pooling", ["last", "mean", "both"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_last_prefix_is_the_whole_sequence(pooling: str, cell: str) -> None:
    for bidirectional in (False, True):
        fitted = RecurrentRegressor(3, cell=cell, bidirectional=bidirectional, pooling=pooling, **FAST)
        fitted.fit(X, np.column_stack([Y, 1 - 2 * Y]))
        last = [rows[-1] for rows in fitted.predict_prefixes(X)]
        np.testing.assert_allclose(last, fitted.predict(X), **CLOSE)
