"""Augmentation of padded batches, drawn anew for every batch, whole batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from skseqmetric._ops.steps import valid_steps

Augmentation = Callable[[Tensor, Tensor, torch.Generator], Tensor]

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


def jitter(values: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
    """Additive noise of standard deviation 0.05 and one factor 1 + 0.1 N(0, 1) per sequence and channel."""
    n, _, channels = values.shape
    scale = 1 + SCALE_NOISE * _normal((n, 1, channels), values, generator)
    return values * scale + NOISE * _normal(values.shape, values, generator)


def crop_positions(positions: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
    """Cut up to 5 % at either end: relative positions in [0, 1] shrink into a random sub-interval."""
    cut = CROP * _uniform((2, len(positions), 1), positions, generator)
    return cut[0] + positions * (1 - cut[0] - cut[1])


def warp_positions(positions: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
    """A smooth monotone time warp: log-speed N(0, 0.2) at 5 knots, interpolated, integrated, normalised to [0, 1]."""
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
    """Every sequence read at relative positions (B, T) in [0, 1] of its own length, by linear interpolation."""
    last = (lengths - 1)[:, None]
    where = positions * last
    low = where.floor().long().clamp_max(values.shape[1] - 1)
    high = torch.minimum(low + 1, last)
    pick = (-1, -1, values.shape[2])
    below = values.gather(1, low[..., None].expand(pick))
    return torch.lerp(below, values.gather(1, high[..., None].expand(pick)), (where - low)[..., None])


POSITION_MAPS = {"warp": warp_positions, "crop": crop_positions}
NAMES = ("jitter", "warp", "crop")


class Augment:
    """The named augmentations, or a callable `f(values, lengths, generator) -> values`, as one step on a batch.

    "auto" means all of them, or "jitter" alone where every step has a target. Lengths never change; steps past a
    sequence's end come out as 0, whatever a callable leaves there.
    """

    def __init__(self, what: str | Sequence[str] | Augmentation | None, *, every_step: bool = False) -> None:
        if isinstance(what, str) and what == "auto":
            what = "jitter" if every_step else NAMES
        self.function = what if callable(what) else None
        self.names = () if what is None or callable(what) else (what,) if isinstance(what, str) else tuple(what)
        unknown = [name for name in self.names if name not in NAMES]
        if unknown:
            raise ValueError(f"augment names {unknown[0]!r}; the names are {', '.join(NAMES)}.")
        moving = [name for name in self.names if name in POSITION_MAPS]
        if every_step and moving:
            raise ValueError(
                f"augment={moving[0]!r} moves steps away from their labels: use 'jitter', a callable or None."
            )

    def __call__(self, values: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        if self.function is not None:
            values = self.function(values, lengths, generator)
        elif self.names:
            values = self._named(values, lengths, generator)
        else:
            return values
        return values.masked_fill(~valid_steps(lengths, values.shape[1])[..., None], 0)

    def _named(self, values: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        maps = [POSITION_MAPS[name] for name in POSITION_MAPS if name in self.names]
        if maps:
            last = (lengths - 1).clamp_min(1)[:, None]
            steps = torch.arange(values.shape[1], device=values.device, dtype=values.dtype)
            positions = (steps / last).clamp_max(1)
            for position_map in maps:
                positions = position_map(positions, lengths, generator)
            values = resample(values, lengths, positions)
        return jitter(values, lengths, generator) if "jitter" in self.names else values
