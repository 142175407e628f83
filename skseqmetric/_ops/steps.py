"""Operations on the steps of padded batches: valid steps, reversal, and pooling of states."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_steps(lengths: Tensor, n_steps: int) -> Tensor:
    """Return a mask (B, T) that is True for steps inside their sequence."""
    return torch.arange(n_steps, dtype=torch.int64, device=lengths.device) < lengths[:, None]


def reverse_valid(features: Tensor, lengths: Tensor) -> Tensor:
    """Reverse every sequence of (B, T, F) within its own length. Padding stays at the end."""
    t = torch.arange(features.shape[1], dtype=torch.int64, device=features.device)
    source = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return features.gather(1, source[..., None].expand_as(features))


def freeze_ended(states: Tensor, lengths: Tensor) -> Tensor:
    """Replace states (T, D, B, H) past the end of a sequence by its last state."""
    t = torch.minimum(torch.arange(states.shape[0], dtype=torch.int64, device=lengths.device)[:, None], lengths - 1)
    return states.gather(0, t[:, None, :, None].expand_as(states))


def pool_states(states: Tensor, lengths: Tensor, how: str) -> Tensor:
    """Pool states, (T, D, B, H) -> (B, D H): the "mean" of the valid states, or the "last" valid one.

    "both" gives (B, 2 D H), last state first. Lengths are (B,).
    """
    if how == "both":
        return torch.cat([pool_states(states, lengths, one) for one in ("last", "mean")], 1)
    if how == "last":
        rows = torch.arange(lengths.shape[0], dtype=torch.int64, device=states.device)
        return states[lengths - 1, :, rows].flatten(1)
    # a product is a safe mask: |h| < 1 at every step, also at those computed from padding
    share = valid_steps(lengths, states.shape[0]).to(states.dtype) / lengths[:, None].to(states.dtype)
    return sum_of_steps(states * share.T[:, None, :, None], 0).transpose(0, 1).flatten(1)


def sum_of_steps(x: Tensor, dim: int) -> Tensor:
    """Return the sum of x over `dim`. At inference it has the same bits whatever other rows and zero steps there are.

    torch chooses the order of the sum by the shape of x. At inference, neighbouring steps are added until one is left:
    zeros behind the end change nothing.
    """
    if not torch.is_inference_mode_enabled():
        return x.sum(dim)
    steps = x.movedim(dim, 0)
    while len(steps) > 1:
        left, right = steps[::2], steps[1::2]
        pairs = torch.add(left[: len(right)], right)
        steps = pairs if len(left) == len(right) else torch.cat([pairs, left[-1:]])
    return steps[0] if len(steps) else x.sum(dim)


def pad_steps(features: Tensor, n_steps: int) -> Tensor:
    """Pad features (D, T, B, F) with zeros to n_steps steps."""
    missing = n_steps - features.shape[1]
    return torch.nn.functional.pad(features, (0, 0, 0, 0, 0, missing)) if missing else features


def every_pair(n: int, m: int) -> tuple[Tensor, Tensor]:
    """Return index tensors (n m,) of all pairs of n rows and m columns, row by row."""
    rows, columns = (torch.arange(size, dtype=torch.int64, device="cpu") for size in (n, m))
    return rows.repeat_interleave(m), columns.repeat(n)
