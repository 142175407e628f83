"""1-NN by dynamic time warping whose band is chosen on the training split, as the archives' own baseline is."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from skseqmetric import DTWMetric, SequenceKNeighborsClassifier, SequenceNeighborsTransformer

SHARES = (*(k / 100 for k in range(21)), 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
"""Of the longest training sequence; equal radii are tried once."""


class BandByLeaveOneOut:
    """The narrowest of the bands that make the fewest errors when every training sequence is left out once."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def fit(self, X: list[np.ndarray], y: np.ndarray) -> Self:
        """Choose, then keep the references."""
        longest = max(map(len, X))
        radii = sorted({int(share * longest) for share in SHARES})
        errors = [self._errors(X, y, radius) for radius in radii]
        self.radius_ = radii[int(np.argmin(errors))]
        self.model_ = SequenceKNeighborsClassifier(self._metric(self.radius_), n_neighbors=1).fit(X, y)
        return self

    def _errors(self, X: list[np.ndarray], y: np.ndarray, radius: int) -> int:
        search = SequenceNeighborsTransformer(self._metric(radius), n_neighbors=1).fit(X)
        nearest = search.kneighbors(return_distance=False)[:, 0]
        return int(np.sum(y[nearest] != y))

    def _metric(self, radius: int) -> DTWMetric:
        return DTWMetric(window=radius, **self.options)

    def predict(self, X: list[np.ndarray]) -> np.ndarray:
        """The label of the nearest reference."""
        return self.model_.predict(X)


class TslearnNeighbor:
    """1-NN by tslearn's own classifier."""

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = n_jobs

    def fit(self, X: list[np.ndarray], y: np.ndarray) -> Self:
        """Keep the references."""
        from tslearn.neighbors import KNeighborsTimeSeriesClassifier
        from tslearn.utils import to_time_series_dataset

        self._packed = to_time_series_dataset
        self.model_ = KNeighborsTimeSeriesClassifier(n_neighbors=1, metric="dtw", n_jobs=self.n_jobs)
        self.model_.fit(self._packed(X), y)
        return self

    def predict(self, X: list[np.ndarray]) -> np.ndarray:
        """The label of the nearest reference."""
        return self.model_.predict(self._packed(X))
