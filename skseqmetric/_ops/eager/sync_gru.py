"""The coupled GRU for training: pairs of sequences row by row, differentiable (`_ops.reference` defines it).

Layouts: D directions, T steps, B sequences, P pairs, H units, G projections. A coupled state is (D, 2, P, H): both
halves of every pair.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.eager.gru import GRUStep
from skseqmetric._ops.weights import RecurrentWeights


def sync_gru_states(
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
) -> tuple[Tensor, Tensor]:
    """States of both halves, (T, D, P, H) each, for the pairs (rows[p], columns[p]) of projections (D, T, B, G).

    Cost 14 H^2 FLOP a pair, step and direction for the symmetric gate, twice that backward; memory O(D T P H).
    """
    first = weights[0]
    n = first.n_units
    tensors = [
        torch.stack([w.hidden for w in weights]),
        torch.stack([w.hidden_bias[2 * n :] for w in weights]),
        *(None if first_of is None else torch.stack(every) for first_of, every in _gate_tensors(weights)),
    ]
    with torch.autocast(projected.device.type, enabled=False):
        states = _SyncGRUScan.apply(first.coupling, projected, lengths, torch.cat([rows, columns]), *tensors)
    return states[:, :, 0], states[:, :, 1]


def _gate_tensors(weights: list[RecurrentWeights]) -> list[tuple[Tensor | None, list[Any]]]:
    """The gate's own tensors; a bias that the projections already hold is left out."""
    first = weights[0]
    bias = first.gate_bias if first.coupling == "scalar" else None
    return [
        (first.gate_hidden, [w.gate_hidden for w in weights]),
        (first.gate_other, [w.gate_other for w in weights]),
        (bias, [w.gate_bias for w in weights]),
    ]


class _Coupling:
    """No coupling: hb = h. `forward` returns (hb, what backward needs); all states are (D, 2, P, H)."""

    def forward(self, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return h, h

    def backward(self, grad: Tensor, h: Tensor, gate: Tensor, grad_x: Tensor) -> Tensor:
        return grad

    def gradients(self) -> list[Tensor | None]:
        return [None, None, None]


class _Scalar(_Coupling):
    """hb^i = h^i + c (h^j - h^i), c = sigma(b) / 2."""

    def __init__(self, bias: Tensor) -> None:
        self.gate = torch.sigmoid(bias)[:, None, None, None]
        self.grad_bias = torch.zeros_like(bias)

    def forward(self, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.lerp(h, h.flip(1), self.gate / 2), self.gate

    def backward(self, grad: Tensor, h: Tensor, gate: Tensor, grad_x: Tensor) -> Tensor:
        slope = (self.gate * (1 - self.gate)).flatten() / 2
        self.grad_bias += slope * ((h.flip(1) - h) * grad).sum((1, 2, 3))
        return torch.lerp(grad, grad.flip(1), self.gate / 2)

    def gradients(self) -> list[Tensor | None]:
        return [None, None, self.grad_bias]


class _Symmetric(_Coupling):
    """c = sigma(x^1 + x^2 + U |e|) / 2 with e = h^1 - h^2: one gate, (D, P, H), for both halves."""

    def __init__(self, hidden: Tensor) -> None:
        self.hidden, self.transposed = hidden, hidden.transpose(1, 2).contiguous()
        self.grad_hidden = torch.zeros_like(hidden)

    def forward(self, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        difference = h[:, 0] - h[:, 1]
        gate = torch.baddbmm(x[:, 0] + x[:, 1], difference.abs(), self.transposed).sigmoid_()
        pull = (gate * difference).div_(2)
        return torch.stack([h[:, 0] - pull, h[:, 1] + pull], 1), gate

    def backward(self, grad: Tensor, h: Tensor, gate: Tensor, grad_x: Tensor) -> Tensor:
        difference = h[:, 0] - h[:, 1]
        grad_pull = (grad[:, 1] - grad[:, 0]).div_(2)
        grad_gate = (grad_pull * difference).mul_(gate).mul_(1 - gate)
        grad_x[:, 0] = grad_gate
        grad_x[:, 1] = grad_gate
        self.grad_hidden.baddbmm_(grad_gate.transpose(1, 2), difference.abs())
        through = torch.bmm(grad_gate, self.hidden).mul_(difference.sign()).addcmul_(grad_pull, gate)
        return torch.stack([grad[:, 0] + through, grad[:, 1] - through], 1)

    def gradients(self) -> list[Tensor | None]:
        return [self.grad_hidden, None, None]


class _Diffusive(_Coupling):
    """c^i = sigma(x^i + U h^i + V h^j) / 2: a gate for each half, (D, 2, P, H)."""

    def __init__(self, hidden: Tensor, other: Tensor) -> None:
        self.both = torch.cat([hidden, other], dim=2)  # (D, H, 2H)
        self.grad_both = torch.zeros_like(self.both)

    def forward(self, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        partner = h.flip(1)
        stacked = torch.cat([h, partner], dim=3).flatten(1, 2)
        gate = torch.baddbmm(x.flatten(1, 2), stacked, self.both.transpose(1, 2)).sigmoid_().view_as(h)
        return torch.lerp(h, partner, gate / 2), gate

    def backward(self, grad: Tensor, h: Tensor, gate: Tensor, grad_x: Tensor) -> Tensor:
        partner = h.flip(1)
        grad_gate = ((partner - h) * grad).div_(2).mul_(gate).mul_(1 - gate)
        grad_x.copy_(grad_gate)
        flat = grad_gate.flatten(1, 2)
        self.grad_both.baddbmm_(flat.transpose(1, 2), torch.cat([h, partner], dim=3).flatten(1, 2))
        own, crossed = torch.bmm(flat, self.both).view(*h.shape[:3], -1).chunk(2, dim=3)
        pull = grad * gate / 2
        return grad - pull + own + (pull + crossed).flip(1)

    def gradients(self) -> list[Tensor | None]:
        return [*(g.contiguous() for g in self.grad_both.chunk(2, dim=2)), None]


def _make_coupling(name: str | None, hidden: Any, other: Any, bias: Any) -> _Coupling:
    if name == "symmetric":
        return _Symmetric(hidden)
    if name == "diffusive":
        return _Diffusive(hidden, other)
    return _Coupling() if name is None else _Scalar(bias)


class _SyncGRUScan(torch.autograd.Function):
    """The time loop of all pairs, its gradient by hand: states, gates and candidates are kept, nothing else."""

    @staticmethod
    def forward(
        ctx: Any, name: str | None, projected: Tensor, lengths: Tensor, both: Tensor, hidden: Tensor, bias: Tensor,
        gate_hidden: Tensor | None, gate_other: Tensor | None, gate_bias: Tensor | None,
    ) -> Tensor:  # fmt: skip
        (n_directions, n_steps, _, _), n, n_pairs = projected.shape, hidden.shape[2], len(both) // 2
        step, coupling = GRUStep(hidden, bias), _make_coupling(name, gate_hidden, gate_other, gate_bias)
        states = projected.new_empty(n_steps, n_directions, 2, n_pairs, n)
        # without a backward pass to come, one step's gates are enough
        kept = n_steps if any(ctx.needs_input_grad) else 1
        gates = projected.new_empty(kept, n_directions, 2 * n_pairs, 3 * n)
        candidates = projected.new_empty(kept, n_directions, 2 * n_pairs, n)
        contracted, strengths = [], []
        alive_until, first_end = lengths[both].view(2, n_pairs, 1), int(lengths.min())
        h = torch.zeros_like(states[0])
        for t, step_inputs in enumerate(projected.unbind(1)):
            x = step_inputs.index_select(1, both)
            hb, gate = coupling.forward(h, x[..., 3 * n :].unflatten(1, (2, n_pairs)))
            out = states[t].flatten(1, 2)
            step.forward(x[..., : 3 * n], hb.flatten(1, 2), gates[t % kept], candidates[t % kept], out)
            if t >= first_end:
                states[t] = torch.where(t < alive_until, states[t], h)
            if kept > 1 or n_steps == 1:
                contracted.append(hb)
                strengths.append(gate)
            h = states[t]
        ctx.name = name
        ctx.contracted, ctx.strengths = contracted, strengths
        ctx.save_for_backward(
            lengths, both, hidden, bias, gate_hidden, gate_other, gate_bias, states, gates, candidates
        )
        ctx.projected_shape = projected.shape
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        lengths, both, hidden, bias, *gate_tensors, states, gates, candidates = ctx.saved_tensors
        n_steps, n_directions, _, n_pairs, n = states.shape
        step, coupling = GRUStep(hidden, bias), _make_coupling(ctx.name, *gate_tensors)
        grad_projected = states.new_zeros(ctx.projected_shape)
        grad_x = states.new_empty(n_directions, 2 * n_pairs, ctx.projected_shape[3])
        grad_gates = states.new_empty(n_directions, 2 * n_pairs, 3 * n)
        grad_hidden, grad_bias = torch.zeros_like(hidden), torch.zeros_like(bias)
        alive_until, first_end = lengths[both].view(2, n_pairs, 1), int(lengths.min())
        start = torch.zeros_like(states[0])
        grad = start
        for t in range(n_steps - 1, -1, -1):
            grad = grad + grad_states[t]
            alive = None if t < first_end else t < alive_until
            passed = None if alive is None else grad * ~alive
            grad = grad if alive is None else grad * alive
            hb = ctx.contracted[t].flatten(1, 2)
            grad_hb = step.backward(
                grad.flatten(1, 2), hb, gates[t], candidates[t], grad_x[..., : 3 * n], grad_gates
            ).view_as(grad)
            grad_hidden.baddbmm_(grad_gates.transpose(1, 2), hb)
            grad_bias += grad_gates[..., 2 * n :].sum(1)
            before = states[t - 1] if t else start
            own = grad_x[..., 3 * n :].unflatten(1, (2, n_pairs))
            grad = coupling.backward(grad_hb, before, ctx.strengths[t], own)
            grad_projected[:, t].index_add_(1, both, grad_x)
            if passed is not None:
                grad = grad + passed
        return None, grad_projected, None, None, grad_hidden, grad_bias, *coupling.gradients()
