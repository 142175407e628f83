"""Plain and coupled GRU by the compiled kernels: tensors in, tensors out, differentiable."""

from __future__ import annotations

from ctypes import c_void_p
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.buffer_pool import Buffer, take
from skseqmetric._ops.compiled._library import NO_MEMORY, Problem, library
from skseqmetric._ops.operands import CPU, refuse_operand
from skseqmetric._ops.parallel import Team, one_intra_op_thread
from skseqmetric._ops.weights import RecurrentWeights, projection

SHARES = 8
"""Number of parts of the rows whose weight gradients are summed separately. Any thread may take any part."""


_COUPLINGS = {None: 0, "scalar": 1, "symmetric": 2, "diffusive": 3}


@dataclass(frozen=True)
class Kind:
    """The kind of recurrence: halves per row (1 plain, 2 coupled), the coupling, and the pooling over time.

    Without pooling the result is all states.
    """

    n_halves: int
    coupling: str | None
    pooling: str | None


@dataclass(frozen=True)
class Recurrent:
    """The weights but for input projections, stacked over directions. Parts that a coupling lacks are None."""

    hidden: Tensor
    candidate_bias: Tensor
    gate_hidden: Tensor | None
    gate_other: Tensor | None
    gate_bias: Tensor | None

    @classmethod
    def of(cls, weights: list[RecurrentWeights], coupling: str | None) -> Recurrent:
        """Stacked from the directions' own."""
        n = weights[0].hidden.shape[1]
        gated = coupling in ("symmetric", "diffusive")
        return cls(
            torch.stack([w.hidden for w in weights]),
            torch.stack([w.hidden_bias[2 * n :] for w in weights]),
            torch.stack([w.gate_hidden for w in weights]) if gated else None,
            torch.stack([w.gate_other for w in weights]) if coupling == "diffusive" else None,
            torch.stack([w.gate_bias for w in weights]) if coupling == "scalar" else None,
        )


class Operands:
    """A problem filled in from tensors, which it keeps alive: rows read sequences of projections (D, T, N, G).

    sides : one projection for all halves or one for each, with the lengths (N,) of its sequences; features
        (D, T, N, F) where `set_input` follows, or (1, T, N, F) that the second direction reads from their end.
    sequences : (halves, rows) int64.
    """

    def __init__(
        self,
        kind: Kind,
        sides: list[Tensor],
        lengths: list[Tensor],
        sequences: Tensor,
        recurrent: Recurrent,
        team: Team,
    ) -> None:
        self.problem = p = Problem()
        self._kept: list[Tensor] = []
        p.n_directions, p.n_halves, p.n_rows = len(recurrent.hidden), kind.n_halves, sequences.shape[1]
        p.both_ways = len(sides[0]) < p.n_directions
        p.n_steps, p.n_threads = max(side.shape[1] for side in sides), team.n_threads
        p.openmp = team.openmp
        p.mean, p.coupling = kind.pooling == "mean", _COUPLINGS[kind.coupling]
        sequences = sequences.to(torch.int64).contiguous()
        for half in range(kind.n_halves):
            side, length = sides[half % len(sides)], lengths[half % len(sides)].contiguous()
            p.x[half], p.length[half] = self.hold(side, "x", rows=True), self.hold(length, "lengths", torch.int64)
            p.x_direction[half], p.x_step[half], p.x_sequence[half] = side.stride()[:3]
            if p.both_ways:
                p.x_direction[half] = 0
            p.x_steps[half], p.sequence[half] = side.shape[1], self.hold(sequences[half], "sequences", torch.int64)
        p.n_units = recurrent.hidden.shape[2]
        for name, tensor in vars(recurrent).items():
            if tensor is not None:
                setattr(p, name, self.hold(tensor.contiguous(), name))
        self.set_end(sides[0].new_zeros(p.n_directions, sides[0].shape[3]))

    def hold(self, tensor: Tensor, name: str, dtype: torch.dtype = torch.float32, *, rows: bool = False) -> int:
        """Keep a tensor and return its address, checked as `address` does: contiguous, or with contiguous `rows`."""
        self._kept.append(tensor)
        laid_out = tensor.is_contiguous() or (rows and (tensor.stride(-1) == 1 or tensor.shape[-1] < 2))
        if tensor.dtype is not dtype or not tensor.is_cpu or not laid_out:
            refuse_operand(tensor, name, dtype, CPU, "rows" if rows else "whole")
        return tensor.data_ptr()

    def set_input(self, weights: Tensor) -> None:
        """Input weights and, last, biases (D, G, F + 1): the sides hold features."""
        self.problem.n_features = weights.shape[2] - 1
        self.problem.input = self.hold(weights.contiguous(), "input")

    def set_end(self, projected: Tensor) -> None:
        """What a half reads behind its last projection: (D, G)."""
        self.problem.x_end = self.hold(projected.contiguous(), "x_end")

    def set_results(self, results: list[Tensor], prefix: str = "") -> None:
        """States (T, D, rows, H) or pooled states (rows, D H) of every half; with the prefix "grad_" gradients."""
        p, name = self.problem, f"{prefix}states"
        pointers = (c_void_p * 2)(*[self.hold(result, name, rows=True) for result in results])
        if results[0].ndim == 4:
            setattr(p, prefix + "states", pointers)
            p.states_step, p.states_direction, p.states_row = results[0].stride()[:3]
        else:
            setattr(p, prefix + "pooled", pointers)
            p.pooled_direction, p.pooled_row = p.n_units, results[0].stride(0)

    def set_gradients(self, grad_x: Tensor | None, weights: Tensor) -> None:
        """Where gradients go: of projections (copies, D, T, N, G) or of features (D, T, N, F), and of the weights."""
        p = self.problem
        p.grad_weights, p.n_shares = self.hold(weights, "grad_weights"), len(weights)
        if grad_x is None:
            return
        p.grad_x, p.grad_x_shared = self.hold(grad_x, "grad_x", rows=True), grad_x.ndim == 5
        p.grad_x_direction, p.grad_x_step, p.grad_x_sequence = grad_x.stride()[-4:-1]
        p.grad_x_copy = grad_x.stride(0) if grad_x.ndim == 5 else 0
        if p.both_ways:
            p.grad_x_direction = 0


def gru_states(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H), frozen behind each sequence's end."""
    return _plain(features, lengths, weights, None)


def gru_pooled(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights], how: str) -> Tensor:
    """Pooled states (B, D H)."""
    return _plain(features, lengths, weights, how)


def _plain(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights], how: str | None) -> Tensor:
    rows = torch.arange(len(lengths), dtype=torch.int64, device="cpu")[None]
    return _scan(Kind(1, None, how), features, lengths, rows, weights)[0]


def sync_gru_states(
    features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
) -> tuple[Tensor, Tensor]:
    """States of both halves, (T, D, P, H) each."""
    kind = Kind(2, weights[0].coupling, None)
    first, second = _scan(kind, features, lengths, torch.stack([rows, columns]), weights)
    return first, second


def sync_gru_pooled(
    features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights], how: str
) -> tuple[Tensor, Tensor]:
    """Pooled states of both halves, (P, D H) each."""
    kind = Kind(2, weights[0].coupling, how)
    first, second = _scan(kind, features, lengths, torch.stack([rows, columns]), weights)
    return first, second


def _scan(
    kind: Kind, features: Tensor, lengths: Tensor, sequences: Tensor, weights: list[RecurrentWeights]
) -> tuple[Tensor, ...]:
    """The result of every half."""
    if kind.n_halves == 1:
        own = (tensor for w in weights for tensor in (w.input, w.hidden, w.input_bias, w.hidden_bias))
        parts = (*_PlainWeights.apply(*own), None, None, None)
    else:
        matrix, bias = projection(weights, gate=True)
        inputs = torch.cat([matrix, bias[..., None]], 2)
        parts = (inputs, *vars(Recurrent.of(weights, kind.coupling)).values())
    return _Scan.apply(kind, features, parts[0], lengths.to(torch.int64), sequences, *parts[1:])


class _PlainWeights(torch.autograd.Function):
    """Input weights with biases (D, 3H, F + 1), hidden weights (D, 3H, H) and b'_n (D, H) of a plain GRU.

    They come as input, hidden, input_bias, hidden_bias of every direction. By hand this is one node of the graph, not
    fifteen.
    """

    @staticmethod
    def forward(ctx: Any, *own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs, hidden, input_biases, hidden_biases = (torch.stack(own[i::4]) for i in range(4))
        n = hidden.shape[2]
        input_biases[:, : 2 * n] += hidden_biases[:, : 2 * n]
        return torch.cat([inputs, input_biases[..., None]], 2), hidden, hidden_biases[:, 2 * n :].contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_inputs: Tensor, grad_hidden: Tensor, grad_candidate: Tensor) -> tuple[Tensor, ...]:
        n = grad_hidden.shape[2]
        biases = grad_inputs[..., -1]
        gradients = (grad_inputs[..., :-1], grad_hidden, biases, torch.cat([biases[:, : 2 * n], grad_candidate], 1))
        return tuple(gradient.contiguous() for one in zip(*gradients, strict=True) for gradient in one)


class _Scan(torch.autograd.Function):
    """All rows through all steps; the gradient reads the states and gates that the forward pass kept."""

    @staticmethod
    def forward(
        ctx: Any, kind: Kind, features: Tensor, inputs: Tensor, lengths: Tensor, sequences: Tensor, *tensors: Any
    ) -> tuple[Tensor, ...]:
        run = _Run(kind, features, inputs, lengths, sequences, Recurrent(*tensors))
        keep = any(ctx.needs_input_grad)
        with one_intra_op_thread():
            results, saved = run.forward(keep=keep)
        if keep:
            ctx.kind, ctx.saved = kind, saved
            ctx.save_for_backward(features, inputs, lengths, sequences, *tensors)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        features, inputs, lengths, sequences, *tensors = ctx.saved_tensors
        run = _Run(ctx.kind, features, inputs, lengths, sequences, Recurrent(*tensors))
        saved, ctx.saved = ctx.saved, None
        with one_intra_op_thread():
            if saved is None:  # a second time through the same graph: what was kept is gone
                saved = run.forward(keep=True)[1]
            gradients = run.backward(grads, saved, of_features=ctx.needs_input_grad[1])
        saved.release()
        return None, *gradients


class _Run:
    """A forward pass and its backward pass.

    If every row reads its own sequence, the kernels project the features step by step, without a (T, rows, G) array.
    If pairs share sequences, each sequence is projected once.
    """

    def __init__(
        self, kind: Kind, features: Tensor, inputs: Tensor, lengths: Tensor, sequences: Tensor, recurrent: Recurrent
    ) -> None:
        self.kind, self.recurrent, self.lengths, self.sequences = kind, recurrent, lengths, sequences
        self.features, self.inputs = features if features.stride(3) == 1 else features.contiguous(), inputs
        self.team = Team.now()
        self.n_units, self.n_rows = recurrent.hidden.shape[2], sequences.shape[1]
        self.shared = kind.n_halves == 2 and len(sequences.unique()) < sequences.numel()

    def _operands(self, side: Tensor) -> Operands:
        operands = Operands(self.kind, [side], [self.lengths], self.sequences, self.recurrent, self.team)
        if not self.shared:
            operands.set_input(self.inputs)
        return operands

    def forward(self, *, keep: bool) -> tuple[list[Tensor], Buffer | None]:
        """States (T, D, rows, H) or pooled states (rows, D H) of every half; then what backward reads, if kept."""
        n_directions, n_steps = len(self.recurrent.hidden), self.features.shape[1]
        states, pooled = (
            (n_steps, n_directions, self.n_rows, self.n_units),
            (self.n_rows, n_directions * self.n_units),
        )
        shape = states if self.kind.pooling is None else pooled
        results = [self.features.new_empty(shape) for _ in range(self.kind.n_halves)]
        projected = self._projected() if self.shared else None
        operands = self._operands(self.features if projected is None else projected.tensor)
        operands.set_results(results)
        saved = take(library().saved_floats(operands.problem)) if keep else None
        operands.problem.saved = operands.hold(saved.tensor, "saved") if saved else None
        if library().forward(operands.problem):
            raise MemoryError(NO_MEMORY)
        return results, saved

    def _projected(self) -> Buffer:
        """Projections of all sequences, (D, T, N, G)."""
        projected = take(*self.features.shape[:3], self.inputs.shape[1])
        matrix, bias = self.inputs[..., :-1], self.inputs[..., -1]
        flat = projected.tensor.flatten(1, 2)
        torch.baddbmm(bias[:, None], self.features.flatten(1, 2), matrix.transpose(1, 2), out=flat)
        return projected

    def backward(self, grads: tuple[Tensor, ...], saved: Buffer, *, of_features: bool) -> list[Tensor | None]:
        """Gradients of features and input weights, lengths, sequences, then of the recurrent weights."""
        n_features = 0 if self.shared else self.inputs.shape[2] - 1
        n_rows, n_recurrent = _weight_rows(self.n_units, n_features)
        n_tiles = library().tiles(self._operands(self.features).problem)
        n_shares = min(self.team.n_threads if self.shared else SHARES, n_tiles)
        weights = self.features.new_zeros(n_shares, len(self.recurrent.hidden), n_rows, _padded(self.n_units))
        if self.shared:
            grad_features, grad_inputs = self._shared_back(grads, saved, weights, of_features)
            return [grad_features, grad_inputs, None, None, *_unpacked(weights.sum(0), self.recurrent)]
        grad_features = torch.zeros_like(self.features) if of_features else None
        self._kernels_back(grads, saved, self.features, grad_features, weights)
        total = weights.sum(0)
        grad_inputs = self._unpacked_inputs(total[:, n_recurrent:])
        return [grad_features, grad_inputs, None, None, *_unpacked(total, self.recurrent)]

    def _kernels_back(
        self, grads: tuple[Tensor, ...], saved: Buffer, side: Tensor, grad_side: Tensor | None, weights: Tensor
    ) -> None:
        alike = _alike(grads)
        operands = self._operands(side)
        operands.set_results(alike, "grad_")
        operands.set_gradients(grad_side, weights)
        operands.problem.saved = operands.hold(saved.tensor, "saved")
        if library().backward(operands.problem):
            raise MemoryError(NO_MEMORY)

    def _shared_back(
        self, grads: tuple[Tensor, ...], saved: Buffer, weights: Tensor, of_features: bool
    ) -> tuple[Tensor | None, Tensor]:
        """By way of the projections, whose rows add up theirs, every share on its own."""
        buffer = take(len(weights), *self.features.shape[:3], self.inputs.shape[1])
        buffer.tensor.zero_()
        self._kernels_back(grads, saved, buffer.tensor[0], buffer.tensor, weights)
        flat = (buffer.tensor if len(buffer.tensor) == 1 else buffer.tensor.sum(0, keepdim=True))[0].flatten(1, 2)
        # this way round: the other product of the same matrices takes several times as long
        grad_matrix = torch.bmm(self.features.flatten(1, 2).transpose(1, 2), flat).transpose(1, 2)
        grad_inputs = torch.cat([grad_matrix, flat.sum(1)[..., None]], 2)
        if not of_features:
            return None, grad_inputs
        return torch.bmm(flat, self.inputs[..., :-1]).view_as(self.features), grad_inputs

    def _unpacked_inputs(self, rows: Tensor) -> Tensor:
        """Input weights and biases (D, G, F + 1) from the kernels' rows, transposed with padded gates."""
        n_gates = self.inputs.shape[1] // self.n_units
        gates = rows.unflatten(1, (-1, 4))[:, : self.inputs.shape[2], :n_gates, : self.n_units]
        return gates.flatten(2).transpose(1, 2)


def _padded(n_units: int) -> int:
    """`n_units` rounded up to whole vectors."""
    width = library().width()
    return -(-n_units // width) * width


def _weight_rows(n_units: int, n_features: int) -> tuple[int, int]:
    """Rows of weight gradients (`weight_rows` in src/backward.h), and how many of them are for the recurrence."""
    recurrent = 5 * _padded(n_units) + 2
    return recurrent + 4 * _padded(n_features + 1) * bool(n_features), recurrent


def _alike(parts: tuple[Tensor, ...]) -> list[Tensor]:
    """The same numbers in one layout for all, units side by side: the kernels take one set of strides."""
    compact = [_compact(part) for part in parts]
    layouts = {part.stride() for part in compact}
    alike = len(layouts) == 1 and compact[0].stride(-1) == 1
    return compact if alike else [part.clone(memory_format=torch.contiguous_format) for part in compact]


def _compact(part: Tensor) -> Tensor:
    """Units side by side; what a sum or mean has spread over steps and rows is not written out."""
    if part.stride(-1) == 1:
        return part
    one = part
    for axis in range(part.ndim - 1):
        if part.stride(axis) == 0 and part.shape[axis]:
            one = one.narrow(axis, 0, 1)
    return one.contiguous().expand_as(part)


def _unpacked(total: Tensor, recurrent: Recurrent) -> list[Tensor | None]:
    """The gradients of the stacked weights from the kernels' rows: hidden, gate matrices, b'_n, scalar bias."""
    padded, n = total.shape[2], recurrent.hidden.shape[2]
    squares = total[:, : 5 * padded].unflatten(1, (5, padded))[:, :, :n, :n]
    gradients = [
        squares[:, :3].flatten(1, 2),
        total[:, 5 * padded, :n],
        squares[:, 3],
        squares[:, 4],
        total[:, 5 * padded + 1, 0],
    ]
    return [None if t is None else g for t, g in zip(vars(recurrent).values(), gradients, strict=True)]
