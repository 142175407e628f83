"""Distances between coupled pairs by the compiled kernels, without gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from skseqmetric._ops.compiled._library import NO_MEMORY, library
from skseqmetric._ops.compiled.recurrence import Kind, Operands, Recurrent
from skseqmetric._ops.parallel import Team
from skseqmetric._ops.steps import every_pair
from skseqmetric._ops.weights import RecurrentWeights, Side, projection

CALL_PAIRS = 2**14
"""Pairs of one call, about a second of work: Ctrl-C is heard between calls."""


def sync_gru_tile(
    first: Side,
    second: Side,
    weights: list[RecurrentWeights],
    how: str,
    *,
    pairs: tuple[Tensor, Tensor] | None,
    n_threads: int | None,
    make_matrix: Callable[[Tensor], Any],
) -> Tensor:
    """Squared coupled distances (N, M), or (P,) of the pairs; to the bit the same whatever else is computed.

    `make_matrix` makes a `Matrix` of weights, whose products do not depend on the number of rows.
    """
    kind = Kind(2, weights[0].coupling, how)
    matrices, biases = projection(weights, gate=True)
    made = [make_matrix(matrix) for matrix in matrices]
    sides = [_projected(side.features, made, biases) for side in (first, second)]
    lengths = [side.lengths.to(torch.int64) for side in (first, second)]
    n, m = len(first.lengths), len(second.lengths)
    rows, columns = every_pair(n, m) if pairs is None else pairs
    if not len(rows):
        return first.features.new_zeros((n, m) if pairs is None else 0)
    order = _alike_together(lengths[0][rows], lengths[1][columns])
    if order is not None:
        rows, columns = rows[order], columns[order]
    recurrent, team = Recurrent.of(weights, kind.coupling), Team.now(n_threads)
    nothing = first.features.new_zeros(len(first.features), 1, 1, first.features.shape[3])
    at_end = _projected(nothing, made, biases)[:, 0, 0]
    squared = first.features.new_empty(len(rows))
    for call, i, j in zip(*(tensor.split(CALL_PAIRS) for tensor in (squared, rows, columns)), strict=True):
        operands = Operands(kind, sides, lengths, torch.stack([i, j]), recurrent, team)
        operands.set_end(at_end)
        operands.problem.squared = operands.hold(call, "squared")
        if library().forward(operands.problem):
            raise MemoryError(NO_MEMORY)
    out = squared if order is None else torch.empty_like(squared).scatter_(0, order, squared)
    return out.view(n, m) if pairs is None else out


def _projected(features: Tensor, matrices: list[Any], biases: Tensor) -> Tensor:
    """Projections (D, T, N, G) of features (D, T, N, F)."""
    each = zip(features, matrices, biases, strict=True)
    projected = [matrix.project(x.contiguous(), bias) for x, matrix, bias in each]
    return torch.stack(projected) if len(projected) > 1 else projected[0][None]


def _alike_together(first: Tensor, second: Tensor) -> Tensor | None:
    """An order in which pairs of one tile end together; None where all lengths are equal.

    A tile runs until its last half ends, and rows that have ended cost nothing where all of a block have.
    """
    if int(first.min()) == int(first.max()) == int(second.min()) == int(second.max()):
        return None
    longest = int(max(first.max(), second.max())) + 1
    return torch.argsort(torch.maximum(first, second) * longest + first, stable=True)
