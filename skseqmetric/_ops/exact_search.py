"""Exact Euclidean searches: candidates by scores, order by direct distances.

A score has an error of at most E. The k smallest scores, the largest of which is a, belong to references whose exact
scores are at most a + E. So all that are as near have computed scores of at most a + 2 E. If the candidates end above
that bound, they hold the k nearest. If not, the query is in doubt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skseqmetric._ops.parallel import run_tiles
from skseqmetric._ops.progress import progress
from skseqmetric._ops.scores import (
    Buffers,
    Scores,
    block_width,
    equal_spans,
    norms_from,
    refuse_infinite,
    smallest_scores,
)
from skseqmetric._ops.single_search import nearest_to_one
from skseqmetric._ops.topk import euclidean_chosen, euclidean_pairs, merge_topk, smallest_pairs

if TYPE_CHECKING:
    from skseqmetric._ops.references import References

MEMORY = 32 * 2**20
"""Bytes for the scores of one block of queries."""

_QUERIES = 256  # of one matrix product: with fewer the product loses speed, with more the cache
_MARGIN = 8  # candidates beyond k, with which a query can prove that nothing was missed
_FEW = 32  # queries in doubt that compare more candidates: they do not pay for the factors of float64 products
_OF_NUMPY = (torch.float32, torch.float64)
_MORE = 16  # times as many candidates


# ------------------------------------------------------------------------------------------------------------- nearest


@dataclass(frozen=True)
class _Search:
    """Queries, what their scores need, and what was found so far."""

    references: References
    queries: Tensor  # (Q, D)
    norms: Tensor  # (Q,) float64, |q - c|
    exclude: Tensor | None  # (Q,) int64, -1: nothing
    memory: int
    distances: Tensor  # (Q, k) float64
    indices: Tensor  # (Q, k) int64
    bounds: Tensor  # (Q,) float64: whatever is nearer than the k-th has a score up to here
    in_doubt: Tensor  # (Q,) bool

    @property
    def k(self) -> int:
        return self.distances.shape[1]

    def centred(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        return (self.queries[rows].double() - self.references.center).to(dtype)


def nearest(
    references: References, queries: Tensor, k: int, exclude: Tensor | None, memory: int
) -> tuple[Tensor, Tensor]:
    """Return distances and indices (Q, k) of the nearest references. See `References.search`."""
    if len(queries) == 1 and exclude is None and _is_settled_alone(queries):
        alone = nearest_to_one(references, queries, k)
        if alone is not None:
            return alone
    norms, n = _norms(references, queries), len(queries)
    indices = torch.empty((n, k), dtype=torch.int64, device=queries.device)
    in_doubt = torch.ones(n, dtype=torch.bool, device=queries.device)
    found = norms.new_empty(n, k), indices, norms.new_empty(n), in_doubt
    search = _Search(references, queries, norms, exclude, memory, *found)
    for scores, kept in _stages(search):
        rows = torch.nonzero(in_doubt)[:, 0]
        if not len(rows):
            return search.distances, search.indices
        _search_by_scores(search, scores, kept, rows)
    rows = torch.nonzero(in_doubt)[:, 0]
    _run(partial(_search_inside, search), rows, _QUERIES // 8)
    return search.distances, search.indices


def _is_settled_alone(query: Tensor) -> bool:
    """Whether a query may be searched by itself: on the CPU, in dtypes that NumPy has."""
    return query.device.type == "cpu" and query.shape[1] > 0 and query.dtype in _OF_NUMPY and _is_full_precision()


def _norms(references: References, queries: Tensor) -> Tensor:
    norms = norms_from(queries, references.center)
    if not math.isfinite(norms.sum()):
        refuse_infinite(queries, "query")
    return norms


def _stages(search: _Search) -> Iterator[tuple[Scores, int]]:
    """Scores and numbers of candidates, one after the other for the queries that are still in doubt."""
    most = len(search.references)
    few = search.k + _MARGIN + int(search.exclude is not None)
    if _is_single_enough(search.references, search.norms):
        single = search.references.scores(torch.float32)
        yield single, min(few, most)
        if int(search.in_doubt.sum()) <= _FEW:
            yield single, min(_MORE * few, most)
    yield search.references.scores(torch.float64), min(few, most)


def _is_single_enough(references: References, norms: Tensor) -> bool:
    """Whether products in float32 are full float32, and neither overflow nor vanish."""
    if not len(norms):
        return True
    ends = (norms, norms) if len(norms) == 1 else torch.aminmax(norms)
    least, largest = (float(end) + references.radius for end in ends)
    return 1e-12 < least <= largest < 1e12 and _is_full_precision()


def _is_full_precision() -> bool:
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set per backend, so that there is no common answer
        return False


def _run(work: Callable[[Tensor], None], rows: Tensor, size: int) -> None:
    """`work` on blocks of queries: in parallel on the CPU, where one thread for each beats many in one product."""
    if not len(rows):
        return
    with progress("searching", len(rows), "query") as bar:

        def each(block: Tensor) -> None:
            work(block)
            bar.advance(len(block))

        run_tiles(each, rows.split(size), None if rows.device.type == "cpu" else 1)


def _search_by_scores(search: _Search, scores: Scores, kept: int, rows: Tensor) -> None:
    """The nearest of these queries, and whether each is still in doubt."""
    work = partial(_search_block, search, scores, kept, Buffers())
    first = rows[:_QUERIES]
    work(first)
    if scores.dtype == torch.float32 and search.in_doubt[first].double().mean() > 0.3:
        return  # too coarse for these data: spare the other queries the attempt
    _run(work, rows[_QUERIES:], _QUERIES)


def _search_block(search: _Search, scores: Scores, kept: int, buffers: Buffers, rows: Tensor) -> None:
    """Sort the candidates by (direct distance, index), excluded ones last; doubt where others may be as near."""
    queries = search.centred(rows, scores.dtype)
    values, candidates = smallest_scores(scores, queries, kept, search.memory, buffers)
    distances = euclidean_chosen(search.queries[rows], search.references.rows, candidates)
    end = values[:, -1].double()
    if search.exclude is not None:
        excluded = candidates == search.exclude[rows][:, None]
        distances.masked_fill_(excluded, torch.inf)
        values = values.masked_fill(excluded, torch.inf).sort(1).values
    search.distances[rows], search.indices[rows] = smallest_pairs(distances, candidates, search.k)
    bounds = values[:, search.k - 1].double() + 2 * scores.error(search.norms[rows])
    search.bounds[rows] = bounds
    search.in_doubt[rows] = (end <= bounds) & (kept < scores.n)


def _search_inside(search: _Search, rows: Tensor) -> None:
    """The nearest of the queries `rows` among all references whose float64 score is within the bound."""
    scores = search.references.scores(torch.float64)
    queries, bounds = search.centred(rows, torch.float64), search.bounds[rows]
    best_d: Tensor | None = None
    best_i: Tensor | None = None
    for left, columns in _pairs_inside(scores, queries, bounds, search.memory):
        if search.exclude is not None:
            others = columns != search.exclude[rows[left]]
            left, columns = left[others], columns[others]
        pairs = euclidean_pairs(search.queries, rows[left], search.references.rows, columns)
        best_d, best_i = merge_topk(best_d, best_i, *_in_rows(pairs, left, columns, len(rows), scores.n), search.k)
    if best_d is not None and best_i is not None:
        search.distances[rows], search.indices[rows] = best_d, best_i


def _pairs_inside(scores: Scores, queries: Tensor, bounds: Tensor, memory: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Centred queries (B, D) and references whose score is at most a bound (B,), in order, for spans of references."""
    for span in equal_spans(scores.n, block_width(scores, len(queries), memory)):
        out = queries.new_empty(len(queries), len(span))
        scores.fill(queries, span.start, out)
        left, columns = torch.nonzero(out <= bounds[:, None]).T
        yield left, columns + span.start


def _in_rows(pairs: Tensor, left: Tensor, columns: Tensor, n_rows: int, last: int) -> tuple[Tensor, Tensor]:
    """Distances and indices of sorted rows `left` as (B, most of a row), with infinity where a row has fewer."""
    counts = torch.bincount(left, minlength=n_rows)
    slots = torch.arange(len(left), dtype=torch.int64, device=left.device) - (counts.cumsum(0) - counts)[left]
    shape = n_rows, int(counts.max())
    distances, indices = pairs.new_full(shape, torch.inf), columns.new_full(shape, last)
    distances[left, slots], indices[left, slots] = pairs, columns
    return distances, indices


# --------------------------------------------------------------------------------------------------------- in a radius


def within(references: References, queries: Tensor, radius: float, memory: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return where the pairs of every query start, and their distances and indices. See `References.within`."""
    norms = _norms(references, queries)
    scores = references.scores(torch.float32 if _is_single_enough(references, norms) else torch.float64)
    found: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    work = partial(_within_block, references, scores, queries, norms, radius, memory, found)
    _run(work, torch.arange(len(queries), dtype=torch.int64, device=queries.device), _QUERIES)
    starts = torch.zeros(len(queries) + 1, dtype=torch.int64, device=queries.device)
    none = starts.new_empty(0), norms.new_empty(0), starts.new_empty(0)
    counts, distances, columns = (torch.cat(p) for p in zip(none, *(found[s] for s in sorted(found)), strict=True))
    starts[1:] = counts.cumsum(0)
    return starts, distances, columns


def _within_block(
    references: References,
    scores: Scores,
    queries: Tensor,
    norms: Tensor,
    radius: float,
    memory: int,
    found: dict[int, tuple[Tensor, Tensor, Tensor]],
    rows: Tensor,
) -> None:
    """Find the pairs of a block of queries. |q - r|^2 is their score, and what depends on the query alone."""
    chosen = queries[rows].double()
    centred = chosen - references.center
    alone = norms[rows].square() + (2 * (centred @ references.center) if scores.offset else 0.0)
    bounds = radius * radius - alone + 2 * scores.error(norms[rows])
    parts = [(rows[:0], norms[:0], rows[:0])]
    for left, columns in _pairs_inside(scores, centred.to(scores.dtype), bounds, memory):
        distances = euclidean_pairs(chosen, left, references.rows, columns)
        near = distances <= radius
        parts.append((left[near], distances[near], columns[near]))
    owners, distances, columns = (torch.cat(part) for part in zip(*parts, strict=True))
    order = torch.argsort(owners, stable=True)  # spans are in order, so that the columns of a row ascend
    found[int(rows[0])] = torch.bincount(owners, minlength=len(rows)), distances[order], columns[order]
