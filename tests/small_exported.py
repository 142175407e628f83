"""Fitted estimators that can be exported, one of every form of their programs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

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
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SyncGRUMetric,
)
from tests.every_estimator import (
    IMAGES,
    LABELS,
    NUMBERS,
    QUICK,
    SMALL,
    SMALL_BANK,
    SPELLED,
    STEPS,
    STRIPS,
    WORDS,
    X,
)

TEXT = ["rest" if label else "walk" for label in LABELS]
MEMORY: dict[str, Any] = {**SMALL, "n_heads": 2}
ECHO: dict[str, Any] = {"n_units": 30, "random_state": 0}
CROSS: dict[str, Any] = {**SMALL, "n_components": 4}
STACKED: dict[str, Any] = {"cell": "gru", "bidirectional": True, "n_layers": 2, "pooling": "both"}

EUCLIDEAN = MetricEnsemble(
    [("convolutions", RandomConvolutionMetric(**SMALL_BANK)), ("gru", SyncGRUMetric(coupling=None, **SMALL))],
    weights=[2, 1],
)

EXPORTABLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "lstm": (RecurrentClassifier(5, **QUICK), {"X": X, "y": TEXT}),
    "lstm of steps": (RecurrentClassifier(5, target="step", **QUICK), {"X": X, "y": STEPS}),
    "rnn": (RecurrentClassifier(5, cell="rnn", bidirectional=True, **QUICK), {"X": X, "y": LABELS}),
    "gru with views": (RecurrentClassifier(5, instance_channels=True, **STACKED, **QUICK), {"X": X, "y": LABELS}),
    "lstm of numbers": (
        RecurrentRegressor(5, pooling="mean", bidirectional=True, **QUICK),
        {"X": X, "y": NUMBERS},
    ),
    "memory": (NRNMClassifier(**MEMORY), {"X": X, "y": LABELS}),
    "memory of steps": (NRNMStepClassifier(cell="gru", **MEMORY), {"X": X, "y": STEPS}),
    "overlapping memory": (
        NRNMRegressor(cell="rnn", n_layers=2, n_slots=2, stride=2, window=3, memory_input="tokens", **MEMORY),
        {"X": X, "y": NUMBERS},
    ),
    "no memory": (NRNMRegressor(window=None, target="step", **MEMORY), {"X": X, "y": [x[:, 0] for x in X]}),
    "memory metric": (NRNMMetric(**MEMORY), {"X": X, "y": LABELS}),
    "aligned gru": (SyncGRUMetric(**SMALL), {"X": X, "y": LABELS}),
    "uncoupled gru": (SyncGRUMetric(coupling=None, max_recurrent_steps=5, **SMALL), {"X": X, "y": LABELS}),
    "reservoir": (EchoStateClassifier(**ECHO), {"X": X, "y": LABELS}),
    "reservoir of steps": (
        EchoStateClassifier(target="step", bidirectional=False, pooling="last", **ECHO),
        {"X": X, "y": STEPS},
    ),
    "two reservoirs": (EchoStateRegressor(n_reservoirs=2, leak=[0.3, 0.9], **ECHO), {"X": X, "y": NUMBERS}),
    "states": (EchoStateTransformer(**ECHO), {"X": X}),
    "all states": (EchoStateTransformer(pooling=None, **ECHO), {"X": X}),
    "convolution metric": (RandomConvolutionMetric(**SMALL_BANK), {"X": X, "y": LABELS}),
    "convolutions": (RandomConvolutionTransformer(**SMALL_BANK), {"X": X}),
    "neighbours": (
        SequenceKNeighborsClassifier(RandomConvolutionMetric(**SMALL_BANK), n_neighbors=3),
        {"X": X, "y": TEXT},
    ),
    "weighted neighbours": (
        SequenceKNeighborsClassifier(NRNMMetric(**MEMORY), n_neighbors=4, weights="distance", algorithm="rerank"),
        {"X": X, "y": LABELS},
    ),
    "neighbours of numbers": (
        SequenceKNeighborsRegressor(SyncGRUMetric(coupling=None, **SMALL), n_neighbors=3, weights="distance"),
        {"X": X, "y": np.stack([NUMBERS, NUMBERS[::-1]], axis=1)},
    ),
    "neighbours of an ensemble": (
        SequenceKNeighborsRegressor(EUCLIDEAN, n_neighbors=2),
        {"X": X, "y": NUMBERS},
    ),
    "ensemble": (EUCLIDEAN, {"X": X, "y": LABELS}),
    "embedder": (CrossModalTripletEmbedder(**CROSS), {"X": X, "y": LABELS, "images": IMAGES}),
    "transcriber": (CrossModalTranscriber(**CROSS), {"X": WORDS, "y": SPELLED, "images": STRIPS}),
}
"""Estimators, and the arguments of their fits."""

OF_IMAGES = ("embedder", "transcriber")


def fitted(form: str) -> Any:
    """A new estimator, fitted."""
    estimator, data = EXPORTABLE[form]
    return clone(estimator).fit(**data)
