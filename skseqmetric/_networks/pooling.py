"""Pooling of states over time: the mean over the valid steps, the last valid state, or both."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

POOLINGS = ("mean", "last", "both")


def pooled(pooling: str, one: Callable[[str], Tensor]) -> Tensor:
    """Return one("last") or one("mean"), (B, D). For "both" concatenate the last state and the mean, (B, 2 D)."""
    return torch.cat([one("last"), one("mean")], -1) if pooling == "both" else one(pooling)
