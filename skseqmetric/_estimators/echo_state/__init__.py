"""Echo state networks: fixed random reservoirs with a linear readout."""

from skseqmetric._estimators.echo_state.classifier import EchoStateClassifier
from skseqmetric._estimators.echo_state.regressor import EchoStateRegressor
from skseqmetric._estimators.echo_state.transformer import EchoStateTransformer

__all__ = ["EchoStateClassifier", "EchoStateRegressor", "EchoStateTransformer"]
