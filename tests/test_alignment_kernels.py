"""Distances by matching of places: every form against the plain loop, and the laws that hold to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from skseqmetric._ops import compiled, dispatch
from skseqmetric._ops.alignment_tile import Matches, alignment_matches, alignment_tile
from skseqmetric._ops.dispatch import implementation
from tests.test_compiled import without_extension  # noqa: F401 - a fixture

SINGLE: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
WHOLE: dict[str, Any] = {"dtype": torch.int64, "device": "cpu"}
"""What tensors are made of, whatever torch's defaults."""

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
    reason = dispatch.obstacle("compiled", "alignment", torch.empty(0, **SINGLE), 1)
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
    return torch.randn(shape, generator=generator, **SINGLE).cumsum(1).div(3).tanh()


def near_duplicates(generator: torch.Generator, *shape: int) -> Tensor:
    """Places that differ by little more than what float32 resolves: products cannot tell which is nearest."""
    base = torch.randn(shape[-1], generator=generator, **SINGLE)
    return base * (1 + 3e-7 * torch.randint(-3, 4, shape, generator=generator, **WHOLE).to(torch.float32))


def far_from_zero(generator: torch.Generator, *shape: int) -> Tensor:
    """Small differences around a large offset: the products cancel altogether."""
    return 1000 + 0.01 * torch.randn(shape, generator=generator, **SINGLE)


def tied(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=generator, **WHOLE).to(torch.float32)


def constant(generator: torch.Generator, *shape: int) -> Tensor:
    """All places of a sequence are equal."""
    return torch.randn(shape[0], 1, shape[2], generator=generator, **SINGLE).expand(shape).contiguous()


MAKERS = [walks, near_duplicates, far_from_zero, tied, constant]


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
def made(request: pytest.FixtureRequest) -> Callable[..., Tensor]:
    return request.param


def sides(made: Callable[..., Tensor], n: int, m: int, sizes: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Sequences of which some are on both sides where they have as many places."""
    generator = torch.Generator("cpu").manual_seed(0)
    p, q, n_numbers = sizes
    common, both = min(p, q), made(generator, n + m, max(p, q), n_numbers)
    first, second = both[:n, :p].clone(), both[n:, :q].clone()
    second[0, :common] = first[0, :common]
    return first, second


def every(n: int, m: int) -> tuple[Tensor, Tensor]:
    return torch.arange(n, **WHOLE).repeat_interleave(m), torch.arange(m, **WHOLE).repeat(n)


@cache
def expected_matches(made: Callable[..., Tensor], sizes: tuple[int, int, int]) -> Matches:
    """Of every pair of two with three sequences by the plain loop, which takes longer than every fast form."""
    first, second = sides(made, 2, 3, sizes)
    with implementation("reference"):
        return alignment_matches(first, second, pairs=every(2, 3))


def expected_distances(made: Callable[..., Tensor], sizes: tuple[int, int, int]) -> Tensor:
    found = expected_matches(made, sizes)
    return (found.forward_costs.mean(1) + found.backward_costs.mean(1)).view(2, 3)


@pytest.mark.parametrize("sizes", SIZES)
def test_distances_are_those_of_the_plain_loop(
    form: str, made: Callable[..., Tensor], sizes: tuple[int, int, int]
) -> None:
    first, second = sides(made, 2, 3, sizes)
    expected, got = expected_distances(made, sizes), alignment_tile(first, second)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, expected, rtol=TOLERANCE, atol=0)
    assert (got >= 0).all()


@pytest.mark.parametrize("sizes", SIZES)
def test_a_distance_has_the_same_bits_in_any_order_and_company(
    form: str, made: Callable[..., Tensor], sizes: tuple[int, int, int]
) -> None:
    first, second = sides(made, 5, 9, sizes)
    tile = alignment_tile(first, second)
    rows, columns = torch.tensor([4, 0, 0, 3, 4], **WHOLE), torch.tensor([0, 8, 7, 7, 0], **WHOLE)
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
    each = torch.arange(6, **WHOLE)
    assert not alignment_tile(x, x.clone()).diagonal().any()
    assert not alignment_tile(x, x.clone(), pairs=(each, each)).any()


@pytest.mark.parametrize("sizes", SIZES)
def test_matches_are_those_of_the_plain_loop(
    form: str, made: Callable[..., Tensor], sizes: tuple[int, int, int]
) -> None:
    first, second = sides(made, 2, 3, sizes)
    pairs, expected = every(2, 3), expected_matches(made, sizes)
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
    x = torch.tensor([[[0.0], [3.0], [0.0], [1.0]]], **SINGLE)
    y = torch.tensor([[[2.0], [0.0], [2.0], [0.0], [0.0]]], **SINGLE)
    found = alignment_matches(x, y, pairs=(torch.tensor([0], **WHOLE), torch.tensor([0], **WHOLE)))
    assert found.forward.tolist() == [[1, 0, 1, 0]]
    assert found.backward.tolist() == [[1, 0, 1, 0, 0]]
    assert found.forward_costs.tolist() == [[0, 1, 0, 1]]
    assert found.backward_costs.tolist() == [[1, 0, 1, 0, 0]]
    assert alignment_tile(x, y).tolist() == [[2 / 4 + 2 / 5]]


def test_nothing_gives_nothing(form: str) -> None:
    x, none = torch.zeros(3, 5, 4, **SINGLE), torch.empty(0, **WHOLE)
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
    touched = torch.zeros(3, 4, dtype=torch.bool, device="cpu")
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
    with implementation("reference"):
        expected = alignment_tile(first, second)
    torch.testing.assert_close(alignment_tile(first, second), expected, rtol=TOLERANCE, atol=0)


def test_places_may_lie_anyhow_in_memory(form: str) -> None:
    first, second = sides(walks, 5, 9, (7, 11, 9))
    tile, pairs = alignment_tile(first, second), (torch.tensor([4, 0], **WHOLE), torch.tensor([8, 8], **WHOLE))
    turned = first.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    every_other = torch.stack([second, torch.full_like(second, torch.nan)], 1).flatten(0, 1)[::2]
    assert torch.equal(alignment_tile(turned, every_other), tile)
    wide = [torch.stack([index, -index], 1)[:, 0] for index in pairs]
    assert torch.equal(alignment_tile(turned, every_other, pairs=(wide[0], wide[1])), tile[pairs])


def test_no_gradient_is_kept(form: str) -> None:
    x = walks(torch.Generator("cpu").manual_seed(0), 3, 5, 4).requires_grad_()
    assert not alignment_tile(x, x).requires_grad


def test_double_precision_is_the_plain_loop() -> None:
    first, second = (side.double() + 1e-9 for side in sides(near_duplicates, 4, 5, (24, 9, 33)))
    assert dispatch.choose("alignment", first, 1) == "eager"
    with implementation("reference"):
        expected = alignment_tile(first, second, pairs=(torch.tensor([3, 0], **WHOLE), torch.tensor([4, 0], **WHOLE)))
    torch.testing.assert_close(alignment_tile(first, second)[[3, 0], [4, 0]], expected, rtol=1e-13, atol=0)


def test_tasks_and_calls_change_nothing(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than a task has, and lanes; then calls of a few pairs."""
    first, second = sides(walks, 150, 70, (5, 6, 130))
    whole, pairs = alignment_tile(first, second, n_threads=2), every(150, 70)
    some = torch.randperm(len(pairs[0]), **WHOLE, generator=torch.Generator("cpu").manual_seed(0))[:60]
    monkeypatch.setattr("skseqmetric._ops.compiled.alignment.CALL_PRODUCTS", 9 * 5 * 6 * 130)
    monkeypatch.setattr("skseqmetric._ops.eager.alignment.BLOCK_CELLS", {"cpu": 9 * 5 * 6})
    monkeypatch.setattr("skseqmetric._ops.eager.alignment.PART_NUMBERS", {"cpu": 7 * 130})
    assert torch.equal(alignment_tile(first[:4], second), whole[:4])
    assert torch.equal(alignment_tile(first[:70], second[:4]), whole[:70, :4])
    rows, columns = pairs[0][some], pairs[1][some]
    assert torch.equal(alignment_tile(first, second, pairs=(rows, columns)), whole[rows, columns])
    found = alignment_matches(first, second, pairs=(rows, columns))
    alone = alignment_matches(
        first[rows[-1:]], second[columns[-1:]], pairs=(torch.tensor([0], **WHOLE), torch.tensor([0], **WHOLE))
    )
    for part, one in zip(found, alone, strict=True):
        assert torch.equal(part[-1:], one)


@pytest.mark.parametrize("repeated", [0, 1])
def test_pairs_that_share_a_sequence(form: str, repeated: int) -> None:
    """Candidates of one query lie side by side: the side that stays the same is packed once."""
    first, second = sides(walks, 6, 5, (7, 11, 9))
    table, (rows, columns) = alignment_tile(first, second), every(6, 5)
    if repeated:
        rows, columns = rows.view(6, 5).T.flatten(), columns.view(6, 5).T.flatten()
    assert torch.equal(alignment_tile(first, second, pairs=(rows, columns)), table[rows, columns])
    found = alignment_matches(first, second, pairs=(rows, columns))
    assert found.forward.shape == (30, 7)
    turned = alignment_matches(second, first, pairs=(columns, rows))
    assert torch.equal(found.forward, turned.backward)
    assert torch.equal(found.backward_costs, turned.forward_costs)


def test_every_place_near_every_other(form: str) -> None:
    """More costs within rounding of the least than a word of marks has bits."""
    first, second = torch.full((1, 70, 3), 0.1, **SINGLE), torch.full((2, 150, 3), 0.1, **SINGLE)
    second[1, 149, 2] = 0.2
    found = alignment_matches(first, second, pairs=(torch.tensor([0, 0], **WHOLE), torch.tensor([0, 1], **WHOLE)))
    assert not found.forward.any()
    assert not found.backward.any()
    assert torch.count_nonzero(found.backward_costs) == 1
    assert alignment_tile(first, second)[0, 0] == 0


@pytest.mark.usefixtures("without_extension")
def test_without_the_extension_torch_does_it() -> None:
    first, second = sides(walks, 3, 4, (7, 11, 9))
    with pytest.warns(RuntimeWarning, match="it was not built"):
        found = alignment_tile(first, second, pairs=every(3, 4))
    with implementation("eager"):
        assert torch.equal(found.view(3, 4), alignment_tile(first, second))


@pytest.mark.parametrize("pairs", [([0, 3], [0, 0]), ([0, 0], [0, 4]), ([-1, 0], [0, 0])])
def test_indices_beyond_the_sequences_are_refused(pairs: tuple[list[int], list[int]]) -> None:
    if dispatch.obstacle("compiled", "alignment", torch.empty(0, **SINGLE), 1) is not None:
        pytest.skip("the compiled form alone reads memory by them")
    x = torch.zeros(4, 5, 6, **SINGLE)
    with pytest.raises(IndexError, match="pairs has indices from"):
        alignment_tile(x[:3], x, pairs=(torch.tensor(pairs[0], **WHOLE), torch.tensor(pairs[1], **WHOLE)))


def test_places_of_different_widths_are_refused(form: str) -> None:
    with pytest.raises(ValueError, match="4 numbers on one side, and 5"):
        alignment_tile(torch.zeros(2, 3, 4, **SINGLE), torch.zeros(2, 3, 5, **SINGLE))


@pytest.mark.skipif(compiled.obstacle() is not None, reason="compiled: no extension")
def test_as_many_indices_are_needed_on_both_sides() -> None:
    x = torch.zeros(4, 5, 6, **SINGLE)
    with pytest.raises(ValueError, match="pairs has 2 indices of one side, and 1 of the other"):
        alignment_tile(x, x, pairs=(torch.tensor([0, 1], **WHOLE), torch.tensor([0], **WHOLE)))


@pytest.mark.skipif(compiled.obstacle() is not None, reason="compiled: no extension")
def test_ctrl_c_is_heard_between_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    library, calls = compiled.library(), []

    def interrupted(*_: object) -> int:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr("skseqmetric._ops.compiled.alignment.CALL_PRODUCTS", 1)
    monkeypatch.setattr(library, "alignment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        alignment_tile(torch.zeros(5, 3, 4, **SINGLE), torch.zeros(5, 3, 4, **SINGLE))
    assert len(calls) == 2


@pytest.mark.cuda
@pytest.mark.parametrize("sizes", SIZES)
def test_cuda_finds_the_distances_and_the_matches_of_the_plain_loop(
    made: Callable[..., Tensor], sizes: tuple[int, int, int]
) -> None:
    first, second = (side.cuda() for side in sides(made, 2, 3, sizes))
    rows, columns = (index.cuda() for index in every(2, 3))
    expected, got = expected_matches(made, sizes), alignment_matches(first, second, pairs=(rows, columns))
    for part, wanted, exact in zip(got, expected, (True, True, False, False), strict=True):
        torch.testing.assert_close(part.cpu(), wanted, rtol=0 if exact else TOLERANCE, atol=0)
    tile = alignment_tile(first, second)
    torch.testing.assert_close(tile.cpu(), expected_distances(made, sizes), rtol=TOLERANCE, atol=0)
    assert torch.equal(alignment_tile(second, first), tile.T)
    assert torch.equal(alignment_tile(first, second, pairs=(rows, columns)).view(2, 3), tile)
