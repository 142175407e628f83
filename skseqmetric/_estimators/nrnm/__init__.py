"""Non-local recurrent neural memory: classifier of sequences, classifier of steps, metric."""

from skseqmetric._estimators.nrnm.classifier import NRNMClassifier
from skseqmetric._estimators.nrnm.metric import NRNMMetric
from skseqmetric._estimators.nrnm.steps import NRNMStepClassifier

__all__ = ["NRNMClassifier", "NRNMMetric", "NRNMStepClassifier"]
