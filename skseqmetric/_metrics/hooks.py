"""Calls of the hooks of a metric. The hooks get sequences sorted by length, and their results are checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._input import completed, n_channels_read, owned
from skseqmetric._ops.progress import is_wanted, progress

_SHOWN_PAIRS = 2**14
"""Pairs in one call of a hook where a bar shows how many are done."""


def by_length(prepared: Any) -> np.ndarray:
    """Return indices from the shortest to the longest sequence, so that a tile holds sequences of similar length."""
    return np.argsort(prepared.lengths, kind="stable")


def is_euclidean(metric: Any) -> bool:
    """Return whether the distance is the Euclidean distance of the embeddings. A metric says so by `_is_euclidean`."""
    return bool(getattr(metric, "_is_euclidean", False))


def prepare(metric: Any, sequences: Any) -> Any:
    """Return what the metric needs of the sequences. It is checked to have their number and an array of lengths."""
    if hasattr(metric, "_missing"):  # sequences that came through the door of neighbours
        sequences = completed(sequences, metric, metric._missing, reset=False)
    n, reads_lent = len(sequences), getattr(metric, "_reads_lent", False)
    prepared = metric._prepare(sequences if reads_lent else owned(sequences))
    lengths = getattr(prepared, "lengths", None)
    given = np.asarray(lengths)
    if not hasattr(prepared, "__len__") or given.shape != (n,) or given.dtype.kind not in "iu" or len(prepared) != n:
        raise ValueError(
            f"{type(metric).__name__}._prepare was given {n} sequences and returned {type(prepared).__name__} with "
            f"lengths {lengths!r}: it must return an object of length {n}, with an integer array `lengths` ({n},)."
        )
    return prepared


def kept(prepared: Any) -> Any:
    """Return prepared sequences that may be stored: they do not read the caller's data any more."""
    return prepared.kept() if hasattr(prepared, "kept") else prepared


def check_prepared(metric: Any, prepared: Any, n: int) -> None:
    """Raise ValueError unless what a file holds of n sequences has the sizes that the metric needs."""
    if len(prepared) != n or getattr(metric, "n_channels_", None) is None:
        raise ValueError(f"it has {len(prepared)} sequences and {n} targets, or its metric is not fitted.")
    values = getattr(getattr(prepared, "flat", None) or prepared, "values", None)
    if values is not None and values.shape[1] != n_channels_read(metric):
        raise ValueError(f"its sequences have {values.shape[1]} channels, and its metric is of {metric.n_channels_}.")
    vectors = getattr(prepared, "embeddings", None)
    if vectors is not None and vectors.shape[1] != metric._n_features_out:
        raise ValueError(f"its embeddings have {vectors.shape[1]} numbers, and its metric {metric._n_features_out}.")
    _check_pairing(prepared, getattr(metric, "network_config_", {}), n)


def _check_pairing(prepared: Any, config: dict[str, Any], n: int) -> None:
    """Raise ValueError unless there is what the pairs of a network need beside embeddings."""
    coupling = config.get("coupling")
    if coupling == "alignment":
        width = config["n_units"] * (2 if config.get("bidirectional") else 1)
        if getattr(prepared.places, "shape", None) != (n, config["n_places"], width):
            raise ValueError("the states of its sequences are not those of its metric.")
    elif coupling is not None and prepared.flat is None:
        raise ValueError("it has no steps of its sequences, and its metric couples them.")


def distance_tile(metric: Any, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
    """Return the distances (len(rows), len(columns)) of all pairs. They are checked to be finite numbers."""
    tile = _numbers(metric, "_tile", metric._tile(left, rows, right, columns), (len(rows), len(columns)))
    tile = np.require(tile, np.float64, ["C", "W"])
    if not np.isfinite(tile).all():
        i, j = divmod(int(np.argmin(np.isfinite(tile))), len(columns))
        _refuse_distance(tile[i, j], rows[i], columns[j])
    return tile


def distances_of_pairs(metric: Any, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
    """Return the distances (P,) of single pairs. They are checked to be finite numbers.

    The hook gets the pairs sorted by length.
    """
    order = np.argsort(np.maximum(left.lengths[rows], right.lengths[columns]), kind="stable")
    distances = np.empty(len(rows))
    size = min(len(rows), _SHOWN_PAIRS) if is_wanted() else len(rows)
    with progress("pairs", len(rows), "pair") as bar:
        for part in (order[start : start + size] for start in range(0, len(rows), max(1, size))):
            found = metric._rows(left, rows[part], right, columns[part])
            distances[part] = _numbers(metric, "_rows", found, (len(part),))
            bar.advance(len(part))
    if not np.isfinite(distances).all():
        p = int(np.argmin(np.isfinite(distances)))
        _refuse_distance(distances[p], rows[p], columns[p])
    return distances


def embedded(metric: Any, prepared: Any) -> np.ndarray | None:
    """Return the embeddings (n, D), or None if the metric has none. They are checked to be numbers."""
    found = metric._embeddings(prepared)
    if found is None:
        return None
    array = np.asarray(found)
    if array.ndim != 2 or len(array) != len(prepared) or array.dtype.kind != "f":
        raise ValueError(
            f"{type(metric).__name__}._embeddings returned shape {array.shape} and dtype {array.dtype} for "
            f"{len(prepared)} sequences: it must return floats of shape ({len(prepared)}, D), or None."
        )
    return array


def check_neighbors(
    metric: Any, found: Any, shape: tuple[int, int], n_references: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances and indices (Q, K) that `_nearest` found. They are checked for shape and range."""
    distances, indices = (_numbers(metric, "_nearest", part, shape) for part in found)
    if indices.dtype.kind not in "iu" or (indices.size and not 0 <= indices.min() <= indices.max() < n_references):
        raise ValueError(
            f"{type(metric).__name__}._nearest returned indices of dtype {indices.dtype} that are not all integers "
            f"from 0 to {n_references - 1}."
        )
    if not np.isfinite(distances).all():
        i, j = divmod(int(np.argmin(np.isfinite(distances))), shape[1])
        _refuse_distance(distances[i, j], i, indices[i, j])
    return distances.astype(np.float64, copy=False), indices.astype(np.int64, copy=False)


def _numbers(metric: Any, hook: str, found: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return what a hook found as an array of real numbers of this shape."""
    try:
        array = np.asarray(found)
    except ValueError:  # rows of unequal lengths
        array = np.empty(0, dtype=object)
    if array.shape != shape or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{type(metric).__name__}.{hook} returned {type(found).__name__} of shape {array.shape} and dtype "
            f"{array.dtype}: it must return an array of real numbers of shape {shape}."
        )
    return array


def _refuse_distance(value: float, row: int, column: int) -> None:
    raise ValueError(
        f"the distance between sequence {row} (of the first set) and sequence {column} (of the second) is "
        f"{value}: distances must be finite. Check the metric, and that the values are of moderate size."
    )
