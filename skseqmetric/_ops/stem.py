"""Two convolutions over time with GELU, in front of a recurrence."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv1d, gelu, pad

from skseqmetric._ops import compiled
from skseqmetric._ops.dispatch import choose
from skseqmetric._ops.stem_shape import StemShape
from skseqmetric._ops.steps import valid_steps


def conv_stem(
    x: Tensor, lengths: Tensor, weights: tuple[Tensor, ...], shape: StemShape, factors: Tensor | None = None
) -> Tensor:
    """Return gelu(conv(gelu(conv(x)))), (B, T, C) -> (B, T', F), zero past the end of a sequence.

    Both convolutions take zeros for steps outside the sequence, and leave (T - 1) // stride + 1 steps.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
    lengths : Tensor of shape (B,)
    weights : the weights (F, C, K) and biases (F,) of the first convolution, then those of the second
    shape : StemShape
    factors : Tensor of shape (B, F), optional
        What the filters of a sequence are multiplied by.
    """
    if _by_kernels(x, weights, shape):
        return compiled.conv_stem(x, lengths, weights, shape, factors)
    return _by_torch(x, lengths, weights, shape, factors)


def _by_kernels(x: Tensor, weights: tuple[Tensor, ...], shape: StemShape) -> bool:
    plain = x.device.type == "cpu" and not x.requires_grad and not torch.is_autocast_enabled("cpu")
    if not plain or weights[0].dtype != torch.float32 or max(shape.strides) > compiled.MAX_STRIDE:
        return False
    return choose("stem", x, len(weights[0])) == "compiled"


def _by_torch(
    x: Tensor, lengths: Tensor, weights: tuple[Tensor, ...], shape: StemShape, factors: Tensor | None
) -> Tensor:
    """At inference a single sequence comes twice: torch convolves one by another algorithm, which rounds otherwise."""
    n, n_steps = x.shape[:2]
    x = x.masked_fill(~valid_steps(lengths, n_steps)[..., None], 0).transpose(1, 2)
    if torch.is_inference_mode_enabled() and n == 1:
        x = x.expand(2, -1, -1)
    for layer, stride in enumerate(shape.strides):
        kernel, in_front = shape.kernels[layer], shape.in_front[layer]
        both = in_front if 2 * in_front == kernel - 1 else 0
        x = x if both else pad(x, (in_front, kernel - 1 - in_front))
        x = gelu(conv1d(x, weights[2 * layer], weights[2 * layer + 1], stride, both))
        lengths = torch.div(lengths - 1, stride, rounding_mode="floor") + 1
        x = x * valid_steps(lengths, x.shape[2])[:, None, :]
    if factors is not None:
        x = x * factors[..., None]
    return x[:n].transpose(1, 2)
