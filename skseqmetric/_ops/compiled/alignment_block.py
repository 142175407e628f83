"""Soft distances by matched states by the compiled kernels, with gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import Team

KEPT = 1 << 23
"""Floats of slopes that are kept for the way back: 32 MB. Of more pairs, none are kept. The way back then computes them
anew, `PART` floats at a time."""

PART = 1 << 21
"""Floats that stay in the caches."""

CALL_PAIRS = 1 << 18
"""Pairs of one call, about a second of work: Ctrl-C is heard between calls."""


def alignment_block(states: Tensor, tau: Tensor) -> Tensor:
    """Return the soft squared distances (B, B) of all pairs of sequences with states (B, P, D)."""
    block: Tensor = _SoftDistances.apply(states, tau, None, None)
    return block


def alignment_pairs(states: Tensor, rows: Tensor, columns: Tensor, tau: Tensor) -> Tensor:
    """Return the soft squared distances (K,) of the pairs (rows[k], columns[k]) of states (B, P, D)."""
    squared: Tensor = _SoftDistances.apply(states, tau, rows.contiguous(), columns.contiguous())
    return squared


@dataclass
class _Places:
    """States (B, P, D), packed for the products of all calls, and pairs of them, or None for all pairs."""

    states: Tensor
    packed: Tensor
    tau: Tensor
    rows: Tensor | None
    columns: Tensor | None

    @classmethod
    def of(cls, states: Tensor, tau: Tensor, rows: Tensor | None, columns: Tensor | None) -> _Places:
        states = states.contiguous()
        n, n_places, n_numbers = states.shape
        packed = states.new_empty(n, library().packed_places(n_places, n_numbers))
        library().pack_sequences(address(packed, "packed"), address(states, "states"), n, n_places, n_numbers)
        return cls(states, packed, tau, rows, columns)

    @property
    def n_pairs(self) -> int:
        n = self.states.shape[0]
        return n * (n - 1) // 2 if self.rows is None else self.rows.shape[0]

    def soft_alignment(self, first: int, n_pairs: int, squared: Tensor | None, slopes: Tensor | None) -> None:
        """Write the squared distances, (B, B) or (K,), and the slopes of pairs from `first`, unless None."""
        library().soft_alignment(
            *self._operands(first),
            address(self.tau, "temperature"),
            None if squared is None else self._of_pairs(squared, "squared", first),
            None if slopes is None else address(slopes, "slopes"),
            *self._numbers(first, n_pairs),
        )

    def soft_alignment_back(
        self, first: int, n_pairs: int, slopes: Tensor, outer: Tensor, grad_states: Tensor, grad_tau: Tensor
    ) -> None:
        """Add to the gradients what the gradients `outer` of squared distances give, by pairs from `first`."""
        states, packed, *pairs = self._operands(first)
        library().soft_alignment_back(
            states,
            packed,
            address(slopes, "slopes"),
            self._of_pairs(outer, "outer", first),
            *pairs,
            address(grad_states, "gradient"),
            address(grad_tau, "gradient"),
            *self._numbers(first, n_pairs),
        )

    def _operands(self, first: int) -> tuple[int | None, ...]:
        given = [self.rows, self.columns]
        pairs = [None if one is None else address(one[first:], "pairs", torch.int64) for one in given]
        return address(self.states, "states"), address(self.packed, "packed"), *pairs

    def _of_pairs(self, tensor: Tensor, name: str, first: int) -> int:
        return address(tensor if self.rows is None else tensor[first:], name)

    def _numbers(self, first: int, n_pairs: int) -> tuple[int, ...]:
        team = Team.now()
        return first, n_pairs, *self.states.shape, team.n_threads, team.openmp


class _SoftDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, tau: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
        places = _Places.of(states, tau, rows, columns)
        n_pairs, floats, n = places.n_pairs, library().soft_slopes(states.shape[1]), len(states)
        squared = states.new_zeros(n, n) if rows is None else states.new_empty(n_pairs)
        slopes = None
        if (ctx.needs_input_grad[0] or ctx.needs_input_grad[1]) and n_pairs * floats <= KEPT:
            slopes = states.new_empty(n_pairs * floats)
        for first in range(0, n_pairs, CALL_PAIRS):
            places.soft_alignment(first, min(CALL_PAIRS, n_pairs - first), squared, slopes)
        ctx.save_for_backward(places.states, places.packed, tau, rows, columns, slopes)
        return squared

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        *operands, slopes = ctx.saved_tensors
        places, outer = _Places(*operands), grad.contiguous()
        grads = places.states.new_zeros(places.states.shape), places.tau.new_zeros(())
        if slopes is not None:
            places.soft_alignment_back(0, places.n_pairs, slopes, outer, *grads)
            return *grads, None, None
        floats = library().soft_slopes(places.states.shape[1])
        part = max(1, PART // floats)
        slopes = places.states.new_empty(part * floats)
        for first in range(0, places.n_pairs, part):
            n_pairs = min(part, places.n_pairs - first)
            places.soft_alignment(first, n_pairs, None, slopes)
            places.soft_alignment_back(first, n_pairs, slopes, outer, *grads)
        return *grads, None, None
