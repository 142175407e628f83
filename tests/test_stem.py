"""The stem of two convolutions: every form against torch's convolutions in float64, values and gradients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from skseqmetric._ops import compiled
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.stem import conv_stem
from skseqmetric._ops.stem_shape import StemShape

built = pytest.mark.skipif(compiled.obstacle() is not None, reason=f"compiled: {compiled.obstacle()}")


@pytest.fixture(params=["avx512", "avx2", "generic"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this machine has."""
    library = compiled.library()
    before = library.kernels()
    if library.use(request.param.encode()):
        pytest.skip(f"no {request.param} here")
    yield request.param
    library.use(before)


def drawn(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def weights_of(n_channels: int, n_filters: int, kernels: tuple[int, int] = (7, 5)) -> list[Tensor]:
    shapes = [(n_filters, n_channels, kernels[0]), (n_filters,), (n_filters, n_filters, kernels[1]), (n_filters,)]
    return [drawn(*shape, seed=i, scale=0.4).requires_grad_() for i, shape in enumerate(shapes)]


def direct(x: Tensor, length: int, weights: list[Tensor], shape: StemShape, factors: Tensor | None) -> Tensor:
    """The features (T', F) of one sequence, step by step and tap by tap."""
    steps = list(x[:length])
    for layer, stride in enumerate(shape.strides):
        weight, bias = weights[2 * layer : 2 * layer + 2]
        found = []
        for t in range(0, len(steps), stride):
            total = bias
            for k in range(shape.kernels[layer]):
                at = t + k - shape.in_front[layer]
                if 0 <= at < len(steps):
                    total = total + weight[:, :, k] @ steps[at]
            found.append(torch.nn.functional.gelu(total))
        steps = found
    rows = torch.stack(steps)
    return rows if factors is None else rows * factors


SHAPES = [
    StemShape((7, 5), (1, 1), (3, 2)),
    StemShape((7, 5), (2, 1), (3, 2)),
    StemShape((7, 5), (2, 2), (3, 2)),
    StemShape((7, 5), (16, 8), (3, 2)),
    StemShape((7, 5), (1, 1), (6, 4)),
    StemShape((3, 4), (1, 3), (2, 1)),
]


def compare(form: str, shape: StemShape, n_channels: int, n_filters: int, lengths: list[int]) -> None:
    """Values and gradients of a form in float32 against the direct sums in float64."""
    n_steps, ends = max(lengths), torch.tensor(lengths, dtype=torch.int64)
    x = drawn(len(lengths), n_steps, n_channels, seed=9)
    weights = weights_of(n_channels, n_filters, shape.kernels)
    factors = 1.25 * (drawn(len(lengths), n_filters, seed=8) > -0.5)
    expected = torch.zeros(len(lengths), shape.steps(n_steps), n_filters, dtype=torch.float64)
    for i, length in enumerate(lengths):
        rows = direct(x[i], length, weights, shape, factors[i])
        expected[i, : len(rows)] = rows
    single = [weight.detach().float().requires_grad_() for weight in weights]
    with implementation(form):
        found = conv_stem(x.float(), ends, tuple(single), shape, factors.float())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    mixed = drawn(*expected.shape, seed=7)
    exact = torch.autograd.grad((expected * mixed).sum(), weights)
    for own, right in zip(torch.autograd.grad((found * mixed.float()).sum(), single), exact, strict=True):
        torch.testing.assert_close(own.double(), right, rtol=1e-4, atol=2e-5 * float(right.abs().max()))


@built
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernels_equal_direct_sums(kernels: str, shape: StemShape) -> None:
    compare("compiled", shape, 3, 20, [1, 2, 5, 33, 64, 41])


@built
@pytest.mark.parametrize(("n_channels", "n_filters"), [(1, 1), (6, 64), (17, 9)])
def test_the_kernels_take_any_width(kernels: str, n_channels: int, n_filters: int) -> None:
    compare("compiled", SHAPES[1], n_channels, n_filters, [40, 3, 29])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_torch_operations_equal_direct_sums(shape: StemShape) -> None:
    compare("eager", shape, 3, 20, [1, 2, 5, 33, 64, 41])


@built
def test_gelu_is_exact_at_every_size(kernels: str) -> None:
    """Through a stem whose convolutions pass their input on: one filter, a kernel that is 1 in its middle."""
    ends = torch.tensor([0.0, -0.0, 1e-30, -1e-20, 80, -80], dtype=torch.float32)
    x = torch.cat([torch.linspace(-30, 30, 6001, dtype=torch.float32), ends])
    first, second, none = (torch.zeros(*size, dtype=torch.float32) for size in ((1, 1, 7), (1, 1, 5), (1,)))
    first[0, 0, 3] = second[0, 0, 2] = 1.0
    first.requires_grad_()
    lengths = torch.ones(len(x), dtype=torch.int64)
    with implementation("compiled"):
        found = conv_stem(x.view(-1, 1, 1), lengths, (first, none, second, none), SHAPES[0])
    wide = x.double()
    exact = torch.nn.functional.gelu(torch.nn.functional.gelu(wide))
    torch.testing.assert_close(found.flatten().double(), exact, rtol=2e-6, atol=2e-7)


@built
def test_a_sequence_has_the_same_features_in_any_company() -> None:
    weights = tuple(weight.detach().float() for weight in weights_of(2, 12))
    lengths = torch.tensor([30, 7, 19], dtype=torch.int64)
    x = drawn(3, 30, 2, seed=5).float()
    together = conv_stem(x, lengths, weights, SHAPES[1])
    for i, length in enumerate(lengths.tolist()):
        alone = conv_stem(x[i : i + 1, :length], lengths[i : i + 1], weights, SHAPES[1])
        assert torch.equal(alone[0], together[i, : alone.shape[1]])
        assert not together[i, alone.shape[1] :].any()


@built
def test_nan_is_not_hidden() -> None:
    weights = tuple(weight.detach().float() for weight in weights_of(2, 12))
    x = drawn(1, 30, 2, seed=5).float()
    x[0, 10, 1] = torch.nan
    assert conv_stem(x, torch.tensor([30], dtype=torch.int64), weights, SHAPES[0])[0, 10].isnan().all()
