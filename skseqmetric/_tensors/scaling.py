"""Standardisation of channels: mean and deviation in float64, scaled values in float32, none too large for it."""

from __future__ import annotations

import numpy as np

from skseqmetric._input import Sequences

LARGEST = 1e15
"""Bound of scaled values: their squares, summed over all steps and channels, must fit into float32."""

_STEPS = 2**14  # scaled at a time, so that no second array in the precision of the input is made
_OUTLYING = 1e12  # a value so many times larger than nine of ten others is a marker, not a measurement


def channel_scaling(sequences: Sequences, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (C,) of every channel over all steps, weighted by sequence, in float64.

    The deviation of a constant channel is set to 1. Its scaled values are then 0.

    Raises
    ------
    ValueError
        A channel has a value beside which all others vanish, such as a fill value for missing ones.
    """
    share = np.repeat(weights / (weights @ sequences.lengths), sequences.lengths)
    mean, deviation = weighted_moments(sequences.values, share)
    for channel in np.flatnonzero(deviation > LARGEST):
        _refuse_outlier(sequences, channel, share > 0)
    return mean, usable_deviation(deviation, mean, sequences.values.dtype)


def weighted_moments(values: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (C,) of values (n, C) whose weights `share` (n,) sum to 1, in float64.

    Columns whose squares overflow or vanish in float64 are computed in units of their largest value.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean = share @ values
        centred = values - mean
        deviation = np.sqrt(share @ np.square(centred, out=centred))
    for column in np.flatnonzero(~((deviation > 1e-140) & (deviation < 1e140))):
        unit = float(np.abs(values[:, column]).max())
        if unit > 0:
            inside = values[:, column] / unit
            middle = share @ inside
            deviation[column] = unit * np.sqrt(share @ np.square(inside - middle))
            mean[column] = unit * middle
    return mean, deviation


def usable_deviation(deviation: np.ndarray, mean: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Replace deviations by 1 that are at most the rounding error of the mean."""
    return np.where(deviation > 10 * np.finfo(dtype).eps * np.abs(mean), deviation, 1.0)


def standardised(sequences: Sequences, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return (x - mean) / scale as float32 (sum of lengths, C), computed in the precision of the input.

    Raises
    ------
    ValueError
        A scaled value is beyond `LARGEST`. The message names sequence, step and channel.
    """
    values = np.empty(sequences.values.shape, dtype=np.float32)
    mean, scale = _in_precision(sequences.values.dtype, mean, scale)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(values), _STEPS):
            part = sequences.values[start : start + _STEPS] - mean
            np.divide(part, scale, out=part)
            flat = part.ravel()
            # one product instead of a comparison of every value; where it overflows, they are compared
            if not flat @ flat <= LARGEST**2:
                _refuse_large(sequences, part, start)
            values[start : start + _STEPS] = part
    return values


def standardised_step(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return one step (C,), scaled as in `standardised`."""
    return standardised(Sequences(x[np.newaxis], np.ones(1, dtype=np.int64)), mean, scale)[0]


def _in_precision(dtype: np.dtype, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale in the precision of the input, or in float64 if they do not fit into it."""
    kind = np.finfo(dtype)
    fits = (np.abs(mean) < kind.max).all() and (scale < kind.max).all() and (scale > kind.tiny).all()
    return (mean.astype(dtype), scale.astype(dtype)) if fits else (mean, scale)


def _refuse_large(sequences: Sequences, part: np.ndarray, start: int) -> None:
    inside = np.abs(part) <= LARGEST
    if inside.all():
        return
    row, channel = np.unravel_index(int(np.argmin(inside)), part.shape)
    value, scaled = sequences.values[start + row, channel], part[row, channel]
    raise ValueError(
        f"{_place(sequences, start + int(row), int(channel))} is {value:.6g}, and {scaled:.3g} after scaling: the "
        f"largest scaled value is {LARGEST:.0e}. Is it a fill value for missing data? Impute such values or cut them "
        "off first."
    )


def _refuse_outlier(sequences: Sequences, channel: int, counted: np.ndarray) -> None:
    """Refuse a value that hides all others of its channel."""
    sizes = np.where(counted, np.abs(sequences.values[:, channel]), 0)
    row = int(np.argmax(sizes))
    if sizes[row] <= _OUTLYING * np.quantile(sizes[counted], 0.9):
        return
    raise ValueError(
        f"{_place(sequences, row, channel)} is {sequences.values[row, channel]:.6g}, and nine of ten others are more "
        f"than {_OUTLYING:.0e} times smaller, so that scaling would make them equal. Is it a fill value for missing "
        "data? Impute such values or cut them off first."
    )


def _place(sequences: Sequences, row: int, channel: int) -> str:
    i = int(np.searchsorted(np.cumsum(sequences.lengths), row, side="right"))
    return f"sequence {i}, step {row - int(sequences.offsets[i])}, channel {channel}"
