"""Learned distances for sequences, inside scikit-learn."""

from skseqmetric import datasets, exceptions, inspection, metrics
from skseqmetric._base import load
from skseqmetric._estimators.cross_modal import CrossModalTranscriber, CrossModalTripletEmbedder
from skseqmetric._estimators.dtw import DTWMetric
from skseqmetric._estimators.echo_state import EchoStateClassifier, EchoStateRegressor, EchoStateTransformer
from skseqmetric._estimators.ensemble import MetricEnsemble
from skseqmetric._estimators.index import SequenceIndex, ShardedIndex
from skseqmetric._estimators.neighbors import (
    SequenceDistances,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
)
from skseqmetric._estimators.nrnm import NRNMClassifier, NRNMMetric, NRNMRegressor, NRNMStepClassifier
from skseqmetric._estimators.preprocessing import (
    SequenceCropper,
    SequenceFeatures,
    SequenceImputer,
    SequenceResampler,
    SequenceScaler,
    SequenceWindower,
    windows_to_cases,
)
from skseqmetric._estimators.random_convolution import RandomConvolutionMetric, RandomConvolutionTransformer
from skseqmetric._estimators.recurrent import RecurrentClassifier, RecurrentRegressor
from skseqmetric._estimators.sync_gru import SyncGRUMetric
from skseqmetric._input import Images, Sequences, check_images, check_sequences
from skseqmetric._input.converters import from_channels_first, from_concatenated, from_padded, to_padded
from skseqmetric._input.fixes import from_fixes
from skseqmetric._input.long_rows import to_long
from skseqmetric._input.long_tables import from_long
from skseqmetric._metrics.merging import merge_neighbors
from skseqmetric._metrics.protocol import Metric
from skseqmetric._metrics.subsequences import find_subsequences
from skseqmetric._training.data_parallel import data_parallel

__version__ = "0.1.0"

__all__ = [
    "CrossModalTranscriber",
    "CrossModalTripletEmbedder",
    "DTWMetric",
    "EchoStateClassifier",
    "EchoStateRegressor",
    "EchoStateTransformer",
    "Images",
    "Metric",
    "MetricEnsemble",
    "NRNMClassifier",
    "NRNMMetric",
    "NRNMRegressor",
    "NRNMStepClassifier",
    "RandomConvolutionMetric",
    "RandomConvolutionTransformer",
    "RecurrentClassifier",
    "RecurrentRegressor",
    "SequenceCropper",
    "SequenceDistances",
    "SequenceFeatures",
    "SequenceImputer",
    "SequenceIndex",
    "SequenceKNeighborsClassifier",
    "SequenceKNeighborsRegressor",
    "SequenceNeighborsTransformer",
    "SequenceResampler",
    "SequenceScaler",
    "SequenceWindower",
    "Sequences",
    "ShardedIndex",
    "SyncGRUMetric",
    "check_images",
    "check_sequences",
    "data_parallel",
    "datasets",
    "exceptions",
    "find_subsequences",
    "from_channels_first",
    "from_concatenated",
    "from_fixes",
    "from_long",
    "from_padded",
    "inspection",
    "load",
    "merge_neighbors",
    "metrics",
    "to_long",
    "to_padded",
    "windows_to_cases",
]
