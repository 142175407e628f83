r"""Distances between sequences that are matched place by place, without gradient.

With the states :math:`x_p` and :math:`y_q` of two sequences at P and P' places, D numbers each:

.. math::
    c_{pq} = |x_p - y_q|^2, \qquad
    d^2(x, y) = \frac{1}{P} \sum_p \min_q c_{pq} + \frac{1}{P'} \sum_q \min_p c_{pq}

`_ops.reference.alignment` is the definition. The fast forms find the minima from products of places. The torch form
computes all of them anew from differences, the compiled one those that have lost digits in the products. So
:math:`d(x, x) = 0` exactly, and a distance has the same bits in either order of x and y, in any company, and on any
number of threads. A pair costs O(P P' D) time.

Layouts: N and M sequences, K pairs, P and P' places, D numbers of a place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skseqmetric._ops import compiled
from skseqmetric._ops.dispatch import choose
from skseqmetric._ops.eager import alignment as eager
from skseqmetric._ops.reference import alignment as reference
from skseqmetric._ops.steps import every_pair

Pairs = tuple[Tensor, Tensor]


class Matches(NamedTuple):
    """What every place of the pairs matches.

    Parameters
    ----------
    forward : Tensor (K, P) int64
        The place q of the second sequence that is nearest to p; the lowest among equally near ones.
    backward : Tensor (K, P') int64
        The place p of the first sequence that is nearest to q.
    forward_costs, backward_costs : Tensor (K, P), (K, P') float64
        Their costs.
    """

    forward: Tensor
    backward: Tensor
    forward_costs: Tensor
    backward_costs: Tensor


@torch.no_grad()
def alignment_tile(
    first: Tensor, second: Tensor, *, pairs: Pairs | None = None, n_threads: int | None = None
) -> Tensor:
    """Return squared distances, (N, M) float64, between places first (N, P, D) and second (M, P', D).

    `pairs`, two index tensors (K,), gives (K,). `n_threads` is the number of threads on the CPU; None means torch's
    number of intra-op threads. What is not finite has a distance that is not finite.
    """
    first, second = _operands(first, second)
    chosen = choose("alignment", first, 1)
    if chosen == "reference":
        return _reference_tile(first, second, pairs)
    if chosen == "compiled":
        return compiled.alignment_tile(first.contiguous(), second.contiguous(), pairs, n_threads)
    return eager.alignment_tile(first, second, pairs, n_threads)


@torch.no_grad()
def alignment_matches(first: Tensor, second: Tensor, *, pairs: Pairs) -> Matches:
    """Return what the places first (N, P, D) and second (M, P', D) of the pairs, two index tensors (K,), match."""
    first, second = _operands(first, second)
    chosen = choose("alignment", first, 1)
    if chosen == "reference":
        return _reference_matches(first, second, pairs)
    if chosen == "compiled":
        return Matches(*compiled.alignment_matches(first.contiguous(), second.contiguous(), pairs))
    return Matches(*eager.alignment_matches(first, second, pairs))


def _operands(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Both sides of one precision, on a device that has double precision."""
    if first.shape[2] != second.shape[2]:
        raise ValueError(f"places have {first.shape[2]} numbers on one side, and {second.shape[2]} on the other")
    if first.device.type == "mps":
        first, second = first.cpu(), second.cpu()
    return first, second.to(first.dtype)


def _reference_tile(first: Tensor, second: Tensor, pairs: Pairs | None) -> Tensor:
    x, y = first.cpu().numpy(), second.cpu().numpy()
    rows, columns = every_pair(len(x), len(y)) if pairs is None else pairs
    found = [reference.alignment(x[i], y[j]) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)]
    out = torch.tensor(found, dtype=torch.float64, device=first.device)
    return out.view(len(x), len(y)) if pairs is None else out


def _reference_matches(first: Tensor, second: Tensor, pairs: Pairs) -> Matches:
    x, y = first.cpu().numpy(), second.cpu().numpy()
    found = [reference.matches(x[i], y[j]) for i, j in zip(*(index.tolist() for index in pairs), strict=True)]
    shapes = [(len(found), first.shape[1]), (len(found), second.shape[1])] * 2
    parts = [np.array([row[part] for row in found]).reshape(shape) for part, shape in enumerate(shapes)]
    forward, backward = (torch.from_numpy(part).to(first.device, torch.int64) for part in parts[:2])
    costs = (torch.from_numpy(part).to(first.device, torch.float64) for part in parts[2:])
    return Matches(forward, backward, *costs)
