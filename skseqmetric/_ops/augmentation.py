"""Augmentation of padded batches (B, T, C) with lengths (B,): noise, and resampling at moved positions in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Move = Callable[[Tensor, torch.Generator], Tensor]
"""Relative positions (B, T) in [0, 1] -> where in [0, 1] to read instead."""

NOISE = 0.05
SCALE_NOISE = 0.1
SPEED_NOISE = 0.2
KNOTS = 5
GRID = 65
CROP = 0.05


def _normal(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, device=like.device, dtype=like.dtype)


def _uniform(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(*shape, generator=generator, device=like.device, dtype=like.dtype)


def jitter(values: Tensor, generator: torch.Generator) -> Tensor:
    """Add noise of standard deviation 0.05, and multiply by one factor 1 + 0.1 N(0, 1) per sequence and channel."""
    n, _, channels = values.shape
    scale = _normal((n, 1, channels), values, generator).mul_(SCALE_NOISE).add_(1)
    return _normal(values.shape, values, generator).mul_(NOISE).addcmul_(values, scale)


def cropped(positions: Tensor, generator: torch.Generator) -> Tensor:
    """Cut up to 5 % at either end: relative positions in [0, 1] shrink into a random sub-interval."""
    cut = CROP * _uniform((2, len(positions), 1), positions, generator)
    return cut[0] + positions * (1 - cut[0] - cut[1])


def warped(positions: Tensor, generator: torch.Generator) -> Tensor:
    """A smooth monotone time warp: log-speed 0.2 N(0, 1) at 5 knots, interpolated, integrated, normalised to [0, 1]."""
    knots = SPEED_NOISE * _normal((len(positions), 1, KNOTS), positions, generator)
    speed = interpolate(knots, size=GRID - 1, mode="linear", align_corners=True)[:, 0].exp()
    path = torch.nn.functional.pad(torch.cumsum(speed, 1), (1, 0))
    return _interpolate_rows(path / path[:, -1:], positions * (GRID - 1))


def _interpolate_rows(rows: Tensor, where: Tensor) -> Tensor:
    """rows (B, T) read at fractional places (B, T), linearly, clamped to the ends."""
    where = where.clamp(0, rows.shape[1] - 1)
    low = where.floor().long()
    high = (low + 1).clamp_max(rows.shape[1] - 1)
    return torch.lerp(rows.gather(1, low), rows.gather(1, high), where - low)


def resample(values: Tensor, lengths: Tensor, positions: Tensor) -> Tensor:
    """Read every sequence at relative positions (B, T) in [0, 1] of its own length, by linear interpolation."""
    last = (lengths - 1)[:, None]
    where = positions * last
    low = where.floor().long().clamp_max(values.shape[1] - 1)
    high = torch.minimum(low + 1, last)
    n, n_steps, n_channels = values.shape
    # whole steps of all sequences one behind the other: faster than a choice for every channel
    steps = values.reshape(n * n_steps, n_channels)
    first = torch.arange(0, n * n_steps, n_steps, dtype=torch.int64, device=values.device)[:, None]
    below, above = (steps.index_select(0, (first + at).view(-1)).view(values.shape) for at in (low, high))
    return below.lerp_(above, (where - low)[..., None])


def moved(values: Tensor, lengths: Tensor, moves: Iterable[Move], generator: torch.Generator) -> Tensor:
    """Read every sequence at the positions of its steps after all moves, which are applied one after another."""
    last = (lengths - 1).clamp_min(1)[:, None]
    steps = torch.arange(values.shape[1], device=values.device, dtype=values.dtype)
    positions = (steps / last).clamp_max(1)
    for move in moves:
        positions = move(positions, generator)
    return resample(values, lengths, positions)
