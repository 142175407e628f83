"""Trained recurrent networks: LSTM and GRU, for labels or numbers, of sequences or of their steps."""

from skseqmetric._recurrent._classifier import RecurrentClassifier
from skseqmetric._recurrent._regressor import RecurrentRegressor

__all__ = ["RecurrentClassifier", "RecurrentRegressor"]
