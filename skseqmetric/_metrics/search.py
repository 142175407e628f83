"""One neighbour search for every metric. It never holds the whole (Q, R) matrix of distances."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn import get_config

from skseqmetric._metrics.euclidean import embedded_nearest, embedded_within, references_of
from skseqmetric._metrics.hooks import (
    by_length,
    check_neighbors,
    distance_tile,
    distances_of_pairs,
    embedded,
    is_euclidean,
)
from skseqmetric._metrics.jobs import in_jobs, nearest_in_jobs
from skseqmetric._ops.progress import is_wanted, progress
from skseqmetric._ops.references import References
from skseqmetric._ops.topk import merge_topk

_BYTES_PER_PAIR = 64  # a distance, its index, and the copies that the selection makes
_LARGEST_TILE = 2**21  # pairs; larger tiles are not faster
_SHOWN_TILE = 2**14  # pairs, where a bar shows how many are done


def k_nearest(
    metric: Any,
    queries: Any,
    references: Any,
    n_neighbors: int,
    *,
    n_candidates: int | None = None,
    exclude: np.ndarray | None = None,
    n_jobs: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest references of every query.

    Parameters
    ----------
    metric : fitted metric
    queries, references : results of `metric._prepare`
    n_neighbors : int
        Neighbours K.
    n_candidates : int, optional
        Compute the distances of this many references per query, at least n_neighbors: those with the nearest
        embeddings. None: all references. This changes nothing if the metric is the Euclidean distance of embeddings.
    exclude : ndarray (Q,) of int, optional
        One reference index per query that may not be its neighbour.
    n_jobs : int, optional
        Jobs of joblib, each with some of the queries. None: one, or what `joblib.parallel_config` says.

    Returns
    -------
    distances : ndarray (Q, K) float64
    indices : ndarray (Q, K) int64
        Each row is sorted by (distance, index). Queries keep their order.

    Raises
    ------
    ValueError
        There are fewer references than neighbours, the metric has no embedding for a shortlist, or a hook of the metric
        returned another shape or type than it must, or a distance that is not finite. The message names the pair.

    Notes
    -----
    Temporary arrays fit into scikit-learn's `working_memory`. An exact search computes Q R pair distances. A search
    with candidates costs O(Q R D) for the shortlist and Q n_candidates pair distances.
    """
    if n_neighbors > len(references) - (exclude is not None):
        raise ValueError(
            f"Expected n_neighbors {'<=' if exclude is None else '<'} n_samples_fit, but n_neighbors = {n_neighbors}, "
            f"n_samples_fit = {len(references)}."
        )
    if n_candidates is not None:
        prepared_references(metric, references)
    search = partial(_search, references=references, k=n_neighbors, n_candidates=n_candidates)
    return nearest_in_jobs(search, metric, queries, exclude, n_jobs)


def _search(
    metric: Any, queries: Any, exclude: np.ndarray | None, *, references: Any, k: int, n_candidates: int | None
) -> tuple[np.ndarray, np.ndarray]:
    found = metric._nearest(queries, references, k, exclude=exclude, n_candidates=n_candidates)
    return check_neighbors(metric, found, (len(queries), k), len(references))


def recall_at_k(exact: np.ndarray, found: np.ndarray) -> float:
    """Return the share of the exact neighbours (Q, K) that were found. Both arrays hold indices of references."""
    row = np.arange(len(exact))[:, np.newaxis] * (int(max(exact.max(), found.max())) + 1)
    return float(np.isin(exact + row, found + row).mean())


def _budget() -> int:
    """Return the bytes that temporary arrays may take."""
    return int(get_config()["working_memory"] * 2**20)


# ------------------------------------------------------------------ within a radius


def neighbors_within(
    metric: Any,
    queries: Any,
    references: Any,
    radius: float,
    *,
    exclude: np.ndarray | None = None,
    n_jobs: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find all references up to a distance from every query.

    Parameters
    ----------
    metric, queries, references, exclude, n_jobs : as in `k_nearest`
    radius : float
        Largest distance, >= 0.

    Returns
    -------
    starts : ndarray (Q + 1,) int64
        Query q has the entries starts[q]..starts[q + 1] of the other two.
    distances : ndarray (P,) float64
    indices : ndarray (P,) int64
        Ascending for every query.
    """
    search = partial(_within, references=references, radius=radius)
    found = in_jobs(search, metric, queries, exclude, n_jobs, in_python=getattr(metric, "_in_python", False))
    counts, distances, indices = map(np.concatenate, zip(*found, strict=True))
    return np.concatenate([[0], np.cumsum(counts)]), distances, indices


def _within(
    metric: Any, queries: Any, exclude: np.ndarray | None, *, references: Any, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how many references every query has, and their distances and indices."""
    if is_euclidean(metric):
        points: Any = embedded(metric, queries)
        starts, distances, indices = embedded_within(points, prepared_references(metric, references), radius)
        owners = np.repeat(np.arange(len(queries)), np.diff(starts))
    else:
        owners, distances, indices = _within_by_pairs(metric, queries, references, radius)
    if exclude is not None:
        others = indices != exclude[owners]
        owners, distances, indices = owners[others], distances[others], indices[others]
    return np.bincount(owners, minlength=len(queries)), distances, indices


def _within_by_pairs(
    metric: Any, queries: Any, references: Any, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, by_query, by_reference = len(queries), by_length(queries), by_length(references)
    height, width = _tile_shape(n, len(references), 1)
    parts = [(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0, dtype=np.int64))]
    with progress("searching", n * len(references), "pair") as bar:
        for rows in (by_query[s : s + height] for s in range(0, n, height)):
            for columns in (by_reference[s : s + width] for s in range(0, len(references), width)):
                tile = distance_tile(metric, queries, rows, references, columns)
                i, j = np.nonzero(tile <= radius)
                parts.append((rows[i], tile[i, j], columns[j]))
                bar.advance(tile.size)
    owners, distances, indices = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((indices, owners))
    return owners[order], distances[order], indices[order]


# ------------------------------------------------------------------ by pair distances


def nearest_by_pairs(
    metric: Any, queries: Any, references: Any, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Search by pair distances: of all pairs, or of a shortlist by embedding."""
    if n_candidates is None:
        return _exact(metric, queries, references, k, exclude)
    points: Any = embedded(metric, queries)
    shortlist = embedded_nearest(points, prepared_references(metric, references), n_candidates, exclude)[1]
    return _rerank(metric, queries, references, k, shortlist)


def prepared_references(metric: Any, references: Any) -> References:
    """Return the embeddings of references, ready for searches. ValueError: the metric has no embedding."""
    return references_of(references, partial(_some_embeddings, metric, references), search_device(metric))


def _some_embeddings(metric: Any, prepared: Any) -> np.ndarray:
    found = embedded(metric, prepared)
    if found is None:
        raise ValueError(
            f'algorithm="rerank" takes its shortlist from an embedding, and {type(metric).__name__} has none: use '
            'algorithm="exact".'
        )
    return found


def search_device(metric: Any) -> torch.device:
    """Return where the embeddings of a metric are searched: with its network on CUDA, else on the CPU."""
    device = getattr(metric, "_device", None)
    return device if isinstance(device, torch.device) and device.type == "cuda" else torch.device("cpu")


def _rerank(metric: Any, queries: Any, references: Any, k: int, shortlist: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n, n_candidates = shortlist.shape
    distances, indices = np.empty((n, k)), np.empty((n, k), dtype=np.int64)
    height, order = max(1, _pairs_of_a_tile() // n_candidates), by_length(queries)
    with progress("searching", n, "query") as bar:
        for rows in (order[s : s + height] for s in range(0, n, height)):
            columns = shortlist[rows]
            pairs = distances_of_pairs(metric, queries, np.repeat(rows, n_candidates), references, columns.ravel())
            best = merge_topk(None, None, torch.from_numpy(pairs.reshape(columns.shape)), torch.from_numpy(columns), k)
            distances[rows], indices[rows] = best[0].numpy(), best[1].numpy()
            bar.advance(len(rows))
    return distances, indices


def _exact(
    metric: Any, queries: Any, references: Any, k: int, exclude: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    n, by_query, by_reference = len(queries), by_length(queries), by_length(references)
    distances, indices = np.empty((n, k)), np.empty((n, k), dtype=np.int64)
    height, width = _tile_shape(n, len(references), k)
    with progress("searching", n * len(references), "pair") as bar:
        for rows in (by_query[s : s + height] for s in range(0, n, height)):
            best_d: torch.Tensor | None = None
            best_i: torch.Tensor | None = None
            for columns in (by_reference[s : s + width] for s in range(0, len(references), width)):
                tile = distance_tile(metric, queries, rows, references, columns)
                if exclude is not None:
                    # all distances are finite, so infinity sorts behind them
                    tile = np.where(exclude[rows][:, np.newaxis] == columns, np.inf, tile)
                best_d, best_i = merge_topk(best_d, best_i, torch.from_numpy(tile), torch.from_numpy(columns), k)
                bar.advance(tile.size)
            if best_d is not None and best_i is not None:
                distances[rows], indices[rows] = best_d.numpy(), best_i.numpy()
    return distances, indices


def _pairs_of_a_tile() -> int:
    """Return the pairs of a tile that fits into the memory, and is small where a bar is to move."""
    return max(1, min(_budget() // _BYTES_PER_PAIR, _SHOWN_TILE if is_wanted() else _LARGEST_TILE))


def _tile_shape(n_queries: int, n_references: int, k: int) -> tuple[int, int]:
    """Return rows and columns of a tile that fits into the memory. It is wide, because each selection has a cost."""
    pairs = _pairs_of_a_tile()
    width = min(n_references, max(1, min(pairs, max(1024, 4 * k))))
    return min(n_queries, max(1, pairs // width)), width
