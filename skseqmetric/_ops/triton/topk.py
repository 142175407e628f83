"""Nearest neighbours by exact coupled distance: tiles of pairs and a running selection, all on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.topk import merge_topk
from skseqmetric._ops.triton import sync_gru_tile
from skseqmetric._ops.weights import RecurrentWeights, Side

BLOCK = (2048, 8192)
"""Rows and columns whose distances exist at a time."""


@torch.no_grad()
def sync_gru_topk(
    first: Side,
    second: Side,
    weights: list[RecurrentWeights],
    how: str,
    k: int,
    *,
    exclude: Tensor | None = None,
    precision: str | None = None,
    block: tuple[int, int] = BLOCK,
) -> tuple[Tensor, Tensor]:
    """The k nearest of `second` for every sequence of `first`, by coupled distance.

    Parameters
    ----------
    first, second : Side
        N queries and M references.
    weights, how, precision
        As in `tile.sync_gru_tile`.
    k : int
        Neighbours wanted, k <= M, less one with `exclude`.
    exclude : Tensor (N,) of int64, optional
        One reference per query that may not be its neighbour, -1 for none; it sorts last, at infinity.
    block : (int, int)
        Rows and columns whose distances exist at a time.

    Returns
    -------
    distances : Tensor (N, k), float64; indices : Tensor (N, k), int64
        Rows in the order of (distance, index).

    Notes
    -----
    N M coupled pairs. Memory: one block of distances, and the projections O(D T G) of its rows and columns; no (N, M)
    matrix. Blocks are made of sequences of like length and are as long as their longest one.
    """
    n, device = len(first.lengths), first.features.device
    distances = first.features.new_empty(n, k, dtype=torch.float64)
    indices = torch.empty(n, k, dtype=torch.int64, device=device)
    by_row = torch.argsort(first.lengths, stable=True).split(block[0])
    by_column = torch.argsort(second.lengths, stable=True).split(block[1])
    for rows in by_row:
        queries = _take(first, rows)
        best: tuple[Tensor | None, Tensor | None] = (None, None)
        for columns in by_column:
            tile = sync_gru_tile(queries, _take(second, columns), weights, how, crossed=True, precision=precision)
            if exclude is not None:
                tile.masked_fill_(exclude[rows][:, None] == columns, torch.inf)
            best = merge_topk(*best, tile, columns, k)
        if best[0] is not None and best[1] is not None:
            distances[rows], indices[rows] = best[0].double().sqrt(), best[1]
    return distances, indices


def _take(side: Side, rows: Tensor) -> Side:
    """The chosen sequences, cut behind the longest."""
    lengths = side.lengths[rows]
    return Side(side.features[:, : int(lengths.max())].index_select(2, rows), lengths)
