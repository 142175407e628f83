"""The uncoupled GRU over a padded batch, on torch's fused kernel: what `_ops.reference.gru_scan` defines."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.weights import RecurrentWeights


def gru_scan(features: Tensor, w: RecurrentWeights) -> Tensor:
    """States (B, T, H) of features (B, T, F); steps past a sequence's end hold values nobody may read.

    Cost O(B T H (F + H)) multiply-adds. The recurrence is causal, so no mask is needed inside it: the padding
    behind a sequence cannot reach its valid steps.
    """
    start = features.new_zeros(1, len(features), w.n_units)
    parameters = [w.input, w.hidden, w.input_bias, w.hidden_bias]
    states, _ = torch.gru(features, start, parameters, True, 1, 0.0, False, False, True)
    return states


def valid_steps(lengths: Tensor, n_steps: int) -> Tensor:
    """(B, T) bool: True where a step lies inside its sequence."""
    return torch.arange(n_steps, device=lengths.device) < lengths[:, None]


def reverse_valid(features: Tensor, lengths: Tensor) -> Tensor:
    """Every sequence of (B, T, F) reversed within its own length; padding stays where it is."""
    t = torch.arange(features.shape[1], device=features.device)
    source = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return features.gather(1, source[..., None].expand_as(features))


def read_out(states: Tensor, lengths: Tensor, how: str) -> Tensor:
    """(B, T, H) -> (B, H): "mean" of the valid states, or the "last" valid one."""
    if how == "last":
        return states[torch.arange(len(states), device=states.device), lengths - 1]
    # a product is a safe mask: |h| < 1 at every step, also at those computed from padding
    share = valid_steps(lengths, states.shape[1]).to(states.dtype) / lengths[:, None].to(states.dtype)
    return torch.bmm(share[:, None], states)[:, 0]
