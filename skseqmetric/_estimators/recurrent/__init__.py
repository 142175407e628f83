"""Trained recurrent networks: LSTM and GRU, for labels or numbers, of sequences or of their steps."""

from skseqmetric._estimators.recurrent.classifier import RecurrentClassifier
from skseqmetric._estimators.recurrent.regressor import RecurrentRegressor

__all__ = ["RecurrentClassifier", "RecurrentRegressor"]
