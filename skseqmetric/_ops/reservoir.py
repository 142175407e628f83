"""The reservoir over a padded batch, all directions at once (`_ops.reference.reservoir` defines it).

The weights of a reservoir are fixed, so that nothing here has a gradient. Layouts: D reservoirs (or directions), T
steps, B sequences, F features, N units. A step of a sequence costs 2 N^2 FLOP with a dense matrix. A sparse matrix of
density p needs 2 p N^2 FLOP, limited by memory bandwidth.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops import compiled, triton
from skseqmetric._ops.dispatch import SCANNED_FORMS, choose
from skseqmetric._ops.eager import reservoir as eager
from skseqmetric._ops.reference import reservoir as reference
from skseqmetric._ops.scanned import reservoir_states
from skseqmetric._ops.steps import freeze_ended, pool_states
from skseqmetric._ops.weights import ReservoirWeights

__all__ = [
    "ReservoirWeights",
    "reservoir_pooled",
    "reservoir_scan",
    "reservoir_step",
]


@torch.no_grad()
def reservoir_scan(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> Tensor:
    """Return states (T, D, B, N) from features (D, T, B, F). Past its end a sequence keeps its last state.

    Memory holds the result and about 16 MB. `reservoir_pooled` does not hold all states at once.
    """
    chosen = choose("reservoir", features, weights[0].n_units)
    if chosen == "reference":
        return _reference(features, lengths, weights)
    if chosen in SCANNED_FORMS:
        return freeze_ended(reservoir_states(features, weights), lengths)
    if chosen == "compiled":
        return compiled.reservoir_states(features, lengths, weights, sparse=eager.sparse_form(weights, fused=True))
    if chosen == "triton":
        return triton.reservoir_states(features, lengths, weights)
    return eager.reservoir_states(features, lengths, weights)


@torch.no_grad()
def reservoir_pooled(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], how: str) -> Tensor:
    """Return the "mean" of the valid states or the "last" one, (B, D N), without keeping all states.

    "both" gives (B, 2 D N), last state first.
    """
    chosen = choose("reservoir", features, weights[0].n_units)
    if chosen in ("reference", *SCANNED_FORMS):
        states = reservoir_scan(features, lengths, weights)
        kinds = ("last", "mean") if how == "both" else (how,)
        return torch.cat([pool_states(states, lengths, kind) for kind in kinds], 1)
    if chosen == "compiled":
        return compiled.reservoir_pooled(features, lengths, weights, how, sparse=eager.sparse_form(weights, fused=True))
    if chosen == "triton":
        return triton.reservoir_pooled(features, lengths, weights, how)
    return eager.reservoir_pooled(features, lengths, weights, how)


@torch.no_grad()
def reservoir_step(features: Tensor, states: list[Tensor], weights: list[ReservoirWeights]) -> list[Tensor]:
    """Return the states (B, N) of every reservoir after one more step of features (B, F), for streams."""
    return [reference.reservoir_step(features, x, w) for x, w in zip(states, weights, strict=True)]


def _reference(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> Tensor:
    runs = [reference.reservoir_scan(u.transpose(0, 1), lengths, w) for u, w in zip(features, weights, strict=True)]
    return torch.stack(runs).permute(2, 0, 1, 3)
