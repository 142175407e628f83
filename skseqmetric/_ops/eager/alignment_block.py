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
        grad_states, grad_tau = torch.zeros_like(states), torch.zeros_like(tau)
        for (i, j), outer in zip(parts, grad.split([len(i) for i, _ in parts]), strict=True):
            first, second = states[i], states[j]
            matching = ctx.kept if ctx.kept is not None else _matched(first, second, tau)
            slope = torch.zeros_like(matching.ways[0][0])
            outer = outer[:, None, None] / states.shape[1]
            for above, shares in matching.ways:
                # df / dc = a (1 - tau (c - f)), df / dtau = -sum a (c - f)^2
                weighted = shares * above
                grad_tau -= (weighted * above * outer).sum()
                slope += torch.addcmul(shares, weighted, tau, value=-1)
            slope *= outer * 2
            back = torch.baddbmm(slope.sum(2)[..., None] * first, slope, second, alpha=-1)
            grad_states.index_add_(0, i, back)
            slope = slope.transpose(1, 2)
            back = torch.baddbmm(slope.sum(2)[..., None] * second, slope, first, alpha=-1)
            grad_states.index_add_(0, j, back)
        return grad_states, None, None, grad_tau


def _parts(states: Tensor, rows: Tensor, columns: Tensor) -> list[tuple[Tensor, Tensor]]:
    size = max(1, COSTS // states.shape[1] ** 2)
    return list(zip(rows.split(size), columns.split(size), strict=True))
