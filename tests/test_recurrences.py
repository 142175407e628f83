"""The fast recurrences against their plain loops, their laws, and the theory of synchronisation."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from skseqmetric import SyncGRUMetric
from skseqmetric._ops import steps
from skseqmetric._ops.reference import gru as reference
from skseqmetric._ops.sync_gru import sync_gru_scan
from skseqmetric._ops.weights import RecurrentWeights

COUPLINGS = [None, "scalar", "symmetric", "diffusive"]
LENGTHS = torch.tensor([9, 4, 1, 7, 9, 5])


def make_weights(coupling: str | None, n_features: int = 3, n_units: int = 6, spread: float = 0.6) -> RecurrentWeights:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return spread * torch.randn(shape, generator=generator, dtype=torch.float64)

    gates = 3 * n_units
    w = RecurrentWeights(drawn(gates, n_features), drawn(gates, n_units), drawn(gates), drawn(gates), coupling)
    if coupling is None:
        return w
    if coupling == "scalar":
        return replace(w, gate_bias=drawn())
    other = drawn(n_units, n_units) if coupling == "diffusive" else None
    parts = drawn(n_units, n_features), drawn(n_units, n_units), drawn(n_units)
    return replace(w, gate_input=parts[0], gate_hidden=parts[1], gate_bias=parts[2], gate_other=other)


def make_inputs(n_features: int = 3, seed: int = 1) -> torch.Tensor:
    x = torch.randn(len(LENGTHS), 9, n_features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x * steps.valid_steps(LENGTHS, 9)[..., None]


def all_pairs() -> tuple[torch.Tensor, torch.Tensor]:
    n = len(LENGTHS)
    return torch.arange(n).repeat_interleave(n), torch.arange(n).repeat(n)


def test_reference_step_is_torch_gru_cell() -> None:
    w = make_weights(None)
    cell = torch.nn.utils.skip_init(torch.nn.GRUCell, 3, 6, dtype=torch.float64)
    cell.weight_ih.data, cell.weight_hh.data = w.input.data, w.hidden.data
    cell.bias_ih.data, cell.bias_hh.data = w.input_bias.data, w.hidden_bias.data
    x, h = make_inputs()[:, 0], 0.5 * torch.ones(6, 6, dtype=torch.float64)
    torch.testing.assert_close(reference.gru_step(x, h, w), cell(x, h))


def test_reverse_valid_reverses_each_sequence_within_its_length() -> None:
    x = make_inputs()
    back = steps.reverse_valid(x, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(back[i, :length], x[i, :length].flip(0))
        assert (back[i, length:] == 0).all()


@pytest.mark.parametrize("how", ["mean", "last"])
def test_read_out_equals_reference(how: str) -> None:
    states = torch.randn(9, 2, 6, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    by_direction = [reference.pool_states(states[:, d].transpose(0, 1), LENGTHS, how) for d in range(2)]
    torch.testing.assert_close(steps.pool_states(states, LENGTHS, how), torch.cat(by_direction, 1))


@pytest.mark.parametrize("coupling", ["scalar", "symmetric", "diffusive"])
def test_states_stay_inside_the_unit_cube(coupling: str) -> None:
    w, x = make_weights(coupling, spread=8.0), 50 * make_inputs()
    i, j = all_pairs()
    for states in reference.sync_gru_scan(x[i], x[j], LENGTHS[i], LENGTHS[j], w):
        assert states.abs().max() <= 1.0


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_a_sequence_paired_with_itself_runs_free(coupling: str | None) -> None:
    w, x = make_weights(coupling), make_inputs()
    first, second = reference.sync_gru_scan(x, x, LENGTHS, LENGTHS, w)
    free = reference.gru_scan(x, LENGTHS, w)
    torch.testing.assert_close(first, free)
    torch.testing.assert_close(second, free)


def chaotic_gru(n_units: int = 24) -> RecurrentWeights:
    """A random GRU with a strong candidate and an open update gate: chaotic at input 0."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3 * n_units, n_units, generator=generator, dtype=torch.float64) / math.sqrt(n_units)
    hidden[2 * n_units :] *= 4.0
    inputs = torch.randn(3 * n_units, 1, generator=generator, dtype=torch.float64)
    bias = torch.zeros(3 * n_units, dtype=torch.float64)
    bias[n_units : 2 * n_units] = -3.0
    nothing = torch.zeros_like(bias)
    return RecurrentWeights(inputs, hidden, bias, nothing, "scalar", gate_bias=torch.zeros((), dtype=torch.float64))


def lyapunov_exponent(w: RecurrentWeights, steps: int, separation: float = 1e-7) -> float:
    """Largest exponent of the uncoupled map: mean log growth of a small separation, reset at every step (Benettin)."""
    h = 0.1 * torch.randn(1, w.n_units, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    x = torch.zeros(1, 1, dtype=torch.float64)
    direction = torch.ones_like(h) / math.sqrt(w.n_units)
    total = 0.0
    for t in range(steps + 200):
        nearby = reference.gru_step(x, h + separation * direction, w)
        h = reference.gru_step(x, h, w)
        growth = (nearby - h).norm()
        direction = (nearby - h) / growth
        if t >= 200:
            total += math.log(float(growth) / separation)
    return total / steps


def coupled_gaps(w: RecurrentWeights, c: float, n_steps: int) -> torch.Tensor:
    """|h1 - h2| of two halves that get different inputs for five steps and then input 0, at coupling strength c."""
    bias = torch.tensor(math.log(2 * c / (1 - 2 * c)), dtype=torch.float64)
    w = RecurrentWeights(w.input, w.hidden, w.input_bias, w.hidden_bias, "scalar", gate_bias=bias)
    x = torch.zeros(1, n_steps, 2, 1, dtype=torch.float64)
    x[0, :5, 0], x[0, :5, 1] = 1.0, -1.0
    pair = torch.tensor([0]), torch.tensor([1])
    first, second = sync_gru_scan(x, torch.tensor([n_steps, n_steps]), *pair, [w])
    return (first - second)[:, 0, 0].norm(dim=1)


def test_synchronisation_sets_in_where_theory_puts_it() -> None:
    """A pair synchronises iff lambda_max + ln(1 - 2c) < 0, and then contracts at that rate (Pecora & Carroll 1990)."""
    w = chaotic_gru()
    exponent = lyapunov_exponent(w, 4000)
    assert exponent > 0.05
    critical = (1 - math.exp(-exponent)) / 2
    assert coupled_gaps(w, critical / 3, 1500)[-300:].max() > 0.1
    c = 2 * critical
    gaps = coupled_gaps(w, c, 1500)
    assert gaps[-1] < 1e-12
    usable = gaps[20:][gaps[20:] > 1e-11]
    rate = float((usable[-1] / usable[0]).log()) / (len(usable) - 1)
    assert rate == pytest.approx(exponent + math.log(1 - 2 * c), rel=0.25)


# ------------------------------------------------------------------ the distance that is made of them


@pytest.fixture(params=COUPLINGS)
def fitted(request: pytest.FixtureRequest, ragged: tuple[list[np.ndarray], np.ndarray]) -> SyncGRUMetric:
    metric = SyncGRUMetric(8, n_filters=8, coupling=request.param, max_epochs=4, min_batches=4, random_state=0)
    return metric.fit(*ragged)


def encoded(metric: SyncGRUMetric, x: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The features of one sequence and their number."""
    scaled = torch.from_numpy(((x - metric.mean_) / metric.scale_).astype(np.float32))
    with torch.no_grad():
        return metric.module_.encode(scaled[None], torch.tensor([len(x)]))


def in_double(w: RecurrentWeights) -> RecurrentWeights:
    tensors = {f.name: v for f in fields(w) if isinstance(v := getattr(w, f.name), torch.Tensor)}
    return replace(w, **{name: v.detach().double() for name, v in tensors.items()})


def coupled_pair(metric: SyncGRUMetric, *sides: tuple[torch.Tensor, torch.Tensor]) -> list[torch.Tensor]:
    """The pooled states of both halves, by the plain loop in float64, one direction after the other."""
    network: Any = metric.module_
    longest = max(int(n) for _, n in sides)
    lengths = [n for _, n in sides]
    padded = [torch.nn.functional.pad(v, (0, 0, 0, longest - v.shape[1])) for v, _ in sides]
    halves: list[list[torch.Tensor]] = [[], []]
    ordered = [network.directions(v, n) for v, n in zip(padded, lengths, strict=True)]
    for w, *inputs in zip(network.weights(), *ordered, strict=True):
        states = reference.sync_gru_scan(*(x.transpose(0, 1).double() for x in inputs), *lengths, in_double(w))
        for half, h, n in zip(halves, states, lengths, strict=True):
            half.append(reference.pool_states(h, n, "mean"))
    return [torch.cat(half, 1)[0] for half in halves]


def test_distance_equals_the_reference_recurrence(
    fitted: SyncGRUMetric, ragged: tuple[list[np.ndarray], np.ndarray]
) -> None:
    """Stem by torch, then the plain float64 loop over each single pair, both directions."""
    X = ragged[0][:6]
    sides = [encoded(fitted, x) for x in X]
    pairs = [[coupled_pair(fitted, left, right) for right in sides] for left in sides]
    expected = [[float((first - second).norm()) for first, second in row] for row in pairs]
    np.testing.assert_allclose(fitted.pairwise_distances(X), expected, rtol=1e-4, atol=1e-5)


def test_transform_is_the_pooled_run_of_a_sequence_coupled_to_itself(
    fitted: SyncGRUMetric, ragged: tuple[list[np.ndarray], np.ndarray]
) -> None:
    side = encoded(fitted, ragged[0][0])
    first, second = coupled_pair(fitted, side, side)
    torch.testing.assert_close(second, first)
    np.testing.assert_allclose(fitted.transform(ragged[0][:1])[0], first.numpy(), rtol=1e-4, atol=1e-6)
