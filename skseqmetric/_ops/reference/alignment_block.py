"""Soft distances by matched states as a plain loop over pairs: the definition that every form is tested against."""

from __future__ import annotations

import torch
from torch import Tensor


def alignment_pairs(states: Tensor, rows: Tensor, columns: Tensor, tau: Tensor) -> Tensor:
    """Return the soft squared distances (K,) of the pairs (rows[k], columns[k]) of states (B, P, D)."""
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    each = [_soft_distance(states[i], states[j], tau) for i, j in pairs]
    return torch.stack(each) if each else states[:0].sum((1, 2)) * tau


def _soft_distance(first: Tensor, second: Tensor, tau: Tensor) -> Tensor:
    costs = (first[:, None] - second[None]).square().sum(2)
    forward = (torch.softmax(-tau * costs, 1) * costs).sum(1)
    backward = (torch.softmax(-tau * costs, 0) * costs).sum(0)
    return forward.mean() + backward.mean()
