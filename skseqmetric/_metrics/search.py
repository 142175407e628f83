"""One neighbour search over an abstract distance: it never asks which metric it has, and holds no (Q, R) matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn import get_config

from skseqmetric._metrics.euclidean import embedded_nearest
from skseqmetric._metrics.hooks import by_length, distance_tile, distances_of_pairs
from skseqmetric._ops.topk import merge_topk

_BYTES_PER_PAIR = 64  # a distance, its index, and the copies of the selection
_LARGEST_TILE = 2**21  # pairs; more would not be faster


def k_nearest(
    metric: Any,
    queries: Any,
    references: Any,
    n_neighbors: int,
    *,
    n_candidates: int | None = None,
    exclude: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest references of every query.

    Parameters
    ----------
    metric : fitted metric
    queries, references : what `metric._prepare` made
    n_neighbors : int
        K.
    n_candidates : int, optional
        Evaluate only so many references of each query, the nearest by embedding; n_neighbors at least. None: all. Both
        are the same where the distance is the Euclidean distance of the embedding.
    exclude : ndarray (Q,) of int, optional
        One reference index per query that may not be its neighbour.

    Returns
    -------
    distances : ndarray (Q, K) float64
    indices : ndarray (Q, K) int64
        Rows in the order of (distance, index); queries in the caller's order.

    Raises
    ------
    ValueError
        For more neighbours than there are, candidates without an embedding, or a distance that is not finite (the pair
        is named).

    Notes
    -----
    Temporaries keep within scikit-learn's `working_memory`. Exact: Q R pair distances. With candidates: O(Q R D) for
    the shortlist and Q n_candidates pair distances.
    """
    if n_neighbors > len(references) - (exclude is not None):
        raise ValueError(
            f"Expected n_neighbors {'<=' if exclude is None else '<'} n_samples_fit, but n_neighbors = {n_neighbors}, "
            f"n_samples_fit = {len(references)}."
        )
    if n_candidates is not None:
        check_embedding(metric, references)
    return metric._nearest(queries, references, n_neighbors, exclude=exclude, n_candidates=n_candidates)


def check_embedding(metric: Any, prepared: Any) -> None:
    """Refuse a shortlist where the metric has no embedding to make it from."""
    if metric._embeddings(prepared) is None:
        raise ValueError(
            f'algorithm="rerank" takes its shortlist from an embedding, and {type(metric).__name__} has none: use '
            'algorithm="exact".'
        )


def recall_at_k(exact: np.ndarray, found: np.ndarray) -> float:
    """Share of the exact neighbours (Q, K) that were found, both as indices of the same queries."""
    row = np.arange(len(exact))[:, np.newaxis] * (int(max(exact.max(), found.max())) + 1)
    return float(np.isin(exact + row, found + row).mean())


def _budget() -> int:
    """Bytes that temporaries may take."""
    return int(get_config()["working_memory"] * 2**20)


# ------------------------------------------------------------------ by pair distances


def nearest_by_pairs(
    metric: Any, queries: Any, references: Any, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest by the distances of pairs: of every pair, or of a shortlist by embedding."""
    if n_candidates is None:
        return _exact(metric, queries, references, k, exclude)
    points = metric._embeddings(queries), metric._embeddings(references)
    return _rerank(metric, queries, references, k, embedded_nearest(*points, n_candidates, exclude)[1])


def _rerank(metric: Any, queries: Any, references: Any, k: int, shortlist: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n, n_candidates = shortlist.shape
    distances, indices = np.empty((n, k)), np.empty((n, k), dtype=np.int64)
    height = max(1, min(_budget() // _BYTES_PER_PAIR, _LARGEST_TILE) // n_candidates)
    order = by_length(queries)
    for rows in (order[s : s + height] for s in range(0, n, height)):
        columns = shortlist[rows]
        pairs = distances_of_pairs(metric, queries, np.repeat(rows, n_candidates), references, columns.ravel())
        best = merge_topk(None, None, torch.from_numpy(pairs.reshape(columns.shape)), torch.from_numpy(columns), k)
        distances[rows], indices[rows] = best[0].numpy(), best[1].numpy()
    return distances, indices


def _exact(
    metric: Any, queries: Any, references: Any, k: int, exclude: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    n, by_query, by_reference = len(queries), by_length(queries), by_length(references)
    distances, indices = np.empty((n, k)), np.empty((n, k), dtype=np.int64)
    height, width = _tile_shape(n, len(references), k)
    for rows in (by_query[s : s + height] for s in range(0, n, height)):
        best_d: torch.Tensor | None = None
        best_i: torch.Tensor | None = None
        for columns in (by_reference[s : s + width] for s in range(0, len(references), width)):
            tile = distance_tile(metric, queries, rows, references, columns)
            if exclude is not None:
                # all true distances are finite, so this one sorts behind all of them
                tile = np.where(exclude[rows][:, np.newaxis] == columns, np.inf, tile)
            best_d, best_i = merge_topk(best_d, best_i, torch.from_numpy(tile), torch.from_numpy(columns), k)
        if best_d is not None and best_i is not None:
            distances[rows], indices[rows] = best_d.numpy(), best_i.numpy()
    return distances, indices


def _tile_shape(n_queries: int, n_references: int, k: int) -> tuple[int, int]:
    """Rows and columns of a tile within the memory; wide enough that the selection is worth its cost."""
    pairs = max(1, min(_budget() // _BYTES_PER_PAIR, _LARGEST_TILE))
    width = min(n_references, max(1, min(pairs, max(1024, 4 * k))))
    return min(n_queries, max(1, pairs // width)), width
