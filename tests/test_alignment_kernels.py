"""Distances by matching of places: every form against the plain loop, and the laws that hold to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from skseqmetric._ops import compiled, dispatch
from skseqmetric._ops.alignment_tile import alignment_matches, alignment_tile
from skseqmetric._ops.dispatch import implementation

FORMS = ["eager", "avx512", "avx2", "generic"]
SIZES = [(7, 7, 9), (24, 24, 96), (1, 1, 1), (1, 13, 8), (13, 1, 33), (9, 40, 5), (33, 17, 16)]
TOLERANCE = 2e-6
"""Relative, of a distance from the plain loop: costs are sums of squares, which do not cancel."""


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """The torch form, and the compiled one by each instruction set that this machine has."""
    if request.param == "eager":
        with implementation("eager"):
            yield request.param
        return
    reason = dispatch.obstacle("compiled", "alignment", torch.empty(0, dtype=torch.float32), 1)
    if reason is not None:
        pytest.skip(f"compiled: {reason}")
    library = compiled.library()
    before = library.kernels()
    if library.use(request.param.encode()):
        pytest.skip(f"no {request.param} here")
    with implementation("compiled"):
        yield request.param
    library.use(before)


def walks(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator).cumsum(1).div(3).tanh()


def near_duplicates(generator: torch.Generator, *shape: int) -> Tensor:
    """Places that differ by little more than what float32 resolves: products cannot tell which is nearest."""
    base = torch.randn(shape[-1], generator=generator)
    return base * (1 + 3e-7 * torch.randint(-3, 4, shape, generator=generator))


def far_from_zero(generator: torch.Generator, *shape: int) -> Tensor:
    """Small differences around a large offset: the products cancel altogether."""
    return 1000 + 0.01 * torch.randn(shape, generator=generator)


def tied(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=generator).float()


def constant(generator: torch.Generator, *shape: int) -> Tensor:
    """All places of a sequence are equal."""
    return torch.randn(shape[0], 1, shape[2], generator=generator).expand(shape).contiguous()


MAKERS = [walks, near_duplicates, far_from_zero, tied, constant]


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
def made(request: pytest.FixtureRequest) -> Callable[..., Tensor]:
    return request.param


def sides(made: Callable[..., Tensor], n: int, m: int, sizes: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Sequences of which some are on both sides where they have as many places."""
    generator = torch.Generator().manual_seed(0)
    p, q, n_numbers = sizes
    common, both = min(p, q), made(generator, n + m, max(p, q), n_numbers)
    first, second = both[:n, :p].clone(), both[n:, :q].clone()
    second[0, :common] = first[0, :common]
    return first, second


def every(n: int, m: int) -> tuple[Tensor, Tensor]:
    return torch.arange(n).repeat_interleave(m), torch.arange(m).repeat(n)


def expected_tile(first: Tensor, second: Tensor, **how: object) -> Tensor:
    with implementation("reference"):
        return alignment_tile(first, second, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", SIZES)
def test_distances_are_those_of_the_plain_loop(
    form: str, made: Callable[..., Tensor], sizes: tuple[int, int, int]
) -> None:
    first, second = sides(made, 2, 3, sizes)
    expected, got = expected_tile(first, second), alignment_tile(first, second)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, expected, rtol=TOLERANCE, atol=0)
    assert (got >= 0).all()


@pytest.mark.parametrize("sizes", SIZES)
def test_a_distance_has_the_same_bits_in_any_order_and_company(
    form: str, made: Callable[..., Tensor], sizes: tuple[int, int, int]
) -> None:
    first, second = sides(made, 5, 9, sizes)
    tile = alignment_tile(first, second)
    rows, columns = torch.tensor([4, 0, 0, 3, 4]), torch.tensor([0, 8, 7, 7, 0])
    assert torch.equal(alignment_tile(second, first), tile.T)
    assert torch.equal(alignment_tile(first, second, n_threads=3), tile)
    assert torch.equal(alignment_tile(first[2:3], second[1:2]), tile[2:3, 1:2])
    assert torch.equal(alignment_tile(first[1:], second[:1]), tile[1:, :1])
    assert torch.equal(alignment_tile(first, second, pairs=(rows, columns)), tile[rows, columns])
    assert torch.equal(alignment_tile(second, first, pairs=(columns, rows), n_threads=2), tile[rows, columns])
    assert torch.equal(alignment_tile(first, second, pairs=(rows[:1], columns[:1])), tile[rows[:1], columns[:1]])


@pytest.mark.parametrize("sizes", [(24, 24, 96), (1, 1, 1), (17, 17, 5)])
def test_equal_sequences_have_no_distance(form: str, made: Callable[..., Tensor], sizes: tuple[int, int, int]) -> None:
    """Whatever else is near: products cannot tell a place from one that is almost equal."""
    x, _ = sides(made, 6, 1, sizes)
    each = torch.arange(6)
    assert not alignment_tile(x, x.clone()).diagonal().any()
    assert not alignment_tile(x, x.clone(), pairs=(each, each)).any()


@pytest.mark.parametrize("sizes", SIZES)
def test_matches_are_those_of_the_plain_loop(
    form: str, made: Callable[..., Tensor], sizes: tuple[int, int, int]
) -> None:
    first, second = sides(made, 2, 3, sizes)
    pairs = every(2, 3)
    with implementation("reference"):
        expected = alignment_matches(first, second, pairs=pairs)
    got, turned = alignment_matches(first, second, pairs=pairs), alignment_matches(second, first, pairs=pairs[::-1])
    for k, (part, wanted) in enumerate(zip(got, expected, strict=True)):
        assert part.dtype == wanted.dtype
        assert part.shape == wanted.shape
        torch.testing.assert_close(part, wanted, rtol=0 if k < 2 else TOLERANCE, atol=0)
    for a, b in zip(got, (turned.backward, turned.forward, turned.backward_costs, turned.forward_costs), strict=True):
        assert torch.equal(a, b)
    distances = got.forward_costs.mean(1) + got.backward_costs.mean(1)
    torch.testing.assert_close(distances, alignment_tile(first, second).flatten(), rtol=1e-14, atol=0)


def test_among_equally_near_places_the_first_is_matched(form: str) -> None:
    x = torch.tensor([[[0.0], [3.0], [0.0], [1.0]]])
    y = torch.tensor([[[2.0], [0.0], [2.0], [0.0], [0.0]]])
    found = alignment_matches(x, y, pairs=(torch.tensor([0]), torch.tensor([0])))
    assert found.forward.tolist() == [[1, 0, 1, 0]]
    assert found.backward.tolist() == [[1, 0, 1, 0, 0]]
    assert found.forward_costs.tolist() == [[0, 1, 0, 1]]
    assert found.backward_costs.tolist() == [[1, 0, 1, 0, 0]]
    assert alignment_tile(x, y).tolist() == [[2 / 4 + 2 / 5]]


def test_nothing_gives_nothing(form: str) -> None:
    x, none = torch.zeros(3, 5, 4), torch.empty(0, dtype=torch.int64)
    for pairs, sizes in ((None, [(0, 3), (3, 0), (0, 0)]), ((none, none), [(0, 3), (3, 3)])):
        for n, m in sizes:
            found = alignment_tile(x[:n], x[:m], pairs=pairs)
            assert found.shape == ((n, m) if pairs is None else (0,))
            assert found.dtype == torch.float64
    found = alignment_matches(x, x[:, :2], pairs=(none, none))
    assert [part.shape for part in found] == [(0, 5), (0, 2), (0, 5), (0, 2)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_has_no_finite_distance(form: str, value: float) -> None:
    first, second = sides(walks, 3, 4, (7, 11, 9))
    clean = alignment_tile(first, second)
    first[1, 6, 8] = value
    second[2, 0, 0] = value
    found = alignment_tile(first, second)
    touched = torch.zeros(3, 4, dtype=torch.bool)
    touched[1] = touched[:, 2] = True
    assert not found[touched].isfinite().any()
    assert torch.equal(found[~touched], clean[~touched])
    matches = alignment_matches(first, second, pairs=every(3, 4))
    assert ((matches.forward >= 0) & (matches.forward < 11)).all()
    assert ((matches.backward >= 0) & (matches.backward < 7)).all()
    assert not matches.forward_costs.sum(1)[touched.flatten()].isfinite().all()


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e15, 1e25])
def test_squares_beyond_the_range_of_single_precision(form: str, scale: float) -> None:
    first, second = sides(walks, 3, 4, (7, 11, 9))
    first, second = scale * first, scale * second
    expected, got = expected_tile(first, second), alignment_tile(first, second)
    torch.testing.assert_close(got, expected, rtol=TOLERANCE, atol=0)


def test_places_may_lie_anyhow_in_memory(form: str) -> None:
    first, second = sides(walks, 5, 9, (7, 11, 9))
    tile, pairs = alignment_tile(first, second), (torch.tensor([4, 0]), torch.tensor([8, 8]))
    turned = first.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    every_other = torch.stack([second, torch.full_like(second, torch.nan)], 1).flatten(0, 1)[::2]
    assert torch.equal(alignment_tile(turned, every_other), tile)
    wide = [torch.stack([index, -index], 1)[:, 0] for index in pairs]
    assert torch.equal(alignment_tile(turned, every_other, pairs=(wide[0], wide[1])), tile[pairs])


def test_no_gradient_is_kept(form: str) -> None:
    x = walks(torch.Generator().manual_seed(0), 3, 5, 4).requires_grad_()
    assert not alignment_tile(x, x).requires_grad


def test_double_precision_is_the_plain_loop() -> None:
    first, second = (side.double() + 1e-9 for side in sides(near_duplicates, 4, 5, (24, 9, 33)))
    assert dispatch.choose("alignment", first, 1) == "eager"
    torch.testing.assert_close(alignment_tile(first, second), expected_tile(first, second), rtol=1e-13, atol=0)
