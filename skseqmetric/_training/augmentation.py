"""Augmentation of padded batches. Every batch gets new random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from skseqmetric._ops.augmentation import cropped, jitter, moved, warped

Augmentation = Callable[[Tensor, Tensor, torch.Generator], Tensor]

MOVES = {"warp": warped, "crop": cropped}
NAMES = ("jitter", "warp", "crop")


class Augment:
    """The named augmentations, or a callable `f(values, lengths, generator) -> values`, applied to a batch.

    "auto" means all of them, "jitter" alone if every step has a target, or none for tokens, whose values are codes.
    Lengths never change. Steps after the end of a sequence are set to 0, whatever values a callable returns there.
    """

    def __init__(
        self, what: str | Sequence[str] | Augmentation | None, *, every_step: bool = False, tokens: bool = False
    ) -> None:
        if isinstance(what, str) and what == "auto":
            what = None if tokens else "jitter" if every_step else NAMES
        self.function = what if callable(what) else None
        self.names = () if what is None or callable(what) else (what,) if isinstance(what, str) else tuple(what)
        unknown = [name for name in self.names if name not in NAMES]
        if unknown:
            raise ValueError(f"augment names {unknown[0]!r}; the names are {', '.join(NAMES)}.")
        if tokens and self.names:
            raise ValueError(
                f"augment={self.names[0]!r} changes numbers, and tokens are none: use 'auto', a callable or None. "
                "token_dropout varies tokens."
            )
        moving = [name for name in self.names if name in MOVES]
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
        outside = torch.arange(values.shape[1], dtype=torch.int64, device=values.device) >= lengths[:, None]
        return values.masked_fill(outside[..., None], 0)

    def _named(self, values: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        moves = [MOVES[name] for name in MOVES if name in self.names]
        if moves:
            values = moved(values, lengths, moves, generator)
        return jitter(values, generator) if "jitter" in self.names else values
