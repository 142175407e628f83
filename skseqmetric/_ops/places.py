"""States at places: those of a recurrence, resampled linearly over every sequence's own length.

Layouts: T steps, D directions, B sequences, H units, P places.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def positions_of_places(lengths: Tensor, n_places: int) -> Tensor:
    """Return where the places of `states_at_places` lie, (B, n_places) in steps from 0, for lengths (B,), float64."""
    whole, parts, of = _positions(lengths, n_places)
    return whole.double() + parts.double() / of


def _positions(lengths: Tensor, n_places: int) -> tuple[Tensor, Tensor, int]:
    """Return positions (B, P) as whole steps and a number of parts of a step, and how many parts a step has."""
    last = lengths[:, None] - 1
    if n_places == 1:
        return last // 2, last % 2, 2
    parts = last * torch.arange(n_places, dtype=torch.int64, device=lengths.device)
    return parts // (n_places - 1), parts % (n_places - 1), n_places - 1


def states_at_places(states: Tensor, lengths: Tensor, n_places: int) -> Tensor:
    """Resample states (T, D, B, H), each direction in the order of its run, to (B, n_places, D H) in time order.

    The first and the last place are the first and the last valid step. A single place is the middle. The results for a
    sequence have the same bits whatever the padding is.
    """
    _, n_directions, n, n_units = states.shape
    step, parts, of = _positions(lengths, n_places)
    last = lengths[:, None] - 1
    after = torch.minimum(step + 1, last)
    share = parts.to(states.dtype) / of
    # the second direction reads a sequence from its end
    steps = [torch.stack([at, last - at][:n_directions], 2) for at in (step, after)]
    direction = torch.arange(n_directions, dtype=torch.int64, device=states.device)
    sequence = torch.arange(n, dtype=torch.int64, device=states.device)[:, None, None]
    rows = [((at * n_directions + direction) * n + sequence).flatten() for at in steps]
    shares = share[:, :, None].expand(n, n_places, n_directions).reshape(-1, 1)
    found: Tensor = _BetweenRows.apply(states.reshape(-1, n_units), rows[0], rows[1], shares)
    return found.view(n, n_places, n_directions * n_units)


class _BetweenRows(torch.autograd.Function):
    """x[first] + share (x[second] - x[first]). Its gradient is added up by rows, without sorting them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, second: Tensor, share: Tensor) -> Tensor:
        ctx.save_for_backward(first, second, share)
        ctx.n_rows = x.shape[0]
        return torch.lerp(x.index_select(0, first), x.index_select(0, second), share)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        first, second, share = ctx.saved_tensors
        to_second = grad * share
        total = grad.new_zeros(ctx.n_rows, grad.shape[1])
        total.index_add_(0, first, grad - to_second).index_add_(0, second, to_second)
        return total, None, None, None
