"""Euclidean distances of embeddings: in tiles, pair by pair, and to the nearest references."""

from __future__ import annotations

import numpy as np
import torch
from sklearn import get_config

from skseqmetric._ops.references import References
from skseqmetric._ops.topk import euclidean_rows, euclidean_tile
from skseqmetric._tensors.modes import answering

_ROWS = 2**16  # pairs in one call
_LARGEST_BUFFER = 2**25  # bytes


@answering
def embedded_tile(left: np.ndarray, rows: np.ndarray, right: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the distance of every chosen row of left (n, D) to every chosen row of right (m, D), float64."""
    return euclidean_tile(_chosen(left, rows), _chosen(right, columns)).numpy()


@answering
def embedded_rows(left: np.ndarray, rows: np.ndarray, right: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the distances (P,) of the pairs (rows[p], columns[p]), float64."""
    out = np.empty(len(rows))
    for part in (slice(start, start + _ROWS) for start in range(0, len(rows), _ROWS)):
        out[part] = euclidean_rows(_chosen(left, rows[part]), _chosen(right, columns[part])).numpy()
    return out


@answering
def embedded_nearest(
    queries: np.ndarray, references: np.ndarray, k: int, exclude: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and indices (Q, k) of the nearest references, sorted by (distance, index).

    Temporary arrays fit into scikit-learn's `working_memory`.
    """
    distances, indices = References.of(_chosen(references)).search(
        _chosen(queries),
        k,
        exclude=None if exclude is None else torch.from_numpy(exclude.astype(np.int64)),
        memory=min(int(get_config()["working_memory"] * 2**20), _LARGEST_BUFFER),
    )
    return distances.numpy(), indices.numpy()


def _chosen(embeddings: np.ndarray, rows: np.ndarray | slice = slice(None)) -> torch.Tensor:
    # joblib passes large arrays to its workers as read-only, and torch warns of such arrays
    return torch.from_numpy(np.require(embeddings[rows], requirements=["C", "W"]))
