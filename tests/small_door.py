"""Small estimators of every public class, with data that each of them can learn from in one epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.base import clone

from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    DTWMetric,
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
    SequenceWindower,
    SyncGRUMetric,
)

FAST: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "random_state": 0}
MEMORY: dict[str, Any] = {**FAST, "n_units": 4, "n_heads": 2, "n_filters": 4}
JOINT: dict[str, Any] = {**FAST, "n_components": 4, "n_filters": 3, "n_units": 3}

LENGTHS = (9, 12, 8, 11, 10, 13)
N_CHANNELS = 3
X = [np.random.default_rng(i).normal(i % 2, 1, (steps, N_CHANNELS)) for i, steps in enumerate(LENGTHS)]
LABELS = np.array(["low", "high"] * 3)
NUMBERS = np.array([0.0, 1.5, 0.5, 2.0, 1.0, 2.5])
STEP_LABELS = [np.where(x[:, 0] > 0.5, "up", "down") for x in X]
STEP_NUMBERS = [x.sum(axis=1) for x in X]
WORDS = ["a", "b", "a", "b", "a", "b"]
IMAGES = np.random.default_rng(9).integers(0, 256, (len(X), 9, 8), dtype=np.uint8)
PAIRS, SAME = np.array([[0, 2], [1, 3], [0, 1], [2, 3]]), np.array([1, 1, -1, -1])


class Case(NamedTuple):
    """An estimator and its y."""

    estimator: Any
    y: Any

    @property
    def name(self) -> str:
        target = getattr(self.estimator, "target", "sequence")
        return type(self.estimator).__name__ + (" of steps" if target == "step" else "")

    def takes(self, argument: str, method: str = "fit") -> bool:
        return argument in inspect.signature(getattr(self.estimator, method, len)).parameters

    def fitted(self, X: Any = X, y: Any = None, **options: Any) -> Any:
        return clone(self.estimator).fit(X, self.y if y is None else y, **options)

    @property
    def images(self) -> dict[str, Any]:
        """The images that a fit needs for all its methods to work."""
        return {"images": IMAGES} if self.takes("images") else {}


CASES = [
    Case(CrossModalTranscriber(**JOINT), WORDS),
    Case(CrossModalTripletEmbedder(**JOINT), LABELS),
    Case(DTWMetric(), None),
    Case(EchoStateClassifier(6, random_state=0), LABELS),
    Case(EchoStateClassifier(6, target="step", random_state=0), STEP_LABELS),
    Case(EchoStateRegressor(6, random_state=0), NUMBERS),
    Case(EchoStateRegressor(6, target="step", random_state=0), STEP_NUMBERS),
    Case(EchoStateTransformer(6, random_state=0), None),
    Case(MetricEnsemble([("gru", SyncGRUMetric(3, n_filters=3, **FAST)), ("dtw", "dtw")]), LABELS),
    Case(NRNMClassifier(**MEMORY), LABELS),
    Case(NRNMMetric(**MEMORY), LABELS),
    Case(NRNMRegressor(**MEMORY), NUMBERS),
    Case(NRNMStepClassifier(**MEMORY), STEP_LABELS),
    Case(RandomConvolutionMetric(n_features=84, random_state=0), LABELS),
    Case(RandomConvolutionTransformer(84, random_state=0), None),
    Case(RecurrentClassifier(3, **FAST), LABELS),
    Case(RecurrentClassifier(3, target="step", **FAST), STEP_LABELS),
    Case(RecurrentRegressor(3, **FAST), NUMBERS),
    Case(RecurrentRegressor(3, target="step", **FAST), STEP_NUMBERS),
    Case(SequenceCropper(threshold=0.2), None),
    Case(SequenceDistances("dtw"), None),
    Case(SequenceFeatures(), None),
    Case(SequenceImputer("mask"), None),
    Case(SequenceKNeighborsClassifier("dtw", n_neighbors=2), LABELS),
    Case(SequenceKNeighborsRegressor("dtw", n_neighbors=2), NUMBERS),
    Case(SequenceNeighborsTransformer("dtw", n_neighbors=2), None),
    Case(SequenceResampler(7), None),
    Case(SequenceScaler(), None),
    Case(SequenceWindower(4, stride=3), None),
    Case(SyncGRUMetric(3, n_filters=3, **FAST), LABELS),
]


def where(condition: Callable[[Case], Any] = bool) -> pytest.MarkDecorator:
    """Parametrise a test with the cases that fulfil a condition; there must be some."""
    chosen = [case for case in CASES if condition(case)]
    assert chosen
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def outputs(fitted: Any, X: Any = X) -> list[np.ndarray]:
    """What a fitted estimator says of sequences, as arrays."""
    for method in ("predict_proba", "predict_log_proba", "predict", "pairwise_distances", "transform"):
        if hasattr(fitted, method):
            found = getattr(fitted, method)(X)
            break
    if hasattr(found, "toarray"):
        found = found.toarray()
    return [np.asarray(rows) for rows in found]


def assert_same(actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e)
