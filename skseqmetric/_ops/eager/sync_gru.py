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
        states = _SyncGRUScan.apply(first.coupling, projected, lengths, torch.stack([rows, columns]), *tensors)
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
    """The time loop of all pairs, its gradient by hand.

    In one block: two blocks in two threads take two to three times as long, since the interpreter starts every one of
    their short operations.
    """

    @staticmethod
    def forward(
        ctx: Any, name: str | None, projected: Tensor, lengths: Tensor, pairs: Tensor, *tensors: Tensor | None
    ) -> Tensor:
        keep = any(ctx.needs_input_grad)
        block = _Block(name, lengths, pairs, list(tensors), keep=keep)
        block.forward(projected)
        if keep:
            ctx.block, ctx.shape = block, projected.shape
        # not the very tensor that the block keeps: that would hold on to the graph that holds it
        return block.states.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        grad_projected, *gradients = ctx.block.backward(grad_states, ctx.shape)
        return None, grad_projected, None, None, *gradients


class _Block:
    """All pairs through all steps; contracted states, gates and candidates are kept for the way back."""

    def __init__(
        self, name: str | None, lengths: Tensor, pairs: Tensor, tensors: list[Tensor | None], *, keep: bool
    ) -> None:
        hidden, bias, *self.gate_tensors = tensors
        self.name, self.keep, self.both, self.n_pairs = name, keep, pairs.flatten(), pairs.shape[1]
        self.hidden: Any = hidden
        self.bias: Any = bias
        self.alive_until, self.first_end = lengths[self.both].view(2, self.n_pairs, 1), int(lengths.min())

    def forward(self, projected: Tensor) -> None:
        (n_directions, n_steps, _, _), n, n_pairs = projected.shape, self.hidden.shape[2], self.n_pairs
        step, coupling = GRUStep(self.hidden, self.bias), _make_coupling(self.name, *self.gate_tensors)
        self.states = projected.new_empty(n_steps, n_directions, 2, n_pairs, n)
        # without a backward pass to come, one step's gates are enough
        kept = n_steps if self.keep else 1
        self.gates = projected.new_empty(kept, n_directions, 2 * n_pairs, 3 * n)
        self.candidates = projected.new_empty(kept, n_directions, 2 * n_pairs, n)
        self.contracted, self.strengths = [], []
        h = torch.zeros_like(self.states[0])
        for t, step_inputs in enumerate(projected.unbind(1)):
            x = step_inputs.index_select(1, self.both)
            hb, gate = coupling.forward(h, x[..., 3 * n :].unflatten(1, (2, n_pairs)))
            out = self.states[t].flatten(1, 2)
            step.forward(x[..., : 3 * n], hb.flatten(1, 2), self.gates[t % kept], self.candidates[t % kept], out)
            if t >= self.first_end:
                self.states[t] = torch.where(t < self.alive_until, self.states[t], h)
            if self.keep:
                self.contracted.append(hb)
                self.strengths.append(gate)
            h = self.states[t]

    def backward(self, grad_states: Tensor, projected_shape: tuple[int, ...]) -> list[Tensor | None]:
        """Gradients of the projections, of the hidden matrix, of b'_n and of the gate's tensors."""
        n_steps, n_directions, _, n_pairs, n = self.states.shape
        step, coupling = GRUStep(self.hidden, self.bias), _make_coupling(self.name, *self.gate_tensors)
        grad_projected = self.states.new_zeros(projected_shape)
        grad_x = self.states.new_empty(n_directions, 2 * n_pairs, projected_shape[3])
        grad_gates = self.states.new_empty(n_directions, 2 * n_pairs, 3 * n)
        grad_hidden, grad_bias = torch.zeros_like(self.hidden), torch.zeros_like(self.bias)
        grad = start = torch.zeros_like(self.states[0])
        for t in range(n_steps - 1, -1, -1):
            grad = grad + grad_states[t]
            alive = None if t < self.first_end else t < self.alive_until
            passed = None if alive is None else grad * ~alive
            grad = grad if alive is None else grad * alive
            hb = self.contracted[t].flatten(1, 2)
            grad_hb = step.backward(
                grad.flatten(1, 2), hb, self.gates[t], self.candidates[t], grad_x[..., : 3 * n], grad_gates
            ).view_as(grad)
            grad_hidden.baddbmm_(grad_gates.transpose(1, 2), hb)
            grad_bias += grad_gates[..., 2 * n :].sum(1)
            before = self.states[t - 1] if t else start
            own = grad_x[..., 3 * n :].unflatten(1, (2, n_pairs))
            grad = coupling.backward(grad_hb, before, self.strengths[t], own)
            grad_projected[:, t].index_add_(1, self.both, grad_x)
            if passed is not None:
                grad = grad + passed
        return [grad_projected, grad_hidden, grad_bias, *coupling.gradients()]
