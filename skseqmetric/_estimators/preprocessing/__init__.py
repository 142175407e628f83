"""Transformers from sequences to sequences, and to summary statistics: the steps of a Pipeline before an estimator."""

from skseqmetric._estimators.preprocessing.cropper import SequenceCropper
from skseqmetric._estimators.preprocessing.features import SequenceFeatures
from skseqmetric._estimators.preprocessing.imputer import SequenceImputer
from skseqmetric._estimators.preprocessing.resampler import SequenceResampler
from skseqmetric._estimators.preprocessing.scaler import SequenceScaler
from skseqmetric._estimators.preprocessing.voting import windows_to_cases
from skseqmetric._estimators.preprocessing.windower import SequenceWindower

__all__ = [
    "SequenceCropper",
    "SequenceFeatures",
    "SequenceImputer",
    "SequenceResampler",
    "SequenceScaler",
    "SequenceWindower",
    "windows_to_cases",
]
