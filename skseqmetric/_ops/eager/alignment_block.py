"""Soft distances by matched states as torch operations, their gradients by hand: every dtype, every device."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

COSTS = 1 << 21
"""Costs between places of all pairs that are kept for the way back: 8 MB in float32. Of more pairs, none are kept."""


def alignment_pairs(states: Tensor, rows: Tensor, columns: Tensor, tau: Tensor) -> Tensor:
    """Return the soft squared distances (K,) of the pairs (rows[k], columns[k]) of states (B, P, D)."""
    squared: Tensor = _SoftDistances.apply(states, rows, columns, tau)
    return squared


class _Matching(NamedTuple):
    """One block of pairs: costs less each soft minimum, and the shares of the places, in both ways (K, P, P)."""

    ways: list[tuple[Tensor, Tensor]]
    squared: Tensor


def _matched(first: Tensor, second: Tensor, tau: Tensor) -> _Matching:
    squares = first.square().sum(2)[:, :, None] + second.square().sum(2)[:, None]
    costs = torch.baddbmm(squares, first, second.transpose(1, 2), alpha=-2).clamp_min_(0)
    scaled, ways, squared = costs * -tau, [], costs.new_zeros(len(costs))
    for dim in (2, 1):
        shares = torch.softmax(scaled, dim)
        minima = (shares * costs).sum(dim, keepdim=True)
        squared = squared + minima.mean((1, 2))
        ways.append((costs - minima, shares))
    return _Matching(ways, squared)


class _SoftDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, rows: Tensor, columns: Tensor, tau: Tensor) -> Tensor:
        ctx.save_for_backward(states, rows, columns, tau)
        parts = _parts(states, rows, columns)
        with torch.autocast(states.device.type, enabled=False):
            found = _matched(states[rows], states[columns], tau) if len(parts) == 1 else None
            ctx.kept = found
            if found is not None:
                return found.squared
            return torch.cat([_matched(states[i], states[j], tau).squared for i, j in parts])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, Tensor]:
        states, rows, columns, tau = ctx.saved_tensors
        parts = _parts(states, rows, columns)
        grads = torch.zeros_like(states), torch.zeros_like(tau)
        with torch.autocast(states.device.type, enabled=False):
            for (i, j), outer in zip(parts, grad.split([len(i) for i, _ in parts]), strict=True):
                matching = ctx.kept if ctx.kept is not None else _matched(states[i], states[j], tau)
                _add_gradients(*grads, matching, (states, i, j, tau), outer / states.shape[1])
        return grads[0], None, None, grads[1]


def _add_gradients(
    grad_states: Tensor, grad_tau: Tensor, matching: _Matching, operands: tuple[Tensor, ...], outer: Tensor
) -> None:
    """Add what one block of pairs gives: df / dc = a (1 - tau (c - f)), and df / dtau = -sum a (c - f)^2."""
    states, i, j, tau = operands
    slope = torch.zeros_like(matching.ways[0][0])
    for above, shares in matching.ways:
        weighted = shares * above
        grad_tau -= (weighted * above * outer[:, None, None]).sum()
        slope += torch.addcmul(shares, weighted, tau, value=-1)
    slope *= 2 * outer[:, None, None]
    for slopes, at, ours, others in (
        (slope, i, states[i], states[j]),
        (slope.transpose(1, 2), j, states[j], states[i]),
    ):
        back = torch.baddbmm(slopes.sum(2)[..., None] * ours, slopes, others, alpha=-1)
        grad_states.index_add_(0, at, back)


def _parts(states: Tensor, rows: Tensor, columns: Tensor) -> list[tuple[Tensor, Tensor]]:
    size = max(1, COSTS // states.shape[1] ** 2)
    return list(zip(rows.split(size), columns.split(size), strict=True))
