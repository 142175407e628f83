"""The fast recurrences against their plain loops, their laws, and the theory of synchronisation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skseqmetric import SyncGRUMetric
from skseqmetric._ops import compiled, dispatch, steps
from skseqmetric._ops.cells import cell_scan
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.eager import cells as eager_cells
from skseqmetric._ops.parallel import intra_op_threads
from skseqmetric._ops.reference import cells as reference_cells
from skseqmetric._ops.reference import gru as reference
from skseqmetric._ops.steps import reverse_valid, valid_steps
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


# ------------------------------------------------------------------------------------------------ LSTM and plain RNN


FORMS = [("eager", torch.float64), ("eager", torch.float32), ("compiled", torch.float32)]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}
"""Absolute, of values; gradients are compared relative to the largest of their tensor."""

GATES = {"lstm": 4, "rnn": 1}
SIZES = [
    (1, 1, 1, 1, 1),
    (5, 1, 3, 1, 2),
    (11, 13, 3, 20, 2),
    (30, 7, 70, 48, 1),
    (50, 7, 5, 33, 2),
    (25, 6, 16, 80, 2),
]
"""Sequences, steps, features, units and directions: fewer and more than a vector, a block and a tile."""

built = pytest.mark.skipif(compiled.obstacle() is not None, reason=f"compiled: {compiled.obstacle()}")


@pytest.fixture(params=FORMS, ids=lambda form: f"{form[0]}-{str(form[1])[6:]}")
def form(request: pytest.FixtureRequest) -> tuple[str, torch.dtype]:
    name, dtype = request.param
    reason = dispatch.obstacle(name, "lstm", torch.empty(0, dtype=dtype), 1)
    if reason is not None:
        pytest.skip(f"{name}: {reason}")
    return name, dtype


@pytest.fixture(params=["avx512", "avx2", "generic"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this machine has."""
    library = compiled.library()
    before = library.kernels()
    if library.use(request.param.encode()):
        pytest.skip(f"no {request.param} here")
    yield request.param
    library.use(before)


class CellCase:
    """Random ragged sequences (B, T, F), weights of every direction, and a gradient of the states, in float64."""

    def __init__(self, cell: str, n_rows: int, n_steps: int, n_features: int, n_units: int, n_directions: int) -> None:
        self.cell, self.generator = cell, torch.Generator().manual_seed(n_units)
        self.lengths = torch.randint(1, n_steps + 1, (n_rows,), generator=self.generator)
        self.lengths[:1] = n_steps
        self.inside = valid_steps(self.lengths, n_steps)[..., None]
        self.x = self.normal(n_rows, n_steps, n_features)
        self.outer = self.normal(n_rows, n_steps, n_directions * n_units) * self.inside
        sizes = [(n_features,), (n_units,), (), ()]
        rows = GATES[cell] * n_units
        self.weights = [[self.normal(rows, *size) / n_units**0.5 for size in sizes] for _ in range(n_directions)]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def results(self, form: str, dtype: torch.dtype) -> list[Tensor]:
        """States, and the gradients of x and of all weights: what lies behind the ends is 0."""
        x, *flat = (t.to(dtype).requires_grad_() for t in (self.x, *(part for w in self.weights for part in w)))
        weights = [RecurrentWeights(*flat[i : i + 4]) for i in range(0, len(flat), 4)]
        with implementation(form):
            states = cell_scan(self.cell, x, self.lengths, weights)
        of_x, *others = torch.autograd.grad(states, [x, *flat], self.outer.to(dtype))
        return [states.detach() * self.inside, of_x, *others]


def assert_equal_to_reference(case: CellCase, form: tuple[str, torch.dtype]) -> None:
    dtype = form[1]
    (states, *gradients), (true_states, *true_gradients) = case.results(*form), case.results("reference", torch.float64)
    torch.testing.assert_close(states.double(), true_states, rtol=0, atol=TOLERANCE[dtype])
    for got, true in zip(gradients, true_gradients, strict=True):
        assert got.shape == true.shape
        largest = max(1.0, true.abs().max().item() if true.numel() else 0.0)
        torch.testing.assert_close(got.double(), true, rtol=0, atol=10 * TOLERANCE[dtype] * largest)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("cell", GATES)
def test_values_and_gradients_are_those_of_the_plain_loop(
    form: tuple[str, torch.dtype], cell: str, size: tuple[int, ...]
) -> None:
    assert_equal_to_reference(CellCase(cell, *size), form)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("cell", [*GATES, "gru"])
def test_the_recurrences_of_torch_are_the_plain_loops(cell: str, batch_first: bool, device: str) -> None:
    """Those that CUDA runs, by cuDNN: no padding is read, so that no sequence is packed."""
    case, found = CellCase("lstm", 11, 13, 3, 20, 1), []
    rows = 60 if cell == "gru" else 20 * GATES[cell]
    x, *weights = (t.to(device).requires_grad_() for t in (case.x, *(part[:rows] for part in case.weights[0])))
    w, inside = RecurrentWeights(*weights), case.inside.to(device)
    runs = [
        eager_cells.cell_states(cell, x if batch_first else x.transpose(0, 1), w, batch_first=batch_first),
        reference.gru_scan(x, case.lengths.to(device), w)
        if cell == "gru"
        else reference_cells.cell_scan(cell, x, case.lengths.to(device), w),
    ]
    runs[0] = runs[0] if batch_first else runs[0].transpose(0, 1)
    for states in runs:
        found.append([states * inside, *torch.autograd.grad(states, [x, *weights], case.outer.to(device))])
    for got, true in zip(*found, strict=True):
        torch.testing.assert_close(got, true, rtol=0, atol=1e-10 * max(1.0, true.abs().max().item()))
    none = eager_cells.cell_states(cell, x[:0] if batch_first else x.transpose(0, 1)[:, :0], w, batch_first=batch_first)
    assert none.shape == ((0, 13, 20) if batch_first else (13, 0, 20))


@built
@pytest.mark.parametrize("size", [(1, 9, 2, 3, 1), (27, 9, 7, 21, 2)], ids=str)
@pytest.mark.parametrize("cell", GATES)
def test_every_instruction_set_equals_the_reference(kernels: str, cell: str, size: tuple[int, ...]) -> None:
    assert_equal_to_reference(CellCase(cell, *size), ("compiled", torch.float32))


@pytest.mark.parametrize("cell", GATES)
def test_no_sequences_have_no_states_and_gradients_of_zero(form: tuple[str, torch.dtype], cell: str) -> None:
    states, of_x, *others = CellCase(cell, 0, 4, 3, 5, 2).results(*form)
    assert states.shape == (0, 4, 10)
    assert of_x.shape == (0, 4, 3)
    assert not any(gradient.any() for gradient in others)


@pytest.mark.parametrize("module", [nn.LSTM, nn.RNN])
def test_the_plain_loop_is_that_of_torch(module: type[nn.RNNBase]) -> None:
    cell = "lstm" if module is nn.LSTM else "rnn"
    case = CellCase(cell, 3, 7, 2, 4, 1)
    layer = module(2, 4, batch_first=True, dtype=torch.float64, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), case.weights[0], strict=True):
            parameter.copy_(value)
    true = layer(case.x)[0].detach() * case.inside
    torch.testing.assert_close(case.results("reference", torch.float64)[0], true, rtol=0, atol=1e-12)


def test_a_step_of_the_lstm_by_hand() -> None:
    """One unit, two steps: i = f = o = sigma(0) = 1/2, g = tanh(x)."""
    weights = [torch.tensor([[0.0], [0.0], [1.0], [0.0]]), torch.zeros(4, 1), torch.zeros(4), torch.zeros(4)]
    x = torch.tensor([[[1.0], [2.0]]])
    first = 0.5 * torch.tanh(torch.tensor(1.0))
    second = 0.5 * first + 0.5 * torch.tanh(torch.tensor(2.0))
    states = cell_scan("lstm", x, torch.tensor([2]), [RecurrentWeights(*weights)])
    torch.testing.assert_close(states.flatten(), 0.5 * torch.stack([first, second]).tanh())


@pytest.mark.parametrize("cell", GATES)
def test_the_second_direction_is_a_run_over_reversed_sequences(form: tuple[str, torch.dtype], cell: str) -> None:
    case = CellCase(cell, 9, 8, 3, 17, 2)
    both = case.results(*form)[0]
    case.x, case.weights = reverse_valid(case.x, case.lengths), case.weights[1:]
    case.outer = case.outer[..., 17:]
    alone = reverse_valid(case.results(*form)[0], case.lengths)
    torch.testing.assert_close(both[..., 17:], alone, rtol=0, atol=TOLERANCE[form[1]])


@pytest.mark.parametrize("cell", GATES)
def test_what_follows_an_end_is_not_read(form: tuple[str, torch.dtype], cell: str) -> None:
    case = CellCase(cell, 9, 8, 3, 17, 2)
    true = case.results(*form)
    case.x = case.x.where(case.inside, 1e9)
    found = case.results(*form)
    for k, (a, b) in enumerate(zip(found, true, strict=True)):
        torch.testing.assert_close(*((a * case.inside, b * case.inside) if k == 1 else (a, b)), rtol=0, atol=0)


@built
@pytest.mark.parametrize("n_rows", [1, 2, 4, 24, 29])
@pytest.mark.parametrize("cell", GATES)
def test_a_sequence_has_the_same_bits_in_any_company(kernels: str, cell: str, n_rows: int) -> None:
    case = CellCase(cell, 60, 9, 3, 21, 2)
    together = case.results("compiled", torch.float32)[0]
    case.x, case.lengths, case.outer = case.x[:n_rows], case.lengths[:n_rows], case.outer[:n_rows]
    case.inside = case.inside[:n_rows]
    assert torch.equal(case.results("compiled", torch.float32)[0], together[:n_rows])


@built
@pytest.mark.parametrize("cell", GATES)
def test_threads_change_no_bits(cell: str) -> None:
    case, before = CellCase(cell, 200, 6, 3, 20, 2), intra_op_threads()
    found = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            found.append(case.results("compiled", torch.float32))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@built
def test_a_graph_may_be_used_twice_and_operands_may_lie_anyhow() -> None:
    case = CellCase("lstm", 30, 8, 6, 20, 2)
    x = case.x.float().permute(2, 0, 1).contiguous().permute(1, 2, 0).requires_grad_()
    weights = [
        RecurrentWeights(*(part.float().movedim(0, -1).contiguous().movedim(-1, 0) for part in w)) for w in case.weights
    ]
    with implementation("compiled"):
        states = cell_scan("lstm", x, case.lengths, weights)
    outer = case.outer.float().transpose(0, 2).contiguous().transpose(0, 2)
    once, again = (torch.autograd.grad(states, x, outer, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(once, again)
    torch.testing.assert_close(once, case.results("compiled", torch.float32)[1], rtol=0, atol=0)


@built
def test_weights_that_are_changed_in_place_are_an_error_of_autograd() -> None:
    case = CellCase("rnn", 3, 4, 2, 5, 1)
    weights = [part.float().requires_grad_() for part in case.weights[0]]
    states = cell_scan("rnn", case.x.float(), case.lengths, [RecurrentWeights(*weights)])
    with torch.no_grad():
        states.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()


@built
def test_the_fields_of_scans_are_as_many_as_those_of_the_kernels() -> None:
    assert (compiled.library().cell_fields(), compiled.library().reservoir_fields()) == (29, 23)
