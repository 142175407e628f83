"""Training on several processes: rows of a batch shared out among the ranks, and what all of them need of each other.

Every rank draws the same batch, and runs the network on its own rows. What a loss compares across rows is gathered
from all ranks, so that each of them computes the same loss of the whole batch. Backward adds up what the ranks want of
a tensor. The gradient of a parameter, averaged over the ranks, is thus that of one process with the same batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import Tensor

Answer = TypeVar("Answer")


class Ranks:
    """The processes that train one network together.

    Parameters
    ----------
    group : process group of `torch.distributed`.
    """

    def __init__(self, group: Any) -> None:
        self.group = group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        # by the generator of a fit: the next fit begins anew
        self._noise: WeakKeyDictionary[torch.Generator, torch.Generator] = WeakKeyDictionary()

    def part(self, n: int) -> slice:
        """Return which of n rows are this rank's. Earlier ranks have one row more where n cannot be divided."""
        return self._parts(n)[self.rank]

    def _parts(self, n: int) -> list[slice]:
        ends = [n * (r + 1) // self.size for r in range(self.size)]
        return [slice(start, stop) for start, stop in zip([0, *ends], ends, strict=False)]

    # ------------------------------------------------------------------ what a step of training shares
    def own_rows(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the rows of this rank, of tensors with a common first axis."""
        return tuple(tensor[self.part(len(tensor))] for tensor in tensors)

    def all_rows(self, own: Tensor, n: int) -> Tensor:
        """Return the n rows of all ranks from those of this rank, with gradients."""
        rows: Tensor = _Rows.apply(own, n, self)
        return rows

    def summed(self, tensor: Tensor) -> Tensor:
        """Return the sum over all ranks, with gradients."""
        total: Tensor = _Sum.apply(tensor, self)
        return total

    def noise(self, generator: torch.Generator) -> torch.Generator:
        """Return the rank's own stream beside one that all ranks share: ranks draw for unequal numbers of rows."""
        if generator not in self._noise:
            own = torch.Generator(generator.device)
            # a step of the golden ratio, so that neighbouring seeds get streams of their own
            seed = (generator.initial_seed() + 0x9E3779B97F4A7C15 * (self.rank + 1)) % 2**63
            self._noise[generator] = own.manual_seed(seed)
        return self._noise[generator]

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace the gradient of every parameter by its mean over all ranks, in one message for each dtype.

        The loss has the same terms on every rank, also on one without rows, so that all have gradients of the same
        parameters.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
            alike = [gradient for gradient in gradients if gradient.dtype == dtype]
            total = self.reduced(torch.cat([g.flatten() for g in alike])) / self.size
            for gradient, part in zip(alike, total.split([g.numel() for g in alike]), strict=True):
                # in place: the fused optimizer reads gradients in the memory format of their parameters
                gradient.copy_(part.view(gradient.shape))

    # ------------------------------------------------------------------ without gradients
    def gathered(self, own: Tensor, n: int) -> Tensor:
        """Return the n rows of all ranks."""
        places = self._parts(n)
        height = max(place.stop - place.start for place in places)
        padded = own.new_zeros(height, *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in places]
        dist.all_gather(parts, padded, group=self.group)
        return torch.cat([part[: at.stop - at.start] for part, at in zip(parts, places, strict=True)])

    def reduced(self, tensor: Tensor) -> Tensor:
        """Return the sum over all ranks. The tensor keeps its own numbers."""
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=self.group)
        return total

    # ------------------------------------------------------------------ any values
    def first(self, value: Answer) -> Answer:
        """Return the value that rank 0 has."""
        values = [value]
        dist.broadcast_object_list(values, group=self.group, group_src=0)
        return values[0]

    def all(self, value: Answer) -> list[Answer]:
        """Return the values of all ranks."""
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.group)
        return values

    def by_first(self, call: Callable[[], Answer]) -> Answer:
        """Let rank 0 make a call. Return its answer in all ranks, or raise its error in all of them."""
        outcome: tuple[Any, Exception | None] = None, None
        if self.rank == 0:
            try:
                outcome = call(), None
            except Exception as error:
                outcome = None, error
        answer, raised = self.first(outcome)
        if raised is not None:
            raise raised
        return answer


RANKS: ContextVar[Ranks | None] = ContextVar("skseqmetric_ranks", default=None)
"""The processes that share the fits of this context."""


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, n: int, ranks: Ranks) -> Tensor:
        ctx.n, ctx.ranks = n, ranks
        return ranks.gathered(own, n)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.ranks.reduced(gradient)[ctx.ranks.part(ctx.n)], None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.reduced(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.reduced(gradient), None
