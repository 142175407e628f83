"""Neighbour estimators over any distance between sequences: classifier, regressor, graph transformer."""

from __future__ import annotations

from skseqmetric._neighbors._classifier import SequenceKNeighborsClassifier
from skseqmetric._neighbors._regressor import SequenceKNeighborsRegressor
from skseqmetric._neighbors._transformer import SequenceNeighborsTransformer

__all__ = ["SequenceKNeighborsClassifier", "SequenceKNeighborsRegressor", "SequenceNeighborsTransformer"]
