"""LSTM and plain RNN as plain loops: the definition that every fast form is tested against, in any float dtype."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.weights import RecurrentWeights


def lstm_step(x: Tensor, h: Tensor, c: Tensor, w: RecurrentWeights) -> tuple[Tensor, Tensor]:
    """One step of the LSTM in the convention of `torch.nn.LSTMCell` (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    Inputs x are (B, F), states h and cells c are (B, H).

    - i = sigma(W_i x + U_i h + b_i),  f = sigma(W_f x + U_f h + b_f),  o = sigma(W_o x + U_o h + b_o)
    - g = tanh(W_g x + U_g h + b_g),  c_t = f * c + i * g,  h_t = o * tanh(c_t)
    """
    i, f, g, o = (x @ w.input.T + w.input_bias + h @ w.hidden.T + w.hidden_bias).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def rnn_step(x: Tensor, h: Tensor, w: RecurrentWeights) -> Tensor:
    """One step of the plain RNN (Elman 1990): h_t = tanh(W x + b + U h + b')."""
    return torch.tanh(x @ w.input.T + w.input_bias + h @ w.hidden.T + w.hidden_bias)


def cell_scan(cell: str, x: Tensor, lengths: Tensor, w: RecurrentWeights) -> Tensor:
    """States (B, T, H) of one direction on inputs (B, T, F); 0 past the end of a sequence."""
    h = c = x.new_zeros(len(x), w.n_units)
    states = []
    for t in range(x.shape[1]):
        h, c = lstm_step(x[:, t], h, c, w) if cell == "lstm" else (rnn_step(x[:, t], h, w), c)
        states.append(h)
    inside = torch.arange(x.shape[1], dtype=torch.int64, device=x.device) < lengths[:, None]
    return torch.stack(states, 1).where(inside[..., None], 0.0)
