"""The coupled GRU on pairs of sequences (`_ops.reference.gru` defines it).

Layouts: D directions, T steps, B sequences, P pairs, F features, H units, G projections a step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops import compiled, eager, triton
from skseqmetric._ops.dispatch import choose
from skseqmetric._ops.products import compiled_products
from skseqmetric._ops.reference import gru as reference
from skseqmetric._ops.steps import every_pair, pad_steps, pool_states
from skseqmetric._ops.weights import RecurrentWeights, Side, project

Halves = tuple[Tensor, Tensor]


def sync_gru_scan(
    features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
) -> Halves:
    """Return the states of both halves, (T, D, P, H) each, of the pairs (rows[p], columns[p]) of features.

    Features (D, T, B, F) past the end of a sequence must be 0. With the symmetric gate, a step of a pair in a direction
    costs 14 H^2 FLOP. The backward pass costs twice as much. Memory is O(D T P H).
    """
    features = features.to(weights[0].hidden.dtype)
    chosen = choose("sync_gru", features, weights[0].hidden.shape[1])
    if chosen == "reference":
        return _reference(features, lengths, rows, columns, weights)
    if chosen == "compiled":
        return compiled.sync_gru_states(features, lengths, rows, columns, weights)
    if chosen == "triton":
        return triton.sync_gru_states(project(features, weights), lengths, rows, columns, weights)
    return eager.sync_gru_states(features, lengths, rows, columns, weights)


def sync_gru_pooled(
    features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights], how: str
) -> Halves:
    """Return the "mean" of the valid states or the "last" one of both halves, (P, D H) each, for training.

    "both" gives (P, 2 D H) each, last state first, at twice the cost.
    """
    if how == "both":
        runs = [sync_gru_pooled(features, lengths, rows, columns, weights, one) for one in ("last", "mean")]
        first, second = (torch.cat(half, 1) for half in zip(*runs, strict=True))
        return first, second
    features = features.to(weights[0].hidden.dtype)
    chosen = choose("sync_gru", features, weights[0].hidden.shape[1])
    if chosen == "compiled":
        return compiled.sync_gru_pooled(features, lengths, rows, columns, weights, how)
    if chosen == "triton":
        return triton.sync_gru_pooled(project(features, weights), lengths, rows, columns, weights, how)
    first, second = sync_gru_scan(features, lengths, rows, columns, weights)
    return pool_states(first, lengths[rows], how), pool_states(second, lengths[columns], how)


def _reference(
    features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
) -> Halves:
    runs = []
    for x, w in zip(features.transpose(1, 2), weights, strict=True):
        runs.append(reference.sync_gru_scan(x[rows], x[columns], lengths[rows], lengths[columns], w))
    first, second = (torch.stack(half).permute(2, 0, 1, 3) for half in zip(*runs, strict=True))
    return first, second


@torch.no_grad()
def sync_gru_tile(
    first: Side,
    second: Side,
    weights: list[RecurrentWeights],
    how: str,
    *,
    pairs: Halves | None = None,
    n_threads: int | None = None,
) -> Tensor:
    """Return squared distances between the pooled states of coupled pairs, without gradient.

    The result is (N, M) for every first with every second sequence. `pairs`, two index tensors (P,), gives (P,).
    `n_threads` is the number of threads on the CPU. None means torch's number of intra-op threads. The cost is as
    above. Memory holds O(D T (N + M) (F + G)) numbers and the result. With pairs the eager form adds O(D T P G).
    """
    if how == "both":
        last = sync_gru_tile(first, second, weights, "last", pairs=pairs, n_threads=n_threads)
        return last + sync_gru_tile(first, second, weights, "mean", pairs=pairs, n_threads=n_threads)
    first, second = (Side(side.features.to(weights[0].hidden.dtype), side.lengths) for side in (first, second))
    chosen = choose("sync_gru", first.features, weights[0].hidden.shape[1])
    if chosen == "compiled":
        make = compiled_products()
        return compiled.sync_gru_tile(first, second, weights, how, pairs=pairs, n_threads=n_threads, make_matrix=make)
    if chosen == "triton":
        return triton.sync_gru_tile(first, second, weights, how, pairs=pairs)
    if pairs is not None:
        first, second = (side.chosen(index) for side, index in zip((first, second), pairs, strict=True))
    if chosen == "reference":
        return _reference_tile(first, second, weights, how, crossed=pairs is None)
    return eager.sync_gru_tile(first, second, weights, how, crossed=pairs is None, n_threads=n_threads)


def _reference_tile(first: Side, second: Side, weights: list[RecurrentWeights], how: str, *, crossed: bool) -> Tensor:
    n, m = len(first.lengths), len(second.lengths)
    each = torch.arange(n, dtype=torch.int64, device="cpu")
    rows, columns = every_pair(n, m) if crossed else (each, each)
    features, lengths = both_sides(first, second)
    halves = sync_gru_pooled(features, lengths, rows, columns + n, weights, how)
    squared = (halves[0] - halves[1]).square().sum(1)
    return squared.view(n, m) if crossed else squared


def both_sides(first: Side, second: Side) -> tuple[Tensor, Tensor]:
    """Both sides as one batch (D, T, N + M, F), zero steps behind the shorter one, and its lengths."""
    longest = max(first.features.shape[1], second.features.shape[1])
    padded = [pad_steps(side.features, longest) for side in (first, second)]
    return torch.cat(padded, 2), torch.cat([first.lengths, second.lengths])
