"""The coupled GRU on pairs of sequences with gradients: autograd around the kernels.

The kernels run spans of steps. The forward pass keeps all states if they are the result. Otherwise it keeps one state
before each span, and the backward pass computes the others again. It always computes the gates again. The backward
kernel writes the gradients of the gate inputs of one span. Sums over pairs and products then give the gradients of the
weights. They have a fixed order and no atomic additions, so that the same operands give the same bits.
"""

# mypy: disable-error-code="import-untyped,import-not-found"
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.operands import check_operand
from skseqmetric._ops.triton.packing import (
    Packed,
    Recurrence,
    backward_launch,
    forward_launch,
    pack,
    padded_units,
    precision_for,
    stack_weights,
)
from skseqmetric._ops.triton.scan_kernels import backward_kernel, forward_kernel, sum_kernel
from skseqmetric._ops.weights import RecurrentWeights

SPAN_BYTES = 2**30
"""Approximate memory of the backward pass for one span of steps. A span has at least one step."""


def sync_gru_states(
    projected: Tensor,
    lengths: Tensor,
    rows: Tensor,
    columns: Tensor,
    weights: list[RecurrentWeights],
) -> tuple[Tensor, Tensor]:
    """States of both halves of the pairs (rows[p], columns[p]).

    Parameters
    ----------
    projected : Tensor (D, T, B, G), float32
        `weights.project` of the features.
    lengths : Tensor (B,); rows, columns : Tensor (P,), int64
    weights : list of RecurrentWeights
        One of each direction, at most `packing.LARGEST_UNITS` units.

    Returns
    -------
    two Tensors (T, D, P, H)

    Notes
    -----
    14 H^2 FLOP a pair, step and direction for the symmetric gate, three times that backward. Memory O(D T P H). Hidden
    products have bfloat16 operands under autocast, see `packing.PRECISIONS`.
    """
    states = _run("steps", projected, lengths, rows, columns, weights)
    return states[:, :, 0], states[:, :, 1]


def sync_gru_pooled(
    projected: Tensor,
    lengths: Tensor,
    rows: Tensor,
    columns: Tensor,
    weights: list[RecurrentWeights],
    how: str,
) -> tuple[Tensor, Tensor]:
    """The "mean" of the valid states or the "last" one of both halves, (P, D H) each.

    Parameters are those of `sync_gru_states`. Memory never holds all states: only one before each span of steps and, in
    the backward pass, those of one span. A span takes about `SPAN_BYTES`. The backward pass needs four times the FLOP
    of the forward pass.
    """
    out = _run(how, projected, lengths, rows, columns, weights)  # (D, 2, P, H)
    first, second = out.permute(1, 2, 0, 3).flatten(2)
    return first, second


def _run(
    how: str,
    projected: Tensor,
    lengths: Tensor,
    rows: Tensor,
    columns: Tensor,
    weights: list[RecurrentWeights],
) -> Tensor:
    recurrence, precision = stack_weights(weights), precision_for(projected.device)
    with torch.autocast(projected.device.type, enabled=False):
        result: Tensor = _Scan.apply(
            _Task(how, precision, recurrence.coupling, lengths, rows, columns),
            projected,
            recurrence.hidden,
            recurrence.bias,
            recurrence.gate_hidden,
            recurrence.gate_other,
            recurrence.strength,
        )
    return result


@dataclass(frozen=True)
class _Task:
    """What is computed, but for the tensors that have gradients. how: "steps" (all states), "mean" or "last"."""

    how: str
    precision: str
    coupling: str | None
    lengths: Tensor
    rows: Tensor
    columns: Tensor


class _Scan(torch.autograd.Function):
    """States (T, D, 2, P, H), or pooled states (D, 2, P, H)."""

    @staticmethod
    def forward(
        ctx: Any,
        task: _Task,
        projected: Tensor,
        hidden: Tensor,
        bias: Tensor,
        gate_hidden: Tensor | None,
        gate_other: Tensor | None,
        strength: Tensor | None,
    ) -> Tensor:
        recurrence = Recurrence(task.coupling, hidden, bias, gate_hidden, gate_other, strength)
        spans = _Spans(task, projected.contiguous(), recurrence)
        if task.how == "steps":
            kept = spans.empty_states(spans.n_total)
            spans.forward(kept, 0, spans.n_total, keep=True)
            out = kept[1:]
        else:
            kept, out = spans.pooled(checkpoints=any(ctx.needs_input_grad))
        ctx.task = task
        ctx.save_for_backward(projected, hidden, bias, gate_hidden, gate_other, strength, kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        projected, hidden, bias, gate_hidden, gate_other, strength, kept = ctx.saved_tensors
        recurrence = Recurrence(ctx.task.coupling, hidden, bias, gate_hidden, gate_other, strength)
        gradients = _Spans(ctx.task, projected.contiguous(), recurrence).backward(kept, grad.contiguous())
        return None, *gradients


class _Spans:
    """The kernels on one batch of pairs, span by span."""

    def __init__(self, task: _Task, projected: Tensor, recurrence: Recurrence) -> None:
        self.task, self.projected, self.recurrence = task, projected, recurrence
        self.n_directions, self.n_total, self.n_sequences, self.n_gates = projected.shape
        self.n_pairs, self.n = len(task.rows), recurrence.n_units
        self.size = padded_units(self.n)
        self.packed: Packed = pack(recurrence, task.precision)
        self.lengths = task.lengths.to(torch.int32).contiguous()
        self.pairs = [task.rows.to(torch.int32).contiguous(), task.columns.to(torch.int32).contiguous()]
        longest = torch.maximum(task.lengths[task.rows], task.lengths[task.columns])
        self.order = torch.argsort(longest, stable=True).to(torch.int32)
        self._check_operands()

        a_step = 8 * self.n_directions * self.n_pairs * (self.n_gates + 3 * self.n)
        self.n_span = max(1, min(self.n_total, SPAN_BYTES // max(1, a_step)))

    def _check_operands(self) -> None:
        """Refuse what the kernels would read wrongly. All else that they get is made from these."""
        device, packed = self.projected.device, self.packed
        for name, tensor in (("projected", self.projected), ("bias", packed.bias), ("strength", packed.strength)):
            check_operand(tensor, name, torch.float32, device)
        for name, tensor in (("lengths", self.lengths), ("rows", self.pairs[0]), ("columns", self.pairs[1])):
            check_operand(tensor, name, torch.int32, device)

    @property
    def starts(self) -> list[int]:
        """First steps of the spans."""
        return list(range(0, self.n_total, self.n_span))

    def steps_from(self, start: int) -> int:
        return min(self.n_span, self.n_total - start)

    def empty_states(self, n_slots: int) -> Tensor:
        """Slots of states behind a first one of zeros."""
        states = self.projected.new_empty(n_slots + 1, self.n_directions, 2, self.n_pairs, self.n)
        states[0] = 0
        return states

    def _arguments(self) -> dict[str, Any]:
        return {
            "n_directions": self.n_directions,
            "n_pairs": self.n_pairs,
            "n_sequences": self.n_sequences,
            "n_total": self.n_total,
            "n_units": self.n,
            "n_gates": self.n_gates,
            "zero": 0,
            "COUPLING": self.task.coupling or "none",
            "UNITS": self.size,
            "EVEN": self.size == self.n,
            "PRECISION": self.packed.precision,
        }

    def forward(self, states: Tensor, start: int, n_steps: int, *, keep: bool, sums: Tensor | None = None) -> None:
        """Run steps start, start + 1, ... from states[0] into states[1], states[2], ..., or the last into states[1]."""
        launch = forward_launch(self.task.precision, self.size, self.projected.device)
        if not self.n_pairs:
            return
        with torch.cuda.device_of(self.projected):
            forward_kernel[(triton.cdiv(self.n_pairs, launch.pairs), self.n_directions)](
                self.projected,
                *self.pairs,
                self.lengths,
                self.order,
                self.packed.matrices,
                self.packed.bias,
                self.packed.strength,
                states,
                states if sums is None else sums,
                first=start,
                n_steps=n_steps,
                MEAN=sums is not None,
                KEEP=keep,
                PAIRS=launch.pairs,
                RESIDENT=launch.resident,
                **self._arguments(),
                **launch.options,
            )

    def pooled(self, *, checkpoints: bool) -> tuple[Tensor, Tensor]:
        """States before every span and behind the last one, and the pooled states."""
        starts = self.starts if checkpoints else [0]
        kept = self.empty_states(len(starts))
        sums = torch.zeros_like(kept[0]) if self.task.how == "mean" else None
        for k, start in enumerate(starts):
            n_steps = self.steps_from(start) if checkpoints else self.n_total
            self.forward(kept[k:], start, n_steps, keep=False, sums=sums)
        return kept, kept[-1] if sums is None else sums

    def backward(self, kept: Tensor, grad: Tensor) -> list[Tensor | None]:
        """Gradients of the projections and of the tensors of `Recurrence`, in their order."""
        starts = self.starts
        total = _Gradients(self)
        carry = grad.clone() if self.task.how == "last" else torch.zeros_like(kept[0])
        for k, start in reversed(list(enumerate(starts))):
            n_steps = self.steps_from(start)
            if self.task.how == "steps":
                states = kept[start : start + n_steps + 1]
            else:
                states = self.empty_states(n_steps)
                states[0] = kept[k]
                self.forward(states, start, n_steps, keep=True)
            total.add(start, states, self._span_backward(states, start, n_steps, grad, carry))
        return total.all()

    def _span_backward(self, states: Tensor, start: int, n_steps: int, grad: Tensor, carry: Tensor) -> _SpanGradients:
        launch = backward_launch(self.task.precision, self.size, self.projected.device)
        out = _SpanGradients.empty(self, n_steps)
        if not self.n_pairs:
            return out
        grad = grad[start:] if self.task.how == "steps" else grad
        with torch.cuda.device_of(self.projected):
            backward_kernel[(triton.cdiv(self.n_pairs, launch.pairs), self.n_directions)](
                self.projected,
                *self.pairs,
                self.lengths,
                self.order,
                self.packed.matrices,
                self.packed.transposed,
                self.packed.bias,
                self.packed.strength,
                states,
                grad,
                carry,
                out.inputs,
                out.candidates,
                out.contracted,
                out.strengths,
                first=start,
                n_steps=n_steps,
                FROM=self.task.how,
                PAIRS=launch.pairs,
                RESIDENT=launch.resident,
                **self._arguments(),
                **launch.options,
            )
        return out


@dataclass(frozen=True)
class _SpanGradients:
    """The results of the backward kernel for S steps.

    - inputs (D, S, 2, P, G): gradients of the projected inputs, pair by pair.
    - candidates (D, S, 2, P, H): gradients of U_n hb + b'_n.
    - contracted (D, S, 2, P, H): hb itself.
    - strengths (D, P): gradients of the strength of the scalar coupling.
    """

    inputs: Tensor
    candidates: Tensor
    contracted: Tensor
    strengths: Tensor

    @classmethod
    def empty(cls, spans: _Spans, n_steps: int) -> _SpanGradients:
        shape = spans.n_directions, n_steps, 2, spans.n_pairs
        zeros = spans.projected.new_zeros
        return cls(
            zeros(*shape, spans.n_gates),
            zeros(*shape, spans.n),
            zeros(*shape, spans.n),
            zeros(spans.n_directions, spans.n_pairs),
        )


class _Gradients:
    """Sums over spans."""

    def __init__(self, spans: _Spans) -> None:
        self.spans, of = spans, spans.recurrence
        self.projected = torch.empty_like(spans.projected)
        self.hidden, self.bias = torch.zeros_like(of.hidden), torch.zeros_like(of.bias)
        self.gate_hidden, self.gate_other, self.strength = (
            None if t is None else torch.zeros_like(t) for t in (of.gate_hidden, of.gate_other, of.strength)
        )
        both = torch.cat([spans.task.rows, spans.task.columns])
        order = torch.argsort(both, stable=True)
        self.order = order.to(torch.int32)
        bounds = torch.arange(spans.n_sequences + 1, dtype=torch.int64, device=both.device)
        self.bounds = torch.searchsorted(both[order], bounds).to(torch.int32)

    def add(self, start: int, states: Tensor, span: _SpanGradients) -> None:
        n = self.spans.n
        self._sum_pairs(start, span.inputs)
        hb, inputs = span.contracted.flatten(2, 3), span.inputs.flatten(2, 3)
        candidates = span.candidates.flatten(2, 3)
        self.hidden[:, : 2 * n] += _outer(inputs[..., : 2 * n], hb)
        self.hidden[:, 2 * n :] += _outer(candidates, hb)
        self.bias += candidates.sum((1, 2))
        if self.strength is not None:
            self.strength += span.strengths.sum(1)
        if self.gate_hidden is None:
            return
        before = states[:-1].transpose(0, 1)  # (D, S, 2, P, H)
        gates = span.inputs[..., 3 * n :]
        if self.gate_other is None:
            self.gate_hidden += _outer(gates[:, :, 0], (before[:, :, 0] - before[:, :, 1]).abs())
            return
        for i in range(2):
            self.gate_hidden += _outer(gates[:, :, i], before[:, :, i])
            self.gate_other += _outer(gates[:, :, i], before[:, :, 1 - i])

    def _sum_pairs(self, start: int, inputs: Tensor) -> None:
        n_directions, n_steps, _, n_pairs, n_gates = inputs.shape
        with torch.cuda.device_of(inputs):
            sum_kernel[(self.spans.n_sequences, n_steps, n_directions)](
                inputs,
                self.order,
                self.bounds,
                self.projected,
                2 * n_pairs,
                n_steps,
                self.spans.n_sequences,
                self.spans.n_total,
                start,
                n_gates,
                ROWS=8,
                GATES=triton.next_power_of_2(n_gates),
                num_warps=4,
                enable_fp_fusion=True,
            )

    def all(self) -> list[Tensor | None]:
        return [self.projected, self.hidden, self.bias, self.gate_hidden, self.gate_other, self.strength]


def _outer(left: Tensor, right: Tensor) -> Tensor:
    """Sum over steps and pairs of left (D, S, P, M) times right (D, S, P, N): one product a step, then their sum."""
    product = torch.bmm(left.flatten(0, 1).transpose(1, 2), right.flatten(0, 1))
    return product.unflatten(0, left.shape[:2]).sum(1)
