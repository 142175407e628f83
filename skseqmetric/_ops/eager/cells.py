"""LSTM and plain RNN over a padded batch by torch: cuDNN's kernels on CUDA, oneDNN's on a CPU."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from skseqmetric._ops.weights import RecurrentWeights


def cell_states(cell: str, x: Tensor, w: RecurrentWeights) -> Tensor:
    """States (B, T, H) of one direction from x (B, T, F). They are arbitrary past the end of a sequence."""
    if not x.numel():  # which torch refuses: nothing, as a function of everything
        n = w.n_units
        return x @ w.input[:n].T @ w.hidden[:n].T + w.input_bias[:n] + w.hidden_bias[:n]
    start = x.new_zeros(1, len(x), w.n_units)
    parameters = [w.input, w.hidden, w.input_bias, w.hidden_bias]
    # cuDNN keeps what a backward pass needs in training mode only; there is no dropout that the mode would switch on
    training = torch.is_grad_enabled()
    with warnings.catch_warnings(), torch.autocast("cpu", enabled=False):
        # the weights are parameters one by one: that cuDNN copies them into one piece costs little
        warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
        if cell == "lstm":
            return torch.lstm(x, (start, start), parameters, True, 1, 0.0, training, False, True)[0]
        return torch.rnn_tanh(x, start, parameters, True, 1, 0.0, training, False, True)[0]
