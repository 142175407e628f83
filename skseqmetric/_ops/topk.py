"""Exact nearest rows by Euclidean distance, and the running top-k that every neighbour search shares.

The distance is *defined* by the direct forms below: differences and squares in float64, summed by halving,

    d(a, b) = sqrt( sum_d (a_d - b_d)^2 ).

Halving uses element-wise operations only, so a pair gets the same bits whether it is computed alone, in a tile or
on another device; d(a, a) = 0 and d(a, b) = d(b, a) hold to the bit. The search finds its candidates by a matrix
product and never trusts it for order: what it returns is sorted by (direct distance, index).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_MEMORY = 128 * 2**20  # bytes for the largest temporary
_QUERY_BLOCK = 512  # rows of one matrix product: below this the product loses speed
_STRIP = 16384  # queries whose candidates are held at once
_MARGIN = 8  # candidates beyond k, which let a row prove that nothing was missed
_EPS = 2.0**-52


# ------------------------------------------------------------------------------------------------ the definition


def euclidean_rows(left: Tensor, right: Tensor) -> Tensor:
    """Distances row by row.

    Parameters
    ----------
    left, right : Tensor (P, D), floating
        Row p of one is compared with row p of the other.

    Returns
    -------
    Tensor (P,) float64
        ``sqrt(sum_d (left_d - right_d)^2)``.

    Notes
    -----
    O(P D) time and memory; the caller bounds P.
    """
    return _direct(left.double(), right.double())


def euclidean_tile(queries: Tensor, references: Tensor, *, memory: int = _MEMORY) -> Tensor:
    """Distances of every query to every reference, the same bits as `euclidean_rows`.

    Parameters
    ----------
    queries : Tensor (Q, D), floating
    references : Tensor (R, D), floating
    memory : int
        Bytes that temporaries may take beside the result.

    Returns
    -------
    Tensor (Q, R) float64

    Notes
    -----
    O(Q R D) time. Direct differences: some ten times the cost of a matrix product, but without its cancellation.
    """
    left, right = queries.double(), references.double()
    out = left.new_empty(len(left), len(right))
    width = _rows_within(memory, 16 * left.shape[1], len(right))
    height = _rows_within(memory, 16 * left.shape[1] * width, len(left))
    for i in range(0, len(left), height):
        for j in range(0, len(right), width):
            out[i : i + height, j : j + width] = _direct(left[i : i + height, None], right[None, j : j + width])
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


# -------------------------------------------------------------------------------------------- the running selection


def merge_topk(
    best_d: Tensor | None, best_i: Tensor | None, tile_d: Tensor, tile_indices: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """The k smallest of what was kept so far and of a new tile, in (distance, index) order.

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
        Rows sorted by (distance, index); exact also where many distances are equal.

    Notes
    -----
    A partial selection over B (K' + M) entries; a second one over the rows whose k-th distance is tied.
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


# ------------------------------------------------------------------------------------------------- Euclidean top-k


class _Problem(NamedTuple):
    """Centred queries and references in float64, with what the error bound needs."""

    queries: Tensor  # (Q, D)
    references: Tensor  # (R, D)
    center: Tensor  # (D,)
    exclude: Tensor | None  # (Q,) int64, -1: nothing
    radius: float  # largest norm among the centred references
    memory: int

    def center_rows(self, rows: Tensor) -> Tensor:
        return rows.double() - self.center


def euclidean_topk(
    queries: Tensor, references: Tensor, k: int, *, exclude: Tensor | None = None, memory: int = _MEMORY
) -> tuple[Tensor, Tensor]:
    """The k nearest references of every query by Euclidean distance, exact.

    Parameters
    ----------
    queries : Tensor (Q, D), floating
    references : Tensor (R, D), floating, on the same device
    k : int
        1 <= k <= R, or R - 1 where something is excluded.
    exclude : Tensor (Q,) int64, default=None
        One reference index per query that may not be its neighbour (-1: none).
    memory : int
        Bytes for the largest temporary. No (Q, R) matrix is ever made.

    Returns
    -------
    distances : Tensor (Q, k) float64
        By the definition of `euclidean_rows`, to the bit.
    indices : Tensor (Q, k) int64
        Rows sorted by (distance, index), duplicates included.

    Raises
    ------
    ValueError
        When a row is not finite (or its square overflows float64), or k is out of range.

    Notes
    -----
    O(Q R D) time as one float64 matrix product on centred rows, O(memory + Q k) space. A row whose rounding bound
    cannot separate its candidates from the rest (many exact or near ties) is searched again through every
    reference inside the bound.
    """
    _check_k(k, len(references), exclude)
    problem = _pose(queries, references, exclude, memory)
    kept = min(k + _MARGIN, len(references))
    parts = [
        _search_strip(problem, torch.arange(s, min(s + _STRIP, len(queries)), device=queries.device), k, kept)
        for s in range(0, len(queries), _STRIP)
    ]
    return torch.cat([d for d, _ in parts]), torch.cat([i for _, i in parts])


def _check_k(k: int, n_references: int, exclude: Tensor | None) -> None:
    most = n_references - int(exclude is not None and bool((exclude >= 0).any()))
    if not 1 <= k <= most:
        raise ValueError(f"k={k} neighbours were asked for, but between 1 and {most} can be given")


def _pose(queries: Tensor, references: Tensor, exclude: Tensor | None, memory: int) -> _Problem:
    center = references.mean(0, dtype=torch.float64)
    problem = _Problem(queries, references, center, exclude, 0.0, memory)
    norms = {}
    for name, rows in (("reference", references), ("query", queries)):
        norms[name] = _chunked_norms(problem, rows)
        bad = torch.nonzero(~torch.isfinite(norms[name]))
        if len(bad):
            raise ValueError(f"the embedding of {name} {int(bad[0])} is not finite (or too large for float64)")
    return problem._replace(radius=float(norms["reference"].max().sqrt()))


def _chunked_norms(problem: _Problem, rows: Tensor) -> Tensor:
    height = _rows_within(problem.memory, 32 * rows.shape[1], len(rows))
    return torch.cat([problem.center_rows(part).square().sum(1) for part in rows.split(height)])


def _search_strip(problem: _Problem, rows: Tensor, k: int, kept: int) -> tuple[Tensor, Tensor]:
    """k nearest of the queries `rows`: candidates by product, order by direct distances, doubtful rows again."""
    approx, candidates = _shortlist(problem, rows, kept)
    distances, indices = _rank_candidates(problem, rows, approx, candidates, k)
    if kept < len(problem.references):
        bound = approx[:, k - 1] + 2 * _error_bound(problem, rows)
        for part in torch.nonzero(approx[:, -1] <= bound)[:, 0].split(_QUERY_BLOCK // 8):
            distances[part], indices[part] = _search_again(problem, rows[part], bound[part], k)
    return distances, indices


def _error_bound(problem: _Problem, rows: Tensor) -> Tensor:
    """Bound, per query, on the rounding of |r|^2 - 2 q.r and of a direct squared distance together."""
    norms = problem.center_rows(problem.queries[rows]).square().sum(1).sqrt()
    width = problem.references.shape[1] + 16
    return 4 * width * _EPS * (norms + problem.radius) ** 2


def _shortlist(problem: _Problem, rows: Tensor, kept: int) -> tuple[Tensor, Tensor]:
    """The `kept` smallest |r|^2 - 2 q.r of every query, (B, kept) values in order and (B, kept) indices."""
    n = len(problem.references)
    tiles = -(-n // max(_QUERY_BLOCK, problem.memory // (8 * _QUERY_BLOCK)))
    width = -(-n // tiles)
    values = problem.center.new_empty(len(rows), 0)
    indices = rows.new_empty(len(rows), 0)
    for start in range(0, n, width):
        tile = _weigh_references(problem, start, min(start + width, n), kept)
        found = [_shortlist_tile(problem, part, tile, start, kept) for part in rows.split(_QUERY_BLOCK)]
        values = torch.cat([values, torch.cat([v for v, _ in found])], 1)
        indices = torch.cat([indices, torch.cat([i for _, i in found])], 1)
        values, at = torch.topk(values, min(kept, values.shape[1]), dim=1, largest=False)
        indices = indices.gather(1, at)
    return values, indices


class _Tile(NamedTuple):
    """References of one product: (D + 1, M) rows -2 r and |r|^2, M a multiple of the group size."""

    weights: Tensor
    group: int


def _weigh_references(problem: _Problem, start: int, stop: int, kept: int) -> _Tile:
    centred = problem.center_rows(problem.references[start:stop])
    group = _group_size(stop - start, kept)
    padding = -(stop - start) % group
    weights = centred.new_zeros(centred.shape[1] + 1, stop - start + padding)
    weights[:-1, : stop - start] = -2 * centred.T
    weights[-1, : stop - start] = centred.square().sum(1)
    weights[-1, stop - start :] = torch.inf
    return _Tile(weights, group)


def _group_size(width: int, kept: int) -> int:
    """Columns whose minimum stands for them: about sqrt(width / kept) balances the two selections."""
    group = 1
    while 2 * group * group * kept <= width and group < 64:
        group *= 2
    return group if group >= 4 else 1


def _shortlist_tile(problem: _Problem, rows: Tensor, tile: _Tile, start: int, kept: int) -> tuple[Tensor, Tensor]:
    queries = problem.center_rows(problem.queries[rows])
    scores = torch.cat([queries, queries.new_ones(len(rows), 1)], 1) @ tile.weights  # (B, M)
    if problem.exclude is not None:
        column = problem.exclude[rows] - start
        hit = torch.nonzero((problem.exclude[rows] >= 0) & (column >= 0) & (column < scores.shape[1]))[:, 0]
        scores[hit, column[hit]] = torch.inf
    values, columns = _smallest_by_group(scores, tile.group, min(kept, scores.shape[1]))
    return values, columns + start


def _smallest_by_group(scores: Tensor, group: int, kept: int) -> tuple[Tensor, Tensor]:
    """Values and columns of the `kept` smallest: they lie in the `kept` groups of smallest minima."""
    if group == 1:
        return torch.topk(scores, kept, dim=1, largest=False)
    grouped = scores.view(len(scores), -1, group)
    groups = torch.topk(grouped.amin(2), kept, dim=1, largest=False, sorted=False).indices  # (B, kept)
    members = grouped.gather(1, groups[:, :, None].expand(-1, -1, group)).flatten(1)
    values, at = torch.topk(members, kept, dim=1, largest=False)
    return values, groups.gather(1, at // group) * group + at % group


def _rank_candidates(
    problem: _Problem, rows: Tensor, approx: Tensor, candidates: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """Direct distances of the candidates, the k smallest by (distance, index); excluded ones sort last."""
    n = len(problem.references)
    valid = torch.isfinite(approx)
    indices = torch.where(valid, candidates, n)
    flat = candidates.clamp(max=n - 1)
    distances = approx.new_empty(approx.shape)
    height = _rows_within(problem.memory, 32 * approx.shape[1] * problem.references.shape[1], len(rows))
    for s in range(0, len(rows), height):
        part = slice(s, s + height)
        left = problem.queries[rows[part]].double()[:, None]
        distances[part] = _direct(left, problem.references[flat[part]].double())
    return _smallest(distances.masked_fill_(~valid, torch.inf), indices, k)


def _search_again(problem: _Problem, rows: Tensor, bound: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Every reference within `bound` of the queries `rows`, by direct distance: exact whatever the ties."""
    n = len(problem.references)
    width = _rows_within(problem.memory, 64 * len(rows) + 16 * problem.references.shape[1], n)
    best_d, best_i = bound.new_empty(len(rows), 0), rows.new_empty(len(rows), 0)
    for start in range(0, n, width):
        stop = min(start + width, n)
        tile = _weigh_references(problem, start, stop, stop - start)
        queries = problem.center_rows(problem.queries[rows])
        scores = torch.cat([queries, queries.new_ones(len(rows), 1)], 1) @ tile.weights
        inside = scores <= bound[:, None]
        columns = torch.arange(start, stop, device=rows.device)
        if problem.exclude is not None:
            inside &= columns != problem.exclude[rows][:, None]
        distances = _fill_direct(problem, rows, start, inside)
        best_d, best_i = merge_topk(best_d, best_i, distances, torch.where(inside, columns, n), k)
    return best_d, best_i


def _fill_direct(problem: _Problem, rows: Tensor, start: int, inside: Tensor) -> Tensor:
    """Direct distances where `inside`, infinity elsewhere, (B, M)."""
    distances = torch.full(inside.shape, torch.inf, dtype=torch.float64, device=rows.device)
    height = _rows_within(problem.memory, 32 * problem.references.shape[1], inside.numel())
    for part in torch.nonzero(inside).split(height):
        left = problem.queries[rows[part[:, 0]]]
        distances[part[:, 0], part[:, 1]] = euclidean_rows(left, problem.references[part[:, 1] + start])
    return distances
