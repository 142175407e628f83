"""Euclidean distances in their direct form, and the running top-k that every neighbour search shares.

The distance is *defined* by the direct forms below: differences and squares in float64, summed by halving,

    d(a, b) = sqrt( sum_d (a_d - b_d)^2 ).

Halving uses only element-wise operations. A pair thus has the same bits alone and in a tile. Other devices give the
same sum, but torch may round its root differently. Both d(a, a) = 0 and d(a, b) = d(b, a) hold to the bit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_CACHE = 2**21  # bytes of differences held at once: several times faster while they stay in the cache


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


def euclidean_pairs(left: Tensor, rows: Tensor, right: Tensor, columns: Tensor) -> Tensor:
    """Return the distances of the pairs (left[rows[p]], right[columns[p]]), with little temporary memory.

    Parameters
    ----------
    left : Tensor (Q, D), right : Tensor (R, D), floating
    rows, columns : Tensor (P,), int64

    Returns
    -------
    Tensor (P,) float64
    """
    return squared_pairs(left, rows, right, columns).sqrt_()


def squared_pairs(left: Tensor, rows: Tensor, right: Tensor, columns: Tensor) -> Tensor:
    """Return the squares of the distances of `euclidean_pairs`. They have the same bits on every device."""
    out = torch.empty(len(rows), dtype=torch.float64, device=left.device)
    size = _rows_within(_CACHE, 8 * left.shape[1], len(rows))
    for s in range(0, len(rows), size):
        part = slice(s, s + size)
        of_rows, of_columns = left.index_select(0, rows[part]), right.index_select(0, columns[part])
        out[part] = _squared(of_rows.double(), of_columns.double())
    return out


def euclidean_chosen(queries: Tensor, references: Tensor, chosen: Tensor) -> Tensor:
    """Return the distances of every query to its own choice of references, with little temporary memory.

    Parameters
    ----------
    queries : Tensor (Q, D), references : Tensor (R, D), floating
    chosen : Tensor (Q, K), int64

    Returns
    -------
    Tensor (Q, K) float64
    """
    return squared_chosen(queries, references, chosen).sqrt_()


def squared_chosen(queries: Tensor, references: Tensor, chosen: Tensor) -> Tensor:
    """Return the squares of the distances of `euclidean_chosen`. They have the same bits on every device."""
    out = torch.empty(chosen.shape, dtype=torch.float64, device=queries.device)
    width = references.shape[1]
    height = _rows_within(_CACHE, 8 * chosen.shape[1] * width, len(queries))
    for s in range(0, len(queries), height):
        part = slice(s, s + height)
        right = references.index_select(0, chosen[part].flatten()).double()
        out[part] = _squared(queries[part].double()[:, None], right.view(-1, chosen.shape[1], width))
    return out


def euclidean_to_one(query: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return the distances (R,) float64 of a query (D,) to references (R, D), with the same bits as `euclidean_rows`.

    For few of them, calls take longer than the arithmetic, and those of NumPy less than those of torch.
    """
    squares = references.T.astype(np.float64, order="C")
    squares -= query[:, np.newaxis]
    squares *= squares
    width = len(squares)
    while width > 1:
        half = (width + 1) // 2
        squares[: width - half] += squares[half:width]
        width = half
    total = squares[0] if len(squares) else np.zeros(len(references))
    return torch.from_numpy(total).sqrt().numpy()  # roots of NumPy are rounded differently


def _direct(left: Tensor, right: Tensor) -> Tensor:
    """Euclidean distance over the last axis of two broadcastable float64 tensors."""
    return _squared(left, right).sqrt()


def _squared(left: Tensor, right: Tensor) -> Tensor:
    squares = left - right
    squares.mul_(squares)
    width = squares.shape[-1]
    while width > 1:
        half = (width + 1) // 2
        squares[..., : width - half] += squares[..., half:width]
        width = half
    return squares[..., 0] if squares.shape[-1] else squares.sum(-1)


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
    return smallest_pairs(tile_d, indices, k)


def smallest_pairs(distances: Tensor, indices: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k smallest entries of every row by (distance, index), sorted. Both tensors are (B, M)."""
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
