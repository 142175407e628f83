"""A minimal recurrent estimator: a leaky sum of its inputs, and outputs by given weights."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator


class LeakySum(BaseEstimator):
    """h_t = decay h_{t-1} + x_t, outputs y_t = h_t W."""

    def __init__(self, decay: float = 0.5, *, weights: Any = None, classes: Any = None) -> None:
        self.decay = decay
        self.weights = weights
        self.classes = classes

    def fit(self, X: Any, y: Any = None) -> Self:
        self.fitted_ = True
        if self.classes is not None:
            self.classes_ = np.array(self.classes)
        return self

    def hidden_states(self, X: Any, *, scale: float = 1.0) -> list[np.ndarray]:
        found = []
        for x in X:
            h, states = np.zeros(np.shape(x)[1], dtype=np.float32), []
            for u in np.asarray(x, dtype=np.float32):
                h = np.float32(self.decay) * h + u
                states.append(scale * h)
            found.append(np.array(states))
        return found

    def predict_prefixes(self, X: Any) -> list[np.ndarray]:
        weights = np.ones((X[0].shape[1], 1)) if self.weights is None else self.weights
        return [states @ np.asarray(weights, dtype=np.float32) for states in self.hidden_states(X)]

    def predict(self, X: Any) -> np.ndarray:
        return np.stack([outputs[-1] for outputs in self.predict_prefixes(X)])
