"""Neighbour estimators for any distance between sequences: classifier, regressor and graph transformer."""

from __future__ import annotations

from skseqmetric._estimators.neighbors.classifier import SequenceKNeighborsClassifier
from skseqmetric._estimators.neighbors.regressor import SequenceKNeighborsRegressor
from skseqmetric._estimators.neighbors.transformer import SequenceNeighborsTransformer

__all__ = ["SequenceKNeighborsClassifier", "SequenceKNeighborsRegressor", "SequenceNeighborsTransformer"]
