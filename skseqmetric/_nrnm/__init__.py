"""Non-local recurrent neural memory: classifier of sequences, classifier of steps, metric."""

from skseqmetric._nrnm._classifier import NRNMClassifier
from skseqmetric._nrnm._metric import NRNMMetric
from skseqmetric._nrnm._steps import NRNMStepClassifier

__all__ = ["NRNMClassifier", "NRNMMetric", "NRNMStepClassifier"]
