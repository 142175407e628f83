"""Layers of LSTM and GRU against loops over torch's cells, and pooling and head against their definition."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skseqmetric import RecurrentRegressor

LENGTHS = torch.tensor([9, 1, 4, 7])
FORMS = list(product(["lstm", "gru", "rnn"], [1, 2], [False, True]))
READINGS = list(product(["lstm", "gru"], [False, True], ["last", "mean", "both"]))
FLOAT32 = {"rtol": 1e-5, "atol": 2e-6}  # states in (-1, 1), rounded at every one of nine steps
FLOAT64 = {"rtol": 1e-10, "atol": 1e-14}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n_channels: int = 3, *, extra: int = 0, fill: float = 0.0) -> Tensor:
    """Rows of LENGTHS steps, then `fill` up to `extra` steps more than the longest has."""
    x = torch.randn(4, 9, n_channels, generator=generator(1))
    x = torch.cat([x, torch.zeros(4, extra, n_channels)], 1)
    return x.masked_fill((torch.arange(9 + extra) >= LENGTHS[:, None])[..., None], fill)


@cache
def network_class() -> Any:
    """The class of what `RecurrentRegressor` trains."""
    X = np.random.default_rng(0).normal(size=(4, 3, 1))
    return type(RecurrentRegressor(1, max_epochs=1, min_batches=1, random_state=0).fit(X, range(4)).module_)


def network(cell: str = "lstm", *, n_layers: int = 1, bidirectional: bool = False, **options: Any) -> Any:
    settings = {"target": "sequence", "pooling": "last", "dropout": 0.0, **options}
    return network_class()(
        3, 5, 2, cell=cell, n_layers=n_layers, bidirectional=bidirectional, generator=generator(), **settings
    ).eval()


def layers(cell: str, n_layers: int, bidirectional: bool, **options: float) -> Any:
    made = network(cell, n_layers=n_layers, bidirectional=bidirectional, **options).layers
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "bias" in name:  # else they are 0 and their place could not be told
                parameter.normal_(std=0.5, generator=generator(len(name)))
    return made


def by_cells(layer: nn.RNNBase, row: Tensor) -> tuple[Tensor, Tensor]:
    """h_t and c_t (T, H) of one row, by torch's cell with the parameters of a layer."""
    kind = {nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell, nn.RNN: nn.RNNCell}[type(layer)]
    step = kind(layer.input_size, layer.hidden_size, device="meta").to_empty(device="cpu").to(row.dtype)
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    h = c = row.new_zeros(1, layer.hidden_size)
    hs, cs = [], []
    for x in row[:, None]:
        if kind is nn.LSTMCell:
            h, c = step(x, (h, c))
        else:
            h = step(x, h)
        hs.append(h[0])
        cs.append(c[0])
    return torch.stack(hs), torch.stack(cs)


def stacked_cells(made: Any, row: Tensor) -> list[tuple[Tensor, Tensor]]:
    """h and c (T, D H) of every layer, both directions in place."""
    found = []
    for k in range(len(made)):
        directions = [by_cells(made.forwards[k], row)]
        if made.backwards is not None:
            directions.append(tuple(states.flip(0) for states in by_cells(made.backwards[k], row.flip(0))))
        h, c = (torch.cat(parts, 1) for parts in zip(*directions, strict=True))
        found.append((h, c))
        row = h
    return found


# ------------------------------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, FLOAT32), (torch.float64, FLOAT64)])
@pytest.mark.parametrize(("cell", "n_layers", "bidirectional"), FORMS)
@torch.no_grad()
def test_states_are_those_of_cells_in_a_loop(
    cell: str, n_layers: int, bidirectional: bool, dtype: torch.dtype, close: dict[str, float]
) -> None:
    made, x = layers(cell, n_layers, bidirectional).to(dtype), batch().to(dtype)
    states = made.every_layer(x, LENGTHS)
    assert made.n_outputs == 5 * (1 + bidirectional)
    cells = [made.cells(x, LENGTHS, k) for k in range(n_layers)] if cell == "lstm" else None
    for b, n in enumerate(LENGTHS.tolist()):
        for k, (h, c) in enumerate(stacked_cells(made, x[b, :n])):
            torch.testing.assert_close(states[k][b, :n], h, **close)
            if cells is not None:
                torch.testing.assert_close(cells[k][b, :n], c, **close)
    assert torch.equal(made(x, LENGTHS), states[-1])


@torch.no_grad()
def test_cell_state_gives_the_hidden_state_of_the_module() -> None:
    made, x = layers("lstm", 1, False).double(), batch().double()
    lstm = made.forwards[0]
    h, (_, last) = lstm(x)
    c = made.cells(x, LENGTHS)
    before = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], 1)
    gates = x @ lstm.weight_ih_l0.T + before @ lstm.weight_hh_l0.T + lstm.bias_ih_l0 + lstm.bias_hh_l0
    torch.testing.assert_close(gates[..., 15:].sigmoid() * c.tanh(), h, **FLOAT64)
    torch.testing.assert_close(c[0, -1], last[0, 0], **FLOAT64)


@pytest.mark.parametrize(("cell", "n_layers", "bidirectional"), FORMS)
@torch.no_grad()
def test_padding_and_company_change_nothing(cell: str, n_layers: int, bidirectional: bool) -> None:
    made = layers(cell, n_layers, bidirectional)
    together, padded = made(batch(), LENGTHS), made(batch(extra=5, fill=30.0), LENGTHS)
    for b, n in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(padded[b, :n], together[b, :n], **FLOAT32)
        torch.testing.assert_close(made(batch()[b : b + 1, :n], LENGTHS[b : b + 1])[0], together[b, :n], **FLOAT32)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@torch.no_grad()
def test_reversing_the_rows_exchanges_the_directions(cell: str) -> None:
    made, turned = layers(cell, 1, True), layers(cell, 1, True)
    turned.forwards.load_state_dict(made.backwards.state_dict())
    turned.backwards.load_state_dict(made.forwards.state_dict())
    for x in (batch()[:1], batch()[3:, :7]):
        n = torch.tensor([x.shape[1]])
        ahead, back = made(x, n).split(5, 2)
        assert torch.equal(turned(x.flip(1), n), torch.cat([back, ahead], 2).flip(1))


@pytest.mark.parametrize(("cell", "n_gates"), [("lstm", 4), ("gru", 3), ("rnn", 1)])
def test_start_of_the_parameters(cell: str, n_gates: int) -> None:
    made = network(cell).layers.forwards[0]
    for gate in made.weight_hh_l0.detach().split(5):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5))
    assert len(made.weight_hh_l0) == 5 * n_gates
    forget = [1.0] * 5 if cell == "lstm" else [0.0] * 5
    assert made.bias_ih_l0[:15].tolist() == ([0.0] * 5 + forget + [0.0] * 5)[: 5 * n_gates]
    assert not made.bias_hh_l0.any()


@torch.no_grad()
def test_dropout_silences_units_between_layers_for_a_whole_sequence_in_training_alone() -> None:
    made, plain = layers("lstm", 2, False, dropout=0.5), layers("lstm", 2, False)
    x, (first, second) = batch(), plain.every_layer(batch(), LENGTHS)
    assert torch.equal(made(x, LENGTHS), second)
    of_training = made.every_layer(x, LENGTHS, generator(3))
    assert torch.equal(of_training[0], first)
    kept = torch.rand(4, 1, 5, generator=generator(3)) >= 0.5  # one draw a sequence and unit
    assert 0 < kept.sum() < kept.numel()
    read = 2 * first * kept
    for b, n in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(of_training[1][b, :n], by_cells(made.forwards[1], read[b, :n])[0], **FLOAT32)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, FLOAT32), (torch.float64, FLOAT64)])
def test_gru_has_the_gradients_of_torch_s(dtype: torch.dtype, close: dict[str, float]) -> None:
    """The package runs a GRU by a scan of its own."""
    made = layers("gru", 1, False).to(dtype)
    x, lengths = batch()[:1].to(dtype), LENGTHS[:1]
    inputs = [x.requires_grad_(), *made.parameters()]
    found, expected = (
        torch.autograd.grad(states.square().mean(), inputs) for states in (made(x, lengths), made.forwards[0](x)[0])
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.any()
        torch.testing.assert_close(ours, theirs, **close)


# ------------------------------------------------------------------------------------------------------------ network


@pytest.mark.parametrize(("cell", "bidirectional", "pooling"), READINGS)
@torch.no_grad()
def test_pooling_and_what_is_said_after_every_prefix(cell: str, bidirectional: bool, pooling: str) -> None:
    made = network(cell, n_layers=2, bidirectional=bidirectional, pooling=pooling)
    x = batch()
    answers, features, steps = made(x, LENGTHS), made.features(x, LENGTHS), made.prefixes(x, LENGTHS)
    for b, n in enumerate(LENGTHS.tolist()):
        ahead, back = (*made.states(x, LENGTHS)[b, :n].split(5, 1), torch.zeros(n, 0))[:2]
        last, mean = [ahead[-1], *back[:1]], [ahead.mean(0), *([back.mean(0)] if bidirectional else [])]
        expected = torch.cat({"last": last, "mean": mean, "both": [*last, *mean]}[pooling])
        torch.testing.assert_close(features[b], expected, **FLOAT32)
        torch.testing.assert_close(answers[b], made.head(features[b]), **FLOAT32)
        torch.testing.assert_close(steps[b, n - 1], answers[b], **FLOAT32)
        if not bidirectional:
            for t in range(1, n):
                prefix = made(x[b : b + 1, :t], torch.tensor([t]))[0]
                torch.testing.assert_close(steps[b, t - 1], prefix, **FLOAT32)


@pytest.mark.parametrize("bidirectional", [False, True])
@torch.no_grad()
def test_targets_of_steps_are_the_head_of_every_state(bidirectional: bool) -> None:
    made = network(bidirectional=bidirectional, target="step", pooling="mean")
    x = batch()
    torch.testing.assert_close(made(x, LENGTHS), made.head(made.states(x, LENGTHS)), **FLOAT32)
    assert torch.equal(made.prefixes(x, LENGTHS), made(x, LENGTHS))


@torch.no_grad()
def test_dropout_before_the_head_is_drawn_for_each_sequence() -> None:
    made, same = network(dropout=0.5, target="step"), torch.ones(2, 6, 3)
    made.head.weight.copy_(torch.eye(2, 5))
    made.head.bias.zero_()
    lengths = torch.tensor([6, 6])
    quiet, noisy = made(same, lengths), made(same, lengths, generator(5))
    factor = noisy / quiet
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    assert set(factor.flatten().round(decimals=3).tolist()) == {0.0, 2.0}
    assert torch.equal(noisy, made(same, lengths, generator(5)))
    assert not torch.equal(noisy, made(same, lengths, generator(6)))
