"""What stands past the end of a sequence is never read: from augmentation, and by the convolutions of the stem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from skseqmetric import NRNMClassifier, RecurrentClassifier, SyncGRUMetric

FAST: dict[str, Any] = {"max_epochs": 3, "min_batches": 2, "batch_size": 4, "random_state": 0}
MEMORY: dict[str, Any] = {**FAST, "n_units": 4, "n_heads": 2}
X = [np.random.default_rng(n).normal(size=(n, 2)) for n in (1, 12, 5, 9, 3, 7, 15, 8)]
Y = np.arange(8) % 2
ESTIMATORS = [
    SyncGRUMetric(4, n_filters=None, **FAST),
    SyncGRUMetric(4, n_filters=4, max_recurrent_steps=4, **FAST),
    SyncGRUMetric(4, n_filters=4, coupling="diffusive", **FAST),
    NRNMClassifier(**MEMORY, n_filters=None),
    NRNMClassifier(**MEMORY, n_filters=4),
    NRNMClassifier(**MEMORY, n_filters=4, target="step"),
    RecurrentClassifier(4, bidirectional=True, **FAST),
    RecurrentClassifier(4, cell="gru", target="step", pooling="mean", **FAST),
]


class Noise:
    """A little noise, drawn alike whatever is left in the padding."""

    def __init__(self, padding: float) -> None:
        self.padding, self.padded_steps = padding, 0

    def __call__(self, values: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        outside = torch.arange(values.shape[1]) >= lengths[:, None]
        self.padded_steps += int(outside.sum())
        values = values + 0.1 * torch.randn(values.shape, generator=generator)
        return values.masked_fill(outside[..., None], self.padding)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda made: type(made).__name__)
def test_augmentation_that_writes_into_the_padding_changes_no_fit(estimator: Any) -> None:
    y = [np.arange(len(x)) % 2 for x in X] if getattr(estimator, "target", None) == "step" else Y
    found = []
    for padding in (0.0, 1e6, np.nan):
        augment = Noise(padding)
        fitted = estimator.set_params(augment=augment).fit(X, y)
        assert augment.padded_steps
        found.append((fitted.transform(X), [row["train_loss"] for row in fitted.history_]))
    for features, losses in found[1:]:
        assert np.array_equal(features, found[0][0])
        assert losses == found[0][1]
    assert not np.array_equal(estimator.set_params(augment=None).fit(X, y).transform(X), found[0][0])


@pytest.mark.parametrize("fill", [1e6, np.nan])
@pytest.mark.parametrize("target", ["sequence", "step"])
@torch.no_grad()
def test_the_stem_ignores_what_stands_past_the_end(target: str, fill: float) -> None:
    """Also where strides leave fewer steps, and where it is causal."""
    made = NRNMClassifier(**MEMORY, n_filters=4, max_recurrent_steps=4, instance_channels=False, target=target)
    y = [np.arange(len(x)) % 2 for x in X] if target == "step" else Y
    network = made.fit(X, y).module_
    stride = int(np.prod(network.stem.strides))
    assert stride == (1 if target == "step" else 4)
    lengths = torch.tensor([len(x) for x in X])
    outside = (torch.arange(20) >= lengths[:, None])[..., None]
    values = torch.randn(8, 20, 2, generator=torch.Generator().manual_seed(0))
    features, steps = network.stem(values.masked_fill(outside, fill), lengths)
    assert steps.tolist() == [-(-len(x) // stride) for x in X]
    assert torch.equal(features, network.stem(values.masked_fill(outside, 0), lengths)[0])
    assert torch.equal(features, network.encode(values.masked_fill(outside, fill), lengths)[0])
    for row, x, n, n_steps in zip(features, values, lengths.tolist(), steps.tolist(), strict=True):
        assert not row[n_steps:].any()
        alone = network.stem(x[None, :n], torch.tensor([n]))[0][0]
        torch.testing.assert_close(row[:n_steps], alone, rtol=1e-5, atol=1e-6)
