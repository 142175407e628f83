"""Learned distances for sequences, inside scikit-learn."""

from skseqmetric import datasets, inspection, metrics
from skseqmetric._estimators.cross_modal import CrossModalTranscriber, CrossModalTripletEmbedder
from skseqmetric._estimators.dtw import DTWMetric
from skseqmetric._estimators.echo_state import EchoStateClassifier, EchoStateRegressor, EchoStateTransformer
from skseqmetric._estimators.neighbors import (
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
)
from skseqmetric._estimators.nrnm import NRNMClassifier, NRNMMetric, NRNMStepClassifier
from skseqmetric._estimators.recurrent import RecurrentClassifier, RecurrentRegressor
from skseqmetric._estimators.sync_gru import SyncGRUMetric
from skseqmetric._input.converters import from_channels_first, from_padded, to_padded

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
