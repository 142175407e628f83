"""At inference a sequence has the same answer, to the bit, alone and in any batch: at the default sizes of networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import skseqmetric
from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    EchoStateClassifier,
    EchoStateRegressor,
    EchoStateTransformer,
    MetricEnsemble,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    NRNMStepClassifier,
    RandomConvolutionMetric,
    RandomConvolutionTransformer,
    RecurrentClassifier,
    RecurrentRegressor,
    SequenceCropper,
    SequenceDistances,
    SequenceFeatures,
    SequenceImputer,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    SequenceResampler,
    SequenceScaler,
    SyncGRUMetric,
)
from tests.test_contract import estimators

FAST: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "random_state": 0}
COUPLED = SyncGRUMetric(coupling="symmetric", **FAST)
ALIGNED = SyncGRUMetric(coupling="alignment", pooled_weight=2.0, **FAST)
RNG = np.random.default_rng(0)
X = [RNG.normal(size=(steps, 3)).cumsum(axis=0) for steps in RNG.integers(8, 20, size=12)]
QUERIES = [RNG.normal(size=(steps, 3)).cumsum(axis=0) for steps in (9, 9, 22, 8, 17)]
LABELS = np.arange(12) % 2
STEPS = [np.arange(len(x)) % 2 for x in X]

FITTED: list[Any] = [
    RecurrentClassifier(**FAST),
    RecurrentClassifier(cell="gru", bidirectional=True, pooling="both", **FAST),
    RecurrentClassifier(target="step", **FAST),
    RecurrentRegressor(**FAST),
    NRNMClassifier(**FAST),
    NRNMClassifier(cell="gru", n_filters=None, pooling="mean", **FAST),
    NRNMClassifier(memory_input="tokens", attention=False, **FAST),
    NRNMStepClassifier(**FAST),
    NRNMRegressor(**FAST),
    NRNMMetric(**FAST),
    RandomConvolutionMetric(random_state=0),
    RandomConvolutionMetric(n_features=84, n_components=2, random_state=0),
    SyncGRUMetric(**FAST),
    SyncGRUMetric(n_filters=None, coupling=None, pooling="last", **FAST),
    COUPLED,
    ALIGNED,
    NRNMMetric(coupling="alignment", embedding_weight=0, **FAST),
    CrossModalTripletEmbedder(**FAST),
    CrossModalTranscriber(**FAST),
    EchoStateTransformer(random_state=0),
    EchoStateTransformer(90, random_state=0),
    RandomConvolutionTransformer(random_state=0),
    EchoStateClassifier(random_state=0),
    EchoStateClassifier(target="step", random_state=0),
    EchoStateRegressor(random_state=0),
    MetricEnsemble([("coupled", COUPLED), ("memory", NRNMMetric(**FAST))], weights=[1, 2]),
    MetricEnsemble([("gru", SyncGRUMetric(**FAST)), ("memory", NRNMMetric(**FAST))]),
    MetricEnsemble([("convolution", RandomConvolutionMetric(random_state=0)), ("alignment", ALIGNED)]),
    SequenceKNeighborsClassifier(weights="distance", n_neighbors=3),
    SequenceKNeighborsClassifier(COUPLED, weights="distance", n_neighbors=3),
    SequenceKNeighborsClassifier(COUPLED, weights="distance", n_neighbors=3, algorithm="rerank"),
    SequenceKNeighborsClassifier(ALIGNED, weights="distance", n_neighbors=3),
    SequenceKNeighborsClassifier(ALIGNED, weights="distance", n_neighbors=3, algorithm="rerank"),
    SequenceKNeighborsRegressor(NRNMMetric(**FAST), weights="distance", n_neighbors=3),
    SequenceNeighborsTransformer(COUPLED, n_neighbors=3, algorithm="rerank"),
    SequenceDistances(COUPLED, kernel="rbf"),
    SequenceCropper(threshold=0.2),
    SequenceFeatures(),
    SequenceImputer("mask"),
    SequenceResampler(7),
    SequenceScaler(),
]
# the bits of the one are compared in tests/test_dtw_kernels.py, the other makes several windows of a query
NOT_FITTED_HERE = {"DTWMetric", "SequenceWindower"}
METHODS = (
    "transform",
    "predict_proba",
    "decision_function",
    "predict",
    "hidden_states",
    "kneighbors",
    "predict_prefixes",
)


def rounding(model: Any, name: str) -> float:
    """The bound of docs/performance.md: the readout of an echo state network is a float64 product of torch's BLAS."""
    if not isinstance(model, (EchoStateClassifier, EchoStateRegressor)) or name == "hidden_states":
        return 0.0
    return 1e-6 if name == "predict_prefixes" or model.target == "step" else 1e-12


def rows(found: Any) -> list[Any]:
    """Results of the single sequences."""
    if isinstance(found, tuple):
        return list(zip(*found, strict=True))
    return list(found.toarray() if hasattr(found, "toarray") else found)


def calls(model: Any) -> dict[str, Callable[[Any], list[Any]]]:
    named = {name: getattr(model, name) for name in METHODS if hasattr(model, name)}
    if getattr(model, "target", "step") != "step":
        named.pop("predict_prefixes", None)
    if isinstance(model, (CrossModalTripletEmbedder, CrossModalTranscriber)):
        named.pop("kneighbors")  # of images
    if hasattr(model, "pairwise_distances"):
        named["pairwise_distances"] = lambda queries: model.pairwise_distances(queries, X)
        named["pair_distance"] = lambda queries: model.pair_distance(queries, [X[0]] * len(queries))
    return {name: lambda queries, call=call: rows(call(queries)) for name, call in named.items()}


def companies(call: Callable[[Any], list[Any]]) -> dict[str, list[Any]]:
    """The results of every query in different batches."""
    n = len(QUERIES)
    order = RNG.permutation(n)
    shuffled = call([QUERIES[i] for i in order])
    return {
        "alone": [call([query])[0] for query in QUERIES],
        "three": [found for start in range(0, n, 3) for found in call(QUERIES[start : start + 3])],
        "shuffled": [shuffled[i] for i in np.argsort(order)],
        "padded": call([*QUERIES, *(np.tile(query, (3, 1)) for query in QUERIES)])[:n],
    }


@pytest.mark.parametrize("estimator", FITTED, ids=lambda made: type(made).__name__)
def test_answers_do_not_depend_on_the_company(estimator: Any) -> None:
    y: Any = (
        STEPS if getattr(estimator, "target", None) == "step" or isinstance(estimator, NRNMStepClassifier) else LABELS
    )
    model = estimator.fit(X, ["ab"[label] for label in LABELS] if isinstance(estimator, CrossModalTranscriber) else y)
    assert calls(model)
    for name, call in calls(model).items():
        together, bound = call(QUERIES), rounding(model, name)
        for company, found in companies(call).items():
            for i, (a, b) in enumerate(zip(found, together, strict=True)):
                message = f"{name}, query {i}, {company}"
                if not isinstance(a, str) and np.asarray(a).dtype.kind == "f":
                    np.testing.assert_allclose(a, b, rtol=bound, atol=bound, err_msg=message)
                else:
                    np.testing.assert_array_equal(a, b, err_msg=message)


def test_threads_do_not_change_an_answer() -> None:
    model = NRNMClassifier(**FAST).fit(X, LABELS)
    one = model.predict_proba(QUERIES)
    torch.set_num_threads(2)
    try:
        assert np.array_equal(model.predict_proba(QUERIES), one)
        assert np.array_equal(model.predict_proba(QUERIES[:1]), one[:1])
    finally:
        torch.set_num_threads(1)


def test_every_public_estimator_is_tested_here() -> None:
    assert {type(made).__name__ for made in FITTED} | NOT_FITTED_HERE == {cls.__name__ for cls in estimators()}
    assert set(skseqmetric.__all__) > NOT_FITTED_HERE
