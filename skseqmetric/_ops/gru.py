"""The uncoupled GRU over a padded batch, all directions at once (`_ops.reference.gru` defines it).

Layouts: D directions, T steps, B sequences, F features, H units. Features are (D, T, B, F), each direction in the order
of its run; or (1, T, B, F) for two directions, of which the second reads every sequence from its end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops import compiled, eager, scanned
from skseqmetric._ops.dispatch import SCANNED_FORMS, choose
from skseqmetric._ops.reference import gru as reference
from skseqmetric._ops.steps import freeze_ended, pool_states, reverse_valid
from skseqmetric._ops.weights import RecurrentWeights


def gru_scan(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """Return states (T, D, B, H), each direction in the order of its run. Past its end a sequence keeps its last."""
    features = features.to(weights[0].hidden.dtype)  # bfloat16 from layers under autocast
    chosen = choose("gru", features, weights[0].hidden.shape[1])
    if chosen == "compiled":
        return compiled.gru_states(features, lengths, weights)
    return freeze_ended(_free_states(chosen, features, lengths, weights), lengths)


def gru_pooled(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights], how: str) -> Tensor:
    """Return the "mean" of the valid states or the "last" one, (B, D H). "both" gives (B, 2 D H), last state first.

    A step costs 6 H^2 FLOP, and the backward pass twice as much. "both" doubles the cost.
    """
    if how == "both":
        return torch.cat([gru_pooled(features, lengths, weights, one) for one in ("last", "mean")], 1)
    features = features.to(weights[0].hidden.dtype)  # bfloat16 from layers under autocast
    chosen = choose("gru", features, weights[0].hidden.shape[1])
    if chosen == "compiled":
        return compiled.gru_pooled(features, lengths, weights, how)
    return pool_states(_free_states(chosen, features, lengths, weights), lengths, how)


def _free_states(chosen: str, features: Tensor, lengths: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """Return states that are arbitrary past the end of a sequence."""
    if len(features) < len(weights):
        back = reverse_valid(features[0].transpose(0, 1), lengths).transpose(0, 1)
        features = torch.cat([features, back[None]])
    if chosen == "reference":
        return _reference(features, lengths, weights)
    if chosen in SCANNED_FORMS:
        return scanned.gru_states(features, weights, onnx=chosen == "onnx")
    return eager.gru_states(features, weights)


def _reference(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    runs = [reference.gru_scan(x.transpose(0, 1), lengths, w) for x, w in zip(features, weights, strict=True)]
    return torch.stack(runs).permute(2, 0, 1, 3)
