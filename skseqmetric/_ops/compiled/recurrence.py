"""Plain and coupled GRU by the compiled kernels: tensors in, tensors out, differentiable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.compiled._operands import Kind, Operands, Recurrent
from skseqmetric._ops.compiled._workspace import Lease, take
from skseqmetric._ops.parallel import kernel_threads, one_intra_op_thread
from skseqmetric._ops.weights import RecurrentWeights, projection

CHUNK_FLOATS = 2**21
"""Projected inputs of one chunk of rows, in numbers, about: they are read again before they leave the caches."""

TILE_ROWS = 32
"""Rows of all halves that a thread takes at a time, at most (src/tile.h)."""


def gru_states(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H), frozen behind each sequence's end."""
    return _plain(features, lengths, weights, None)


def gru_readout(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights], how: str) -> Tensor:
    """Read-outs (B, D H)."""
    return _plain(features, lengths, weights, how)


def _plain(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights], how: str | None) -> Tensor:
    rows = torch.arange(len(lengths))[None]
    return _scan(Kind(1, None, how), features, lengths, rows, weights)[0]


def sync_gru_states(
    features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
) -> tuple[Tensor, Tensor]:
    """States of both halves, (T, D, P, H) each."""
    kind = Kind(2, weights[0].coupling, None)
    first, second = _scan(kind, features, lengths, torch.stack([rows, columns]), weights)
    return first, second


def sync_gru_readout(
    features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights], how: str
) -> tuple[Tensor, Tensor]:
    """Read-outs of both halves, (P, D H) each."""
    kind = Kind(2, weights[0].coupling, how)
    first, second = _scan(kind, features, lengths, torch.stack([rows, columns]), weights)
    return first, second


def _scan(
    kind: Kind, features: Tensor, lengths: Tensor, sequences: Tensor, weights: list[RecurrentWeights]
) -> tuple[Tensor, ...]:
    """The result of every half."""
    matrix, bias = projection(weights, gate=kind.n_halves == 2)
    recurrent = Recurrent.of(weights, kind.coupling)
    return _Scan.apply(kind, features, matrix, bias, lengths.to(torch.int64), sequences, *vars(recurrent).values())


class _Scan(torch.autograd.Function):
    """All rows through all steps; the gradient reads the states and gates that the forward pass kept."""

    @staticmethod
    def forward(
        ctx: Any, kind: Kind, features: Tensor, matrix: Tensor, bias: Tensor, lengths: Tensor, sequences: Tensor,
        *tensors: Any,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        run = _Run(kind, features, matrix, bias, lengths, sequences, Recurrent(*tensors))
        keep = any(ctx.needs_input_grad)
        # torch's own workers keep a core busy for a while after each product, and the kernels' threads wait for it
        with one_intra_op_thread():
            results = run.forward(keep=keep)
        if keep:
            ctx.kind, ctx.saved = kind, run.saved
            ctx.save_for_backward(features, matrix, bias, lengths, sequences, *tensors)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        features, matrix, bias, lengths, sequences, *tensors = ctx.saved_tensors
        run = _Run(ctx.kind, features, matrix, bias, lengths, sequences, Recurrent(*tensors))
        run.saved, ctx.saved = ctx.saved, []
        with one_intra_op_thread():
            if not run.saved:  # a second time through the same graph: what was kept is gone
                run.forward(keep=True)
            return None, *run.backward(grads, of_features=ctx.needs_input_grad[1])


@dataclass(frozen=True)
class _Chunk:
    """Rows that are computed together: their places, and the sequences whose projections they read."""

    rows: slice
    chosen: Tensor | slice
    sequences: Tensor  # (halves, rows), counted within `chosen`


class _Run:
    """A forward pass and its backward pass, chunk by chunk."""

    def __init__(
        self, kind: Kind, features: Tensor, matrix: Tensor, bias: Tensor, lengths: Tensor, sequences: Tensor,
        recurrent: Recurrent,
    ) -> None:  # fmt: skip
        self.kind, self.recurrent, self.lengths = kind, recurrent, lengths
        self.features, self.matrix, self.bias = features, matrix, bias
        self.n_threads = kernel_threads()
        self.n_units, self.n_rows = recurrent.n_units, sequences.shape[1]
        self.shared = kind.n_halves == 2 and len(sequences.unique()) < sequences.numel()
        self.chunks = self._chunks(sequences)
        self.saved: list[Lease] = []

    def _chunks(self, sequences: Tensor) -> list[_Chunk]:
        if self.shared:
            return [_Chunk(slice(0, self.n_rows), slice(None), sequences)]
        per_row = self.features.shape[1] * self.matrix.shape[1] * self.kind.n_halves
        unit = TILE_ROWS // self.kind.n_halves * self.n_threads
        size = max(1, CHUNK_FLOATS // (per_row * unit)) * unit
        parts = [slice(start, min(start + size, self.n_rows)) for start in range(0, self.n_rows, size)]
        if self.kind.n_halves == 1:
            return [_Chunk(part, part, torch.arange(part.stop - part.start)[None]) for part in parts]
        own = [sequences[:, part] for part in parts]
        return [
            _Chunk(part, chosen.flatten(), torch.arange(chosen.numel()).view(2, -1))
            for part, chosen in zip(parts, own, strict=True)
        ]

    def _operands(self, chunk: _Chunk, projections: Tensor) -> Operands:
        lengths = [self.lengths[chunk.chosen]]
        return Operands(self.kind, [projections], lengths, chunk.sequences, self.recurrent, self.n_threads)

    def forward(self, *, keep: bool) -> list[Tensor]:
        """Of every half, states (T, D, rows, H) or read-outs (rows, D H)."""
        n_directions, n_steps = self.features.shape[:2]
        states, readouts = (
            (n_steps, n_directions, self.n_rows, self.n_units),
            (self.n_rows, n_directions * self.n_units),
        )
        shape = states if self.kind.readout is None else readouts
        results = [self.features.new_empty(shape) for _ in range(self.kind.n_halves)]
        for chunk in self.chunks:
            features = self.features[:, :, chunk.chosen]
            projected = take(*features.shape[:3], self.matrix.shape[1])
            flat = projected.tensor.flatten(1, 2)
            torch.baddbmm(self.bias[:, None], features.flatten(1, 2), self.matrix.transpose(1, 2), out=flat)
            operands = self._operands(chunk, projected.tensor)
            operands.set_results([_rows(result, chunk.rows) for result in results])
            if keep:
                self.saved.append(take(library().saved_floats(operands.problem)))
                operands.problem.saved = self.saved[-1].tensor.data_ptr()
            library().forward(operands.problem)
            projected.release()
        return results

    def backward(self, grads: tuple[Tensor, ...], *, of_features: bool) -> list[Tensor | None]:
        """Gradients of features, input matrix and bias, lengths, sequences, then of the recurrent weights."""
        padded = library().padded(self.n_units)
        weights = torch.zeros(self.n_threads, len(self.features), 5 * padded + 2, padded)
        grad_features = torch.zeros_like(self.features) if of_features else None
        grad_matrix, grad_bias = torch.zeros_like(self.matrix), torch.zeros_like(self.bias)
        for chunk, saved in zip(self.chunks, self.saved, strict=True):
            features = self.features[:, :, chunk.chosen]
            lease = self._projections_back(chunk, saved, grads, weights)
            flat = (lease.tensor if len(lease.tensor) == 1 else lease.tensor.sum(0, keepdim=True))[0].flatten(1, 2)
            # this way round: the other product of the same matrices takes several times as long
            grad_matrix += torch.bmm(features.flatten(1, 2).transpose(1, 2), flat).transpose(1, 2)
            grad_bias += flat.sum(1)
            if grad_features is not None:
                grad_features[:, :, chunk.chosen] = torch.bmm(flat, self.matrix).view_as(features)
            lease.release()
        return [grad_features, grad_matrix, grad_bias, None, None, *_unpacked(weights.sum(0), self.recurrent)]

    def _projections_back(self, chunk: _Chunk, saved: Lease, grads: tuple[Tensor, ...], weights: Tensor) -> Lease:
        """Gradients of the projections, (copies, D, T, N, G); those of the recurrent weights are added to `weights`.

        Rows that read one sequence add up theirs, and every thread does so on its own.
        """
        n_sequences = self.features.shape[2] if self.shared else chunk.sequences.numel()
        copies = self.n_threads if self.shared else 1
        lease = take(copies, *self.features.shape[:2], n_sequences, self.matrix.shape[1])
        if self.shared:
            lease.tensor.zero_()
        operands = self._operands(chunk, lease.tensor[0])
        operands.set_results(_alike([_rows(grad, chunk.rows) for grad in grads]), "grad_")
        operands.set_gradients(lease.tensor, weights, shared=self.shared)
        operands.problem.saved = saved.tensor.data_ptr()
        library().backward(operands.problem)
        saved.release()
        return lease


def _rows(result: Tensor, rows: slice) -> Tensor:
    return result[:, :, rows] if result.ndim == 4 else result[rows]


def _alike(parts: list[Tensor]) -> list[Tensor]:
    """The same numbers in one layout for all, units side by side: the kernels take one set of strides."""
    layouts = {part.stride() for part in parts}
    alike = len(layouts) == 1 and parts[0].stride(-1) == 1
    return parts if alike else [part.clone(memory_format=torch.contiguous_format) for part in parts]


def _unpacked(total: Tensor, recurrent: Recurrent) -> list[Tensor | None]:
    """The gradients of the stacked weights from the kernels' rows: hidden, gate matrices, b'_n, scalar bias."""
    padded, n = total.shape[2], recurrent.n_units
    squares = total[:, : 5 * padded].unflatten(1, (5, padded))[:, :, :n, :n]
    gradients = [
        squares[:, :3].flatten(1, 2), total[:, 5 * padded, :n], squares[:, 3], squares[:, 4],
        total[:, 5 * padded + 1, 0],
    ]  # fmt: skip
    return [None if t is None else g for t, g in zip(vars(recurrent).values(), gradients, strict=True)]
