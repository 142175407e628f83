"""What a plain table says of a sequence: the baseline that sees no order of steps beyond neighbours and a trend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.preprocessing import FunctionTransformer

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


def summarised(X: Sequence[np.ndarray]) -> np.ndarray:
    """(n, 2 C 10 + 1): of every channel and of its differences, and the number of steps.

    Mean, standard deviation, least, largest, five quantiles and the slope over the sequence's own steps.
    """
    return np.array([[*_of(x), *_of(np.diff(x, axis=0)), len(x)] for x in X])


def _of(x: np.ndarray) -> np.ndarray:
    x = x if len(x) else np.zeros((1, x.shape[1]))
    t = np.arange(len(x)) - (len(x) - 1) / 2
    slope = t @ x / max(t @ t, 1.0)
    return np.concatenate([x.mean(0), x.std(0), x.min(0), x.max(0), *np.quantile(x, LEVELS, axis=0), slope])


def summarizer() -> FunctionTransformer:
    """The same as a step of a pipeline."""
    return FunctionTransformer(summarised, validate=False)
