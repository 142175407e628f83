"""GRU, LSTM and plain RNN over a padded batch by torch: cuDNN's kernels on CUDA, oneDNN's on a CPU."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from skseqmetric._ops.weights import RecurrentWeights


def cell_states(cell: str, x: Tensor, w: RecurrentWeights, *, batch_first: bool = True) -> Tensor:
    """States (B, T, H) of one direction from x (B, T, F), or (T, B, H) from (T, B, F).

    They are arbitrary past the end of a sequence. No recurrence reads what comes later, so that padding needs no mask.
    """
    if not x.numel():  # which torch refuses: nothing, as a function of everything
        n = w.n_units
        return x @ w.input[:n].T @ w.hidden[:n].T + w.input_bias[:n] + w.hidden_bias[:n]
    start = x.new_zeros(1, x.shape[0 if batch_first else 1], w.n_units)
    parameters = [w.input, w.hidden, w.input_bias, w.hidden_bias]
    # cuDNN keeps what a backward pass needs in training mode only; there is no dropout that the mode would switch on
    settings = True, 1, 0.0, torch.is_grad_enabled(), False, batch_first
    with warnings.catch_warnings(), torch.autocast("cpu", enabled=False):
        # the weights are parameters one by one: that cuDNN copies them into one piece costs little
        warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
        if cell == "lstm":
            return torch.lstm(x, (start, start), parameters, *settings)[0]
        return (torch.gru if cell == "gru" else torch.rnn_tanh)(x, start, parameters, *settings)[0]
