"""The coupled GRU for training: pairs of sequences row by row, differentiable (`_ops.reference` defines it).

Layouts: D directions, T steps, B sequences, P pairs, F features, H units. A coupled state is (D, 2, P, H): both halves
of every pair.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.buffer_pool import Buffer, take_like
from skseqmetric._ops.eager.couplings import Coupling, make_coupling
from skseqmetric._ops.eager.gru import GateGradients, Gates, GRUStep
from skseqmetric._ops.weights import RecurrentWeights, project_gate, projection


def sync_gru_states(
    features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
) -> tuple[Tensor, Tensor]:
    """States of both halves, (T, D, P, H) each, for the pairs (rows[p], columns[p]) of features (D, T, B, F).

    Cost 14 H^2 FLOP a pair, step and direction for the symmetric gate, twice that backward; memory O(D T P H).
    """
    first, sequences = weights[0], torch.cat([rows, columns])
    once = len(sequences.unique()) == len(sequences)
    # if no sequence is in two pairs, rows are ordered here, before they are projected, not at every step
    features_of_rows = features.index_select(2, sequences) if once or first.gate_input is not None else features
    gate_inputs = project_gate(features_of_rows, weights)
    n = first.n_units
    tensors = [
        *projection(weights, gate=False),
        torch.stack([w.hidden for w in weights]),
        torch.stack([w.hidden_bias[2 * n :] for w in weights]),
        *(None if first_of is None else torch.stack(every) for first_of, every in _gate_tensors(weights)),
    ]
    ends = lengths[sequences].view(2, -1, 1)
    read = features_of_rows if once else features
    states = _SyncGRUScan.apply(first.coupling, read, gate_inputs, ends, None if once else sequences, *tensors)
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


class _SyncGRUScan(torch.autograd.Function):
    """The time loop of all pairs, its gradient by hand.

    In one block: two blocks in two threads take two to three times as long, since the interpreter starts every one of
    their short operations.
    """

    @staticmethod
    def forward(
        ctx: Any,
        name: str | None,
        features: Tensor,
        gate_inputs: Tensor | None,
        ends: Tensor,
        sequences: Tensor | None,
        *tensors: Any,
    ) -> Tensor:
        keep = any(ctx.needs_input_grad)
        scan = _Scan(name, features, gate_inputs, ends, sequences, list(tensors), keep=keep)
        projected = scan.projected()
        with torch.autocast(features.device.type, enabled=False):
            scan.forward(projected.tensor)
        if keep:
            ctx.scan = scan
        # not the very tensor that the scan keeps: that would hold on to the graph that holds it
        return scan.states.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        grad_features, grad_gate_inputs, *gradients = ctx.scan.backward(grad_states)
        return None, grad_features, grad_gate_inputs, None, None, *gradients


class _Kept(NamedTuple):
    """What one step leaves for the way back."""

    contracted: Tensor
    gates: Gates
    candidate: Tensor


class _Scan:
    """All pairs through all steps; contracted states, gates and candidates are kept for the way back.

    Large temporaries are memory that was used before: fresh memory takes longer to touch than to compute with.

    sequences : which projection every row of both halves reads, or None where row i reads the i-th.
    """

    def __init__(
        self,
        name: str | None,
        features: Tensor,
        gate_inputs: Tensor | None,
        ends: Tensor,
        sequences: Tensor | None,
        tensors: list[Any],
        *,
        keep: bool,
    ) -> None:
        self.matrix, self.input_bias, hidden, bias, *gate_tensors = tensors
        self.features, self.buffers = features, list[Buffer]()
        self.step, self.hidden, self.keep = GRUStep(hidden, bias), hidden, keep
        self.ends, self.first_end, self.sequences = ends, int(ends.min()) if ends.numel() else 0, sequences
        self.make_coupling = lambda n_kept: make_coupling(name, gate_inputs, gate_tensors, n_kept, self._buffer)

    def _buffer(self, *shape: int) -> Tensor:
        self.buffers.append(take_like(self.hidden, *shape))
        return self.buffers[-1].tensor

    def projected(self) -> Buffer:
        """Input projections (D, T, B, 3H); under autocast the product is bfloat16."""
        buffer = take_like(self.hidden, *self.features.shape[:3], self.matrix.shape[1])
        flat, operands = buffer.tensor.flatten(1, 2), (self.features.flatten(1, 2), self.matrix.transpose(1, 2))
        if torch.is_autocast_enabled(self.features.device.type):
            flat.copy_(torch.baddbmm(self.input_bias[:, None], *operands))
        else:
            torch.baddbmm(self.input_bias[:, None], *operands, out=flat)
        return buffer

    def forward(self, projected: Tensor) -> None:
        (n_directions, n_steps, _, _), n, n_pairs = projected.shape, self.hidden.shape[2], self.ends.shape[1]
        # without a backward pass to come, one step's gates are enough
        kept = n_steps if self.keep else 1
        self.states = projected.new_empty(n_steps, n_directions, 2, n_pairs, n)
        coupling: Coupling = self.make_coupling(kept)
        gates = Gates.of_steps(self._buffer(kept, n_directions, 2 * n_pairs, 3 * n))
        candidates = self._buffer(kept, n_directions, 2 * n_pairs, n).unbind(0)
        h, contracted = torch.zeros_like(self.states[0]), []
        for t, (x, out) in enumerate(zip(projected.unbind(1), self.states.unbind(0), strict=True)):
            x = x if self.sequences is None else x.index_select(1, self.sequences)
            hb = coupling.forward(t, h)
            inputs = x[..., : 2 * n], x[..., 2 * n :], hb.flatten(1, 2)
            self.step.forward(*inputs, gates[t % kept], candidates[t % kept], out.flatten(1, 2))
            if t >= self.first_end:
                torch.where(t < self.ends, out, h, out=out)
            if self.keep:
                contracted.append(hb)
            h = out
        self.kept = [_Kept(*of_step) for of_step in zip(contracted, gates, candidates, strict=False)]
        self.coupling = coupling

    def backward(self, grad_states: Tensor) -> list[Tensor | None]:
        """Gradients of features, gate inputs, input matrix and bias, hidden matrix, b'_n and the gate's tensors."""
        n_steps, n_directions, _, n_pairs, n = self.states.shape
        once = self.sequences is None
        self.coupling.start_backward()
        buffer = take_like(self.hidden, n_directions, n_steps if once else 1, 2 * n_pairs, 4 * n)
        shared = take_like(self.hidden, *self.features.shape[:3], 3 * n if not once else 0)
        gradients, to = buffer.tensor, GateGradients.of_steps(buffer.tensor, 1)
        grad_projected = gradients[..., n:] if once else shared.tensor.zero_()
        grad_hidden, grad_bias = torch.zeros_like(self.hidden), self.hidden.new_zeros(n_directions, n)
        start = torch.zeros_like(self.states[0])
        before, outer = [start, *self.states.unbind(0)[:-1]], grad_states.unbind(0)
        grad = start
        for t in range(n_steps - 1, -1, -1):
            grad = grad + outer[t]
            alive = None if t < self.first_end else t < self.ends
            passed = None if alive is None else grad * ~alive
            grad = grad if alive is None else grad * alive
            (hb, gates, candidate), own = self.kept[t], to[t if once else 0]
            hb = hb.flatten(1, 2)
            grad_hb = self.step.backward(grad.flatten(1, 2), hb, gates, candidate, own).view_as(grad)
            grad_hidden.baddbmm_(own.hidden.transpose(1, 2), hb)
            grad_bias += own.q.sum(1)
            if self.sequences is not None:
                grad_projected[:, t].index_add_(1, self.sequences, gradients[:, 0, :, n:])
            grad = self.coupling.backward(t, grad_hb, before[t])
            grad = grad if passed is None else grad + passed
        of_gate = self.coupling.gradients()
        of_inputs = self._project_back(grad_projected.flatten(1, 2))
        return [of_inputs[0], of_gate[0], *of_inputs[1:], self.step.in_order(grad_hidden), grad_bias, *of_gate[1:]]

    def _project_back(self, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of features, input matrix and bias from those of the projections, (D, T B, 3H)."""
        # this way round: the other product of the same matrices takes several times as long
        grad_matrix = torch.bmm(self.features.flatten(1, 2).transpose(1, 2), grad).transpose(1, 2)
        return torch.bmm(grad, self.matrix).view_as(self.features), grad_matrix, grad.sum(1)
