"""Standardisation of channels, computed in float64."""

from __future__ import annotations

import numpy as np

from skseqmetric._input import Sequences


def channel_scaling(sequences: Sequences, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (C,) of every channel over all steps, weighted by sequence, in float64.

    The deviation of a constant channel is set to 1. Its scaled values are then 0.
    """
    share = np.repeat(weights / (weights @ sequences.lengths), sequences.lengths)
    mean = share @ sequences.values
    centred = sequences.values - mean
    deviation = np.sqrt(share @ np.square(centred, out=centred))
    return mean, usable_deviation(deviation, mean, sequences.values.dtype)


def usable_deviation(deviation: np.ndarray, mean: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Replace deviations by 1 that are at most the rounding error of the mean."""
    return np.where(deviation > 10 * np.finfo(dtype).eps * np.abs(mean), deviation, 1.0)
