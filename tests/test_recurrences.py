"""The fast recurrences against their plain loops, their laws, and the theory of synchronisation."""

from __future__ import annotations

import math

import pytest
import torch

from skseqmetric._modules import ConvStem, SyncGRUCell
from skseqmetric._ops import gru, reference
from skseqmetric._ops.sync_gru import project, sync_gru_pairs
from skseqmetric._ops.sync_gru_tile import TileScan, tile_sides
from skseqmetric._ops.weights import RecurrentWeights

COUPLINGS = [None, "scalar", "symmetric", "diffusive"]
LENGTHS = torch.tensor([9, 4, 1, 7, 9, 5])


def make_weights(coupling: str | None, n_features: int = 3, n_units: int = 6, spread: float = 0.6) -> RecurrentWeights:
    generator = torch.Generator().manual_seed(0)
    cell = SyncGRUCell(n_features, n_units, coupling, generator).double()
    for parameter in cell.parameters():
        parameter.data = spread * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return cell.weights()


def make_inputs(n_features: int = 3, seed: int = 1) -> torch.Tensor:
    x = torch.randn(len(LENGTHS), 9, n_features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x * gru.valid_steps(LENGTHS, 9)[..., None]


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


def test_fused_gru_equals_reference_on_valid_steps() -> None:
    w, x = make_weights(None), make_inputs()
    valid = gru.valid_steps(LENGTHS, 9)
    torch.testing.assert_close(gru.gru_scan(x, w)[valid], reference.gru_scan(x, LENGTHS, w)[valid])


@pytest.mark.parametrize("how", ["mean", "last"])
def test_read_out_equals_reference(how: str) -> None:
    states = torch.randn(6, 9, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    torch.testing.assert_close(gru.read_out(states, LENGTHS, how), reference.read_out(states, LENGTHS, how))


def test_reverse_valid_reverses_each_sequence_within_its_length() -> None:
    x = make_inputs()
    back = gru.reverse_valid(x, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(back[i, :length], x[i, :length].flip(0))
        assert (back[i, length:] == 0).all()


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_paired_scan_equals_reference(coupling: str | None) -> None:
    w, x = make_weights(coupling), make_inputs()
    i, j = all_pairs()
    fast = sync_gru_pairs(project(x, w), LENGTHS, i, j, w)
    slow = reference.sync_gru_scan(x[i], x[j], LENGTHS[i], LENGTHS[j], w)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("coupling", ["scalar", "symmetric", "diffusive"])
def test_paired_scan_gradients_equal_the_reference_ones(coupling: str) -> None:
    i, j = all_pairs()
    gradients = []
    for scan in ("fast", "slow"):
        w, x = make_weights(coupling), make_inputs().requires_grad_()
        if scan == "fast":
            first, second = sync_gru_pairs(project(x, w), LENGTHS, i, j, w)
        else:
            first, second = reference.sync_gru_scan(x[i], x[j], LENGTHS[i], LENGTHS[j], w)
        loss = (first.square() * 0.7 + second.sin()).sum()
        wanted = [x, w.input, w.hidden, w.hidden_bias, w.gate_bias, w.gate_input, w.gate_hidden, w.gate_other]
        gradients.append(torch.autograd.grad(loss, [t for t in wanted if t is not None]))
    valid = gru.valid_steps(LENGTHS, 9)
    for k, (a, b) in enumerate(zip(*gradients, strict=True)):
        torch.testing.assert_close(*((a[valid], b[valid]) if k == 0 else (a, b)))


def test_paired_scan_passes_gradcheck() -> None:
    w = make_weights("symmetric", n_units=3)
    x = make_inputs()[:3].requires_grad_()
    i, j = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])

    def run(hidden: torch.Tensor, gate: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        weights = RecurrentWeights(
            w.input, hidden, w.input_bias, w.hidden_bias, "symmetric", w.gate_input, gate, None, w.gate_bias
        )
        return torch.stack(sync_gru_pairs(project(inputs, weights), LENGTHS[:3], i, j, weights))

    assert torch.autograd.gradcheck(run, (w.hidden, w.gate_hidden, x))


@pytest.mark.parametrize("readout", ["mean", "last"])
@pytest.mark.parametrize("coupling", ["scalar", "symmetric", "diffusive"])
@pytest.mark.parametrize("crossed", [True, False])
def test_tile_equals_reference(coupling: str, readout: str, crossed: bool) -> None:
    w, x = make_weights(coupling).detach(), make_inputs()
    y, other = make_inputs(seed=2)[:4] * gru.valid_steps(LENGTHS.flip(0)[:4], 9)[..., None], LENGTHS[:4]
    i, j = (torch.arange(6).repeat_interleave(4), torch.arange(4).repeat(6)) if crossed else (torch.arange(4),) * 2
    left, left_lengths = (x, LENGTHS) if crossed else (x[:4], LENGTHS[:4])
    sides = tile_sides(project(left, w), left_lengths, project(y, w), other, crossed=crossed)
    got = TileScan(w, len(left), 4 if crossed else 1).run(*sides, readout)
    states = reference.sync_gru_scan(left[i], y[j], left_lengths[i], other[j], w)
    for o, s, n in zip(got, states, (left_lengths[i], other[j]), strict=True):
        expected = reference.read_out(s, n, readout)
        torch.testing.assert_close(o.reshape(6, -1).T, expected, rtol=0, atol=1e-12)


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
        beside = reference.gru_step(x, h + separation * direction, w)
        h = reference.gru_step(x, h, w)
        growth = (beside - h).norm()
        direction = (beside - h) / growth
        if t >= 200:
            total += math.log(float(growth) / separation)
    return total / steps


def coupled_gaps(w: RecurrentWeights, c: float, steps: int) -> torch.Tensor:
    """|h1 - h2| of two halves that get different inputs for five steps and then input 0, at coupling strength c."""
    bias = torch.tensor(math.log(2 * c / (1 - 2 * c)), dtype=torch.float64)
    w = RecurrentWeights(w.input, w.hidden, w.input_bias, w.hidden_bias, "scalar", gate_bias=bias)
    x = torch.zeros(2, steps, 1, dtype=torch.float64)
    x[0, :5], x[1, :5] = 1.0, -1.0
    first, second = sync_gru_pairs(project(x, w), torch.tensor([steps, steps]), torch.tensor([0]), torch.tensor([1]), w)
    return (first - second).norm(dim=2)[0]


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


@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 2)])
def test_stem_is_blind_to_padding(strides: tuple[int, int]) -> None:
    stem = ConvStem(3, 5, strides, torch.Generator().manual_seed(0)).double()
    x = make_inputs()
    together, lengths = stem(x, LENGTHS)
    for i, n in enumerate(LENGTHS.tolist()):
        alone, length = stem(x[i : i + 1, :n], LENGTHS[i : i + 1])
        assert length == lengths[i] == alone.shape[1]
        torch.testing.assert_close(together[i, : lengths[i]], alone[0])
        assert (together[i, lengths[i] :] == 0).all()
