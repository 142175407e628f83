"""Every public estimator, small, with the data of each of its fits and with all that it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
from tests.small_embedder import Steps, Vectors
from tests.small_transcriber import abc_words

QUICK: dict[str, Any] = {"max_epochs": 2, "min_batches": 2, "batch_size": 8, "random_state": 0}
SMALL: dict[str, Any] = {**QUICK, "n_units": 4, "n_filters": 4}
SMALL_BANK: dict[str, Any] = {"n_features": 168, "random_state": 0}
_RNG = np.random.default_rng(0)
X = [_RNG.normal(size=(n, 2)) for n in (3, 12, 9, 17, 5, 8, 6, 11)]
LABELS = np.array([0, 1, 0, 1, 0, 1, 0, 1])
NUMBERS = np.linspace(-1, 1, len(X))
STEPS = [np.arange(len(x)) % 2 for x in X]
IMAGES = _RNG.uniform(size=(len(X), 9, 8)).astype(np.float32)
WORDS, SPELLED, STRIPS = (part[:8] for part in abc_words())
PREPARING = (
    "SequenceCropper",
    "SequenceFeatures",
    "SequenceImputer",
    "SequenceResampler",
    "SequenceScaler",
    "SequenceWindower",
)
PAIRS = np.array([[0, 1], [0, 2], [1, 3], [2, 5]])
SAME = np.array([-1, 1, 1, -1])


@dataclass(frozen=True)
class Case:
    """An estimator, and the arguments of its fits by the name of the method."""

    name: str
    make: Callable[[], Any]
    fits: dict[str, dict[str, Any]]
    X: list[np.ndarray] = field(default_factory=lambda: X)

    def __str__(self) -> str:
        return self.name

    @property
    def prepares(self) -> bool:
        """Whether it makes new sequences or statistics of sequences, in their own units."""
        return self.name in PREPARING

    @property
    def trained(self) -> bool:
        """Whether it learns by gradient descent."""
        return hasattr(self.make(), "max_epochs")

    def answers(self, fitted: Any) -> list[np.ndarray]:
        """What a fitted estimator says of the sequences, by every method that it has."""
        found: list[np.ndarray] = []
        for name in ("transform", "predict", "predict_proba", "decision_function", "pairwise_distances"):
            if hasattr(fitted, name):
                found += as_arrays(getattr(fitted, name)(self.X))
        if hasattr(fitted, "kneighbors") and hasattr(fitted, "_references") and hasattr(fitted, "metric_"):
            found += as_arrays(fitted.kneighbors(self.X))
        return found


def count_of_steps(x: np.ndarray, y: np.ndarray) -> float:
    """How much the lengths of two sequences differ."""
    return float(abs(len(x) - len(y)))


def as_arrays(answer: Any) -> list[np.ndarray]:
    """The answer as arrays: one, or one for each sequence."""
    if hasattr(answer, "toarray"):
        return [answer.toarray()]
    return [np.asarray(part) for part in answer] if isinstance(answer, (list, tuple)) else [np.asarray(answer)]


def _fits(y: Any, *, partial: bool = True, weights: bool = True, **others: Any) -> dict[str, dict[str, Any]]:
    given = {"y": y, **({"sample_weight": np.ones(len(X))} if weights else {}), **others}
    return {"fit": given, "partial_fit": given} if partial else {"fit": given}


OF_PAIRS = {"fit_pairs": {"pairs": PAIRS, "same": SAME}}

CASES = [
    Case("SyncGRUMetric", lambda: SyncGRUMetric(**SMALL, coupling=None), _fits(LABELS) | OF_PAIRS),
    Case("SyncGRUMetric coupled", lambda: SyncGRUMetric(**SMALL, coupling="symmetric"), _fits(LABELS) | OF_PAIRS),
    Case("SyncGRUMetric aligned", lambda: SyncGRUMetric(**SMALL, coupling="alignment"), _fits(LABELS) | OF_PAIRS),
    Case("NRNMMetric", lambda: NRNMMetric(**SMALL), _fits(LABELS) | OF_PAIRS),
    Case("NRNMMetric aligned", lambda: NRNMMetric(**SMALL, coupling="alignment"), _fits(LABELS) | OF_PAIRS),
    Case("NRNMClassifier", lambda: NRNMClassifier(**SMALL), _fits(LABELS)),
    Case("NRNMRegressor", lambda: NRNMRegressor(**SMALL), _fits(NUMBERS)),
    Case("NRNMStepClassifier", lambda: NRNMStepClassifier(**SMALL), _fits(STEPS)),
    Case("RecurrentClassifier", lambda: RecurrentClassifier(4, **QUICK), _fits(LABELS)),
    Case("RecurrentRegressor", lambda: RecurrentRegressor(4, **QUICK), _fits(NUMBERS)),
    Case(
        "CrossModalTripletEmbedder",
        lambda: CrossModalTripletEmbedder(3, series_encoder=Steps(), image_encoder=Vectors(), **QUICK),
        _fits(LABELS, images=IMAGES),
    ),
    Case(
        "CrossModalTranscriber",
        lambda: CrossModalTranscriber(3, series_encoder=Steps(), image_encoder=Vectors(), **QUICK),
        _fits(SPELLED, images=STRIPS),
        WORDS,
    ),
    Case("EchoStateClassifier", lambda: EchoStateClassifier(8, random_state=0), _fits(LABELS)),
    Case("EchoStateRegressor", lambda: EchoStateRegressor(8, random_state=0), _fits(NUMBERS)),
    Case("EchoStateTransformer", lambda: EchoStateTransformer(8, random_state=0), {"fit": {}, "fit_reservoir": {}}),
    Case(
        "RandomConvolutionTransformer",
        lambda: RandomConvolutionTransformer(84, random_state=0),
        {"fit": {"sample_weight": np.ones(len(X))}},
    ),
    Case("DTWMetric", DTWMetric, {"fit": {}}),
    Case("RandomConvolutionMetric", lambda: RandomConvolutionMetric(**SMALL_BANK), _fits(LABELS) | OF_PAIRS),
    Case(
        "RandomConvolutionMetric of numbers",
        lambda: RandomConvolutionMetric(**SMALL_BANK, target="numbers"),
        _fits(NUMBERS) | OF_PAIRS,
    ),
    Case(
        "MetricEnsemble",
        lambda: MetricEnsemble(
            [("memory", NRNMMetric(**SMALL)), ("gru", SyncGRUMetric(**SMALL, coupling=None))], weights=[2, 1]
        ),
        _fits(LABELS) | OF_PAIRS,
    ),
    Case(
        "MetricEnsemble in tiles",
        lambda: MetricEnsemble([("coupled", SyncGRUMetric(**SMALL, coupling="symmetric")), ("steps", count_of_steps)]),
        _fits(LABELS, partial=False) | OF_PAIRS,
    ),
    Case(
        "MetricEnsemble default",
        lambda: (
            MetricEnsemble()
            .set_params(convolution__n_features=84, **{f"alignment__{name}": value for name, value in SMALL.items()})
            .set_params(random_state=0)
        ),
        _fits(LABELS) | OF_PAIRS,
    ),
    Case(
        "SequenceKNeighborsClassifier",
        lambda: SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL), n_neighbors=2),
        _fits(LABELS, partial=False) | {"partial_fit": {"y": LABELS}},
    ),
    Case(
        "SequenceKNeighborsRegressor",
        lambda: SequenceKNeighborsRegressor(SyncGRUMetric(**SMALL), n_neighbors=2, n_bins=2),
        _fits(NUMBERS, partial=False) | {"partial_fit": {"y": NUMBERS}},
    ),
    Case(
        "SequenceNeighborsTransformer",
        lambda: SequenceNeighborsTransformer(SyncGRUMetric(**SMALL), n_neighbors=2),
        _fits(LABELS, partial=False) | {"partial_fit": {"y": LABELS}},
    ),
    Case("SequenceImputer", lambda: SequenceImputer("mask"), {"fit": {}}),
    Case("SequenceResampler", lambda: SequenceResampler(7), {"fit": {}}),
    Case("SequenceScaler", SequenceScaler, {"fit": {}}),
    Case("SequenceCropper", lambda: SequenceCropper(threshold=0.2), {"fit": {}}),
    Case("SequenceWindower", lambda: SequenceWindower(4, stride=3), {"fit": {}}),
    Case("SequenceFeatures", SequenceFeatures, {"fit": {}}),
    Case(
        "SequenceDistances",
        lambda: SequenceDistances(SyncGRUMetric(**SMALL), kernel="rbf"),
        _fits(LABELS, partial=False),
    ),
]
