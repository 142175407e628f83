"""Products by packed weights, and the non-local memory whose products they are, on every instruction set."""

from __future__ import annotations

import pytest
import torch

from skseqmetric._ops import compiled
from skseqmetric._ops.dispatch import choose, implementation
from skseqmetric._ops.memory import MemoryForm, MemoryNoise, memory_scan
from skseqmetric._ops.products import Matrix, compiled_products
from tests.test_compiled import built, kernels  # noqa: F401 - a fixture
from tests.test_memory_scan import FORMS, Case, name_of, single, tensors_of


@built
@pytest.mark.parametrize("rows", [1, 3, 8, 37, 300])
@pytest.mark.parametrize(("outputs", "inputs"), [(16, 16), (1, 1), (33, 5), (48, 130), (128, 9), (20, 64)])
def test_products_equal_those_of_torch(kernels: str, rows: int, outputs: int, inputs: int) -> None:  # noqa: F811
    generator = torch.Generator().manual_seed(rows)
    weight = torch.randn(outputs, inputs, generator=generator)
    # rows of a wider array, as a block of gates is
    x = torch.randn(rows, inputs + 7, generator=generator)[:, :inputs]
    grad = torch.randn(rows, outputs + 3, generator=generator)[:, 3:]
    ours, theirs = compiled_products()(weight), Matrix(weight)
    out = torch.randn(rows, outputs, generator=generator)
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(ours.forward(x), theirs.forward(x), **close)
    torch.testing.assert_close(ours.forward(x, out.clone()), theirs.forward(x, out.clone()), **close)
    torch.testing.assert_close(ours.backward(grad), theirs.backward(grad), **close)
    torch.testing.assert_close(ours.gradient(grad, x), theirs.gradient(grad, x), **close)


@built
@pytest.mark.parametrize("rows", [64, 301])
def test_products_are_the_same_bits_on_any_number_of_threads(kernels: str, rows: int) -> None:  # noqa: F811
    generator = torch.Generator().manual_seed(rows)
    weight, x = torch.randn(512, 144, generator=generator), torch.randn(rows, 144, generator=generator)
    grad, found = torch.randn(rows, 512, generator=generator), []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        try:
            matrix = compiled_products()(weight)
            found.append([matrix.forward(x), matrix.backward(grad), matrix.gradient(grad, x)])
        finally:
            torch.set_num_threads(1)
    for answer in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(answer, found[0], strict=True))


@built
def test_what_is_not_finite_stays_so_and_stays_in_its_row() -> None:
    weight, x = torch.ones(16, 16), torch.ones(9, 16)
    x[4, 2] = torch.nan
    x[6, 3] = torch.inf
    out = compiled_products()(weight).forward(x)
    assert out[4].isnan().all()
    assert out[6].isinf().all()
    assert torch.equal(out[[0, 1, 2, 3, 5, 7, 8]], torch.full((7, 16), 16.0))


@built
@pytest.mark.parametrize("n_units", [8, 32])
@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_memory_equals_the_reference(kernels: str, form: MemoryForm, n_units: int) -> None:  # noqa: F811
    case = Case(form, n_steps=22, n_units=n_units)
    noise = case.drawn()
    answers = []
    for name, x, weights in (
        ("reference", case.x, case.weights),
        ("compiled", case.x.float(), single(case.weights)),
    ):
        wanted = [x.detach().requires_grad_(), *(t.requires_grad_() for t in tensors_of(weights).values())]
        with implementation(name):
            mask = MemoryNoise(*(t.to(x.dtype) for t in vars(noise).values()))  # type: ignore[union-attr]
            scan = memory_scan(wanted[0], case.lengths, weights, mask, keep_memory=True, keep_attention=True)
        seeds = torch.Generator().manual_seed(7)
        outputs = [o for o in scan if o is not None]
        loss = sum((o * torch.randn(o.shape, generator=seeds, dtype=torch.float64).to(o.dtype)).sum() for o in outputs)
        answers.append((outputs, torch.autograd.grad(loss, wanted, allow_unused=True)))
    (expected, expected_gradients), (got, gradients) = answers
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=0, atol=1e-4)
    for a, b in zip(gradients, expected_gradients, strict=True):
        a = torch.zeros_like(b) if a is None else a.double()
        torch.testing.assert_close(a, b, rtol=0, atol=1e-3 * max(1.0, float(b.abs().max())))


@built
def test_compiled_products_are_taken_where_they_can_be() -> None:
    assert choose("memory", torch.empty(1), 8) == "compiled"
    assert choose("memory", torch.empty(1, dtype=torch.float64), 8) == "eager"
    assert compiled.obstacle() is None


# ------------------------------------------------------------------------------------------------ the whole scan


def gradients_of(case: Case, name: str, noise: MemoryNoise) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
    """The states without memory and maps, which the kernels compute in one call, and gradients of x and weights."""
    weights, x = (case.weights, case.x) if name == "reference" else (single(case.weights), case.x.float())
    wanted = [x.detach().requires_grad_(), *(t.requires_grad_() for t in tensors_of(weights).values())]
    mask = MemoryNoise(*(t.to(x.dtype) if isinstance(t, torch.Tensor) else t for t in vars(noise).values()))
    with implementation(name):
        states = memory_scan(wanted[0], case.lengths, weights, mask).states
    seeds = torch.Generator().manual_seed(7)
    loss = (states * torch.randn(states.shape, generator=seeds, dtype=torch.float64).to(states.dtype)).sum()
    return states, torch.autograd.grad(loss, wanted, allow_unused=True)


def assert_scan_is_that_of_the_reference(case: Case, noise: MemoryNoise) -> None:
    (expected, expected_gradients), (got, gradients) = (
        gradients_of(case, name, noise) for name in ("reference", "compiled")
    )
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=2e-5)
    for a, b in zip(gradients, expected_gradients, strict=True):
        b = torch.zeros_like(a, dtype=torch.float64) if b is None else b
        largest = float(b.abs().max()) if b.numel() else 0.0
        torch.testing.assert_close(a.double(), b, rtol=0, atol=1e-4 * max(1.0, largest))


@built
@pytest.mark.parametrize("n_units", [8, 34])
@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_the_whole_scan_equals_the_reference(kernels: str, form: MemoryForm, n_units: int) -> None:  # noqa: F811
    case = Case(form, n_rows=19, n_steps=22, n_units=n_units, n_channels=5)
    for noise in (case.drawn(), case.noises()[0]):
        assert_scan_is_that_of_the_reference(case, noise)


@built
@pytest.mark.parametrize(("n_rows", "n_steps", "n_units"), [(2, 1, 2), (3, 6, 4), (2, 7, 6), (17, 13, 6)])
@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_small_and_odd_sizes(form: MemoryForm, n_rows: int, n_steps: int, n_units: int) -> None:
    """One step, a window that is full and not read, one step behind it, a tile and one row more.

    A layer normalisation of two units is a jump between two values, so that none is taken where one is read.
    """
    case = Case(form, n_rows=n_rows, n_steps=n_steps, n_units=n_units, n_channels=1)
    assert_scan_is_that_of_the_reference(case, case.noises()[2])


@built
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_one_unit_one_slot_and_no_memory(cell: str) -> None:
    for form in (MemoryForm(cell, 1, 3, 1), MemoryForm(cell, 1, 2**31, 1)):
        case = Case(form, n_rows=4, n_steps=9, n_units=1, n_channels=1)
        assert_scan_is_that_of_the_reference(case, case.drawn())


@built
@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_a_row_has_the_same_bits_in_any_company(kernels: str, form: MemoryForm) -> None:  # noqa: F811
    case = Case(form, n_rows=19, n_steps=22, n_units=20, n_channels=7)
    weights, x, noise = single(case.weights), case.x.float(), MemoryNoise(0.9, 0.9)
    with torch.inference_mode():
        together = memory_scan(x, case.lengths, weights, noise).states
        for row in (0, 1, 18):
            length = case.lengths[row : row + 1]
            alone = memory_scan(x[row : row + 1, : int(length)], length, weights, noise).states[0]
            assert torch.equal(alone, together[row, : int(length)])
    x.requires_grad_()
    assert torch.equal(memory_scan(x, case.lengths, weights, noise).states, together)


@built
def test_the_scan_has_the_same_bits_on_any_number_of_threads() -> None:
    case, found = Case(n_rows=40, n_steps=22, n_units=32), []
    noise = case.drawn()
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        try:
            states, gradients = gradients_of(case, "compiled", noise)
        finally:
            torch.set_num_threads(1)
        found.append([states, *gradients])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True) if a is not None)


@built
def test_a_graph_may_be_used_twice_and_its_operands_may_lie_apart() -> None:
    case = Case(n_rows=5, n_steps=15, n_units=8)
    apart = case.x.float().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    whole = case.x.float().requires_grad_()
    answers = []
    for x in (apart, whole):
        states = memory_scan(x, case.lengths, single(case.weights)).states
        loss = states.sum() if x is apart else (states * torch.ones_like(states)).sum()
        answers += [torch.autograd.grad(loss, x, retain_graph=True)[0] for _ in range(2)]
    assert all(torch.equal(answer, answers[0]) for answer in answers[1:])


@built
def test_what_is_not_finite_stays_in_its_sequence() -> None:
    case = Case(n_rows=18, n_steps=22, n_units=8)
    x, weights = case.x.float(), single(case.weights)
    expected = memory_scan(x, case.lengths, weights).states
    broken = x.clone()
    broken[1, 3] = torch.nan
    states = memory_scan(broken, case.lengths, weights).states
    others = [row for row in range(18) if row != 1]
    assert torch.equal(states[others], expected[others])
    assert torch.equal(states[1, :3], expected[1, :3])
    assert states[1, 3:].isnan().any(1).all()


@built
@pytest.mark.parametrize("form", FORMS[:2], ids=name_of)
def test_no_sequences_have_no_gradients(form: MemoryForm) -> None:
    case = Case(form, n_steps=22)
    case.x, case.lengths = case.x[:0], case.lengths[:0]
    states, gradients = gradients_of(case, "compiled", MemoryNoise())
    assert states.shape == (0, 22, 8)
    assert not any(gradient.any() for gradient in gradients if gradient is not None)
