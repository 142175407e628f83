"""The random noise of training (dropout and zoneout): every kind acts in training, and none on held-out sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
    SyncGRUMetric,
)

MEMORY: dict[str, Any] = {"n_units": 4, "n_heads": 2, "n_filters": 4, "n_slots": 2, "stride": 2}
STACKED: dict[str, Any] = {"n_units": 4, "n_layers": 2}
CROSS: dict[str, Any] = {"n_units": 4, "n_filters": 6, "n_components": 3}
SETTINGS: dict[Any, dict[str, Any]] = {
    SyncGRUMetric: {"n_units": 4, "n_filters": 6, "coupling": None, "samples_per_class": 8},
    NRNMMetric: {**MEMORY, "samples_per_class": 8},
    NRNMClassifier: MEMORY,
    NRNMRegressor: MEMORY,
    NRNMStepClassifier: MEMORY,
    RecurrentClassifier: STACKED,
    RecurrentRegressor: STACKED,
    CrossModalTripletEmbedder: CROSS,
    CrossModalTranscriber: CROSS,
}
NOISES = {cls: {"dropout", "zoneout", "memory_dropout"} & set(cls().get_params(deep=False)) for cls in SETTINGS}
ONE_BATCH: dict[str, Any] = {"batch_size": 24, "min_batches": 1, "augment": None, "random_state": 0}
# the network stands still, so that nothing but noise changes the loss from epoch to epoch
STILL: dict[str, Any] = {"learning_rate": 1e-12, "weight_decay": 0.0, "max_epochs": 2}
HELD_OUT: dict[str, Any] = {"early_stopping": True, "validation_fraction": 0.25}
Data = tuple[list[np.ndarray], np.ndarray]


def targets(cls: Any, data: Data) -> Any:
    X, y = data
    if cls is NRNMStepClassifier:
        return [np.full(len(x), label) for x, label in zip(X, y, strict=True)]
    return ["abc"[label] for label in y] if cls is CrossModalTranscriber else y


def change_of_loss(cls: Any, data: Data, name: str, **settings: Any) -> float:
    """How much a loss of all sequences differs between two epochs of the same weights, relative to the first."""
    X, y = data[0], targets(cls, data)
    quiet = dict.fromkeys(NOISES[cls], 0.0)
    estimator = cls(**{**SETTINGS[cls], **quiet, **ONE_BATCH, **settings}, warm_start=True, max_epochs=3)
    estimator.set_params(learning_rate=0.1).fit(X, y)  # a new network of memory does not read its memory yet
    for layer in estimator.module_.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 0.0
    first, second = (row[name] for row in estimator.set_params(**STILL).fit(X, y).history_[-2:])
    assert first > 0
    return abs(second - first) / first


@pytest.mark.parametrize(("cls", "kind"), [(cls, kind) for cls, kinds in NOISES.items() for kind in sorted(kinds)])
def test_every_kind_of_noise_acts_in_training(cls: Any, kind: str, ragged: Data) -> None:
    assert change_of_loss(cls, ragged, "train_loss", **{kind: 0.5}) > 1e-4


@pytest.mark.parametrize("cls", list(NOISES))
def test_held_out_sequences_are_read_without_noise(cls: Any, ragged: Data) -> None:
    assert change_of_loss(cls, ragged, "train_loss") < 1e-6
    assert change_of_loss(cls, ragged, "valid_loss", **dict.fromkeys(NOISES[cls], 0.5), **HELD_OUT) < 1e-6
