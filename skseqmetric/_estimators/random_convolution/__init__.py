"""Fixed random convolutions: their features, and a metric on them."""

from skseqmetric._estimators.random_convolution.transformer import RandomConvolutionTransformer

__all__ = ["RandomConvolutionTransformer"]
