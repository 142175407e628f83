"""The uncoupled GRU over a padded batch, all directions at once: what `_ops.reference.gru` defines.

Layouts: D directions, T steps, B sequences, F features, H units. The recurrence is causal, so it needs no mask: the
padding behind a sequence cannot reach its valid steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.eager.cells import cell_states
from skseqmetric._ops.products import Matrix
from skseqmetric._ops.weights import RecurrentWeights, project

# grad (1 - y^2) and grad (1 - y) y in one pass
tanh_backward = torch.ops.aten.tanh_backward.grad_input
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


def gru_states(features: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H) from features (D, T, B, F): cuDNN's kernel on CUDA, `_GRUScan` elsewhere."""
    if not features.is_cuda:
        return _scan(project(features, weights, gate=False), weights)
    runs = [cell_states("gru", x, w, batch_first=False) for x, w in zip(features, weights, strict=True)]
    return torch.stack(runs, 1)


def _scan(projected: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H) from projections (D, T, B, 3H)."""
    n = weights[0].n_units
    hidden = torch.stack([w.hidden for w in weights])
    candidate_bias = torch.stack([w.hidden_bias[2 * n :] for w in weights])
    with torch.autocast(projected.device.type, enabled=False):
        return _GRUScan.apply(projected, hidden, candidate_bias)


class Gates(NamedTuple):
    """Gates of one step, (D, B, 3H), and parts of it: r and z, and q = U_n h + b'_n."""

    all: Tensor
    rz: Tensor
    r: Tensor
    z: Tensor
    q: Tensor

    @classmethod
    def of_steps(cls, gates: Tensor) -> list[Gates]:
        """Of every step of (T, D, B, 3H): views of all steps at once, since each slice costs as much as a small sum."""
        n = gates.shape[3] // 3
        parts = (gates, gates[..., : 2 * n], gates[..., :n], gates[..., n : 2 * n], gates[..., 2 * n :])
        return [cls(*of_step) for of_step in zip(*(part.unbind(0) for part in parts), strict=True)]


class GateGradients(NamedTuple):
    """Gradients of one step, (D, B, 4H): of q, r and z, which the state reaches, and of r, z and n, which inputs do."""

    hidden: Tensor
    rz: Tensor
    q: Tensor
    r: Tensor
    z: Tensor
    candidate: Tensor

    @classmethod
    def of_steps(cls, gradients: Tensor, axis: int) -> list[GateGradients]:
        """Of every step of a buffer (..., 4H) whose steps lie along `axis`."""
        q, r, z, candidate = gradients.split(gradients.shape[3] // 4, dim=3)[:4]
        n = q.shape[3]
        parts = (gradients[..., : 3 * n], gradients[..., n : 3 * n], q, r, z, candidate)
        return [cls(*of_step) for of_step in zip(*(part.unbind(axis) for part in parts), strict=True)]


class GRUStep:
    """The arithmetic of one step and of its gradient, on (D, B, ·) blocks, for all recurrences with such gates."""

    def __init__(self, hidden: Tensor, candidate_bias: Tensor) -> None:
        self.n = hidden.shape[2]
        self.transposed = hidden.transpose(1, 2).contiguous()
        self.by_gradient = hidden.roll(self.n, 1)  # q, r, z
        self.bias = torch.nn.functional.pad(candidate_bias, (2 * self.n, 0))[:, None]

    def forward(
        self,
        x_rz: Tensor,
        x_n: Tensor,
        h: Tensor,
        gates: Gates,
        candidate: Tensor,
        out: Tensor,
        hidden: Matrix | None = None,
    ) -> None:
        """From projections (D, B, 2H), (D, B, H) and h (D, B, H): fills the gates, candidate n and the new state.

        `hidden` computes the product with the hidden matrix, of one direction.
        """
        if hidden is None:
            torch.baddbmm(self.bias, h, self.transposed, out=gates.all)
        else:
            hidden.forward(h[0], gates.all[0].copy_(self.bias[0].expand_as(gates.all[0])))
        gates.rz.add_(x_rz).sigmoid_()
        torch.addcmul(x_n, gates.r, gates.q, out=candidate).tanh_()
        torch.lerp(candidate, h, gates.z, out=out)

    def backward(self, grad: Tensor, h: Tensor, gates: Gates, candidate: Tensor, to: GateGradients) -> Tensor:
        """From dL/dh_t: fills the gates' gradients, returns dL/dh."""
        through = grad * gates.z
        tanh_backward(grad - through, candidate, grad_input=to.candidate)
        torch.mul(to.candidate, gates.r, out=to.q)
        torch.mul(to.candidate, gates.q, out=to.r)
        torch.sub(h, candidate, out=to.z).mul_(grad)
        sigmoid_backward(to.rz, gates.rz, grad_input=to.rz)
        return through.baddbmm_(to.hidden, self.by_gradient)

    def in_order(self, grad_hidden: Tensor) -> Tensor:
        """The gradient of the hidden matrix, from that in the order q, r, z."""
        return grad_hidden.roll(-self.n, 1)


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
        views, each = Gates.of_steps(gates), candidates.unbind(0)
        h = x.new_zeros(n_directions, n_rows, n)
        inputs = zip(x[..., : 2 * n].unbind(1), x[..., 2 * n :].unbind(1), states.unbind(0), strict=True)
        for t, (x_rz, x_n, out) in enumerate(inputs):
            step.forward(x_rz, x_n, h, views[t % kept], each[t % kept], out)
            h = out
        ctx.save_for_backward(hidden, candidate_bias, states, gates, candidates)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden, candidate_bias, states, gates, candidates = ctx.saved_tensors
        n_steps, n_directions, n_rows, n = states.shape
        step = GRUStep(hidden, candidate_bias)
        gradients = states.new_empty(n_directions, n_steps, n_rows, 4 * n)
        start = torch.zeros_like(states[0])
        before = [start, *states.unbind(0)[:-1]]
        kept = (grad_states.unbind(0), before, Gates.of_steps(gates), candidates.unbind(0))
        every = list(zip(*kept, GateGradients.of_steps(gradients, 1), strict=True))
        grad = start
        for outer, *of_step in reversed(every):
            grad = step.backward(grad + outer, *of_step)
        befores = torch.cat([start[None], states[:-1]]).transpose(0, 1).flatten(1, 2)
        flat = gradients.flatten(1, 2)
        grad_hidden = step.in_order(torch.bmm(flat[..., : 3 * n].transpose(1, 2), befores))
        return gradients[..., n:], grad_hidden, flat[..., :n].sum(1)
