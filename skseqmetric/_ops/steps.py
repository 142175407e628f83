"""Steps of padded batches: which are valid, reversing them, and what is read from states at the end."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_steps(lengths: Tensor, n_steps: int) -> Tensor:
    """(B, T) bool: True where a step lies inside its sequence."""
    return torch.arange(n_steps, device=lengths.device) < lengths[:, None]


def reverse_valid(features: Tensor, lengths: Tensor) -> Tensor:
    """Every sequence of (B, T, F) reversed within its own length; padding stays where it is."""
    t = torch.arange(features.shape[1], device=features.device)
    source = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return features.gather(1, source[..., None].expand_as(features))


def freeze_ended(states: Tensor, lengths: Tensor) -> Tensor:
    """States (T, D, B, H) with those behind a sequence's end replaced by its last one."""
    t = torch.minimum(torch.arange(len(states), device=lengths.device)[:, None], lengths - 1)
    return states.gather(0, t[:, None, :, None].expand_as(states))


def pool_states(states: Tensor, lengths: Tensor, how: str) -> Tensor:
    """(T, D, B, H) -> (B, D H): "mean" of the valid states, or the "last" valid one; lengths (B,).

    "both" gives (B, 2 D H), the last one first.
    """
    if how == "both":
        return torch.cat([pool_states(states, lengths, one) for one in ("last", "mean")], 1)
    if how == "last":
        return states[lengths - 1, :, torch.arange(len(lengths), device=states.device)].flatten(1)
    # a product is a safe mask: |h| < 1 at every step, also at those computed from padding
    share = valid_steps(lengths, len(states)).to(states.dtype) / lengths[:, None].to(states.dtype)
    return (states * share.T[:, None, :, None]).sum(0).transpose(0, 1).flatten(1)


def pad_steps(features: Tensor, n_steps: int) -> Tensor:
    """Features (D, T, B, F) with zero steps behind them until there are n_steps."""
    missing = n_steps - features.shape[1]
    return torch.nn.functional.pad(features, (0, 0, 0, 0, 0, missing)) if missing else features


def every_pair(n: int, m: int) -> tuple[Tensor, Tensor]:
    """Index tensors (n m,) of every one of n against every one of m, row by row."""
    return torch.arange(n).repeat_interleave(m), torch.arange(m).repeat(n)
