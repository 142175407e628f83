"""Standardisation of channels, learned in float64."""

from __future__ import annotations

import numpy as np

from skseqmetric._input import Sequences


def channel_scaling(sequences: Sequences, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (C,) of every channel over all steps, weighted by sequence, in float64.

    The deviation of a constant channel is 1: the channel keeps its zero distance from the mean.
    """
    share = np.repeat(weights / (weights @ sequences.lengths), sequences.lengths)
    mean = share @ sequences.values
    deviation = np.sqrt(share @ np.square(sequences.values - mean))
    return mean, usable_deviation(deviation, mean, sequences.values.dtype)


def usable_deviation(deviation: np.ndarray, mean: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The deviation, or 1 where it is no more than rounding noise of the mean."""
    return np.where(deviation > 10 * np.finfo(dtype).eps * np.abs(mean), deviation, 1.0)
