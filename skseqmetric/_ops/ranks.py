"""Training on several processes: rows of a batch shared out among the ranks, and what all of them need of each other.

Every rank draws the same batch, and runs the network on its own rows. What a loss compares across rows is gathered
from all ranks, so that each of them computes the same loss of the whole batch. Backward adds up what the ranks want of
a tensor. The gradient of a parameter, averaged over the ranks, is thus that of one process with the same batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Ranks:
    """The processes that train one network together.

    Parameters
    ----------
    group : process group of `torch.distributed`.
    """

    def __init__(self, group: Any) -> None:
        self.group = group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        self._noise: dict[tuple[int, torch.device], torch.Generator] = {}

    def part(self, n: int) -> slice:
        """Return which of n rows are this rank's. Earlier ranks have one row more where n cannot be divided."""
        return self._parts(n)[self.rank]

    def _parts(self, n: int) -> list[slice]:
        ends = [n * (r + 1) // self.size for r in range(self.size)]
        return [slice(start, stop) for start, stop in zip([0, *ends], ends, strict=False)]

    def rows(self, own: Tensor, n: int) -> Tensor:
        """Return the n rows of all ranks, without gradients."""
        places = self._parts(n)
        height = max(place.stop - place.start for place in places)
        padded = own.new_zeros(height, *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in places]
        dist.all_gather(parts, padded, group=self.group)
        return torch.cat([part[: at.stop - at.start] for part, at in zip(parts, places, strict=True)])

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over all ranks, without gradients. The tensor keeps its own numbers."""
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=self.group)
        return total

    def first(self, value: Any) -> Any:
        """Return the value that rank 0 has."""
        values = [value]
        dist.broadcast_object_list(values, group=self.group, group_src=0)
        return values[0]

    def all(self, value: Any) -> list[Any]:
        """Return the values of all ranks."""
        values = [None] * self.size
        dist.all_gather_object(values, value, group=self.group)
        return values

    def noise(self, generator: torch.Generator) -> torch.Generator:
        """Return the rank's own stream beside one that all ranks share: ranks draw for unequal numbers of rows."""
        key = generator.initial_seed(), generator.device
        if key not in self._noise:
            own = torch.Generator(generator.device)
            # a step of the golden ratio, so that neighbouring seeds get streams of their own
            self._noise[key] = own.manual_seed((key[0] + 0x9E3779B97F4A7C15 * (self.rank + 1)) % 2**63)
        return self._noise[key]


RANKS: ContextVar[Ranks | None] = ContextVar("skseqmetric_ranks", default=None)
"""The processes that share the fits of this context."""


def own_rows(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the rows of this rank, of tensors with a common first axis; all rows where nothing is shared."""
    ranks = RANKS.get()
    return tensors if ranks is None else tuple(tensor[ranks.part(len(tensor))] for tensor in tensors)


def all_rows(own: Tensor, n: int) -> Tensor:
    """Return the n rows of all ranks from those of this rank, with gradients."""
    ranks = RANKS.get()
    if ranks is None:
        return own
    rows: Tensor = _Rows.apply(own, n, ranks)
    return rows


def summed(tensor: Tensor) -> Tensor:
    """Return the sum over all ranks, with gradients."""
    ranks = RANKS.get()
    if ranks is None:
        return tensor
    total: Tensor = _Sum.apply(tensor, ranks)
    return total


def own_noise(generator: torch.Generator) -> torch.Generator:
    """Return the generator from which a network draws noise for the rows of this rank."""
    ranks = RANKS.get()
    return generator if ranks is None else ranks.noise(generator)


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace the gradient of every parameter by its mean over all ranks, in one message for each dtype.

    The loss has the same terms on every rank, also on one without rows, so that all have gradients of the same
    parameters.
    """
    ranks = RANKS.get()
    if ranks is None:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
        alike = [gradient for gradient in gradients if gradient.dtype == dtype]
        total = ranks.sum(torch.cat([g.flatten() for g in alike])) / ranks.size
        for gradient, part in zip(alike, total.split([g.numel() for g in alike]), strict=True):
            # in place: the fused optimizer reads gradients in the memory format of their parameters
            gradient.copy_(part.view(gradient.shape))


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, n: int, ranks: Ranks) -> Tensor:
        ctx.n, ctx.ranks = n, ranks
        return ranks.rows(own, n)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.ranks.sum(gradient)[ctx.ranks.part(ctx.n)], None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.sum(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.sum(gradient), None
