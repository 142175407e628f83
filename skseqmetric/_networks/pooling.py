"""Pooling of states over time: their mean over the valid steps, the last valid one, or both."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

POOLINGS = ("mean", "last", "both")


def pooled(pooling: str, one: Callable[[str], Tensor]) -> Tensor:
    """one("last") or one("mean"), (B, D); for "both" the last state and then the mean, (B, 2 D)."""
    return torch.cat([one("last"), one("mean")], -1) if pooling == "both" else one(pooling)
