"""Missing values of sequences: lines across gaps, what was observed, and the time since.

Sequences are stacked along time, values (S, C) with NaN where nothing was observed. Times are the numbers of the steps
if none are given.
"""

from __future__ import annotations

import numpy as np


def interpolated(
    values: np.ndarray, lengths: np.ndarray, fill: np.ndarray, times: np.ndarray | None = None
) -> np.ndarray:
    """Return values (S, C) without NaN: lines between observed values, held at the ends of a sequence.

    A channel that a sequence never observes becomes its number in `fill` (C,). The dtype is kept.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values
    rows, channels = np.nonzero(missing)
    before, after = (found[rows, channels] for found in observed_rows(~missing, lengths))
    left, right = np.where(before >= 0, before, after), np.where(after >= 0, after, before)
    clock = _clock(len(values), times)
    span = clock[right] - clock[left]
    share = np.divide(clock[rows] - clock[left], span, out=np.zeros(len(rows)), where=span > 0)
    lines = (1 - share) * values[left, channels] + share * values[right, channels]
    filled = values.copy()
    filled[rows, channels] = np.where(left >= 0, lines, fill[channels])
    return filled


def observed_rows(observed: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (S, C) of the nearest observed values of the same sequence, not after and not before; else -1."""
    n, stops = len(observed), np.cumsum(lengths)
    first, end = (np.repeat(bound, lengths)[:, None] for bound in (stops - lengths, stops))
    rows = np.arange(n)[:, None]
    before = np.maximum.accumulate(np.where(observed, rows, -1), axis=0)
    after = np.minimum.accumulate(np.where(observed, rows, n)[::-1], axis=0)[::-1]
    return np.where(before >= first, before, -1), np.where(after < end, after, -1)


def time_since_observed(observed: np.ndarray, lengths: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """Return the time (S, C) since the last observed value, or since the beginning of the sequence before the first."""
    before, _ = observed_rows(observed, lengths)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)[:, None]
    clock = _clock(len(observed), times)
    return clock[:, None] - clock[np.where(before >= 0, before, first)]


def masked(values: np.ndarray, lengths: np.ndarray, fill: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """Return (S, 3 C): the interpolated channels, 1 where they were observed and else 0, and the times since."""
    observed = ~np.isnan(values)
    since = time_since_observed(observed, lengths, times)
    return np.concatenate([interpolated(values, lengths, fill, times), observed, since], axis=1, dtype=values.dtype)


def observed_means(values: np.ndarray) -> np.ndarray:
    """Return the mean (C,) of the observed values of every channel, in float64; 0 if there are none."""
    observed = ~np.isnan(values)
    counts = observed.sum(axis=0)
    # in units of the largest value, so that no sum overflows
    unit = np.max(np.abs(values), axis=0, initial=0, where=observed).astype(np.float64)
    unit[unit == 0] = 1
    sums = np.sum(values / unit, axis=0, where=observed, dtype=np.float64)
    return np.divide(sums, counts, out=np.zeros(len(unit)), where=counts > 0) * unit


def _clock(n: int, times: np.ndarray | None) -> np.ndarray:
    return np.arange(n, dtype=np.float64) if times is None else times
