"""LSTM and plain RNN over a padded batch, all directions at once (`_ops.reference.cells` defines them).

Layouts: D directions, T steps, B sequences, F features, H units. Of two directions the second reads every sequence from
its end. A step costs 2 G H (H + F) FLOP for G = 4 gates of an LSTM and 1 of an RNN, and backward twice as much.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from skseqmetric._ops import compiled, scanned
from skseqmetric._ops.dispatch import SCANNED_FORMS, choose
from skseqmetric._ops.eager import cells as eager
from skseqmetric._ops.reference import cells as reference
from skseqmetric._ops.steps import reverse_valid
from skseqmetric._ops.weights import RecurrentWeights


def cell_scan(cell: str, x: Tensor, lengths: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """Return states (B, T, D H) of an "lstm" or "rnn" in time order, from x (B, T, F). They are arbitrary past the end.

    The gates of an LSTM have the order i, f, g, o of `torch.nn.LSTM`.
    """
    if x.device.type == "cpu":  # bfloat16 from layers under autocast, for which some CPUs have no LSTM
        x = x.to(weights[0].hidden.dtype)
    chosen = choose(cell, x, weights[0].n_units)
    if chosen == "compiled":
        return compiled.cell_states(cell, x, lengths, weights)
    return _by_direction(_one_direction(chosen, cell, lengths), x, lengths, weights)


def _one_direction(chosen: str, cell: str, lengths: Tensor) -> Callable[[Tensor, RecurrentWeights], Tensor]:
    if chosen == "reference":
        return lambda x, w: reference.cell_scan(cell, x, lengths, w)
    if chosen in SCANNED_FORMS:
        onnx = chosen == "onnx"
        return lambda x, w: scanned.cell_states(cell, x.transpose(0, 1), w, onnx=onnx).transpose(0, 1)
    return lambda x, w: eager.cell_states(cell, x, w)


def _by_direction(
    run: Callable[[Tensor, RecurrentWeights], Tensor], x: Tensor, lengths: Tensor, weights: list[RecurrentWeights]
) -> Tensor:
    """Return the states of a forward run, and behind them those of a run over the reversed sequences."""
    ahead = run(x, weights[0])
    if len(weights) == 1:
        return ahead
    back = run(reverse_valid(x, lengths), weights[1])
    return torch.cat([ahead, reverse_valid(back, lengths)], 2)
