"""Euclidean distances of embeddings: in tiles, pair by pair, and to the references that are near."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn import get_config
from torch import Tensor

from skseqmetric._ops import device_search
from skseqmetric._ops.references import References
from skseqmetric._ops.topk import euclidean_rows, euclidean_tile
from skseqmetric._ops.twins import on_device
from skseqmetric._tensors.modes import answering

_ROWS = 2**16  # pairs in one call
_LARGEST_BUFFER = {"cpu": 2**25, "cuda": 2**29}  # bytes


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
    queries: np.ndarray, references: References, k: int, exclude: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and indices (Q, k) of the nearest references, sorted by (distance, index).

    The search runs where the references lie. Temporary arrays fit into scikit-learn's `working_memory`.
    """
    device = references.rows.device
    excluded = None if exclude is None else torch.from_numpy(exclude.astype(np.int64)).to(device)
    found = device_search.nearest(
        references, on_device(queries, device), k, exclude=excluded, memory=search_memory(device)
    )
    return found[0].numpy(), found[1].numpy()


@answering
def embedded_within(
    queries: np.ndarray, references: References, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all references up to a distance: where those of every query start, their distances and their indices."""
    device = references.rows.device
    found = device_search.within(references, on_device(queries, device), radius, memory=search_memory(device))
    return found[0].numpy(), found[1].numpy(), found[2].numpy()


def search_memory(device: torch.device) -> int:
    """Return the bytes for the scores of a search: within scikit-learn's `working_memory`, more on a GPU."""
    largest = _LARGEST_BUFFER.get(device.type, _LARGEST_BUFFER["cpu"])
    return min(int(get_config()["working_memory"] * 2**20), largest)


# ------------------------------------------------------------------ references that are prepared once

_references: dict[int, tuple[weakref.ref[Any], References]] = {}
"""Those of prepared sequences that are still in use, by the id of these. Prepared sequences do not change."""


def references_of(
    prepared: Any, embeddings: Callable[[], np.ndarray], device: torch.device | str = "cpu"
) -> References:
    """Return the embeddings of prepared sequences, ready for searches on a device. They are made once and kept.

    They are no part of the prepared sequences, so that no file and no pickle has them.
    """
    device = torch.device(device)
    known = _references.get(id(prepared))
    if known is not None and known[0]() is prepared and known[1].rows.device == device:
        return known[1]
    made = _made(embeddings(), device)
    with suppress(TypeError):  # of classes whose objects cannot be watched: they are prepared in every call
        _references[id(prepared)] = weakref.ref(prepared, partial(_forget, id(prepared))), made
    return made


@answering
def _made(embeddings: np.ndarray, device: torch.device) -> References:
    return References.of(on_device(embeddings, device))


def _forget(key: int, gone: weakref.ref[Any]) -> None:
    known = _references.get(key)
    if known is not None and known[0] is gone:  # another object may have got the same id
        _references.pop(key, None)


def _chosen(embeddings: np.ndarray, rows: np.ndarray | slice) -> Tensor:
    # joblib passes large arrays to its workers as read-only, and torch warns of such arrays
    return torch.from_numpy(np.require(embeddings[rows], requirements=["C", "W"]))
