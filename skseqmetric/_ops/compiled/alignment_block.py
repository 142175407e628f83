"""Soft distances by matched states by the compiled kernels, with gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import Team

KEPT = 1 << 23
"""Floats of slopes that are kept for the way back: 32 MB. Of more pairs, none are kept, and the way back takes them
anew, `PART` floats at a time."""

PART = 1 << 21
"""Floats that stay in the caches."""

CALL_PAIRS = 1 << 18
"""Pairs of one call, about a second of work: Ctrl-C is heard between calls."""


def alignment_pairs(states: Tensor, rows: Tensor, columns: Tensor, tau: Tensor) -> Tensor:
    """Return the soft squared distances (K,) of the pairs (rows[k], columns[k]) of states (B, P, D)."""
    squared: Tensor = _SoftDistances.apply(states, rows, columns, tau)
    return squared


class _Places:
    """States (B, P, D) that are packed for the products of all calls, the temperature, and the threads."""

    def __init__(self, states: Tensor, tau: Tensor) -> None:
        self.states, self.tau = states.detach().contiguous(), tau.detach().contiguous()
        self.shape = states.shape
        n, n_places, n_numbers = self.shape
        self.packed = states.new_empty(n, library().alignment_packed(n_places, n_numbers))
        library().pack_places(address(self.packed, "packed"), address(self.states, "states"), n, n_places, n_numbers)
        self.pair_floats = library().alignment_slopes(n_places)

    def slopes(self, n_pairs: int) -> Tensor:
        """Return room for the slopes of pairs; the last vector of each begins with that of the temperature."""
        return self.states.new_empty(n_pairs, self.pair_floats)

    def align(self, rows: Tensor, columns: Tensor, squared: Tensor, slopes: Tensor | None) -> None:
        """Write the squared distances (K,) of pairs and, unless None, their slopes."""
        team = Team.now()
        library().align(
            address(self.states, "states"),
            address(self.packed, "packed"),
            address(rows, "rows", torch.int64),
            address(columns, "columns", torch.int64),
            address(self.tau, "temperature"),
            address(squared, "squared"),
            None if slopes is None else address(slopes, "slopes"),
            len(rows),
            *self.shape[1:],
            team.n_threads,
            team.openmp,
        )

    def align_back(self, rows: Tensor, columns: Tensor, slopes: Tensor, outer: Tensor, grad: Tensor) -> None:
        """Add to the gradient (B, P, D) of the states what the gradients `outer` (K,) of squared distances give."""
        room = rows.new_empty(len(grad) + 2 + 2 * len(rows))
        team = Team.now()
        library().align_back(
            address(self.states, "states"),
            address(self.packed, "packed"),
            address(slopes, "slopes"),
            address(outer, "outer"),
            address(rows, "rows", torch.int64),
            address(columns, "columns", torch.int64),
            address(room, "room", torch.int64),
            address(room[len(grad) + 2 :], "room", torch.int64),
            address(grad, "gradient"),
            len(grad),
            len(rows),
            *self.shape[1:],
            team.n_threads,
            team.openmp,
        )


class _SoftDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, rows: Tensor, columns: Tensor, tau: Tensor) -> Tensor:
        places, rows, columns = _Places(states, tau), rows.contiguous(), columns.contiguous()
        squared = states.new_empty(len(rows))
        keep = any(ctx.needs_input_grad) and len(rows) * places.pair_floats <= KEPT
        slopes = places.slopes(len(rows)) if keep else None
        first = 0
        for part in squared.split(CALL_PAIRS):
            last = first + len(part)
            places.align(rows[first:last], columns[first:last], part, slopes[first:last] if keep else None)
            first = last
        ctx.save_for_backward(rows, columns)
        ctx.places, ctx.slopes = places, slopes
        return squared

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, Tensor]:
        places = ctx.places
        rows, columns = ctx.saved_tensors
        outer = grad.contiguous()
        size = max(1, len(rows) if ctx.slopes is not None else PART // places.pair_floats)
        grad_states, grad_tau = torch.zeros_like(places.states), places.tau.new_zeros((), dtype=torch.float64)
        anew = None if ctx.slopes is not None else places.slopes(min(size, len(rows)))
        for i, j, part in zip(rows.split(size), columns.split(size), outer.split(size), strict=True):
            slopes = ctx.slopes
            if anew is not None:
                slopes = anew[: len(i)]
                places.align(i, j, torch.empty_like(part), slopes)
            places.align_back(i, j, slopes, part, grad_states)
            by_tau = slopes[:, -library().width()]
            grad_tau += torch.dot(by_tau.double(), part.double())
        return grad_states, None, None, grad_tau.to(places.tau.dtype)
