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
    RecurrentClassifier,
    SyncGRUMetric,
)
from tests.small_trained import SETTINGS, Data, targets

NOISES = {cls: {"dropout", "zoneout", "memory_dropout"} & set(cls().get_params(deep=False)) for cls in SETTINGS}
ONE_BATCH: dict[str, Any] = {"batch_size": 24, "min_batches": 1, "augment": None, "random_state": 0}
# the network stands still, so that nothing but noise changes the loss from epoch to epoch
STILL: dict[str, Any] = {"learning_rate": 1e-12, "weight_decay": 0.0, "max_epochs": 2}
PAIRS = np.arange(24).reshape(12, 2)
HELD_OUT: dict[str, Any] = {"early_stopping": True, "validation_fraction": 0.25}


# the networks of the others are among these
ONE_OF_EACH_NETWORK = (
    SyncGRUMetric,
    NRNMClassifier,
    RecurrentClassifier,
    CrossModalTripletEmbedder,
    CrossModalTranscriber,
)


def changes_of_loss(cls: Any, data: Data, *, of_pairs: bool = False, **settings: Any) -> dict[str, float]:
    """How much the losses of all sequences differ between two epochs of the same weights, relative to the first."""

    def fit(estimator: Any) -> Any:
        if of_pairs:
            return estimator.fit_pairs(data[0], PAIRS, np.where(data[1][PAIRS[:, 0]] == data[1][PAIRS[:, 1]], 1, -1))
        return estimator.fit(data[0], targets(cls, data))

    quiet = dict.fromkeys(NOISES[cls], 0.0)
    estimator = cls(**{**SETTINGS[cls], **quiet, **ONE_BATCH, **settings}, warm_start=True, max_epochs=2)
    estimator.set_params(learning_rate=0.1)
    fit(estimator)  # a new network of memory does not read its memory yet
    for layer in estimator.module_.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 0.0
    first, second = fit(estimator.set_params(**STILL)).history_[-2:]
    losses = [name for name in ("train_loss", "valid_loss") if name in first]
    assert all(first[name] > 0 for name in losses)
    return {name: abs(second[name] - first[name]) / first[name] for name in losses}


def _slow_unless(fast: bool) -> Any:
    return () if fast else pytest.mark.slow


@pytest.mark.parametrize(
    ("cls", "kind"),
    [
        pytest.param(
            cls, kind, marks=_slow_unless(cls in ONE_OF_EACH_NETWORK or (cls, kind) == (NRNMMetric, "memory_dropout"))
        )
        for cls, kinds in NOISES.items()
        for kind in sorted(kinds)
    ],
)
def test_every_kind_of_noise_acts_in_training(cls: Any, kind: str, ragged: Data) -> None:
    assert changes_of_loss(cls, ragged, **{kind: 0.5})["train_loss"] > 1e-4


@pytest.mark.parametrize("cls", [pytest.param(c, marks=_slow_unless(c in ONE_OF_EACH_NETWORK)) for c in NOISES])
def test_nothing_but_noise_changes_the_loss(cls: Any, ragged: Data) -> None:
    assert changes_of_loss(cls, ragged)["train_loss"] < 1e-6


@pytest.mark.parametrize("cls", list(NOISES))
def test_held_out_sequences_are_read_without_noise(cls: Any, ragged: Data) -> None:
    found = changes_of_loss(cls, ragged, **dict.fromkeys(NOISES[cls], 0.5), **HELD_OUT)
    assert found["valid_loss"] < 1e-6
    assert found["train_loss"] > 1e-4


@pytest.mark.parametrize(
    ("cls", "kind"),
    [
        (SyncGRUMetric, "dropout"),
        (NRNMMetric, "memory_dropout"),
        pytest.param(NRNMMetric, "dropout", marks=pytest.mark.slow),
        pytest.param(NRNMMetric, "zoneout", marks=pytest.mark.slow),
    ],
)
def test_every_kind_of_noise_acts_in_training_from_pairs(cls: Any, kind: str, ragged: Data) -> None:
    assert changes_of_loss(cls, ragged, of_pairs=True)["train_loss"] < 1e-6
    assert changes_of_loss(cls, ragged, of_pairs=True, **{kind: 0.5})["train_loss"] > 1e-4
