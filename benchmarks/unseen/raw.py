"""Distances that learn nothing of classes: of the steps as they are, and of plain features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from skseqmetric import Metric, Sequences, check_sequences

Function = Callable[[np.ndarray, np.ndarray], float]


def euclid(x: np.ndarray, y: np.ndarray) -> float:
    """Root mean square of the differences at equal steps; the longer sequence is cut."""
    n_steps = min(len(x), len(y))
    return float(np.sqrt(np.mean((x[:n_steps] - y[:n_steps]) ** 2)))


def chamfer(x: np.ndarray, y: np.ndarray) -> float:
    """Root of the mean square to the nearest step of the other, of all steps of x, plus that of all steps of y."""
    squares = ((x[:, np.newaxis] - y) ** 2).sum(axis=2)
    return float(np.sqrt(squares.min(axis=1).mean() + squares.min(axis=0).mean()))


@dataclass(frozen=True)
class Prepared:
    """An item for every sequence: its steps, or its features."""

    items: Any
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)


class FunctionMetric(Metric):
    """A symmetric function of two arrays of steps."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the input; nothing is learned."""
        check_sequences(X, estimator=self)
        self.__dict__.pop("threshold_", None)
        return self

    def _prepare(self, sequences: Sequences) -> Prepared:
        return Prepared(sequences.to_list(), sequences.lengths)

    def _tile(self, left: Prepared, rows: np.ndarray, right: Prepared, columns: np.ndarray) -> np.ndarray:
        pairs = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
        return self._rows(left, pairs[0], right, pairs[1]).reshape(len(rows), len(columns))

    def _rows(self, left: Prepared, rows: np.ndarray, right: Prepared, columns: np.ndarray) -> np.ndarray:
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return np.array([self.function(left.items[i], right.items[j]) for i, j in pairs])

    def _embeddings(self, prepared: Prepared) -> None:
        return None

    def _nearest(self, queries: Any, references: Any, k: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        return self._nearest_by_pairs(queries, references, k, **options)


class FeatureMetric(Metric):
    """The Euclidean distance of the features that a transformer finds in two sequences."""

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit a copy of the transformer."""
        check_sequences(X, estimator=self)
        self.transformer_ = clone(self.transformer).fit(X, y)
        self.__dict__.pop("threshold_", None)
        return self

    def _prepare(self, sequences: Sequences) -> Prepared:
        return Prepared(self.transformer_.transform(sequences), sequences.lengths)

    def _tile(self, left: Prepared, rows: np.ndarray, right: Prepared, columns: np.ndarray) -> np.ndarray:
        return np.stack([np.linalg.norm(left.items[row] - right.items[columns], axis=1) for row in rows])

    def _rows(self, left: Prepared, rows: np.ndarray, right: Prepared, columns: np.ndarray) -> np.ndarray:
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return np.array([np.linalg.norm(left.items[i] - right.items[j]) for i, j in pairs])

    def _embeddings(self, prepared: Prepared) -> np.ndarray:
        return np.asarray(prepared.items, dtype=np.float32)

    def _nearest(self, queries: Any, references: Any, k: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        return self._nearest_by_pairs(queries, references, k, **options)
