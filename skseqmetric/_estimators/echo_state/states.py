"""States of reservoirs that read forwards and backwards. Layouts: B sequences, T steps, C channels, F states."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.reservoir import reservoir_pooled, reservoir_scan
from skseqmetric._ops.steps import reverse_valid
from skseqmetric._ops.weights import ReservoirWeights


def all_states(values: Tensor, lengths: Tensor, reservoirs: list[ReservoirWeights], n_forward: int) -> Tensor:
    """Return the states (B, T, F) at every step. States past the end of a sequence are arbitrary."""
    states = reservoir_scan(_directions(values, lengths, len(reservoirs), n_forward), lengths, reservoirs)
    parts = list(states.permute(1, 2, 0, 3))
    for k in range(n_forward, len(parts)):
        parts[k] = reverse_valid(parts[k], lengths)
    return torch.cat(parts, 2)


def pooled_states(
    values: Tensor, lengths: Tensor, reservoirs: list[ReservoirWeights], n_forward: int, pooling: str
) -> Tensor:
    """Return the pooled states of whole sequences: (B, F), or (B, 2 F) for "both"."""
    inputs = _directions(values, lengths, len(reservoirs), n_forward)
    return reservoir_pooled(inputs, lengths, reservoirs, pooling)


def _directions(values: Tensor, lengths: Tensor, n: int, n_forward: int) -> Tensor:
    """Return the input of n reservoirs, time first: (B, T, C) -> (n, T, B, C)."""
    parts = [values] * n_forward
    if n > n_forward:
        parts += [reverse_valid(values, lengths)] * (n - n_forward)
    return torch.stack(parts).transpose(1, 2)
