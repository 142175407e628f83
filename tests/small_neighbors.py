"""Estimators of neighbours, metrics of every kind for them, and sequences."""

from __future__ import annotations

import numpy as np

from skseqmetric import (
    DTWMetric,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
)
from tests.fake_metrics import MeanMetric, mean_tile, random_sequences

METRICS = {
    "euclidean": MeanMetric(),
    "pairwise": MeanMetric(euclidean=False),
    "callable": mean_tile,
    "dtw": "dtw",
    "dtw estimator": DTWMetric(window=3),
}
ESTIMATORS = [SequenceKNeighborsClassifier, SequenceKNeighborsRegressor, SequenceNeighborsTransformer]


def labelled_sequences(rng):
    """40 training sequences, 8 of them copies, with text labels; 15 others."""
    X = random_sequences(rng, 40, longest=6, copies=8)
    y = np.array(["a", "b", "c"])[rng.integers(0, 3, size=40)]
    return X, y, random_sequences(rng, 15, longest=6)
