"""LSTM and plain RNN as a scan (`_ops.reference.cells` defines them)."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.scanned.onnx_operators import onnx_lstm, onnx_rnn
from skseqmetric._ops.scanned.scan import State, projected, scan
from skseqmetric._ops.weights import RecurrentWeights


def cell_states(cell: str, x: Tensor, w: RecurrentWeights, *, onnx: bool) -> Tensor:
    """Return the states (T, B, H) of an "lstm" or "rnn" from x (T, B, F). They are arbitrary past the end."""
    lstm = cell == "lstm"
    if onnx:
        return (onnx_lstm if lstm else onnx_rnn)(x, (w.input, w.hidden, w.input_bias, w.hidden_bias))
    start = x.new_zeros(x.shape[1], w.n_units)
    inputs = (projected(x, w.input, w.input_bias + w.hidden_bias),)
    step, first = (_lstm_step, (start, start.clone())) if lstm else (_rnn_step, (start,))
    return scan(step, first, inputs, (w.hidden.T,))[1]


def _lstm_step(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
    h, c = state
    i, f, g, o = (inputs[0] + h @ constants[0]).chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h, c), h


def _rnn_step(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
    h = torch.tanh(inputs[0] + state[0] @ constants[0])
    return (h,), h
