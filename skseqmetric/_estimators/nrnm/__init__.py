"""Estimators with non-local recurrent neural memory (NRNM): classifier, regressor and metric."""

from skseqmetric._estimators.nrnm.classifier import NRNMClassifier, NRNMStepClassifier
from skseqmetric._estimators.nrnm.metric import NRNMMetric
from skseqmetric._estimators.nrnm.regressor import NRNMRegressor

__all__ = ["NRNMClassifier", "NRNMMetric", "NRNMRegressor", "NRNMStepClassifier"]
