"""Every public estimator, small: how to fit it, how to continue, and all its answers, to compare them to the bit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
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
from skseqmetric.inspection import Alignment

LENGTHS = (7, 12, 5, 9, 6, 11, 8, 10)
RNG = np.random.default_rng(5)
X = [RNG.normal(size=(n, 2)) + k % 2 for k, n in enumerate(LENGTHS)]
LABELS = np.arange(len(X)) % 2
STEP_LABELS = [np.arange(len(x)) % 2 for x in X]
WORDS = ["a", "ab", "b", "ba", "a", "ba", "b", "ab"]
IMAGES = RNG.uniform(0, 1, size=(len(X), 9, 8)).astype(np.float32)
PAIRS = np.array([[0, 1], [0, 2], [1, 3], [2, 5], [4, 7], [6, 4]])
SAME = np.array([False, True, True, False, False, True])

FAST: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "batch_size": 4, "random_state": 0}
MEMORY: dict[str, Any] = {**FAST, "n_units": 4, "n_heads": 2, "n_filters": 4}
DEFAULT_MEMBERS: dict[str, Any] = {
    "convolution__n_features": 84,
    "alignment__n_filters": 4,
    **{f"alignment__{name}": value for name, value in FAST.items()},
}
CROSS: dict[str, Any] = {**FAST, "n_components": 4, "n_filters": 4, "n_units": 4}
ECHO: dict[str, Any] = {"n_units": 50, "random_state": 0}


@dataclass(frozen=True)
class Case:
    """An estimator that is not fitted, and its targets; `images` where it learns from them."""

    made: Any
    y: Any
    images: np.ndarray | None = None

    def fit(self) -> Any:
        given = {} if self.images is None else {"images": self.images}
        return self.made.fit(X, self.y, **given)

    def continued(self, fitted: Any) -> Any:
        """One call of `partial_fit` where there is one, else another fit."""
        given = {} if self.images is None else {"images": self.images}
        again = getattr(fitted, "partial_fit", fitted.fit)
        return again(X, self.y, **given)


def cases() -> dict[str, Case]:
    """All public estimators, and those of their variants that take other ways through the code."""
    metric = SyncGRUMetric(4, coupling="symmetric", n_filters=4, **FAST)
    listed = [
        Case(CrossModalTranscriber(**CROSS, decoding="beam"), WORDS, IMAGES),
        Case(CrossModalTripletEmbedder(**CROSS), LABELS, IMAGES),
        Case(CrossModalTripletEmbedder(**CROSS, distance="mmd", early_stopping=True, validation_fraction=0.5), LABELS),
        Case(DTWMetric(), LABELS),
        Case(EchoStateClassifier(**ECHO), LABELS),
        Case(EchoStateClassifier(**{**ECHO, "n_units": 120}, alpha="auto", n_reservoirs=2), LABELS),
        Case(EchoStateClassifier(**ECHO, target="step", bidirectional=False, pooling="last"), STEP_LABELS),
        Case(EchoStateRegressor(**ECHO, alpha=[0.1, 1.0]), LABELS * 1.5),
        Case(EchoStateTransformer(**ECHO), LABELS),
        Case(MetricEnsemble([("gru", SyncGRUMetric(4, **FAST)), ("coupled", metric)]), LABELS),
        Case(MetricEnsemble([("gru", SyncGRUMetric(4, **FAST)), ("memory", NRNMMetric(**MEMORY))]), LABELS),
        Case(MetricEnsemble(random_state=0).set_params(**DEFAULT_MEMBERS), LABELS),
        Case(NRNMClassifier(**MEMORY), LABELS),
        Case(NRNMClassifier(**MEMORY, cell="gru", precision="bfloat16", class_weight="balanced"), LABELS),
        Case(NRNMMetric(n_components=3, **MEMORY, loss="triplet"), LABELS),
        Case(NRNMMetric(n_components=3, **MEMORY, coupling="alignment", n_places=5), LABELS),
        Case(NRNMRegressor(**MEMORY, pooling="both"), LABELS * 1.5),
        Case(NRNMStepClassifier(**MEMORY, stride=2, n_slots=2), STEP_LABELS),
        Case(RandomConvolutionMetric(n_features=168, random_state=0), LABELS),
        Case(RandomConvolutionMetric(n_features=84, blend=0.5, n_components=3, random_state=0), LABELS * 1.5),
        Case(RandomConvolutionTransformer(168, random_state=0), LABELS),
        Case(RecurrentClassifier(4, **FAST, n_layers=2, dropout=0.2, bidirectional=True), LABELS),
        Case(RecurrentClassifier(4, **FAST, target="step"), STEP_LABELS),
        Case(RecurrentRegressor(4, **FAST, cell="gru", pooling="mean"), LABELS * 1.5),
        Case(SequenceKNeighborsClassifier(metric, n_neighbors=2), LABELS),
        Case(
            SequenceKNeighborsRegressor(NRNMMetric(n_components=3, **MEMORY), n_neighbors=2, weights="distance"),
            LABELS * 1.5,
        ),
        Case(SequenceNeighborsTransformer(SyncGRUMetric(4, **FAST), n_neighbors=2, algorithm="rerank"), LABELS),
        Case(SequenceDistances(metric, kernel="laplacian"), LABELS),
        Case(SequenceCropper(threshold=0.2), None),
        Case(SequenceFeatures(), None),
        Case(SequenceImputer("mask"), None),
        Case(SequenceResampler(7), None),
        Case(SequenceScaler(), None),
        Case(SequenceWindower(4, stride=2), None),
        Case(SyncGRUMetric(4, **FAST, loss="contrastive", pooling="both"), LABELS),
        Case(NRNMMetric(n_components=3, **MEMORY, coupling="alignment"), LABELS),
        Case(SyncGRUMetric(4, **FAST, coupling="diffusive", early_stopping=True, validation_fraction=0.5), LABELS),
        Case(SyncGRUMetric(4, **FAST, coupling="alignment", pooled_weight=1.0, loss="triplet"), LABELS),
    ]
    return {f"{k} {type(case.made).__name__}": case for k, case in enumerate(listed)}


FIRST = {type(case.made): name for name, case in reversed(cases().items())}
"""The name of one case of every estimator."""


OF_IMAGES = ("predict_images", "predict_proba_images", "predict_log_proba_images", "decision_function_images")


def _given(case: Case) -> dict[str, tuple[Any, ...]]:
    """What every method that answers is asked."""
    return {
        **dict.fromkeys(
            ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "predict_prefixes"),
            (X,),
        ),
        **dict.fromkeys(
            ("hidden_states", "memory_states", "pairwise_distances", "kneighbors", "kneighbors_graph"), (X,)
        ),
        **dict.fromkeys(("alignment", "pair_distance", "synchronization"), (X[:4], X[4:])),
        **dict.fromkeys(("score_pairs", "predict_pairs"), (X, PAIRS)),
        "score": (X, case.y),
        **dict.fromkeys((*OF_IMAGES, "transform_images"), (IMAGES,)),
        "predict_stream": (X[0],),
    }


def asked(case: Case, fitted: Any) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The name and the answers of every method of a fitted estimator that has an answer for this case."""
    if hasattr(fitted, "calibrate_threshold"):
        fitted.calibrate_threshold(X, PAIRS, SAME)
    for name, arguments in _given(case).items():
        if hasattr(fitted, name) and _answers(name, case, fitted):
            yield name, arrays(getattr(fitted, name)(*arguments))


def _answers(name: str, case: Case, fitted: Any) -> bool:
    every_step = case.y is STEP_LABELS
    if name == "predict_stream" or (name == "predict_prefixes" and isinstance(fitted, NRNMClassifier | NRNMRegressor)):
        return every_step
    if name in OF_IMAGES:
        return case.images is not None and fitted.module_.image_head is not None
    if name in ("kneighbors", "transform_images"):
        return case.images is not None or not hasattr(fitted, "transform_images")
    return True


def arrays(value: Any) -> list[np.ndarray]:
    """The arrays of an answer, however it holds them."""
    if hasattr(value, "toarray"):
        return [value.toarray()]
    if isinstance(value, dict | Alignment):
        value = value if isinstance(value, dict) else vars(value)
        return [array for part in value.values() for array in arrays(part)]
    if isinstance(value, np.ndarray | float | str | np.generic | None):
        return [np.asarray(value)]
    return [array for part in value for array in arrays(part)]


Answers = dict[str, list[np.ndarray]]


def all_answers(names: Collection[str] | None = None) -> Answers:
    """Answers after a fit, after another one that continues it, and after `fit_pairs`; of some cases or of all.

    Without `DTWMetric`: it has no tensors, and its library takes seconds to be compiled.
    """
    found: Answers = {}
    for name, case in cases().items():
        if isinstance(case.made, DTWMetric) or (names is not None and name not in names):
            continue
        fitted = case.fit()
        found |= {f"{name}.{method}": answer for method, answer in asked(case, fitted)}
        case.continued(fitted)
        method, answer = next(asked(case, fitted))  # one shows what was learned
        found[f"{name}.{method}, continued"] = answer
        if hasattr(fitted, "fit_pairs"):
            fitted.fit_pairs(X, PAIRS, SAME)
            found[f"{name}.fit_pairs"] = arrays(fitted.pairwise_distances(X))
    return found


def differences(first: Answers, second: Answers) -> list[str]:
    """The methods whose answers are not the same to the bit."""
    assert first.keys() == second.keys()
    return [name for name in first if not all(map(same, first[name], second[name]))]


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
