"""Estimators that hold a metric: neighbours by class or number, their graph, and all distances."""

from __future__ import annotations

from skseqmetric._estimators.neighbors.classifier import SequenceKNeighborsClassifier
from skseqmetric._estimators.neighbors.distances import SequenceDistances
from skseqmetric._estimators.neighbors.regressor import SequenceKNeighborsRegressor
from skseqmetric._estimators.neighbors.transformer import SequenceNeighborsTransformer

__all__ = [
    "SequenceDistances",
    "SequenceKNeighborsClassifier",
    "SequenceKNeighborsRegressor",
    "SequenceNeighborsTransformer",
]
