"""Learned distances for sequences, inside scikit-learn."""

from skseqmetric import datasets, inspection, metrics
from skseqmetric._converters import from_channels_first, from_padded, to_padded
from skseqmetric._cross_modal import CrossModalTranscriber, CrossModalTripletEmbedder
from skseqmetric._dtw import DTWMetric
from skseqmetric._echo_state import EchoStateClassifier, EchoStateRegressor, EchoStateTransformer
from skseqmetric._neighbors import (
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
)
from skseqmetric._nrnm import NRNMClassifier, NRNMMetric, NRNMStepClassifier
from skseqmetric._recurrent import RecurrentClassifier, RecurrentRegressor
from skseqmetric._sync_gru import SyncGRUMetric

__version__ = "0.1.0"

__all__ = [
    "CrossModalTranscriber",
    "CrossModalTripletEmbedder",
    "DTWMetric",
    "EchoStateClassifier",
    "EchoStateRegressor",
    "EchoStateTransformer",
    "NRNMClassifier",
    "NRNMMetric",
    "NRNMStepClassifier",
    "RecurrentClassifier",
    "RecurrentRegressor",
    "SequenceKNeighborsClassifier",
    "SequenceKNeighborsRegressor",
    "SequenceNeighborsTransformer",
    "SyncGRUMetric",
    "datasets",
    "from_channels_first",
    "from_padded",
    "inspection",
    "metrics",
    "to_padded",
]
