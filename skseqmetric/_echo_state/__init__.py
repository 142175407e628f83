"""Echo state networks: fixed random reservoirs with a linear read-out."""

from skseqmetric._echo_state._classifier import EchoStateClassifier
from skseqmetric._echo_state._regressor import EchoStateRegressor
from skseqmetric._echo_state._transformer import EchoStateTransformer

__all__ = ["EchoStateClassifier", "EchoStateRegressor", "EchoStateTransformer"]
