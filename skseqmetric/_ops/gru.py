"""The uncoupled GRU over a padded batch, all directions at once: what `_ops.reference.gru_scan` defines.

Layouts: D directions, T steps, B sequences, F features, H units. The recurrence is causal, so it needs no mask: the
padding behind a sequence cannot reach its valid steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.weights import RecurrentWeights


def valid_steps(lengths: Tensor, n_steps: int) -> Tensor:
    """(B, T) bool: True where a step lies inside its sequence."""
    return torch.arange(n_steps, device=lengths.device) < lengths[:, None]


def reverse_valid(features: Tensor, lengths: Tensor) -> Tensor:
    """Every sequence of (B, T, F) reversed within its own length; padding stays where it is."""
    t = torch.arange(features.shape[1], device=features.device)
    source = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return features.gather(1, source[..., None].expand_as(features))


def project(features: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """Input projections of every step, (D, T, B, F) -> (D, T, B, G): once per sequence, not once per pair.

    G = 3H, or 4H where the coupling gate reads the inputs (blocks r, z, n, gate). Biases that only add to a
    projection are folded in: b_r, b_z with their hidden twins, b_n; the gate's, halved where two projections meet.
    """
    matrices, biases = zip(*(_projection(w) for w in weights), strict=True)
    flat = torch.baddbmm(torch.stack(biases)[:, None], features.flatten(1, 2), torch.stack(matrices).transpose(1, 2))
    # under autocast the product is bfloat16; states and what is added to them stay in the weights' precision
    return flat.unflatten(1, features.shape[1:3]).to(weights[0].hidden.dtype)


def _projection(w: RecurrentWeights) -> tuple[Tensor, Tensor]:
    n = w.n_units
    bias = torch.cat([w.input_bias[: 2 * n] + w.hidden_bias[: 2 * n], w.input_bias[2 * n :]])
    if w.gate_input is None or w.gate_bias is None:
        return w.input, bias
    gate_bias = w.gate_bias / 2 if w.coupling == "symmetric" else w.gate_bias
    return torch.cat([w.input, w.gate_input]), torch.cat([bias, gate_bias])


def gru_states(features: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H) from features (D, T, B, F): cuDNN's kernel on CUDA, `gru_scan` elsewhere."""
    if not features.is_cuda:
        return gru_scan(project(features, weights), weights)
    runs = [_cudnn_scan(x, w) for x, w in zip(features, weights, strict=True)]
    return torch.stack(runs, 1)


def _cudnn_scan(x: Tensor, w: RecurrentWeights) -> Tensor:
    start = x.new_zeros(1, x.shape[1], w.n_units)
    parameters = [w.input, w.hidden, w.input_bias, w.hidden_bias]
    return torch.gru(x, start, parameters, True, 1, 0.0, False, False, False)[0]


def gru_scan(projected: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H) from projections (D, T, B, >= 3H). Cost 6 H^2 FLOP a step forward, twice that backward."""
    n = weights[0].n_units
    hidden = torch.stack([w.hidden for w in weights])
    candidate_bias = torch.stack([w.hidden_bias[2 * n :] for w in weights])
    with torch.autocast(projected.device.type, enabled=False):
        return _GRUScan.apply(projected[..., : 3 * n], hidden, candidate_bias)


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


def read_out(states: Tensor, lengths: Tensor, how: str) -> Tensor:
    """(T, D, B, H) -> (B, D H): "mean" of the valid states, or the "last" valid one; lengths (B,)."""
    if how == "last":
        return states[lengths - 1, :, torch.arange(len(lengths), device=states.device)].flatten(1)
    # a product is a safe mask: |h| < 1 at every step, also at those computed from padding
    share = valid_steps(lengths, len(states)).to(states.dtype) / lengths[:, None].to(states.dtype)
    return (states * share.T[:, None, :, None]).sum(0).transpose(0, 1).flatten(1)
