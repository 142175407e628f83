"""The operators of ONNX for GRU, LSTM and RNN: one call each, many times faster than a scan of small operators.

Layouts: T steps, B sequences, F features, H units. The order of torch's blocks is r, z, n and i, f, g, o; that of ONNX
is z, r, n and i, o, f, g.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def onnx_gru(x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Return the states (T, B, H) of inputs (T, B, F). Weights are in torch's order."""
    return _recorded("GRU", x, [_ordered(part, 3, (1, 0, 2)) for part in weights], linear_before_reset=1)


def onnx_lstm(x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Return the states (T, B, H) of inputs (T, B, F). Weights are in torch's order."""
    return _recorded("LSTM", x, [_ordered(part, 4, (0, 3, 1, 2)) for part in weights])


def onnx_rnn(x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Return the states (T, B, H) of inputs (T, B, F), of a plain RNN with tanh."""
    return _recorded("RNN", x, list(weights))


def _ordered(part: Tensor, n_blocks: int, order: tuple[int, ...]) -> Tensor:
    """Return the rows of a weight with its blocks in another order."""
    size = part.shape[0] // n_blocks
    rows = [block * size + i for block in order for i in range(size)]
    return part[torch.tensor(rows, dtype=torch.int64, device="cpu")]


def _recorded(name: str, x: Tensor, weights: list[Tensor], **attributes: Any) -> Tensor:
    matrix, hidden, bias, hidden_bias = weights
    n_units = hidden.shape[1]
    states = torch.onnx.ops.symbolic(
        name,
        (x, matrix[None], hidden[None], torch.cat([bias, hidden_bias])[None]),
        attrs={"hidden_size": n_units, **attributes},
        dtype=x.dtype,
        shape=(x.shape[0], 1, x.shape[1], n_units),
    )
    return states[:, 0]
