"""Fitted estimators that can be exported, one of every form of their programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    EchoStateClassifier,
    EchoStateRegressor,
    EchoStateTransformer,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    NRNMStepClassifier,
    RandomConvolutionMetric,
    RandomConvolutionTransformer,
    RecurrentClassifier,
    RecurrentRegressor,
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

EXPORTABLE: dict[str, Callable[[], Any]] = {
    "lstm": lambda: RecurrentClassifier(5, **QUICK).fit(X, TEXT),
    "lstm of steps": lambda: RecurrentClassifier(5, target="step", **QUICK).fit(X, STEPS),
    "gru with views": lambda: RecurrentClassifier(5, instance_channels=True, **STACKED, **QUICK).fit(X, LABELS),
    "lstm of numbers": lambda: RecurrentRegressor(5, pooling="mean", bidirectional=True, **QUICK).fit(X, NUMBERS),
    "memory": lambda: NRNMClassifier(**MEMORY).fit(X, LABELS),
    "memory of steps": lambda: NRNMStepClassifier(cell="gru", **MEMORY).fit(X, STEPS),
    "overlapping memory": lambda: NRNMRegressor(
        cell="rnn", n_layers=2, n_slots=2, stride=2, window=3, memory_input="tokens", **MEMORY
    ).fit(X, NUMBERS),
    "no memory": lambda: NRNMRegressor(window=None, target="step", **MEMORY).fit(X, [x[:, 0] for x in X]),
    "memory metric": lambda: NRNMMetric(**MEMORY).fit(X, LABELS),
    "aligned gru": lambda: SyncGRUMetric(**SMALL).fit(X, LABELS),
    "uncoupled gru": lambda: SyncGRUMetric(coupling=None, max_recurrent_steps=5, **SMALL).fit(X, LABELS),
    "reservoir": lambda: EchoStateClassifier(**ECHO).fit(X, LABELS),
    "reservoir of steps": lambda: EchoStateClassifier(target="step", bidirectional=False, pooling="last", **ECHO).fit(
        X, STEPS
    ),
    "two reservoirs": lambda: EchoStateRegressor(n_reservoirs=2, leak=[0.3, 0.9], **ECHO).fit(X, NUMBERS),
    "states": lambda: EchoStateTransformer(**ECHO).fit(X),
    "all states": lambda: EchoStateTransformer(pooling=None, **ECHO).fit(X),
    "convolution metric": lambda: RandomConvolutionMetric(**SMALL_BANK).fit(X, LABELS),
    "convolutions": lambda: RandomConvolutionTransformer(**SMALL_BANK).fit(X),
    "embedder": lambda: CrossModalTripletEmbedder(**CROSS).fit(X, LABELS, images=IMAGES),
    "transcriber": lambda: CrossModalTranscriber(**CROSS).fit(WORDS, SPELLED, images=STRIPS),
}
OF_IMAGES = ("embedder", "transcriber")
