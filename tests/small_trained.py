"""Every estimator that is trained by gradient descent, with settings that make it small."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
    SyncGRUMetric,
)

MEMORY: dict[str, Any] = {"n_units": 4, "n_heads": 2, "n_filters": 4, "n_slots": 2, "stride": 2}
STACKED: dict[str, Any] = {"n_units": 4, "n_layers": 2}
CROSS: dict[str, Any] = {"n_units": 4, "n_filters": 6, "n_components": 3}
SETTINGS: dict[Any, dict[str, Any]] = {
    SyncGRUMetric: {"n_units": 4, "n_filters": 6, "coupling": None, "samples_per_class": 8},
    NRNMMetric: {**MEMORY, "samples_per_class": 8},
    NRNMClassifier: MEMORY,
    NRNMRegressor: MEMORY,
    NRNMStepClassifier: MEMORY,
    RecurrentClassifier: STACKED,
    RecurrentRegressor: STACKED,
    CrossModalTripletEmbedder: CROSS,
    CrossModalTranscriber: CROSS,
}
Data = tuple[list[np.ndarray], np.ndarray]


def targets(cls: Any, data: Data) -> Any:
    X, y = data
    if cls is NRNMStepClassifier:
        return [np.full(len(x), label) for x, label in zip(X, y, strict=True)]
    return ["abc"[label] for label in y] if cls is CrossModalTranscriber else y
