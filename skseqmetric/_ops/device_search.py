"""Exact Euclidean searches where the references lie, with the answers of the CPU to the bit.

A device finds the candidates. Differences, squares and their sums by halving are the same numbers on every device. Only
a root may be rounded in another way. So the roots are taken on the CPU, and the order is that of these roots. If a root
beyond the candidates could be as small, more of them are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skseqmetric._ops.topk import smallest_pairs, squared_chosen, squared_pairs

if TYPE_CHECKING:
    from skseqmetric._ops.references import References

Found = tuple[Tensor, Tensor]
"""Distances and indices (Q, k) on the CPU, rows sorted by (distance, index)."""

MARGIN = 8
"""Candidates beyond k, with which a query can prove that no root is missed."""

_MORE = 16  # times as many candidates, for queries in doubt
_NEAR = 1 + 2.0**-50  # roots that are farther apart than this are in the same order on every device


def nearest(references: References, queries: Tensor, k: int, *, exclude: Tensor | None = None, memory: int) -> Found:
    """Return the k nearest references of queries (Q, D) on the device of the references, as `References.search`."""
    if references.rows.device.type == "cpu":
        return references.search(queries, k, exclude=exclude, memory=memory)
    return nearest_by_squares(references, queries, k, exclude=exclude, memory=memory)


def nearest_by_squares(
    references: References, queries: Tensor, k: int, *, exclude: Tensor | None = None, memory: int
) -> Found:
    """`nearest` on any device: candidates and squares on it, roots and order on the CPU."""
    most = len(references) - int(exclude is not None and bool((exclude >= 0).any()))
    distances = torch.empty((len(queries), k), dtype=torch.float64, device="cpu")
    indices = torch.empty((len(queries), k), dtype=torch.int64, device="cpu")
    left = torch.arange(len(queries), dtype=torch.int64, device="cpu")
    for kept in (k + MARGIN, _MORE * (k + MARGIN)):
        if not len(left):
            return distances, indices
        own = left.to(queries.device)
        excluded = None if exclude is None else exclude[own]
        # k beyond `most` is refused there
        found = references.search(queries[own], max(k, min(kept, most)), exclude=excluded, memory=memory)[1]
        roots = squared_chosen(queries[own], references.rows, found).cpu().sqrt_()
        distances[left], indices[left] = smallest_pairs(roots, found.cpu(), k)
        if kept >= most:
            return distances, indices
        left = left[distances[left, -1] * _NEAR >= roots.amax(1)]
    for query in left.tolist():
        radius = float(distances[query, -1])
        row, excluded = queries[query : query + 1], None if exclude is None else exclude[query : query + 1]
        distances[query], indices[query] = _nearest_inside(references, row, k, radius, excluded, memory)
    return distances, indices


def _nearest_inside(
    references: References, query: Tensor, k: int, radius: float, exclude: Tensor | None, memory: int
) -> Found:
    """The k nearest of one query (1, D) among the references up to the distance of the k-th candidate."""
    _, distances, columns = within_by_squares(references, query, radius, memory=memory)
    if exclude is not None:
        others = columns != exclude.cpu()
        distances, columns = distances[others], columns[others]
    best = smallest_pairs(distances[None], columns[None], k)
    return best[0][0], best[1][0]


def within(references: References, queries: Tensor, radius: float, *, memory: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return all references up to a distance, on the CPU, as `References.within`."""
    if references.rows.device.type == "cpu":
        return references.within(queries, radius, memory=memory)
    return within_by_squares(references, queries, radius, memory=memory)


def within_by_squares(
    references: References, queries: Tensor, radius: float, *, memory: int
) -> tuple[Tensor, Tensor, Tensor]:
    """`within` on any device: pairs and squares on it, roots on the CPU."""
    starts, _, columns = references.within(queries, radius * _NEAR, memory=memory)
    owners = torch.arange(len(queries), dtype=torch.int64, device=queries.device).repeat_interleave(starts.diff())
    roots = squared_pairs(queries, owners, references.rows, columns).cpu().sqrt_()
    near = roots <= radius
    counts = torch.bincount(owners.cpu()[near], minlength=len(queries))
    return torch.cat([starts[:1].cpu(), counts.cumsum(0)]), roots[near], columns.cpu()[near]


def chosen(references: References, queries: Tensor, candidates: Tensor) -> Tensor:
    """Return the distances (Q, n) of queries to their own candidates (Q, n), on the CPU."""
    return squared_chosen(queries, references.rows, candidates.to(queries.device)).cpu().sqrt_()


def pairs(references: References, queries: Tensor, at: Tensor, rows: Tensor) -> Tensor:
    """Return the distances (P,) of the pairs (queries[at[p]], references[rows[p]]), on the CPU."""
    device = queries.device
    return squared_pairs(queries, at.to(device), references.rows, rows.to(device)).cpu().sqrt_()
