"""Trained LSTM and GRU networks: a classifier and a regressor of sequences or of their steps."""

from skseqmetric._estimators.recurrent.classifier import RecurrentClassifier
from skseqmetric._estimators.recurrent.regressor import RecurrentRegressor

__all__ = ["RecurrentClassifier", "RecurrentRegressor"]
