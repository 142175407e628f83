"""Recurrences as a scan over the steps, as they are exported, against the plain loops in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skseqmetric._ops import scanned
from skseqmetric._ops.dispatch import exported, implementation
from skseqmetric._ops.gru import gru_scan
from skseqmetric._ops.memory import memory_scan
from skseqmetric._ops.random_convolution import TAPS, ConvolutionBank, convolution_shares
from skseqmetric._ops.reservoir import reservoir_pooled
from skseqmetric._ops.sync_gru import sync_gru_scan
from skseqmetric._ops.weights import MemoryForm, MemoryNoise, MemoryWeights, RecurrentWeights, ReservoirWeights

GENERATOR = torch.Generator("cpu").manual_seed(0)
LENGTHS = torch.tensor([14, 1, 4, 9, 5], dtype=torch.int64, device="cpu")
FORMS = [
    MemoryForm(cell, 2, 2, 2, attention, memory_input, every)
    for cell, every, memory_input, attention in itertools.product(
        ("lstm", "gru", "rnn"), (None, 1, 3, 5), ("pooled", "tokens"), (True, False)
    )
]


def normal(*shape: int, scale: float = 0.5) -> Tensor:
    return scale * torch.randn(shape, generator=GENERATOR, dtype=torch.float64, device="cpu")


def both_forms(function: Callable[..., Tensor], *arguments: Any) -> list[Tensor]:
    """The results of the plain loop and of the scan."""
    found = []
    for name in ("reference", "scanned"):
        with implementation(name):
            found.append(function(*arguments))
    return found


def memory_weights(form: MemoryForm, n_features: int = 3, n: int = 4) -> MemoryWeights:
    gates, room = {"lstm": 4, "gru": 3, "rnn": 1}[form.cell] * n, form.n_slots * n
    pooled, mixed = form.memory_input == "pooled", (3 if form.attention else 1) * n
    return MemoryWeights(
        form,
        input=normal(gates, n_features),
        hidden=normal(gates, n),
        bias=normal(gates),
        memory_gate_input=normal(room, n_features),
        memory_gate_memory=normal(room, room),
        memory_gate_bias=normal(room),
        read=normal(n, room),
        token=normal(n, form.n_slots * n_features if pooled else n_features),
        mixing=normal(mixed, n),
        mixing_bias=normal(mixed),
        first_gain=1 + normal(n),
        first_shift=normal(n),
        second_gain=1 + normal(n),
        second_shift=normal(n),
        first_layer=normal(n, n),
        first_layer_bias=normal(n),
        second_layer=normal(n, n),
        second_layer_bias=normal(n),
        update_input=normal(2 * n, n),
        update_memory=normal(2 * n, n),
        update_bias=normal(2 * n),
        token_bias=normal(n) if pooled else None,
        candidate_bias=normal(n) if form.cell == "gru" else None,
    )


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f.cell}-{f.every}-{f.memory_input}-{f.attention}")
def test_the_memory_is_that_of_the_plain_loop(form: MemoryForm) -> None:
    x, weights, noise = normal(5, 14, 3, scale=1.0), memory_weights(form), MemoryNoise(0.9, 0.8)
    true, found = both_forms(lambda: memory_scan(x, LENGTHS, weights, noise).states)
    torch.testing.assert_close(found, true, rtol=0, atol=1e-12)


def test_no_memory_is_the_plain_backbone() -> None:
    weights = memory_weights(MemoryForm("lstm", 1, 2**31, 2))
    x = normal(5, 14, 3)
    true, found = both_forms(lambda: memory_scan(x, LENGTHS, weights).states)
    torch.testing.assert_close(found, true, rtol=0, atol=1e-12)


def test_a_gru_is_that_of_the_plain_loop() -> None:
    features = normal(1, 14, 5, 3)
    weights = [RecurrentWeights(normal(12, 3), normal(12, 4), normal(12), normal(12)) for _ in range(2)]
    true, found = both_forms(gru_scan, features, LENGTHS, weights)
    torch.testing.assert_close(found, true, rtol=0, atol=1e-12)


def test_an_lstm_is_that_of_torch() -> None:
    layer = nn.LSTM(3, 4, batch_first=True, dtype=torch.float64, device="meta").to_empty(device="cpu")
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    x = normal(5, 14, 3)
    with torch.no_grad():
        weights = tuple(layer.get_parameter(name).copy_(normal(*layer.get_parameter(name).shape)) for name in names)
        found = scanned.lstm_states(x.transpose(0, 1), weights, onnx=False).transpose(0, 1)
        torch.testing.assert_close(found, layer(x)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("leak", [0.3, torch.linspace(0.1, 1, 6, dtype=torch.float64, device="cpu")], ids=str)
def test_a_reservoir_is_that_of_the_plain_loop(leak: float | Tensor) -> None:
    features = normal(2, 14, 5, 3)
    weights = [ReservoirWeights(normal(6, 4), normal(6, 6), leak) for _ in range(2)]
    true, found = both_forms(reservoir_pooled, features, LENGTHS, weights, "both")
    torch.testing.assert_close(found, true, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_channels", [1, 4])
def test_random_convolutions_have_the_same_bits(n_channels: int) -> None:
    rng = np.random.default_rng(n_channels)
    sizes = rng.integers(1, min(3, n_channels) + 1, 2 * len(TAPS))
    channels = [np.sort(rng.choice(n_channels, size, replace=False)) for size in sizes]
    bank = ConvolutionBank(
        dilations=np.array([1, 3]),
        n_biases=np.array([2, 1]),
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        channels=np.concatenate(channels).astype(np.int32),
        biases=rng.normal(size=3 * len(TAPS)).astype(np.float32),
    )
    lengths = LENGTHS.numpy()
    steps = torch.from_numpy(rng.normal(size=(int(lengths.sum()), n_channels)).astype(np.float32))
    padded = nn.utils.rnn.pad_sequence(list(steps.split(lengths.tolist())), batch_first=True)
    found = scanned.shares_of_padded(padded, LENGTHS, scanned.BankArrays.of(bank, TAPS, n_channels))
    assert torch.equal(found, convolution_shares(steps, lengths, bank))


def test_a_coupled_run_has_no_form_for_export() -> None:
    weights = [RecurrentWeights(normal(12, 3), normal(12, 4), normal(12), normal(12))]
    pair = torch.tensor([0], dtype=torch.int64, device="cpu")
    with implementation("scanned"), pytest.raises(RuntimeError, match="no form that can be exported"):
        sync_gru_scan(normal(1, 14, 5, 3), LENGTHS, pair, pair, weights)


def test_the_form_of_an_export_is_known_inside_alone() -> None:
    assert exported() is None
    with implementation("onnx"):
        assert exported() == "onnx"
    with implementation("eager"):
        assert exported() is None
