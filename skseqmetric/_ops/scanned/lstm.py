"""The LSTM of `torch.nn.LSTM` as a scan."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.scanned.onnx_operators import onnx_lstm
from skseqmetric._ops.scanned.scan import State, projected, scan


def lstm_states(x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor], *, onnx: bool) -> Tensor:
    """Return the states (T, B, H) of inputs (T, B, F): c_t = f c_(t-1) + i tanh(g), h_t = o tanh(c_t).

    Weights are the input matrix (4 H, F), the hidden matrix (4 H, H) and their biases, with the blocks i, f, g, o.
    """
    if onnx:
        return onnx_lstm(x, weights)
    matrix, hidden, bias, hidden_bias = weights

    def step(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
        h, c = state
        i, f, g, o = (inputs[0] + h @ constants[0]).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return (h, c), h

    start = x.new_zeros(x.shape[1], hidden.shape[1])
    return scan(step, (start, start.clone()), (projected(x, matrix, bias + hidden_bias),), (hidden.T,))[1]
