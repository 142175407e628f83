"""Dynamic time warping by the compiled kernels, float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import array_address
from skseqmetric._ops.progress import progress

CALL_CELLS = 2**31
"""Channels of cells of one call, about a second of work: Ctrl-C is heard between calls."""

_NO_BAND = -1
_LANES = 8  # pairs that a thread computes at a time, at most
_LARGEST_RADIUS = 2**40  # longer than any sequence, and far from overflow
_LARGEST = 2.0**500  # of values from which a centre may be taken: their squares and differences stay finite


def dtw_distances(
    left: Any, rows: np.ndarray, right: Any, columns: np.ndarray, radius: int | None, n_threads: int, *, table: bool
) -> np.ndarray:
    """Distances (len(rows), len(columns)) of all pairs, or (P,) of the pairs in turn."""
    rows, columns = (np.ascontiguousarray(ids, dtype=np.int64) for ids in (rows, columns))
    out = np.empty((len(rows), len(columns)) if table else len(rows))
    cells = left.values.shape[1] * _mean(left.lengths) * _mean(right.lengths) * (len(columns) if table else 1)
    n_channels, sides = left.values.shape[1], [_stacked(side) for side in (left, right)]
    band = _band(radius)
    with progress("distances", out.size, "pair") as bar:
        for part in _calls(len(rows), cells, least=1 if table else _LANES * n_threads):
            first, second = rows[part], columns if table else columns[part]
            pairs = first.ctypes.data, len(first), second.ctypes.data, len(second) if table else -1
            library().dtw(out[part].ctypes.data, *sides[0], *sides[1], *pairs, n_channels, band, n_threads)
            bar.advance(out[part].size)
    return out


def dtw_nearest(
    queries: Any, references: Any, k: int, radius: int | None, exclude: np.ndarray | None, n_threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices (Q, K) of the nearest references."""
    n, n_channels = len(queries), references.values.shape[1]
    distances, indices = np.empty((n, k)), np.empty((n, k), dtype=np.int64)
    narrow, scale_and_error = _narrow(queries, references)
    if exclude is not None:
        exclude = np.ascontiguousarray(exclude, dtype=np.int64)
    cells = n_channels * _mean(queries.lengths) * float(references.lengths.sum())
    sides = [_stacked(side) for side in (queries, references)]
    starts, by_length = queries.starts, np.argsort(references.lengths, kind="stable")
    among = sides[1][0], narrow[1].ctypes.data, *sides[1][1:], by_length.ctypes.data
    with progress("searching", n, "query") as bar:
        for part in _calls(n, cells, least=n_threads):
            found = distances[part].ctypes.data, indices[part].ctypes.data
            asked = sides[0][0], narrow[0].ctypes.data, starts[part].ctypes.data, len(distances[part])
            excluded = None if exclude is None else exclude[part].ctypes.data
            how = k, n_channels, _band(radius), scale_and_error.ctypes.data, n_threads
            library().dtw_nearest(*found, *asked, *among, excluded, *how)
            bar.advance(len(distances[part]))
    return distances, indices


def _narrow(queries: Any, references: Any) -> tuple[list[np.ndarray], np.ndarray]:
    """Values less a centre, scaled to at most 1, in float32; the scale, and their squared error for a pair of steps.

    The scale is a power of two. A value has an error of at most 2^-24 of the largest of its channel, a difference has
    that of both; what float32 and float64 round to zero is added.
    """
    low, high = np.minimum(queries.ends[0], references.ends[0]), np.maximum(queries.ends[1], references.ends[1])
    if max(-low.min(), high.max()) < _LARGEST:
        centre = low + (high - low) / 2
    else:
        centre = np.zeros_like(low)
    reach = np.maximum(high - centre, centre - low)
    scale = 2.0 ** -np.clip(np.frexp(reach.max())[1], -1000, 1000)
    errors = reach * scale * 2.0**-22.9 + 2.0**-62 + scale * 2.0**-510
    narrow = [_narrowed(side.values, centre, scale) for side in (queries, references)]
    return narrow, np.array([scale, (errors**2).sum()])


def _narrowed(values: np.ndarray, centre: np.ndarray, scale: float) -> np.ndarray:
    out = np.empty(values.shape, dtype=np.float32)
    for start in range(0, len(values), 2**14):
        part = values[start : start + 2**14] - centre
        np.multiply(part, scale, out=part)
        out[start : start + 2**14] = part
    return out


def _calls(n: int, cells: float, least: int) -> Iterator[slice]:
    """Parts of n rows of so many channels of cells each, with at least as many rows as keep all threads at work."""
    height = max(least, int(CALL_CELLS / max(cells, 1)))
    return (slice(start, min(start + height, n)) for start in range(0, n, height))


def _stacked(side: Any) -> tuple[int, int, int]:
    """Addresses of the values and of the first steps, and the number of sequences."""
    values = array_address(side.values, "values", np.float64)
    return values, array_address(side.starts, "starts", np.int64), len(side)


def _mean(lengths: np.ndarray) -> float:
    return float(lengths.mean())


def _band(radius: int | None) -> int:
    return _NO_BAND if radius is None else min(int(radius), _LARGEST_RADIUS)
