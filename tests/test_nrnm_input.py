"""What the memory networks see of a sequence, and how they pool its states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from skseqmetric import NRNMClassifier, NRNMMetric

STILL = 1e-3  # deviation, in units of the training data's, below which a channel counts as constant
SMALL: dict[str, Any] = {"n_units": 8, "n_filters": 8, "max_epochs": 4, "min_batches": 4, "random_state": 0}


def instance_channels(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """What a network without a stem shows its first layer."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(4, values.shape[2])) for _ in range(4)]
    settings = {**SMALL, "n_filters": None, "max_epochs": 1, "min_batches": 1, "instance_channels": True}
    network = NRNMClassifier(**settings).fit(X, [0, 1, 0, 1]).module_
    channels, steps = network.encode(values, lengths)
    assert torch.equal(steps, lengths)
    return channels


def by_hand(x: np.ndarray) -> np.ndarray:
    deviation = x.std(axis=0)
    steps = np.diff(x, axis=0, prepend=x[:1])
    own = np.broadcast_to(np.log(deviation + STILL), x.shape)
    moved = np.sqrt(np.square(steps).mean(axis=0))
    return np.concatenate([x, (x - x.mean(axis=0)) / (deviation + STILL), steps / (moved + STILL), own], axis=1)


def test_instance_channels_are_those_of_each_sequence_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([9, 1, 4])
    values = torch.randn(3, 9, 2, generator=generator) * torch.tensor([1.0, 0.01]) + 5.0
    values[1, 1:], values[2, 4:] = torch.nan, 1e30  # what stands past the end is not read
    channels = instance_channels(values, lengths)
    assert channels.shape == (3, 9, 8)
    for row, x, n in zip(channels.numpy(), values.numpy(), lengths.tolist(), strict=True):
        np.testing.assert_allclose(row[:n], by_hand(x[:n].astype(np.float64)), rtol=1e-4, atol=1e-5)
        assert (row[n:] == 0).all()


def test_more_padding_gives_the_same_bits() -> None:
    values = torch.randn(4, 11, 3, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([11, 5, 8, 2])
    longer = torch.nn.functional.pad(values, (0, 0, 0, 20), value=3.0)
    assert torch.equal(instance_channels(values, lengths), instance_channels(longer, lengths)[:, :11])


def test_a_constant_channel_shows_no_movement() -> None:
    channels = instance_channels(torch.full((1, 6, 1), 1e3), torch.tensor([6]))[0]
    assert (channels[:, 1:3] == 0).all()
    torch.testing.assert_close(channels[:, 3], torch.full((6,), float(np.log(STILL))))


@pytest.mark.slow
def test_small_movements_are_told_apart_beside_large_ones() -> None:
    """Two kinds of trembling 3 % as large as the third class's movements, which set the scale."""
    rng, steps = np.random.default_rng(0), np.arange(40)
    y = np.arange(90) % 3
    waves = [np.sin(steps * (0.4 if k == 0 else 0.9) + rng.uniform(0, 6)) for k in y]
    X = [np.where(k == 2, 1.0, 0.03) * wave[:, None] + rng.normal() for k, wave in zip(y, waves, strict=True)]
    settings = {**SMALL, "max_epochs": 30, "n_units": 16, "n_filters": 16, "augment": None}
    seen = NRNMClassifier(**settings).fit(X[:60], y[:60]).score(X[60:], y[60:])
    unseen = NRNMClassifier(**settings, instance_channels=False).fit(X[:60], y[:60]).score(X[60:], y[60:])
    assert seen == 1
    assert unseen < 0.9


@pytest.mark.parametrize("estimator", [NRNMClassifier, NRNMMetric])
@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("instance", [False, True])
def test_every_form_answers_alike_alone_and_in_company(estimator: Any, pooling: str, instance: bool) -> None:
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(n, 2)) for n in (12, 3, 30, 7, 1, 18)]
    fitted = estimator(**SMALL, pooling=pooling, instance_channels=instance).fit(X, [0, 0, 1, 1, 0, 1])
    together = fitted.transform(X)
    alone = np.concatenate([fitted.transform([x]) for x in X])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_the_pooled_mean_is_the_mean_of_the_valid_states() -> None:
    rng = np.random.default_rng(2)
    X = [rng.normal(size=(n, 2)) for n in (9, 5, 14, 8)]
    fitted = NRNMClassifier(**{**SMALL, "n_filters": None}).fit(X, [0, 1, 0, 1])
    network = fitted.module_
    for x, got in zip(X, fitted.transform(X), strict=True):
        values = torch.from_numpy(((x - fitted.mean_) / fitted.scale_).astype(np.float32))[None]
        with torch.no_grad():
            states = network.states(*network.encode(values, torch.tensor([len(x)])))
        np.testing.assert_allclose(got, states[0].mean(0).numpy(), rtol=1e-4, atol=1e-5)
