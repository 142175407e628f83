"""Where the windows of a sequence begin and end, and what most of its steps say."""

from __future__ import annotations

from typing import Any

import numpy as np


def window_starts(length: int, width: int, stride: int, partial: str) -> list[int]:
    """Return the first steps of the windows of a sequence.

    partial : what becomes of steps behind the last full window. "shift": one more window ends with the sequence.
        "keep": it begins one stride later, and is shorter. "drop": there is none.
    """
    starts = list(range(0, length - width + 1, stride))
    covered = starts[-1] + width if starts else 0
    if partial == "drop" or covered >= length:
        return starts
    if not starts:
        return [0]
    return [*starts, length - width if partial == "shift" else starts[-1] + stride]


def starts_between(length: int, width: int, stride: int, first: int, stop: int) -> np.ndarray:
    """Return those of `window_starts(length, width, stride, "shift")` from `first` to before `stop`, (m,) int64.

    No more than these are made, however long the sequence is. A window is at most as wide as the sequence is long.
    """
    last = length - width
    starts = np.arange(-(-first // stride) * stride, min(stop, last + 1), stride, dtype=np.int64)
    return np.append(starts, last) if last % stride and first <= last < stop else starts


def majority(labels: np.ndarray) -> Any:
    """Return the most frequent label; of equally frequent ones the first in their order."""
    found, counts = np.unique(labels, return_counts=True)
    return found[np.argmax(counts)]
