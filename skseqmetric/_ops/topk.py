"""Exact nearest rows by Euclidean distance, and the running top-k that every neighbour search shares.

The distance is *defined* by the direct forms below: differences and squares in float64, summed by halving,

    d(a, b) = sqrt( sum_d (a_d - b_d)^2 ).

Halving uses only element-wise operations. A pair thus has the same bits alone and in a tile. Other devices give the
same sum, but torch may round its root differently. Both d(a, a) = 0 and d(a, b) = d(b, a) hold to the bit. The search
finds candidates by a matrix product, but never uses it for the order: results are sorted by (direct distance, index).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import NamedTuple

import torch
from torch import Tensor

from skseqmetric._ops.parallel import run_tiles
from skseqmetric._ops.progress import progress

_MEMORY = 32 * 2**20  # bytes for the largest temporary
_CACHE = 2**21  # bytes of differences held at once: several times faster while they stay in the cache
_QUERY_BLOCK = 256  # rows of one matrix product: with fewer the product loses speed, with more the cache
_GROUP = 32  # columns that a first selection represents by their minimum
_MARGIN = 8  # candidates beyond k, with which a row can prove that nothing was missed


def euclidean_rows(left: Tensor, right: Tensor) -> Tensor:
    """Return distances row by row. It takes O(P D) time and memory, so that the caller must limit P.

    Parameters
    ----------
    left, right : Tensor (P, D), floating
        Row p of one is compared with row p of the other.

    Returns
    -------
    Tensor (P,) float64
        ``sqrt(sum_d (left_d - right_d)^2)``.
    """
    return _direct(left.double(), right.double())


def euclidean_tile(queries: Tensor, references: Tensor) -> Tensor:
    """Return the distances of every query to every reference, with the same bits as `euclidean_rows`.

    Parameters
    ----------
    queries : Tensor (Q, D), floating
    references : Tensor (R, D), floating

    Returns
    -------
    Tensor (Q, R) float64

    Notes
    -----
    Costs O(Q R D) time and little temporary memory. Direct differences cost many times more than a matrix product, but
    have no cancellation.
    """
    left, right = queries.double(), references.double()
    out = left.new_empty(len(left), len(right))
    width = _rows_within(_CACHE, 8 * left.shape[1], len(right))
    height = _rows_within(_CACHE, 8 * left.shape[1] * width, len(left))
    for i in range(0, len(left), height):
        for j in range(0, len(right), width):
            part = slice(i, i + height), slice(j, j + width)
            out[part] = _direct(left[part[0], None], right[None, part[1]])
    return out


def _direct(left: Tensor, right: Tensor) -> Tensor:
    """Euclidean distance over the last axis of two broadcastable float64 tensors."""
    squares = left - right
    squares.mul_(squares)
    width = squares.shape[-1]
    while width > 1:
        half = (width + 1) // 2
        squares[..., : width - half] += squares[..., half:width]
        width = half
    total = squares[..., 0] if squares.shape[-1] else squares.sum(-1)
    return total.sqrt()


def _rows_within(memory: int, bytes_per_row: int, n_rows: int) -> int:
    return max(1, min(n_rows, memory // max(1, bytes_per_row)))


# ------------------------------------------------------------------------------------------------ the running selection


def merge_topk(
    best_d: Tensor | None, best_i: Tensor | None, tile_d: Tensor, tile_indices: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """Return the k smallest of the distances kept so far and of a new tile, sorted by (distance, index).

    Parameters
    ----------
    best_d, best_i : Tensor (B, K') or None
        Distances and indices kept so far (K' <= k); None at the start.
    tile_d : Tensor (B, M)
        New distances, free of NaN.
    tile_indices : Tensor (M,) or (B, M), int64
        Index of every column (or entry) of the tile, in any order; an index comes once per row.
    k : int
        Number of neighbours wanted, >= 1.

    Returns
    -------
    distances : Tensor (B, min(k, K' + M)), indices : Tensor of the same shape
        Rows sorted by (distance, index). The result is exact also if many distances are equal.

    Notes
    -----
    The cost is a partial selection over B (K' + M) entries, and a second one over rows with ties at the k-th distance.
    """
    indices = tile_indices.expand(tile_d.shape)
    if best_d is not None and best_i is not None:
        tile_d, indices = torch.cat([best_d, tile_d], 1), torch.cat([best_i, indices], 1)
    return _smallest(tile_d, indices, k)


def _smallest(distances: Tensor, indices: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest entries of every row by (distance, index), sorted."""
    if k < distances.shape[1]:
        values, at = torch.topk(distances, k, dim=1, largest=False)
        kth = values[:, -1:]
        tied = torch.nonzero((distances <= kth).sum(1) > k)[:, 0]
        if len(tied):
            at[tied] = _settle_ties(distances[tied], indices[tied], kth[tied], k)
        distances, indices = distances.gather(1, at), indices.gather(1, at)
    return _sort_pairs(distances, indices)


def _settle_ties(distances: Tensor, indices: Tensor, kth: Tensor, k: int) -> Tensor:
    """Positions of the k smallest when the k-th distance is shared: all below it, then the lowest indices at it."""
    last = torch.iinfo(torch.int64).max
    key = torch.where(distances == kth, indices, torch.where(distances < kth, -1, last))
    return torch.topk(key, k, dim=1, largest=False).indices


def _sort_pairs(distances: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    by_index = torch.argsort(indices, dim=1)
    order = by_index.gather(1, torch.argsort(distances.gather(1, by_index), dim=1, stable=True))
    return distances.gather(1, order), indices.gather(1, order)


# ------------------------------------------------------------------------------------------------------ Euclidean top-k


class _Problem(NamedTuple):
    """Queries and references with what the products and their error bound need."""

    queries: Tensor  # (Q, D)
    references: Tensor  # (R, D)
    k: int
    exclude: Tensor  # (Q,) int64, -1: nothing
    center: Tensor  # (D,) float64
    radius: Tensor  # (Q,) norm of the centred query + largest norm of a centred reference
    memory: int

    @property
    def kept(self) -> int:
        """Candidates of a query."""
        return min(self.k + _MARGIN, len(self.references))


class _Result(NamedTuple):
    distances: Tensor  # (Q, k) float64
    indices: Tensor  # (Q, k) int64
    bounds: Tensor  # (Q,) float64: whatever is nearer than the k-th has a product up to here
    in_doubt: Tensor  # (Q,) bool


def euclidean_topk(
    queries: Tensor, references: Tensor, k: int, *, exclude: Tensor | None = None, memory: int = _MEMORY
) -> tuple[Tensor, Tensor]:
    """The k nearest references of every query by Euclidean distance, exact.

    Parameters
    ----------
    queries : Tensor (Q, D), floating
    references : Tensor (R, D), floating, on the same device (CPU or CUDA: float64 is needed)
    k : int
        1 <= k <= R, or R - 1 if a reference is excluded.
    exclude : Tensor (Q,) int64, default=None
        One reference index per query that may not be its neighbour (-1: none).
    memory : int
        Bytes for the block of products of one thread. No (Q, R) matrix is ever made.

    Returns
    -------
    distances : Tensor (Q, k) float64
        By the definition of `euclidean_rows`, to the bit.
    indices : Tensor (Q, k) int64
        Rows sorted by (distance, index), duplicates included.

    Raises
    ------
    ValueError
        A row is not finite, its square overflows float64, or k is out of range.

    Notes
    -----
    Costs O(Q R D) time and O(R D + Q k + memory) space. Candidates come from a float32 matrix product of centred rows.
    If its rounding bound cannot separate candidates from the rest, a query is searched again in float64. If this fails
    too, because of exact ties, the search computes the distances to all references inside the bound.
    """
    if exclude is None:
        exclude = torch.full((len(queries),), -1, dtype=torch.int64, device=queries.device)
    most = len(references) - int(bool((exclude >= 0).any()))
    if not 1 <= k <= most:
        raise ValueError(f"k={k} neighbours were asked for, but between 1 and {most} can be given")
    problem = _pose(queries, references, k, exclude, memory)
    result = _Result(
        problem.radius.new_empty(len(queries), k),
        exclude.new_empty(len(queries), k),
        problem.radius.new_empty(len(queries)),
        exclude.new_ones(len(queries), dtype=torch.bool),
    )
    tiles: list[_Tile] = []
    for dtype in _product_dtypes(problem):
        tiles = _search_by_product(problem, dtype, result)
    rows = torch.nonzero(result.in_doubt)[:, 0]
    _run(problem, partial(_search_inside, problem, tiles, result), rows, _QUERY_BLOCK // 8)
    return result.distances, result.indices


def _pose(queries: Tensor, references: Tensor, k: int, exclude: Tensor, memory: int) -> _Problem:
    origin = references.new_zeros(references.shape[1], dtype=torch.float64)
    for name, rows in (("reference", references), ("query", queries)):
        bad = torch.nonzero(~torch.isfinite(_norms(rows, origin)))
        if len(bad):
            raise ValueError(f"the embedding of {name} {int(bad[0])} is not finite, or too large for float64")
    center = references.mean(0, dtype=torch.float64)
    radius = _norms(queries, center) + _norms(references, center).max()
    return _Problem(queries, references, k, exclude, center, radius, memory)


def _norms(rows: Tensor, center: Tensor) -> Tensor:
    return torch.cat([(part.double() - center).square().sum(1).sqrt() for part in rows.split(2**14)])


def _product_dtypes(problem: _Problem) -> tuple[torch.dtype, ...]:
    """float32 first where its products are full float32 and neither overflow nor vanish; float64 last."""
    if not 1e-12 < float(problem.radius.min()) <= float(problem.radius.max()) < 1e12:
        return (torch.float64,)
    try:
        full = torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set per backend, so that there is no common answer
        full = False
    return (torch.float32, torch.float64) if full else (torch.float64,)


def _run(problem: _Problem, work: Callable[[Tensor], None], rows: Tensor, size: int) -> None:
    """`work` on blocks of queries: in parallel on the CPU, where one thread for each beats many in one product."""
    if not len(rows):
        return
    with progress("searching", len(rows), "query") as bar:

        def each(block: Tensor) -> None:
            work(block)
            bar.advance(len(block))

        run_tiles(each, rows.split(size), None if problem.center.device.type == "cpu" else 1)


# ------------------------------------------------------------------------------------------------ candidates by product


class _Tile(NamedTuple):
    """References start..start + M: (D + 1, M) rows -2 r and |r|^2, M padded to a multiple of `group`."""

    weights: Tensor
    start: int
    group: int


def _search_by_product(problem: _Problem, dtype: torch.dtype, result: _Result) -> list[_Tile]:
    """The nearest of every query still in doubt, and whether it still is; the tiles of the products."""
    rows = torch.nonzero(result.in_doubt)[:, 0]
    if not len(rows):
        return []
    tiles = _weigh_all_references(problem, dtype)
    work = partial(_search_block, problem, tiles, SimpleQueue(), result)
    work(rows[:_QUERY_BLOCK])
    if dtype == torch.float32 and result.in_doubt[rows[:_QUERY_BLOCK]].double().mean() > 0.3:
        return tiles  # too coarse for these data: spare the other queries the attempt
    _run(problem, work, rows[_QUERY_BLOCK:], _QUERY_BLOCK)
    return tiles


def _weigh_all_references(problem: _Problem, dtype: torch.dtype) -> list[_Tile]:
    n = len(problem.references)
    widest = max(_QUERY_BLOCK, problem.memory // (torch.finfo(dtype).bits // 8 * _QUERY_BLOCK))
    width = -(-n // -(-n // widest))  # tiles of about equal width
    group = _GROUP if 2 * _GROUP * problem.kept <= width else 1
    return [_weigh_references(problem, s, min(s + width, n), group, dtype) for s in range(0, n, width)]


def _weigh_references(problem: _Problem, start: int, stop: int, group: int, dtype: torch.dtype) -> _Tile:
    width = stop - start
    centred = problem.references[start:stop].double() - problem.center
    weights = torch.zeros(centred.shape[1] + 1, width + -width % group, dtype=dtype, device=centred.device)
    weights[:-1, :width] = -2 * centred.T
    weights[-1, :width] = centred.square().sum(1)
    weights[-1, width:] = torch.inf
    return _Tile(weights, start, group)


def _weigh_queries(problem: _Problem, rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Centred queries with a column of ones, (B, D + 1)."""
    queries = (problem.queries[rows].double() - problem.center).to(dtype)
    return torch.cat([queries, queries.new_ones(len(rows), 1)], 1)


def _search_block(
    problem: _Problem, tiles: list[_Tile], buffers: SimpleQueue[Tensor], result: _Result, rows: Tensor
) -> None:
    try:  # buffers go from block to block: touching new memory costs as much as the product
        buffer = buffers.get_nowait()
    except Empty:
        buffer = tiles[0].weights.new_empty(_QUERY_BLOCK * tiles[0].weights.shape[1])
    queries = _weigh_queries(problem, rows, buffer.dtype)
    found = [_shortlist(problem, queries, rows, tile, buffer) for tile in tiles]
    buffers.put(buffer)
    values, indices = torch.cat([v for v, _ in found], 1), torch.cat([i for _, i in found], 1)
    values, at = torch.topk(values, problem.kept, dim=1, largest=False)
    _rank_candidates(problem, result, rows, values, indices.gather(1, at))


def _shortlist(problem: _Problem, queries: Tensor, rows: Tensor, tile: _Tile, buffer: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest |r|^2 - 2 q.r of a tile, (B, kept) values and reference indices."""
    width = tile.weights.shape[1]
    scores = buffer[: len(rows) * width].view(len(rows), width)
    torch.mm(queries, tile.weights, out=scores)
    column = problem.exclude[rows] - tile.start
    hit = torch.nonzero((problem.exclude[rows] >= 0) & (column >= 0) & (column < width))[:, 0]
    scores[hit, column[hit]] = torch.inf
    values, columns = _smallest_by_group(scores, tile.group, min(problem.kept, width))
    return values, columns + tile.start


def _smallest_by_group(scores: Tensor, group: int, kept: int) -> tuple[Tensor, Tensor]:
    """Values and columns of the `kept` smallest: they lie in the `kept` groups of smallest minima."""
    if group == 1 or scores.shape[1] < group * kept:
        return torch.topk(scores, kept, dim=1, largest=False)
    grouped = scores.view(len(scores), -1, group)
    groups = torch.topk(grouped.amin(2), kept, dim=1, largest=False, sorted=False).indices  # (B, kept)
    members = grouped.gather(1, groups[:, :, None].expand(-1, -1, group)).flatten(1)
    values, at = torch.topk(members, kept, dim=1, largest=False)
    return values, groups.gather(1, at // group) * group + at % group


def _rank_candidates(problem: _Problem, result: _Result, rows: Tensor, approx: Tensor, candidates: Tensor) -> None:
    """Sort the candidates by (direct distance, index), excluded ones last; doubt where others may be as near."""
    n, width = problem.references.shape
    valid = torch.isfinite(approx)
    distances = torch.full(approx.shape, torch.inf, dtype=torch.float64, device=rows.device)
    height = _rows_within(_CACHE, 8 * approx.shape[1] * width, len(rows))
    for s in range(0, len(rows), height):
        part = slice(s, s + height)
        chosen = problem.references.index_select(0, candidates[part].clamp(max=n - 1).flatten())
        left = problem.queries[rows[part]].double()[:, None]
        distances[part] = _direct(left, chosen.double().view(len(left), -1, width))
    distances.masked_fill_(~valid, torch.inf)
    best = _smallest(distances, torch.where(valid, candidates, n), problem.k)
    result.distances[rows], result.indices[rows] = best
    result.bounds[rows] = approx[:, problem.k - 1].double() + 2 * _error_bound(problem, rows, approx.dtype)
    result.in_doubt[rows] = (approx[:, -1].double() <= result.bounds[rows]) & (problem.kept < n)


def _error_bound(problem: _Problem, rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Bound on |computed - exact| of |r|^2 - 2 q.r, and of a direct squared distance, for each query.

    Here u is the unit roundoff. A sum of D + 1 products in any order has an error of at most
    (D + 1) u (|r|^2 + 2 |q| |r|). Rounding of the centred rows and the direct form add a few u (|q| + |r|)^2.
    """
    unit = torch.finfo(dtype).eps / 2
    return (problem.references.shape[1] + 16) * unit * problem.radius[rows].square()


def _search_inside(problem: _Problem, tiles: list[_Tile], result: _Result, rows: Tensor) -> None:
    """The nearest of the queries `rows` among all references whose float64 product is within the bound."""
    n, width = problem.references.shape
    best_d, best_i = problem.radius.new_empty(len(rows), 0), rows.new_empty(len(rows), 0)
    queries = _weigh_queries(problem, rows, torch.float64)
    for tile in tiles:
        columns = torch.arange(tile.start, tile.start + tile.weights.shape[1], dtype=torch.int64, device=rows.device)
        inside = queries @ tile.weights <= result.bounds[rows][:, None]
        inside &= columns != problem.exclude[rows][:, None]
        counts = inside.sum(1)
        left, right = torch.nonzero(inside).T
        slots = torch.arange(len(left), dtype=torch.int64, device=rows.device) - (counts.cumsum(0) - counts)[left]
        distances = best_d.new_full((len(rows), int(counts.max())), torch.inf)
        indices = best_i.new_full(distances.shape, n)
        indices[left, slots] = columns[right]
        for part in torch.arange(len(left), dtype=torch.int64, device=rows.device).split(
            _rows_within(_CACHE, 8 * width, len(left))
        ):
            pair = problem.queries[rows[left[part]]], problem.references[columns[right[part]]]
            distances[left[part], slots[part]] = euclidean_rows(*pair)
        best_d, best_i = merge_topk(best_d, best_i, distances, indices, problem.k)
    result.distances[rows], result.indices[rows] = best_d, best_i
