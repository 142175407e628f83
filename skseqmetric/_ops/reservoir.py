"""The reservoir over a padded batch, all directions at once (`_ops.reference.reservoir` defines it).

The weights of a reservoir are fixed, so that nothing here has a gradient. Layouts: D reservoirs (or directions), T
steps, B sequences, F features, N units. A step of a sequence costs 2 N^2 FLOP with a dense matrix. A sparse matrix of
density p needs 2 p N^2 FLOP, limited by memory bandwidth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from skseqmetric._ops import compiled
from skseqmetric._ops.dispatch import SCANNED_FORMS, choose
from skseqmetric._ops.eager import reservoir as eager
from skseqmetric._ops.products import compiled_products
from skseqmetric._ops.reference import reservoir as reference
from skseqmetric._ops.scanned import reservoir_states
from skseqmetric._ops.steps import freeze_ended, pool_states, valid_steps
from skseqmetric._ops.weights import ReservoirWeights

__all__ = [
    "ReservoirStep",
    "ReservoirWeights",
    "reservoir_pooled",
    "reservoir_scan",
    "reservoir_step",
    "reservoir_steps",
]


class ReservoirStep(NamedTuple):
    """Step `t`: the states (D, n, N) of the n sequences that still run, and which ones they are, (n,)."""

    t: int
    states: Tensor
    rows: Tensor


@torch.no_grad()
def reservoir_scan(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> Tensor:
    """Return states (T, D, B, N) from features (D, T, B, F). Past its end a sequence keeps its last state.

    Memory holds the result and about 16 MB. `reservoir_steps` and `reservoir_pooled` do not hold all states at once.
    """
    chosen = choose("reservoir", features, weights[0].n_units)
    if chosen == "reference":
        return _reference(features, lengths, weights)
    if chosen in SCANNED_FORMS:
        return freeze_ended(reservoir_states(features, weights), lengths)
    return eager.reservoir_states(features, lengths, weights, _fused(chosen))


def reservoir_steps(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> Iterator[ReservoirStep]:
    """Yield the same states one step at a time, for sums over steps such as those of ridge regression.

    The states of a step are views, with any strides, of a buffer that the next step overwrites. `rows` gives the order
    of the sequences. Steps without a running sequence are left out.
    """
    chosen = choose("reservoir", features, weights[0].n_units)
    if chosen == "reference":
        return _reference_steps(features, lengths, weights)
    steps = eager.reservoir_steps(features, lengths, weights, _fused(chosen))
    return (ReservoirStep(*step) for step in steps)


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
    return eager.reservoir_pooled(features, lengths, weights, how, _fused(chosen))


@torch.no_grad()
def reservoir_step(features: Tensor, states: list[Tensor], weights: list[ReservoirWeights]) -> list[Tensor]:
    """Return the states (B, N) of every reservoir after one more step of features (B, F), for streams."""
    return [reference.reservoir_step(features, x, w) for x, w in zip(states, weights, strict=True)]


def _fused(chosen: str) -> eager.Fused | None:
    """The compiled forms of a step and of products."""
    if chosen != "compiled":
        return None
    return eager.Fused(compiled.DenseStep, compiled.SparseStep, compiled_products())


def _reference(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> Tensor:
    runs = [reference.reservoir_scan(u.transpose(0, 1), lengths, w) for u, w in zip(features, weights, strict=True)]
    return torch.stack(runs).permute(2, 0, 1, 3)


@torch.no_grad()
def _reference_steps(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> Iterator[ReservoirStep]:
    states = _reference(features, lengths, weights)
    for t, alive in enumerate(valid_steps(lengths, len(states)).T):
        rows = alive.nonzero().flatten()
        if len(rows):
            yield ReservoirStep(t, states[t][:, rows], rows)
