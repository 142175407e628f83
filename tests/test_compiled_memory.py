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
