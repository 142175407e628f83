"""Sequences on another regular grid of times, by SciPy's polyphase filters."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

LARGEST_FACTOR = 1000
"""Largest number of the fraction that stands for the ratio of two rates."""

JITTER = 0.05
"""Share of an interval by which time stamps may differ from a regular grid."""

_LAST = 1e-3  # of an interval: a time stamp that misses a grid point by rounding alone, such as seconds since 1970


def with_steps(values: np.ndarray, n_steps: int) -> np.ndarray:
    """Return (n_steps, C): values (T, C) on an even grid from the first step to the last one."""
    length = len(values)
    if length == n_steps:
        return values
    if n_steps == 1:
        return values.mean(axis=0, keepdims=True)
    if length == 1:
        return np.repeat(values, n_steps, axis=0)
    return _polyphase(values, n_steps - 1, length - 1)[:n_steps]


def at_rate(values: np.ndarray, times: np.ndarray, rate: float) -> np.ndarray:
    """Return values (T, C), observed at increasing times (T,), on the grid times[0] + j / rate up to times[-1].

    Where the rate becomes lower, a low-pass filter removes what is above half the new rate. Time stamps that are not
    regular are first interpolated linearly on a regular grid that is at least as fine.
    """
    duration = float(times[-1] - times[0])
    n_steps = grid_length(duration, rate)
    if n_steps == 1:
        return values[:1]
    ratio = duration * rate / (len(times) - 1)  # new steps for one old interval
    fraction = Fraction(ratio).limit_denominator(LARGEST_FACTOR)
    if is_regular(times) and _is_exact(fraction, ratio, n_steps):
        return _polyphase(values, fraction.numerator, fraction.denominator)[:n_steps]
    factor = max(1, int(np.ceil(1 / ratio)))
    fine = _lines(values, times, times[0] + np.arange((n_steps - 1) * factor + 1) / (rate * factor))
    return fine if factor == 1 else _polyphase(fine, 1, factor)[:n_steps]


def grid_length(duration: float, rate: float) -> int:
    """Return the number of grid points from the first time stamp to the last."""
    return int(np.floor(duration * rate + _LAST)) + 1


def is_regular(times: np.ndarray) -> bool:
    """Whether time stamps lie within `JITTER` of a regular grid."""
    grid = np.linspace(times[0], times[-1], len(times))
    return bool(np.abs(times - grid).max() <= JITTER * (times[-1] - times[0]) / max(1, len(times) - 1))


def _is_exact(fraction: Fraction, ratio: float, n_steps: int) -> bool:
    """Whether steps at a fraction of the rate stay beside their places up to the end."""
    close = fraction > 0 and abs(1 / ratio - 1 / float(fraction)) * n_steps <= JITTER
    return bool(close) and fraction.numerator <= LARGEST_FACTOR


def _lines(values: np.ndarray, times: np.ndarray, grid: np.ndarray) -> np.ndarray:
    return np.column_stack([np.interp(grid, times, channel) for channel in values.T])


def _polyphase(values: np.ndarray, up: int, down: int) -> np.ndarray:
    """Resample by up / down. The line from the first value to the last is kept aside, so that ends do not ring."""
    from scipy.signal import resample_poly  # a slow import

    if up == down:
        return values
    slope = (values[-1] - values[0]) / max(1, len(values) - 1)
    found = resample_poly(values - _line(values[0], slope, np.arange(len(values))), up, down, axis=0)
    return found + _line(values[0], slope, np.arange(len(found)) * down / up)


def _line(start: np.ndarray, slope: np.ndarray, places: np.ndarray) -> np.ndarray:
    return start + slope * places[:, None]
