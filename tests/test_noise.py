"""The random noise of training (dropout and zoneout): every kind acts in training, and none on held-out sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

from skseqmetric import NRNMMetric, SyncGRUMetric
from tests.small_trained import SETTINGS, Data, targets

NOISES = {cls: {"dropout", "zoneout", "memory_dropout"} & set(cls().get_params(deep=False)) for cls in SETTINGS}
ONE_BATCH: dict[str, Any] = {"batch_size": 24, "min_batches": 1, "augment": None, "random_state": 0}
# the network stands still, so that nothing but noise changes the loss from epoch to epoch
STILL: dict[str, Any] = {"learning_rate": 1e-12, "weight_decay": 0.0, "max_epochs": 2}
PAIRS = np.arange(24).reshape(12, 2)
HELD_OUT: dict[str, Any] = {"early_stopping": True, "validation_fraction": 0.25}


def change_of_loss(cls: Any, data: Data, name: str, *, of_pairs: bool = False, **settings: Any) -> float:
    """How much a loss of all sequences differs between two epochs of the same weights, relative to the first."""

    def fit(estimator: Any) -> Any:
        if of_pairs:
            return estimator.fit_pairs(data[0], PAIRS, np.where(data[1][PAIRS[:, 0]] == data[1][PAIRS[:, 1]], 1, -1))
        return estimator.fit(data[0], targets(cls, data))

    quiet = dict.fromkeys(NOISES[cls], 0.0)
    estimator = cls(**{**SETTINGS[cls], **quiet, **ONE_BATCH, **settings}, warm_start=True, max_epochs=3)
    estimator.set_params(learning_rate=0.1)
    fit(estimator)  # a new network of memory does not read its memory yet
    for layer in estimator.module_.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 0.0
    first, second = (row[name] for row in fit(estimator.set_params(**STILL)).history_[-2:])
    assert first > 0
    return abs(second - first) / first


@pytest.mark.parametrize(("cls", "kind"), [(cls, kind) for cls, kinds in NOISES.items() for kind in sorted(kinds)])
def test_every_kind_of_noise_acts_in_training(cls: Any, kind: str, ragged: Data) -> None:
    assert change_of_loss(cls, ragged, "train_loss", **{kind: 0.5}) > 1e-4


@pytest.mark.parametrize("cls", list(NOISES))
def test_held_out_sequences_are_read_without_noise(cls: Any, ragged: Data) -> None:
    assert change_of_loss(cls, ragged, "train_loss") < 1e-6
    assert change_of_loss(cls, ragged, "valid_loss", **dict.fromkeys(NOISES[cls], 0.5), **HELD_OUT) < 1e-6


@pytest.mark.parametrize("cls", [SyncGRUMetric, NRNMMetric])
def test_every_kind_of_noise_acts_in_training_from_pairs(cls: Any, ragged: Data) -> None:
    assert change_of_loss(cls, ragged, "train_loss", of_pairs=True) < 1e-6
    for kind in sorted(NOISES[cls]):
        assert change_of_loss(cls, ragged, "train_loss", of_pairs=True, **{kind: 0.5}) > 1e-4
