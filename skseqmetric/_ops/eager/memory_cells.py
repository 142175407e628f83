"""The recurrent steps between two memory updates, their gradients by hand (`_ops.reference.memory` defines them).

The part of the memory in a step does not depend on the states, so that it is an operand. The steps are those of the
plain backbone. Layouts: L steps of a window, B sequences, H units, G blocks of gates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.eager.gru import GateGradients, Gates, GRUStep
from skseqmetric._ops.products import Matrix

Matrices = tuple[Matrix, Matrix]
"""W_ih and W_hh."""

Keep = Tensor | float
"""Zoneout: masks of the units that take their new value (L, B, H), or their share; 1 for no zoneout."""

RunWindow = Callable[..., tuple[Tensor, Tensor]]
"""`run_window`, or another function with its operands."""


def run_window(
    cell: str,
    x: Tensor,
    read: Tensor | None,
    start: tuple[Tensor, Tensor],
    w: list[Tensor],
    keep: tuple[Keep, Keep],
    matrices: Matrices,
) -> tuple[Tensor, Tensor]:
    """Return the states (L, B, H) of a window and its last c, from inputs x, the memory's part and (h, c).

    Inputs x are (L, B, D), and the memory's part is (L, B, H).

    `w` is W_ih (G H, D), b (G H,), W_hh (G H, H), for the gru also b'_n (H,); `matrices` computes the products with
    W_ih and W_hh. A cell without c passes it on.
    """
    h, c = start
    if cell == "lstm":
        return _LSTMWindow.apply(x, read, h, c, *w, *keep, matrices)
    window = _GRUWindow if cell == "gru" else _RNNWindow
    return window.apply(x, read, h, *w, keep[0], matrices), c


def _per_step(keep: Keep, n_steps: int) -> list[Any]:
    """What `torch.lerp` takes at each step; None where there is no zoneout."""
    if isinstance(keep, Tensor):
        return list(keep.unbind(0))
    return [None if keep == 1.0 else keep] * n_steps


def _part(grad: Tensor, keep: Any) -> tuple[Tensor, Tensor | None]:
    """The gradient's way to the new value and, past it, to the old one."""
    if keep is None:
        return grad, None
    new = grad * keep
    return new, grad - new


def _before(start: Tensor, states: Tensor) -> Tensor:
    """h_{t-1} of every step, (L, B, H)."""
    return torch.cat([start[None], states[:-1]])


class _LSTMWindow(torch.autograd.Function):
    """c_t = sigma(f) c_{t-1} + sigma(i) tanh(g) + read_t, h_t = sigma(o) tanh(c_t), zoneout on both."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        read: Tensor | None,
        h: Tensor,
        c: Tensor,
        matrix: Tensor,
        bias: Tensor,
        hidden: Tensor,
        keep_h: Keep,
        keep_c: Keep,
        matrices: Matrices,
    ) -> tuple[Tensor, Tensor]:
        (n_steps, n_rows, _), n = x.shape, h.shape[1]
        gates, before = matrices[0].project(x, bias), h.contiguous()
        states, squashed = h.new_empty(n_steps, n_rows, n), h.new_empty(n_steps, n_rows, n)
        cells = h.new_empty(n_steps + 1, n_rows, n)
        cells[0] = c
        f, i, o, g = (part.unbind(0) for part in gates.chunk(4, dim=2))
        logistic = gates[..., : 3 * n].unbind(0)
        for t, (gate, old, new) in enumerate(zip(gates.unbind(0), cells[:-1], cells[1:], strict=True)):
            matrices[1].forward(before, gate)
            logistic[t].sigmoid_()
            torch.mul(f[t], old, out=new).addcmul_(i[t], g[t].tanh_())
            if read is not None:
                new += read[t]
            torch.mul(o[t], torch.tanh(new, out=squashed[t]), out=states[t])
            before = _zoned(before, states[t], keep_h, t)
            _zoned(old, new, keep_c, t)
        ctx.keeps, ctx.reads, ctx.matrices = (keep_h, keep_c), read is not None, matrices
        ctx.save_for_backward(x, h, matrix, hidden, gates, cells, squashed, states)
        return states, cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor, grad_c: Tensor) -> tuple[Tensor | None, ...]:
        x, h, _, _, gates, cells, squashed, states = ctx.saved_tensors
        (matrix, hidden), n_steps, n = ctx.matrices, len(gates), h.shape[1]
        keep_h, keep_c = (_per_step(keep, n_steps) for keep in ctx.keeps)
        slopes, to_cell = _lstm_slopes(gates, cells[:-1], squashed)
        slope = slopes.unflatten(2, (4, n)).unbind(0)
        grad_gates, grad_new = torch.empty_like(gates), torch.empty_like(states)
        by_gate, by_o = grad_gates.unflatten(2, (4, n)).unbind(0), grad_gates[..., 2 * n : 3 * n].unbind(0)
        f, grad_h = gates[..., :n].unbind(0), torch.zeros_like(h)
        for t in range(n_steps - 1, -1, -1):
            grad_h, past_h = _part(grad_h + grad_states[t], keep_h[t])
            grad_c, past_c = _part(grad_c, keep_c[t])
            new = torch.addcmul(grad_c, grad_h, to_cell[t], out=grad_new[t])
            torch.mul(slope[t], new[:, None], out=by_gate[t])
            torch.mul(slope[t][:, 2], grad_h, out=by_o[t])
            grad_h = _sum(hidden.backward(grad_gates[t]), past_h)
            grad_c = _sum(new * f[t], past_c)
        grad_hidden = hidden.gradient(grad_gates.flatten(0, 1), _before(h, states).flatten(0, 1))
        grad_x, grad_input = matrix.project_backward(grad_gates, x, wanted=ctx.needs_input_grad[0])
        grad_bias, grad_read = grad_gates.sum((0, 1)), grad_new if ctx.reads else None
        return grad_x, grad_read, grad_h, grad_c, grad_input, grad_bias, grad_hidden, None, None, None


def _zoned(old: Tensor, new: Tensor, keep: Keep, t: int) -> Tensor:
    """The state after zoneout, in the place of the new one."""
    if isinstance(keep, Tensor):
        return torch.lerp(old, new, keep[t], out=new)
    return new if keep == 1.0 else torch.lerp(old, new, keep, out=new)


def _sum(grad: Tensor, past: Tensor | None) -> Tensor:
    return grad if past is None else grad.add_(past)


def _lstm_slopes(gates: Tensor, before: Tensor, squashed: Tensor) -> tuple[Tensor, Tensor]:
    """Return slopes of a window: of c_t and h_t by the pre-activations (L, B, 4 H), and of h_t by c_t (L, B, H)."""
    n = squashed.shape[2]
    _, i, o, g = gates.chunk(4, dim=2)
    slopes = torch.cat([before, g, squashed, i], 2)
    logistic, of_logistic = gates[..., : 3 * n], slopes[..., : 3 * n]
    of_logistic *= logistic
    of_logistic.addcmul_(of_logistic, logistic, value=-1)
    slopes[..., 3 * n :].addcmul_(i, g * g, value=-1)
    return slopes, torch.addcmul(o, o * squashed, squashed, value=-1)


class _GRUWindow(torch.autograd.Function):
    """The gru with the memory's part inside the candidate's tanh, zoneout on h."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        read: Tensor | None,
        h: Tensor,
        matrix: Tensor,
        bias: Tensor,
        hidden: Tensor,
        candidate_bias: Tensor,
        keep: Keep,
        matrices: Matrices,
    ) -> Tensor:
        (n_steps, n_rows, _), n = x.shape, h.shape[1]
        projected = matrices[0].project(x, bias)
        if read is not None:
            projected[..., 2 * n :] += read
        step, gates = GRUStep(hidden[None], candidate_bias[None]), torch.empty_like(projected)[:, None]
        states, candidates = (h.new_empty(n_steps, 1, n_rows, n) for _ in range(2))
        before, views = h[None], Gates.of_steps(gates)
        x_rz, x_n = projected[:, None, :, : 2 * n].unbind(0), projected[:, None, :, 2 * n :].unbind(0)
        for t in range(n_steps):
            product = matrices[1] if torch.is_inference_mode_enabled() else None
            step.forward(x_rz[t], x_n[t], before, views[t], candidates[t], states[t], product)
            before = _zoned(before, states[t], keep, t)
        ctx.keep, ctx.reads, ctx.matrices = keep, read is not None, matrices
        states = states[:, 0]
        ctx.save_for_backward(x, h, matrix, hidden, candidate_bias, gates, candidates, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        x, h, _, hidden, candidate_bias, gates, candidates, states = ctx.saved_tensors
        n_steps, n = len(states), h.shape[1]
        keep, before = _per_step(ctx.keep, n_steps), _before(h, states)
        step = GRUStep(hidden[None], candidate_bias[None])
        gradients = gates.new_empty(*gates.shape[:3], 4 * n)
        grad, views, to = torch.zeros_like(h[None]), Gates.of_steps(gates), GateGradients.of_steps(gradients, 0)
        for t in range(n_steps - 1, -1, -1):
            grad, past = _part(grad + grad_states[t], keep[t])
            grad = _sum(step.backward(grad, before[t][None], views[t], candidates[t], to[t]), past)
        flat, grad_projected = gradients.flatten(0, 2), gradients[:, 0, :, n:]
        grad_hidden = step.in_order((flat[:, : 3 * n].T @ before.flatten(0, 1))[None])[0]
        grad_candidate = flat[:, :n].sum(0)
        grad_x, grad_input = ctx.matrices[0].project_backward(grad_projected, x, wanted=ctx.needs_input_grad[0])
        grad_bias = grad_projected.sum((0, 1))
        grad_read = grad_projected[..., 2 * n :] if ctx.reads else None
        return grad_x, grad_read, grad[0], grad_input, grad_bias, grad_hidden, grad_candidate, None, None


class _RNNWindow(torch.autograd.Function):
    """h_t = tanh(W x_t + b + read_t + U h_{t-1}), zoneout on h."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        read: Tensor | None,
        h: Tensor,
        matrix: Tensor,
        bias: Tensor,
        hidden: Tensor,
        keep: Keep,
        matrices: Matrices,
    ) -> Tensor:
        news = matrices[0].project(x, bias)
        if read is not None:
            news += read
        states, before = torch.empty_like(news), h.contiguous()
        for new, state, t in zip(news.unbind(0), states.unbind(0), range(len(x)), strict=True):
            state.copy_(matrices[1].forward(before, new).tanh_())
            before = _zoned(before, state, keep, t)
        ctx.keep, ctx.reads, ctx.matrices = keep, read is not None, matrices
        ctx.save_for_backward(x, h, matrix, hidden, news, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        (x, h, _, _, news, states), (matrix, hidden) = ctx.saved_tensors, ctx.matrices
        keep, slopes = _per_step(ctx.keep, len(states)), 1 - news * news
        grad_projected, grad = torch.empty_like(states), torch.zeros_like(h)
        for t in range(len(states) - 1, -1, -1):
            grad, past = _part(grad + grad_states[t], keep[t])
            torch.mul(grad, slopes[t], out=grad_projected[t])
            grad = _sum(hidden.backward(grad_projected[t]), past)
        grad_hidden = hidden.gradient(grad_projected.flatten(0, 1), _before(h, states).flatten(0, 1))
        grad_x, grad_input = matrix.project_backward(grad_projected, x, wanted=ctx.needs_input_grad[0])
        grad_bias = grad_projected.sum((0, 1))
        return grad_x, grad_projected if ctx.reads else None, grad, grad_input, grad_bias, grad_hidden, None, None
