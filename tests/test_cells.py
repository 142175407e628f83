"""LSTM and plain RNN in every form against the plain loops in float64: values, gradients, odd sizes, laws."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from skseqmetric._ops import compiled, dispatch
from skseqmetric._ops.cells import cell_scan
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.parallel import intra_op_threads
from skseqmetric._ops.steps import reverse_valid, valid_steps
from skseqmetric._ops.weights import RecurrentWeights

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


class Case:
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


def assert_equal_to_reference(case: Case, form: tuple[str, torch.dtype]) -> None:
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
    assert_equal_to_reference(Case(cell, *size), form)


@built
@pytest.mark.parametrize("size", [(1, 9, 2, 3, 1), (27, 9, 7, 21, 2)], ids=str)
@pytest.mark.parametrize("cell", GATES)
def test_every_instruction_set_equals_the_reference(kernels: str, cell: str, size: tuple[int, ...]) -> None:
    assert_equal_to_reference(Case(cell, *size), ("compiled", torch.float32))


@pytest.mark.parametrize("cell", GATES)
def test_no_sequences_have_no_states_and_gradients_of_zero(form: tuple[str, torch.dtype], cell: str) -> None:
    states, of_x, *others = Case(cell, 0, 4, 3, 5, 2).results(*form)
    assert states.shape == (0, 4, 10)
    assert of_x.shape == (0, 4, 3)
    assert not any(gradient.any() for gradient in others)


@pytest.mark.parametrize("module", [nn.LSTM, nn.RNN])
def test_the_plain_loop_is_that_of_torch(module: type[nn.RNNBase]) -> None:
    cell = "lstm" if module is nn.LSTM else "rnn"
    case = Case(cell, 3, 7, 2, 4, 1)
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
    case = Case(cell, 9, 8, 3, 17, 2)
    both = case.results(*form)[0]
    case.x, case.weights = reverse_valid(case.x, case.lengths), case.weights[1:]
    case.outer = case.outer[..., 17:]
    alone = reverse_valid(case.results(*form)[0], case.lengths)
    torch.testing.assert_close(both[..., 17:], alone, rtol=0, atol=TOLERANCE[form[1]])


@pytest.mark.parametrize("cell", GATES)
def test_what_follows_an_end_is_not_read(form: tuple[str, torch.dtype], cell: str) -> None:
    case = Case(cell, 9, 8, 3, 17, 2)
    true = case.results(*form)
    case.x = case.x.where(case.inside, 1e9)
    found = case.results(*form)
    for k, (a, b) in enumerate(zip(found, true, strict=True)):
        torch.testing.assert_close(*((a * case.inside, b * case.inside) if k == 1 else (a, b)), rtol=0, atol=0)


@built
@pytest.mark.parametrize("n_rows", [1, 2, 4, 24, 29])
@pytest.mark.parametrize("cell", GATES)
def test_a_sequence_has_the_same_bits_in_any_company(kernels: str, cell: str, n_rows: int) -> None:
    case = Case(cell, 60, 9, 3, 21, 2)
    together = case.results("compiled", torch.float32)[0]
    case.x, case.lengths, case.outer = case.x[:n_rows], case.lengths[:n_rows], case.outer[:n_rows]
    case.inside = case.inside[:n_rows]
    assert torch.equal(case.results("compiled", torch.float32)[0], together[:n_rows])


@built
@pytest.mark.parametrize("cell", GATES)
def test_threads_change_no_bits(cell: str) -> None:
    case, before = Case(cell, 200, 6, 3, 20, 2), intra_op_threads()
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
    case = Case("lstm", 30, 8, 6, 20, 2)
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
    case = Case("rnn", 3, 4, 2, 5, 1)
    weights = [part.float().requires_grad_() for part in case.weights[0]]
    states = cell_scan("rnn", case.x.float(), case.lengths, [RecurrentWeights(*weights)])
    with torch.no_grad():
        states.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()


@built
def test_the_fields_of_scans_are_as_many_as_those_of_the_kernels() -> None:
    assert (compiled.library().cell_fields(), compiled.library().reservoir_fields()) == (29, 23)
