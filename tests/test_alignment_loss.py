"""Soft distances by matched states: every form against the plain loop in float64, gradients, laws, memory; places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from skseqmetric._ops import compiled, dispatch
from skseqmetric._ops.alignment import alignment_block, alignment_pairs
from skseqmetric._ops.compiled import alignment_block as compiled_form
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.eager import alignment_block as eager_form
from skseqmetric._ops.places import positions_of_places, states_at_places
from tests.torch_memory import peak_bytes

built = pytest.mark.skipif(compiled.obstacle() is not None, reason=f"compiled: {compiled.obstacle()}")
FORMS = [("eager", torch.float64), ("eager", torch.float32), ("compiled", torch.float32)]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}
"""Relative to the largest number of a tensor."""

SHAPES = [(1, 3, 4), (2, 1, 5), (2, 4, 1), (5, 7, 13), (3, 24, 96), (4, 17, 33), (3, 9, 24), (3, 33, 50), (9, 8, 16)]
"""Sequences, places, numbers: around whole vectors and rows of every instruction set."""


@pytest.fixture(params=FORMS, ids=lambda form: f"{form[0]}-{str(form[1])[6:]}")
def form(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    name, dtype = request.param
    reason = dispatch.obstacle(name, "alignment_block", torch.zeros(1, dtype=dtype), 1)
    if reason is not None:
        pytest.skip(reason)
    with implementation(name):
        yield dtype


@pytest.fixture(params=["avx512", "avx2", "generic"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this machine has."""
    library = compiled.library()
    before = library.kernels()
    if library.use(request.param.encode()):
        pytest.skip(f"no {request.param} here")
    with implementation("compiled"):
        yield request.param
    library.use(before)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def temperature(value: float = 3.0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(value, dtype=dtype)


def answers(
    op: Callable[..., Tensor], states: Tensor, tau: Tensor, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Distances of one op, and the gradients of the states and of the temperature by a random weighting of them."""
    states, tau = (one.detach().to(dtype).requires_grad_() for one in (states, tau))
    squared = op(states, tau)
    loss = (squared * normal(*squared.shape, seed=5, dtype=dtype)).sum()
    return squared.detach(), *torch.autograd.grad(loss, (states, tau))


def expected(op: Callable[..., Tensor], states: Tensor, tau: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    with implementation("reference"):
        return answers(op, states, tau)


def assert_like(got: tuple[Tensor, ...], wanted: tuple[Tensor, ...], tolerance: float) -> None:
    for a, b in zip(got, wanted, strict=True):
        bound = tolerance * float(b.abs().max()) if b.numel() else 0.0
        torch.testing.assert_close(a.double(), b, rtol=0, atol=bound)


def some_pairs(states: Tensor, tau: Tensor) -> Tensor:
    """Distances of pairs in any order: repeated, swapped, of a sequence with itself."""
    rows, columns = torch.tensor([[0, 2, 2, 1, 4, 0, 3], [1, 1, 1, 2, 4, 3, 0]])
    return alignment_pairs(states, rows, columns, tau)


# ---------------------------------------------------------------------------------------------------- values, gradients


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forms_equal_the_plain_loop(form: torch.dtype, shape: tuple[int, int, int]) -> None:
    states, tau = normal(*shape) * 0.5, temperature()
    wanted = expected(alignment_block, states, tau)
    assert_like(answers(alignment_block, states, tau, form), wanted, TOLERANCE[form])


def test_pairs_equal_the_plain_loop(form: torch.dtype) -> None:
    states, tau = normal(5, 7, 13) * 0.5, temperature()
    assert_like(answers(some_pairs, states, tau, form), expected(some_pairs, states, tau), TOLERANCE[form])


@pytest.mark.cuda
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cuda_equals_the_plain_loop(shape: tuple[int, int, int]) -> None:
    states, tau = normal(*shape) * 0.5, temperature()

    def on_cuda(states: Tensor, tau: Tensor) -> Tensor:
        return alignment_block(states.cuda(), tau.cuda()).cpu()

    got = answers(on_cuda, states, tau, torch.float32)
    assert_like(got, expected(alignment_block, states, tau), TOLERANCE[torch.float32])


@built
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_instruction_set_equals_the_plain_loop(kernels: str, shape: tuple[int, int, int]) -> None:
    assert compiled.library().kernels() == kernels.encode()
    states, tau = normal(*shape) * 0.5, temperature()
    wanted = expected(alignment_block, states, tau)
    assert_like(answers(alignment_block, states, tau, torch.float32), wanted, TOLERANCE[torch.float32])


def test_the_plain_loop_has_its_known_answer() -> None:
    """Two places against two: 0 against 0 and 1 against 3, with hand-made shares."""
    states, tau = torch.tensor([[[0.0], [1.0]], [[0.0], [3.0]]], dtype=torch.float64), temperature(0.5)
    costs = torch.tensor([[0.0, 9.0], [1.0, 4.0]], dtype=torch.float64)
    weights = torch.exp(-0.5 * costs)
    rows, columns = (weights * costs).sum(1) / weights.sum(1), (weights * costs).sum(0) / weights.sum(0)
    with implementation("reference"):
        found = alignment_block(states, tau)
    assert found[0, 1] == pytest.approx(float(rows.mean() + columns.mean()), abs=1e-12)


@pytest.mark.parametrize("name", ["reference", "eager"])
@pytest.mark.parametrize("op", [alignment_block, some_pairs])
def test_gradients_are_finite_differences(name: str, op: Callable[..., Tensor]) -> None:
    with implementation(name):
        operands = (normal(5, 3, 2).requires_grad_(), temperature(1.5).requires_grad_())
        assert torch.autograd.gradcheck(op, operands)


@pytest.mark.parametrize("wanted", [0, 1])
def test_either_gradient_can_be_asked_for_alone(form: torch.dtype, wanted: int) -> None:
    states, tau = normal(4, 5, 6, dtype=form), temperature(dtype=form)
    both = answers(alignment_block, states, tau, form)[1:]
    operand = (states, tau)[wanted].requires_grad_()
    squared = alignment_block(states, tau)
    (squared * normal(4, 4, seed=5, dtype=form)).sum().backward()
    assert operand.grad is not None
    torch.testing.assert_close(operand.grad, both[wanted], rtol=0, atol=0)


def test_operands_of_any_layout(form: torch.dtype) -> None:
    states, tau = normal(6, 5, 4, dtype=form), temperature(dtype=form)
    apart = states.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert not apart.is_contiguous()
    for a, b in zip(*(answers(alignment_block, one, tau, form) for one in (states, apart)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    leaf = apart.requires_grad_()
    alignment_block(leaf, tau).sum().backward()  # a gradient with strides of 0
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()


# ----------------------------------------------------------------------------------------------------------------- laws


def test_the_block_is_symmetric_to_the_bit_and_0_on_its_diagonal(form: torch.dtype) -> None:
    block = alignment_block(normal(9, 7, 13, dtype=form), temperature(dtype=form))
    assert torch.equal(block, block.T)
    assert not block.diagonal().any()
    assert (block[~torch.eye(9, dtype=torch.bool)] > 0).all()


@pytest.mark.parametrize("n", [0, 1])
def test_no_pairs(form: torch.dtype, n: int) -> None:
    states, tau = normal(n, 4, 3, dtype=form).requires_grad_(), temperature(dtype=form).requires_grad_()
    block = alignment_block(states, tau)
    nothing = torch.zeros(0, dtype=torch.int64)
    pairs = alignment_pairs(states, nothing, nothing, tau)
    assert block.shape == (n, n)
    assert pairs.shape == (0,)
    (block.sum() + pairs.sum()).backward()
    for leaf in (states, tau):
        assert leaf.grad is None or not leaf.grad.any()


@built
def test_a_distance_is_the_same_whatever_else_is_computed(kernels: str) -> None:
    states, tau = normal(40, 10, 21, dtype=torch.float32), temperature(dtype=torch.float32)
    block = alignment_block(states, tau)
    rows, columns = torch.tensor([[3, 39, 17], [25, 1, 16]])
    for pairs in ((rows, columns), (columns, rows)):
        assert torch.equal(alignment_pairs(states, *pairs, tau), block[rows, columns])


def test_equal_sequences_and_equal_places(form: torch.dtype) -> None:
    """The costs are 0 there, where a root would have no slope."""
    states = normal(4, 6, 5)
    states[1] = states[0]
    states[2] = states[2, :1]
    states[3] = states[2]
    wanted = expected(alignment_block, states, temperature())
    found = answers(alignment_block, states, temperature(), form)
    assert all(one.isfinite().all() for one in found)
    assert_like(found, wanted, TOLERANCE[form])
    assert abs(float(found[0][2, 3])) < 1e-5


@pytest.mark.parametrize("size", [1e-20, 30.0, 1e4])
def test_costs_of_any_size(form: torch.dtype, size: float) -> None:
    """tau c from 0 to 1e9: all shares but one are then 0."""
    states, tau = normal(5, 9, 11) * size, temperature(20.0)
    found = answers(alignment_block, states, tau, form)
    assert all(one.isfinite().all() for one in found)
    wanted = expected(alignment_block, states, tau)
    assert_like(found[:1], wanted[:1], TOLERANCE[form])
    if size != 30.0:
        assert_like(found[1:2], wanted[1:2], TOLERANCE[form])


def test_a_state_that_is_no_number_is_seen(form: torch.dtype) -> None:
    states, tau = normal(4, 9, 5, dtype=form), temperature(dtype=form)
    states[1, 8, 2] = float("nan")
    block = alignment_block(states, tau)
    assert block[1, [0, 2, 3]].isnan().all()
    assert block[[0, 2, 3]][:, [0, 2, 3]].isfinite().all()


# ------------------------------------------------------------------------------------------- threads, memory, precision


@built
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "anew"])
def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    if not kept:
        monkeypatch.setattr(compiled_form, "KEPT", 0)
    states, tau = normal(45, 6, 20, dtype=torch.float32), temperature(dtype=torch.float32)
    before, found = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2, 5):
            torch.set_num_threads(n_threads)
            with implementation("compiled"):
                found.append(answers(alignment_block, states, tau, torch.float32))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, found[0], strict=True))


@pytest.mark.parametrize("op", [alignment_block, some_pairs])
def test_what_is_not_kept_is_computed_anew(
    monkeypatch: pytest.MonkeyPatch, form: torch.dtype, op: Callable[..., Tensor]
) -> None:
    states, tau = normal(8, 6, 20), temperature()
    limits: list[tuple[Any, str, int]] = [(compiled_form, "KEPT", 0), (compiled_form, "PART", 300)]
    for module, name, value in [*limits, (compiled_form, "CALL_PAIRS", 3), (eager_form, "COSTS", 4 * 36)]:
        monkeypatch.setattr(module, name, value)
    assert_like(answers(op, states, tau, form), expected(op, states, tau), TOLERANCE[form])


def test_memory_of_a_large_batch_is_bounded(monkeypatch: pytest.MonkeyPatch, form: torch.dtype) -> None:
    """The costs of all pairs would take 72 times the block, and the differences of all places 8 times as much."""
    limits: list[tuple[Any, str]] = [(eager_form, "COSTS"), (compiled_form, "KEPT"), (compiled_form, "PART")]
    for module, name in limits:
        monkeypatch.setattr(module, name, 1 << 14)
    states = normal(128, 12, 8, dtype=form).requires_grad_()
    tau, size = temperature(dtype=form).requires_grad_(), states.element_size()
    peak = peak_bytes(lambda: alignment_block(states, tau).sum().backward())
    assert peak < 8 * 128 * 128 * size + 8 * (1 << 14) * size
    assert peak < 128 * 127 // 2 * 144 * size / 4


@built
def test_512_sequences_take_less_than_100_mb() -> None:
    states, tau = normal(512, 16, 4, dtype=torch.float32).requires_grad_(), temperature(dtype=torch.float32)
    with implementation("compiled"):
        assert peak_bytes(lambda: alignment_block(states, tau).sum().backward()) < 1e8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(form: torch.dtype, dtype: torch.dtype) -> None:
    states, tau = normal(5, 7, 13).to(dtype), temperature(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = answers(alignment_block, states, tau, dtype)
    wanted = expected(alignment_block, states.double(), tau.double())
    assert found[0].dtype == torch.float32
    assert_like(found[:1], wanted[:1], TOLERANCE[torch.float32])
    assert_like(found[1:2], wanted[1:2], 2.0**-6)


# ------------------------------------------------------------------ states at places
LENGTHS = [1, 2, 5, 9, 30]


def of_directions(n_directions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random states (T, D, B, H), where steps past the end are not finite, and the lengths."""
    states = torch.randn(30, n_directions, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for i, length in enumerate(LENGTHS):
        states[length:, :, i] = torch.nan
    return states, torch.tensor(LENGTHS)


@pytest.mark.parametrize("n_directions", [1, 2])
@pytest.mark.parametrize("n_places", [1, 2, 7, 24])
def test_they_are_interpolated_in_time_order(n_places: int, n_directions: int) -> None:
    states, lengths = of_directions(n_directions)
    found = states_at_places(states, lengths, n_places).numpy()
    assert found.shape == (5, n_places, 3 * n_directions)
    positions = positions_of_places(lengths, n_places).numpy()
    for i, length in enumerate(LENGTHS):
        where = np.linspace(0, length - 1, n_places) if n_places > 1 else np.array([(length - 1) / 2])
        np.testing.assert_allclose(positions[i], where, rtol=1e-12)
        for d in range(n_directions):
            run = states[:length, d, i].numpy()[:: 1 if d == 0 else -1]
            expected = np.stack([np.interp(where, np.arange(length), h) for h in run.T], axis=1)
            np.testing.assert_allclose(found[i, :, 3 * d : 3 * d + 3], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_places", [1, 4, 40])
def test_gradients_are_those_of_finite_differences(n_places: int) -> None:
    states = torch.randn(6, 2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([6, 1, 4])
    torch.autograd.gradcheck(lambda x: states_at_places(x, lengths, n_places), states.requires_grad_())


def test_padding_changes_no_bit() -> None:
    states, lengths = of_directions(2)
    states = states.float()
    longer = torch.cat([states, torch.full((13, 2, 5, 3), torch.nan)])
    assert torch.equal(states_at_places(states, lengths, 24), states_at_places(longer, lengths, 24))
