"""Matching of places as torch operations: products of all places tell which pairs are near, differences how near.

The cost |x|^2 + |y|^2 - 2 x.y cancels, and its bits depend on its company. So it only narrows the choice: what is
within its rounding error of the least is computed again from differences, added in one order. The least of these is
the cost, whatever the products were: exactly 0 for equal places, and the same in either order of the two sequences.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from skseqmetric._ops.parallel import run_tiles

BLOCK_CELLS = {"cpu": 2**18, "cuda": 2**23}
"""Costs of one block, by the type of the device; at most about a hundred times as many bytes are in use."""

PART_NUMBERS = {"cpu": 2**16, "cuda": 2**24}
"""Numbers of the differences that are held at once: on the CPU they stay in a cache."""


class Places(NamedTuple):
    """Places (n, P, D) of sequences, in float64, and half of their squared lengths (n, P)."""

    values: Tensor
    halves: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Places:
        wide = values.to(torch.float64)
        return cls(wide, (wide * wide).sum(-1) / 2)


class Least(NamedTuple):
    """What every place of the pairs (...) matches, (..., P) and (..., P'), and what it costs."""

    forward: Tensor
    backward: Tensor
    forward_costs: Tensor
    backward_costs: Tensor


def alignment_tile(first: Tensor, second: Tensor, pairs: tuple[Tensor, Tensor] | None, n_threads: int | None) -> Tensor:
    """Return the squared distances (N, M), or (K,) of the pairs, in blocks that run in parallel."""
    shape = (len(first), len(second)) if pairs is None else (len(pairs[0]),)
    out = torch.empty(shape, dtype=torch.float64, device=first.device)

    @torch.inference_mode()
    def fill(part: tuple[slice, ...]) -> None:
        if pairs is None:
            least = _of_every_pair(Places.of(first[part[0]]), Places.of(second[part[1]]))
        else:
            least = _of_pairs(first, second, pairs, part[0])
        out[part] = _mean(least.forward_costs) + _mean(least.backward_costs)

    run_tiles(fill, _blocks(first, second, shape), n_threads)
    return out


def alignment_matches(first: Tensor, second: Tensor, pairs: tuple[Tensor, Tensor]) -> Least:
    """Return what every place of the pairs matches: indices and costs, (K, P) and (K, P') each."""
    n, places = len(pairs[0]), (first.shape[1], second.shape[1])
    indices = [torch.empty(n, size, dtype=torch.int64, device=first.device) for size in places]
    costs = [torch.empty(n, size, dtype=torch.float64, device=first.device) for size in places]
    out = Least(indices[0], indices[1], costs[0], costs[1])
    for (part,) in _blocks(first, second, (n,)):
        for whole, found in zip(out, _of_pairs(first, second, pairs, part), strict=True):
            whole[part] = found
    return out


def _blocks(first: Tensor, second: Tensor, shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """Parts of the result with so many costs each, as square as they can be."""
    cells = BLOCK_CELLS.get(first.device.type, BLOCK_CELLS["cpu"])
    most = max(1, cells // max(1, first.shape[1] * second.shape[1]))
    if len(shape) == 1:
        return [(part,) for part in _parts(shape[0], most)]
    width = max(1, min(shape[1], max(int(most**0.5), most // max(1, shape[0]))))
    return [(i, j) for i in _parts(shape[0], max(1, most // width)) for j in _parts(shape[1], width)]


def _parts(n: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _of_every_pair(x: Places, y: Places) -> Least:
    products = (x.values.flatten(0, 1) @ y.values.flatten(0, 1).T).unflatten(1, y.halves.shape)
    near = _near(x.halves[:, None], y.halves[None], products.unflatten(0, x.halves.shape).transpose(1, 2), x.values)
    i, j, p, q = near.nonzero(as_tuple=True)
    return _least(x, y, near.shape, (i, j, i * len(y.halves) + j), p, q)


def _of_pairs(first: Tensor, second: Tensor, pairs: tuple[Tensor, Tensor], part: slice) -> Least:
    x, y = (Places.of(side[index[part]]) for side, index in zip((first, second), pairs, strict=True))
    near = _near(x.halves, y.halves, x.values @ y.values.transpose(1, 2), x.values)
    k, p, q = near.nonzero(as_tuple=True)
    return _least(x, y, near.shape, (k, k, k), p, q)


def _least(x: Places, y: Places, shape: torch.Size, rows: tuple[Tensor, ...], p: Tensor, q: Tensor) -> Least:
    """The least costs in a table of the shape (..., P, P') among those of the places p and q.

    `rows` says whose places they are: the sequence of each side, and the pair.
    """
    i, j, pair = rows
    n_first, n_second = shape[-2:]
    costs = _costs(x.values.flatten(0, 1), i * n_first + p, y.values.flatten(0, 1), j * n_second + q)
    forward, forward_costs = _least_of(pair * n_first + p, q, costs, shape[:-1])
    backward, backward_costs = _least_of(pair * n_second + q, p, costs, (*shape[:-2], n_second))
    return Least(forward, backward, forward_costs, backward_costs)


def _near(x: Tensor, y: Tensor, products: Tensor, values: Tensor) -> Tensor:
    """Which costs (..., P, P') may be the least of a place: all but those that are larger beyond doubt.

    From half of the squared lengths (..., P) and (..., P'). The error of half a cost is at most
    (D + 3) u (|x|^2 + |y|^2) / 2 in any order of the sum, with the unit roundoff u; that of the differences is less.
    What is not a number stays.
    """
    across, down = x[..., :, None], y[..., None, :]
    halves = across + down - products
    doubt = 4 * (values.shape[-1] + 16) * (torch.finfo(halves.dtype).eps / 2)
    of_row = halves.amin(-1, keepdim=True) + doubt * (across + down.amax(-1, keepdim=True))
    of_column = halves.amin(-2, keepdim=True) + doubt * (down + across.amax(-2, keepdim=True))
    return ~((halves > of_row) & (halves > of_column))


def _costs(x: Tensor, i: Tensor, y: Tensor, j: Tensor) -> Tensor:
    """|x_i - y_j|^2 of the places x (R, D) and y (R', D), in parts."""
    out = torch.empty(len(i), dtype=x.dtype, device=x.device)
    numbers = PART_NUMBERS.get(x.device.type, PART_NUMBERS["cpu"])
    for part in _parts(len(out), max(1, numbers // max(1, x.shape[1]))):
        difference = x.index_select(0, i[part]).sub_(y.index_select(0, j[part]))
        out[part] = _sum(difference.mul_(difference))
    return out


def _least_of(place: Tensor, other: Tensor, costs: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The lowest index among the least costs of every place, and these costs, both of the shape."""
    least = costs.new_full(shape, torch.inf).flatten().scatter_reduce_(0, place, costs, "amin")
    last = torch.iinfo(torch.int64).max
    found = torch.where(costs == least[place], other, last)
    index = other.new_full(least.shape, last).scatter_reduce_(0, place, found, "amin")
    return torch.where(index == last, 0, index).view(shape), least.view(shape)


def _mean(costs: Tensor) -> Tensor:
    return _sum(costs) / costs.shape[-1]


def _sum(x: Tensor) -> Tensor:
    """The sum over the last axis, halves onto halves: torch's own has an order that depends on the shape."""
    terms = x.movedim(-1, 0).contiguous()
    while (size := len(terms)) > 1:
        half = size // 2
        both = terms[:half] + terms[half : 2 * half]
        if size % 2:
            both[0] += terms[-1]
        terms = both
    return terms.sum(0)
