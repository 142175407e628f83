"""The uncoupled GRU over a padded batch, all directions at once: what `_ops.reference.gru_scan` defines.

Layouts: D directions, T steps, B sequences, F features, H units. The recurrence is causal, so it needs no mask: the
padding behind a sequence cannot reach its valid steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.weights import RecurrentWeights, project


def gru_states(features: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H) from features (D, T, B, F): cuDNN's kernel on CUDA, `_GRUScan` elsewhere."""
    if not features.is_cuda:
        return _scan(project(features, weights, gate=False), weights)
    runs = [_cudnn_scan(x, w) for x, w in zip(features, weights, strict=True)]
    return torch.stack(runs, 1)


def _cudnn_scan(x: Tensor, w: RecurrentWeights) -> Tensor:
    start = x.new_zeros(1, x.shape[1], w.n_units)
    parameters = [w.input, w.hidden, w.input_bias, w.hidden_bias]
    return torch.gru(x, start, parameters, True, 1, 0.0, False, False, False)[0]


def _scan(projected: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H) from projections (D, T, B, 3H)."""
    n = weights[0].n_units
    hidden = torch.stack([w.hidden for w in weights])
    candidate_bias = torch.stack([w.hidden_bias[2 * n :] for w in weights])
    with torch.autocast(projected.device.type, enabled=False):
        return _GRUScan.apply(projected, hidden, candidate_bias)


class GRUStep:
    """The arithmetic of one step and of its gradient, on (D, B, ·) blocks; shared with the coupled recurrence."""

    def __init__(self, hidden: Tensor, candidate_bias: Tensor) -> None:
        self.n = hidden.shape[2]
        self.hidden, self.transposed = hidden, hidden.transpose(1, 2).contiguous()
        self.bias = torch.nn.functional.pad(candidate_bias, (2 * self.n, 0))[:, None]

    def forward(self, x: Tensor, h: Tensor, gates: Tensor, candidate: Tensor, out: Tensor) -> None:
        """From x (D, B, 3H) and h (D, B, H): fills gates (r, z and U_n h + b'_n), candidate n, and the new state."""
        n = self.n
        torch.baddbmm(self.bias, h, self.transposed, out=gates)
        rz, q = gates[..., : 2 * n], gates[..., 2 * n :]
        rz.add_(x[..., : 2 * n]).sigmoid_()
        torch.addcmul(x[..., 2 * n :], rz[..., :n], q, out=candidate).tanh_()
        torch.lerp(candidate, h, rz[..., n:], out=out)

    def backward(
        self, grad: Tensor, h: Tensor, gates: Tensor, candidate: Tensor, grad_x: Tensor, grad_gates: Tensor
    ) -> Tensor:
        """From dL/dh_t: fills dL/dx (D, B, 3H) and the gradient of the hidden products, returns dL/dh."""
        n = self.n
        r, z, q = gates.split(n, dim=2)
        grad_candidate = (1 - candidate * candidate).mul_(1 - z).mul_(grad)
        grad_x[..., 2 * n :] = grad_candidate
        torch.mul(grad_candidate, r, out=grad_gates[..., 2 * n :])
        rz, grad_rz = gates[..., : 2 * n], grad_gates[..., : 2 * n]
        torch.mul(grad_candidate, q, out=grad_rz[..., :n])
        torch.mul(grad, h - candidate, out=grad_rz[..., n:])
        grad_rz.mul_(rz).mul_(1 - rz)
        grad_x[..., : 2 * n] = grad_rz
        return torch.baddbmm(grad * z, grad_gates, self.hidden)


class _GRUScan(torch.autograd.Function):
    """The time loop without the autograd graph of its single steps, which costs several times the arithmetic."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, hidden: Tensor, candidate_bias: Tensor) -> Tensor:
        (n_directions, n_steps, n_rows, _), n = x.shape, hidden.shape[2]
        step = GRUStep(hidden, candidate_bias)
        states = x.new_empty(n_steps, n_directions, n_rows, n)
        # without a backward pass to come, one step's gates are enough
        kept = n_steps if any(ctx.needs_input_grad) else 1
        gates = x.new_empty(kept, n_directions, n_rows, 3 * n)
        candidates = x.new_empty(kept, n_directions, n_rows, n)
        h = x.new_zeros(n_directions, n_rows, n)
        for t, x_t in enumerate(x.unbind(1)):
            step.forward(x_t, h, gates[t % kept], candidates[t % kept], states[t])
            h = states[t]
        ctx.save_for_backward(hidden, candidate_bias, states, gates, candidates)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden, candidate_bias, states, gates, candidates = ctx.saved_tensors
        n_steps, n_directions, n_rows, n = states.shape
        step = GRUStep(hidden, candidate_bias)
        grad_x = states.new_empty(n_directions, n_steps, n_rows, 3 * n)
        grad_gates = torch.empty_like(grad_x)
        start = torch.zeros_like(states[0])
        grad = start
        for t in range(n_steps - 1, -1, -1):
            before = states[t - 1] if t else start
            grad = step.backward(grad + grad_states[t], before, gates[t], candidates[t], grad_x[:, t], grad_gates[:, t])
        befores = torch.cat([start[None], states[:-1]]).transpose(0, 1).flatten(1, 2)
        flat = grad_gates.flatten(1, 2)
        return grad_x, torch.bmm(flat.transpose(1, 2), befores), flat[..., 2 * n :].sum(1)
