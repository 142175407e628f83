"""The uncoupled GRU as a scan (`_ops.reference.gru` defines it)."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.scanned.onnx_operators import onnx_gru
from skseqmetric._ops.scanned.scan import State, projected, scan
from skseqmetric._ops.weights import RecurrentWeights, projection


def gru_states(features: Tensor, weights: list[RecurrentWeights], *, onnx: bool) -> Tensor:
    """Return states (T, D, B, H) from features (D, T, B, F). States past the end of a sequence are arbitrary."""
    run = _by_onnx if onnx else _direction
    return torch.stack([run(features[d], w) for d, w in enumerate(weights)], 1)


def _by_onnx(x: Tensor, w: RecurrentWeights) -> Tensor:
    return onnx_gru(x, (w.input, w.hidden, w.input_bias, w.hidden_bias))


def _direction(x: Tensor, w: RecurrentWeights) -> Tensor:
    """Return the states (T, B, H) of inputs (T, B, F)."""
    n = w.n_units
    (matrix,), (bias,) = projection([w], gate=False)

    def step(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
        (h,), (x_r, x_z, x_n), (hidden, last_bias) = state, inputs[0].chunk(3, 1), constants
        h_r, h_z, h_n = (h @ hidden).chunk(3, 1)
        z = torch.sigmoid(x_z + h_z)
        new = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * (h_n + last_bias))
        h = (1 - z) * new + z * h
        return (h,), h

    first = (x.new_zeros(x.shape[1], n),)
    return scan(step, first, (projected(x, matrix, bias),), (w.hidden.T, w.hidden_bias[2 * n :]))[1]
