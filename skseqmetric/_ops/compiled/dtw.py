"""Dynamic time warping by the compiled kernels, float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skseqmetric._ops.compiled._library import library

CALL_CELLS = 2**31
"""Channels of cells of one call, about a second of work: Ctrl-C is heard between calls."""

_NO_BAND = -1
_LARGEST_RADIUS = 2**40  # longer than any sequence, and far from overflow
_LARGEST = 2.0**500  # of values from which a centre may be taken: their squares and differences stay finite


def dtw_distances(
    left: Any, rows: np.ndarray, right: Any, columns: np.ndarray, radius: int | None, n_threads: int, *, table: bool
) -> np.ndarray:
    """Distances (len(rows), len(columns)) of all pairs, or (P,) of the pairs in turn."""
    rows, columns = (_operand(ids, "i8") for ids in (rows, columns))
    out = np.empty((len(rows), len(columns)) if table else len(rows))
    cells = left.values.shape[1] * _mean(left.lengths) * _mean(right.lengths) * (len(columns) if table else 1)
    n_channels, sides = left.values.shape[1], [_stacked(side) for side in (left, right)]
    band = _band(radius)
    for part in _calls(len(rows), cells):
        here = rows[part], columns if table else columns[part]
        library().dtw(
            out[part].ctypes.data, *sides[0], *sides[1],
            here[0].ctypes.data, len(here[0]), here[1].ctypes.data, len(columns) if table else -1,
            n_channels, band, n_threads,
        )  # fmt: skip
    return out


def dtw_nearest(
    queries: Any, references: Any, k: int, radius: int | None, exclude: np.ndarray | None, n_threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices (Q, K) of the nearest references."""
    n, n_channels = len(queries), references.values.shape[1]
    distances, indices = np.empty((n, k)), np.empty((n, k), dtype=np.int64)
    narrow, scale_and_error = _narrow(queries.values, references.values)
    if exclude is not None:
        exclude = _operand(exclude, "i8")
    cells = n_channels * _mean(queries.lengths) * float(references.lengths.sum())
    starts, by_length = queries.starts, np.argsort(references.lengths, kind="stable")
    for part in _calls(n, cells):
        library().dtw_nearest(
            distances[part].ctypes.data, indices[part].ctypes.data,
            queries.values.ctypes.data, narrow[0].ctypes.data, starts[part].ctypes.data, len(distances[part]),
            references.values.ctypes.data, narrow[1].ctypes.data, references.starts.ctypes.data, len(references),
            by_length.ctypes.data, None if exclude is None else exclude[part].ctypes.data,
            k, n_channels, _band(radius), scale_and_error.ctypes.data, n_threads,
        )  # fmt: skip
    return distances, indices


def _narrow(queries: np.ndarray, references: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Values less a centre, scaled to at most 1, in float32; the scale, and their squared error for a pair of steps.

    The scale is a power of two. A value has an error of at most 2^-24 of the largest of its channel, a difference has
    that of both; what float32 and float64 round to zero is added.
    """
    ends = [(values.min(0), values.max(0)) for values in (queries, references)]
    low, high = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
    if max(-low.min(), high.max()) < _LARGEST:
        centre = low + (high - low) / 2
    else:
        centre = np.zeros_like(low)
    reach = np.maximum(high - centre, centre - low)
    scale = 2.0 ** -np.clip(np.frexp(reach.max())[1], -1000, 1000)
    errors = reach * scale * 2.0**-22.9 + 2.0**-62 + scale * 2.0**-510
    narrow = [_narrowed(values, centre, scale) for values in (queries, references)]
    return narrow, np.array([scale, (errors**2).sum()])


def _narrowed(values: np.ndarray, centre: np.ndarray, scale: float) -> np.ndarray:
    out = np.empty(values.shape, dtype=np.float32)
    for start in range(0, len(values), 2**14):
        part = values[start : start + 2**14] - centre
        np.multiply(part, scale, out=part)
        out[start : start + 2**14] = part
    return out


def _calls(n: int, cells: float) -> Iterator[slice]:
    """Parts of n rows of so many channels of cells each, at least 64 rows."""
    height = max(64, int(CALL_CELLS / max(cells, 1)))
    return (slice(start, min(start + height, n)) for start in range(0, n, height))


def _stacked(side: Any) -> tuple[int, int, int]:
    return _operand(side.values, "f8").ctypes.data, _operand(side.starts, "i8").ctypes.data, len(side)


def _operand(array: np.ndarray, dtype: str) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=dtype)


def _mean(lengths: np.ndarray) -> float:
    return float(lengths.mean())


def _band(radius: int | None) -> int:
    return _NO_BAND if radius is None else min(int(radius), _LARGEST_RADIUS)
