"""Distances by aligning steps, which learn nothing: dynamic time warping, and what tslearn has beside it."""

from __future__ import annotations

from skseqmetric._estimators.dtw.metric import DTWMetric
from skseqmetric._estimators.dtw.named import TslearnDistance

__all__ = ["DTWMetric", "TslearnDistance"]
