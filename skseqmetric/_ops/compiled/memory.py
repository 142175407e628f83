"""A layer of recurrent memory as one call of the compiled kernels for each direction, differentiable."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.buffer_pool import Buffer, take
from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.compiled._memory_problem import NAMES, MemoryProblem
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import Team
from skseqmetric._ops.weights import MemoryForm, MemoryNoise, MemoryWeights

_CELLS = {"lstm": 0, "gru": 1, "rnn": 2}


def memory_states(x: Tensor, lengths: Tensor, weights: MemoryWeights, noise: MemoryNoise) -> Tensor:
    """Return the states (B, T, H) of inputs (B, T, D). Past its end a sequence repeats its last state."""
    tensors = tuple(getattr(weights, name) for name in NAMES)
    if not torch.is_grad_enabled():
        return _Run(x, lengths, weights.form, noise, tensors).forward(keep=False)[0]
    states: Tensor = _Scan.apply(x, lengths, weights.form, noise, *tensors)
    return states


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, lengths: Tensor, form: MemoryForm, noise: MemoryNoise, *tensors: Tensor | None
    ) -> Tensor:
        run, keep = _Run(x, lengths, form, noise, tensors), any(ctx.needs_input_grad)
        states, kept = run.forward(keep=keep)
        if keep:
            ctx.form, ctx.noise, ctx.kept = form, noise, kept
            ctx.save_for_backward(x, lengths, states, *tensors)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, lengths, _, *tensors = ctx.saved_tensors
        run = _Run(x, lengths, ctx.form, ctx.noise, tuple(tensors))
        kept, ctx.kept = ctx.kept, None
        if kept is None:  # a second time through the same graph: backward has changed what was kept
            kept = run.forward(keep=True)[1]
        gradients = run.backward(grad, kept.tensor, of_x=ctx.needs_input_grad[0])
        kept.release()
        return gradients[0], None, None, None, *gradients[1:]


class _Run:
    """The operands of one call. It keeps them alive."""

    def __init__(
        self, x: Tensor, lengths: Tensor, form: MemoryForm, noise: MemoryNoise, tensors: tuple[Tensor | None, ...]
    ) -> None:
        self._problem, self._held = MemoryProblem(), list[Tensor]()
        self.x = x if x.stride(2) == 1 or x.shape[2] == 1 else x.contiguous()
        self.tensors = [None if tensor is None else tensor.contiguous() for tensor in tensors]
        self._set_shape(form)
        self._set_rows(lengths.to(torch.int64).contiguous())
        self._set_noise(noise)
        for name, tensor in zip(NAMES, self.tensors, strict=True):
            if tensor is not None:
                setattr(self._problem.weights, name, self._hold(tensor, name))

    def _hold(self, tensor: Tensor, name: str, dtype: torch.dtype = torch.float32, layout: str = "whole") -> int:
        self._held.append(tensor)
        return address(tensor, name, dtype, layout)

    def _set_shape(self, form: MemoryForm) -> None:
        p, team = self._problem, Team.now()
        p.n_rows, p.n_steps, p.n_features = self.x.shape
        p.n_units, p.cell = self.tensors[NAMES.index("hidden")].shape[1], _CELLS[form.cell]  # type: ignore[union-attr]
        p.n_slots, p.stride, p.n_heads = form.n_slots, form.stride, form.n_heads
        # a longer window is never full either
        p.window = max(1, min(form.window, p.n_steps))
        p.attention, p.tokens = form.attention, form.memory_input == "tokens"
        p.n_threads, p.openmp = team.n_threads, team.openmp

    def _set_rows(self, lengths: Tensor) -> None:
        p = self._problem
        p.x, (p.x_row, p.x_step) = self._hold(self.x, "x", layout="rows"), self.x.stride()[:2]
        # rows of a tile end at about the same step
        order = lengths.argsort(descending=True, stable=True)
        p.lengths, p.order = self._hold(lengths, "lengths", torch.int64), self._hold(order, "order", torch.int64)

    def _set_noise(self, noise: MemoryNoise) -> None:
        p = self._problem
        for keep, given in ((p.hidden, noise.hidden), (p.cells, noise.cell)):
            if isinstance(given, Tensor):
                keep.mask, (keep.row, keep.step) = self._hold(given, "noise", layout="rows"), given.stride()[:2]
            else:
                keep.share = given
        if noise.memory is not None:
            factors = noise.memory.flatten(2)
            p.dropped, p.dropped_row = self._hold(factors, "noise", layout="rows"), factors.stride(0)
            p.dropped_update = factors.stride(1) if factors.shape[1] > 1 else 0

    def forward(self, *, keep: bool) -> tuple[Tensor, Any]:
        """Return the states and, where it is asked for, what backward reads."""
        p = self._problem
        states = self.x.new_empty(p.n_rows, p.n_steps, p.n_units)
        p.states, (p.states_row, p.states_step) = self._hold(states, "states"), states.stride()[:2]
        kept: Buffer | None = take(library().memory_kept(ctypes.addressof(p))) if keep else None
        p.kept = None if kept is None else self._hold(kept.tensor, "kept")
        library().memory(ctypes.addressof(p), False)
        return states, kept

    def backward(self, grad: Tensor, kept: Tensor, *, of_x: bool) -> list[Tensor | None]:
        """Return the gradients of x, if it is asked for, and of the weights."""
        p, grad = self._problem, grad if grad.stride(2) == 1 else grad.contiguous()
        p.kept, p.grad_states = self._hold(kept, "kept"), self._hold(grad, "grad", layout="rows")
        p.grad_row, p.grad_step = grad.stride()[:2]
        grad_x = self.x.new_empty(self.x.shape) if of_x else None
        p.grad_x = None if grad_x is None else self._hold(grad_x, "grad_x")
        between = take(library().memory_between(ctypes.addressof(p)))
        p.between = self._hold(between.tensor, "between")
        gradients = [None if tensor is None else torch.empty_like(tensor) for tensor in self.tensors]
        for name, gradient in zip(NAMES, gradients, strict=True):
            if gradient is not None:
                setattr(p.gradients, name, self._hold(gradient, name))
        library().memory(ctypes.addressof(p), True)
        between.release()
        return [grad_x, *gradients]
