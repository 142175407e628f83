"""Plain and coupled GRU by the compiled kernels: tensors in, tensors out, differentiable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.compiled._library import Problem, library
from skseqmetric._ops.parallel import kernel_threads
from skseqmetric._ops.weights import RecurrentWeights, Side, project

_COUPLINGS = {None: 0, "scalar": 1, "symmetric": 2, "diffusive": 3}


@dataclass(frozen=True)
class Kind:
    """What is computed: halves per row (1 plain, 2 coupled), the coupling, and the read-out, None for all states."""

    n_halves: int
    coupling: str | None
    readout: str | None


class Weights:
    """The recurrent weights of every direction, stacked: what stays when the inputs are projected."""

    def __init__(self, weights: list[RecurrentWeights], coupling: str | None) -> None:
        n = weights[0].n_units
        self.hidden = torch.stack([w.hidden for w in weights])
        self.bias = torch.stack([w.hidden_bias[2 * n :] for w in weights])
        gated = coupling in ("symmetric", "diffusive")
        self.gate_hidden = torch.stack([w.gate_hidden for w in weights]) if gated else None
        self.gate_other = torch.stack([w.gate_other for w in weights]) if coupling == "diffusive" else None
        self.gate_bias = torch.stack([w.gate_bias for w in weights]) if coupling == "scalar" else None

    def tensors(self) -> list[Tensor | None]:
        return [self.hidden, self.bias, self.gate_hidden, self.gate_other, self.gate_bias]


def gru_states(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H), frozen behind each sequence's end."""
    return _plain(features, lengths, weights, None)[:, :, 0]


def gru_readout(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights], how: str) -> Tensor:
    """Read-outs (B, D H)."""
    return _plain(features, lengths, weights, how)[0]


def _plain(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights], how: str | None) -> Tensor:
    projected = project(features, weights, gate=False)
    tensors = Weights(weights, None).tensors()
    rows = torch.arange(len(lengths))
    return _Scan.apply(Kind(1, None, how), projected, lengths, rows[None], *tensors)


def sync_gru_states(
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
) -> tuple[Tensor, Tensor]:
    """States of both halves, (T, D, P, H) each."""
    states = _coupled(projected, lengths, rows, columns, weights, None)
    return states[:, :, 0], states[:, :, 1]


def sync_gru_readout(
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights], how: str
) -> tuple[Tensor, Tensor]:
    """Read-outs of both halves, (P, D H) each."""
    first, second = _coupled(projected, lengths, rows, columns, weights, how)
    return first, second


def _coupled(
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights], how: str | None
) -> Tensor:
    coupling = weights[0].coupling
    tensors = Weights(weights, coupling).tensors()
    return _Scan.apply(Kind(2, coupling, how), projected, lengths, torch.stack([rows, columns]), *tensors)


class _Operands:
    """The problem of one call, and the tensors it points into, which must outlive it."""

    def __init__(
        self, kind: Kind, sides: list[Tensor], lengths: list[Tensor], sequences: Tensor, tensors: list[Tensor | None]
    ) -> None:
        self.problem = p = Problem()
        self.kept: list[Tensor] = []
        p.n_directions, p.n_halves, p.n_rows = sides[0].shape[0], kind.n_halves, sequences.shape[1]
        p.n_steps = max(side.shape[1] for side in sides)
        p.n_units, p.coupling = tensors[0].shape[2], _COUPLINGS[kind.coupling]  # type: ignore[union-attr]
        p.mean, p.n_threads = kind.readout == "mean", kernel_threads()
        sequences = self._held(sequences)
        for half in range(kind.n_halves):
            x, length = sides[half % len(sides)], self._held(lengths[half % len(sides)])
            x = self._held(x if x.stride(3) == 1 else x.contiguous())
            p.x[half], p.length[half] = x.data_ptr(), length.data_ptr()
            p.x_direction[half], p.x_step[half], p.x_sequence[half] = x.stride()[:3]
            p.x_steps[half], p.sequence[half] = x.shape[1], sequences[half].data_ptr()
        names = ("hidden", "candidate_bias", "gate_hidden", "gate_other", "gate_bias")
        for name, tensor in zip(names, tensors, strict=True):
            setattr(p, name, None if tensor is None else self._held(tensor.contiguous()).data_ptr())
        self.set_end(sides[0].new_zeros(len(sides[0]), sides[0].shape[3]))

    def _held(self, tensor: Tensor) -> Tensor:
        self.kept.append(tensor)
        return tensor

    def set_end(self, projected: Tensor) -> None:
        """What a half reads behind its last projection: (D, G)."""
        self.problem.x_end = self._held(projected.contiguous()).data_ptr()

    def set_result(self, result: Tensor) -> None:
        """States (T, D, halves, rows, H), or read-outs (halves, rows, D H)."""
        p = self.problem
        if result.ndim == 5:
            p.states = self._held(result).data_ptr()
            p.states_step, p.states_direction, p.states_half, p.states_row = result.stride()[:4]
            return
        p.readout, p.readout_direction = self._held(result).data_ptr(), p.n_units
        p.readout_half, p.readout_row = result.stride()[:2]

    def set_gradient(self, result: Tensor, gradient: Tensor) -> None:
        """The gradient of the result, laid out as the result was."""
        gradient = self._held(gradient.contiguous())
        self.set_result(result)
        p, pointer = self.problem, gradient.data_ptr()
        p.grad_states, p.grad_readout = (pointer, None) if gradient.ndim == 5 else (None, pointer)


class _Scan(torch.autograd.Function):
    """All rows through all steps; the gradient reads the states and gates that the forward pass kept."""

    @staticmethod
    def forward(ctx: Any, kind: Kind, projected: Tensor, lengths: Tensor, sequences: Tensor, *tensors: Any) -> Tensor:
        lengths = lengths.to(torch.int64)
        operands = _Operands(kind, [projected], [lengths], sequences, list(tensors))
        p = operands.problem
        if kind.readout is None:
            result = projected.new_empty(p.n_steps, p.n_directions, p.n_halves, p.n_rows, p.n_units)
        else:
            result = projected.new_empty(p.n_halves, p.n_rows, p.n_directions * p.n_units)
        operands.set_result(result)
        saved = None
        if any(ctx.needs_input_grad):
            saved = projected.new_empty(library().saved_floats(p))
            p.saved = saved.data_ptr()
        library().forward(p)
        ctx.kind, ctx.shape = kind, result.shape
        ctx.save_for_backward(projected, lengths, sequences, saved, *tensors)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        projected, lengths, sequences, saved, *tensors = ctx.saved_tensors
        operands = _Operands(ctx.kind, [projected], [lengths], sequences, tensors)
        p, n = operands.problem, projected.shape[3]
        operands.set_gradient(grad.contiguous(), grad)
        p.saved = saved.data_ptr()
        # rows that read one sequence add up their gradients, every thread on its own
        shared = ctx.kind.n_halves == 2
        copies = p.n_threads if shared else 1
        make = torch.zeros if shared else torch.empty
        grad_x = make(copies, *projected.shape[:3], n, dtype=projected.dtype)
        p.grad_x, p.grad_x_shared = grad_x.data_ptr(), shared
        p.grad_x_copy, p.grad_x_direction, p.grad_x_step, p.grad_x_sequence = grad_x.stride()[:4]
        if not shared:
            p.grad_x_copy = 0
        padded = library().padded(p.n_units)
        weights = torch.zeros(p.n_threads, p.n_directions, 5 * padded + 2, padded)
        p.grad_weights = weights.data_ptr()
        library().backward(p)
        total = grad_x[0] if copies == 1 else grad_x.sum(0)
        return None, total, None, None, *_unpacked(weights.sum(0), p.n_units, tensors)


def _unpacked(total: Tensor, n: int, tensors: list[Tensor | None]) -> list[Tensor | None]:
    """The gradients of the stacked weights from the kernels' rows: hidden, gate matrices, b'_n, scalar bias."""
    padded = total.shape[2]
    squares = total[:, : 5 * padded].unflatten(1, (5, padded))[:, :, :n, :n]
    gradients = [
        squares[:, :3].flatten(1, 2), total[:, 5 * padded, :n], squares[:, 3], squares[:, 4], total[:, 5 * padded + 1, 0],
    ]  # fmt: skip
    return [None if t is None else g for t, g in zip(tensors, gradients, strict=True)]


def sync_gru_tile(
    first: Side, second: Side, weights: list[RecurrentWeights], how: str, *, crossed: bool, n_threads: int | None
) -> Tensor:
    """Squared coupled distances (N, M), or (N,) pair by pair."""
    coupling = weights[0].coupling
    sides = [project(side.features, weights) for side in (first, second)]
    lengths = [side.lengths.to(torch.int64) for side in (first, second)]
    n, m = len(first.lengths), len(second.lengths)
    pairs = torch.stack([torch.arange(n), torch.arange(m)]) if not crossed else _every_pair(n, m)
    order = _alike_together(lengths[0][pairs[0]], lengths[1][pairs[1]])
    pairs = pairs if order is None else pairs[:, order]
    operands = _Operands(
        Kind(2, coupling, how), sides, lengths, pairs.contiguous(), Weights(weights, coupling).tensors()
    )
    nothing = first.features.new_zeros(first.features.shape[0], 1, 1, first.features.shape[3])
    operands.set_end(project(nothing, weights)[:, 0, 0])
    if n_threads is not None:
        operands.problem.n_threads = n_threads
    squared = first.features.new_empty(pairs.shape[1])
    operands.problem.squared = squared.data_ptr()
    library().forward(operands.problem)
    out = squared if order is None else torch.empty_like(squared).scatter_(0, order, squared)
    return out.view(n, m) if crossed else out


def _every_pair(n: int, m: int) -> Tensor:
    return torch.stack([torch.arange(n).repeat_interleave(m), torch.arange(m).repeat(n)])


def _alike_together(first: Tensor, second: Tensor) -> Tensor | None:
    """An order in which pairs of one tile end together; None where all lengths are equal.

    A tile runs until its last half ends, and rows that have ended cost nothing where all of a block have.
    """
    if int(first.min()) == int(first.max()) == int(second.min()) == int(second.max()):
        return None
    longest = int(max(first.max(), second.max())) + 1
    return torch.argsort(torch.maximum(first, second) * longest + first, stable=True)
