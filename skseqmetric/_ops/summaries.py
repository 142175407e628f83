"""Summary statistics of one channel over time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]
"""Values (T, C) in float64 -> numbers (C,)."""


def slope(values: np.ndarray) -> np.ndarray:
    """Slope of the least-squares line, for one step."""
    steps = np.arange(len(values)) - (len(values) - 1) / 2
    return steps @ values / max(1.0, float(steps @ steps))


def mean_absolute_change(values: np.ndarray) -> np.ndarray:
    """Mean of |x_t - x_{t-1}|, 0 for a single step."""
    return np.abs(np.diff(values, axis=0)).sum(axis=0) / max(1, len(values) - 1)


def zero_crossings(values: np.ndarray) -> np.ndarray:
    """Share of the steps after the first at which the channel crosses its mean."""
    above = values > values.mean(axis=0)
    return (above[1:] != above[:-1]).sum(axis=0) / max(1, len(values) - 1)


def autocorrelation(values: np.ndarray) -> np.ndarray:
    """Autocorrelation at lag 1, 0 for a constant channel."""
    centred = values - values.mean(axis=0)
    return _ratio((centred[1:] * centred[:-1]).sum(axis=0), (centred**2).sum(axis=0))


def dominant_frequency(values: np.ndarray) -> np.ndarray:
    """Frequency of the largest power, in cycles a step, without the mean; 0 for a constant channel."""
    power = np.abs(np.fft.rfft(values - values.mean(axis=0), axis=0)) ** 2
    largest = np.argmax(power, axis=0)
    moves = np.ptp(values, axis=0) > 0
    return np.where(moves, largest / len(values), 0.0)


def spectral_entropy(values: np.ndarray) -> np.ndarray:
    """Entropy of the shares of power over frequencies, from 0 (one sine) to 1 (white); 0 for a constant channel."""
    power = np.abs(np.fft.rfft(values - values.mean(axis=0), axis=0)[1:]) ** 2
    if len(power) < 2:
        return np.zeros(values.shape[1])
    share = _ratio(power, np.broadcast_to(power.sum(axis=0), power.shape))
    logarithm = np.log(share, out=np.zeros_like(share), where=share > 0)
    return -(share * logarithm).sum(axis=0) / np.log(len(power))


def skewness(values: np.ndarray) -> np.ndarray:
    """Third central moment in units of the standard deviation, 0 for a constant channel."""
    return (_standardised(values) ** 3).mean(axis=0)


def kurtosis(values: np.ndarray) -> np.ndarray:
    """Fourth central moment in units of the standard deviation, 0 for a constant channel."""
    return (_standardised(values) ** 4).mean(axis=0)


def _standardised(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    return _ratio(centred, np.broadcast_to(centred.std(axis=0), centred.shape))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


STATISTICS: dict[str, Statistic] = {
    "mean": lambda x: x.mean(axis=0),
    "std": lambda x: x.std(axis=0),
    "min": lambda x: x.min(axis=0),
    "max": lambda x: x.max(axis=0),
    "median": lambda x: np.median(x, axis=0),
    "lower_quartile": lambda x: np.quantile(x, 0.25, axis=0),
    "upper_quartile": lambda x: np.quantile(x, 0.75, axis=0),
    "first": lambda x: x[0],
    "last": lambda x: x[-1],
    "slope": slope,
    "mean_absolute_change": mean_absolute_change,
    "zero_crossings": zero_crossings,
    "energy": lambda x: (x**2).mean(axis=0),
    "autocorrelation": autocorrelation,
    "dominant_frequency": dominant_frequency,
    "spectral_entropy": spectral_entropy,
    "skewness": skewness,
    "kurtosis": kurtosis,
}
"""Every statistic by its name, in the order of the features."""


def summaries(values: np.ndarray, names: list[str]) -> np.ndarray:
    """Return statistics (C, F) of values (T, C), in float64."""
    wide = values.astype(np.float64)
    return np.column_stack([STATISTICS[name](wide) for name in names])
