"""The windows of one recording, in blocks of bounded memory and in the order of their first steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, log
from numbers import Integral
from typing import Any

import numpy as np
from sklearn import get_config

from skseqmetric._input import Sequences
from skseqmetric._ops.windows import starts_between

STEP = 4 / 3
"""Ratio of neighbouring lengths of "auto": a pattern then shares at least 3/4 of its steps with a window in place."""

_LARGEST = 2**20
"""Values of the windows of a block, and distances to them. Larger blocks are not faster."""

_BYTES_PER_VALUE = 32
"""A value, and the copies of it that a metric makes."""


@dataclass(frozen=True, eq=False)
class WindowBlock:
    """Some windows of a recording. `seen` is a step before which no later window begins."""

    starts: np.ndarray
    stops: np.ndarray
    sequences: Sequences
    seen: int


def automatic_lengths(lengths: np.ndarray) -> np.ndarray:
    """Return lengths from 3/4 of the shortest query to 4/3 of the longest one, each at most 4/3 of the one before."""
    shortest, longest = lengths.min() / STEP, lengths.max() * STEP
    n_steps = ceil(round(log(longest / shortest) / log(STEP), 6))
    return np.unique(np.maximum(1, np.round(np.geomspace(shortest, longest, n_steps + 1)))).astype(np.int64)


def stride_of(width: int, stride: float) -> int:
    """Return the steps from a window to the next, where the stride is a number of steps, or a share of the width."""
    return int(stride) if isinstance(stride, Integral) else max(1, round(float(stride) * width))


def window_blocks(recording: Sequences, lengths: np.ndarray, stride: float, n_queries: int) -> Iterator[WindowBlock]:
    """Yield all windows of one recording, which may lie in a memory map. A longer window is the whole recording."""
    n_steps = len(recording.values)
    widths = np.unique(np.minimum(lengths, n_steps)).tolist()
    strides = [stride_of(width, stride) for width in widths]
    size = _steps_of_a_block(widths, strides, recording.n_channels, n_queries)
    for first in range(0, n_steps - widths[0] + 1, size):
        parts = [starts_between(n_steps, w, s, first, first + size) for w, s in zip(widths, strides, strict=True)]
        starts = np.concatenate(parts)
        if len(starts):
            stops = starts + np.repeat(widths, [len(part) for part in parts])
            yield WindowBlock(starts, stops, _cut(recording, starts, stops), first + size)


def _steps_of_a_block(widths: list[int], strides: list[int], n_channels: int, n_queries: int) -> int:
    most = min(_LARGEST, int(get_config()["working_memory"] * 2**20) // _BYTES_PER_VALUE)
    values = n_channels * sum(width / stride for width, stride in zip(widths, strides, strict=True))
    distances = n_queries * sum(1 / stride for stride in strides)
    return max(1, int(most / max(values, distances)))


def _cut(recording: Sequences, starts: np.ndarray, stops: np.ndarray) -> Sequences:
    first = int(starts.min())
    steps: Any = recording.values[first : int(stops.max())]  # the caller's data are read once
    places = zip((starts - first).tolist(), (stops - first).tolist(), strict=True)
    values = np.concatenate([steps[start:stop] for start, stop in places])
    return replace(recording, values=values, lengths=stops - starts, table_width=None, feature_names=None)
