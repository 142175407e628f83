"""Reservoirs over a padded batch, by one launch for a span of steps (`_ops.reference.reservoir` defines them).

Layouts: D reservoirs, T steps, B sequences, F features, N units.
"""

# mypy: disable-error-code="import-untyped,import-not-found"
from __future__ import annotations

import torch
import triton
from torch import Tensor

from skseqmetric._ops.operands import check_operand
from skseqmetric._ops.triton.packing import Launch, launch_on
from skseqmetric._ops.triton.reservoir_kernels import reservoir_kernel
from skseqmetric._ops.weights import ReservoirWeights

SPAN_BYTES = 2**28
"""Memory of the input projections of one span of steps. A span has at least one step."""

BLOCK = 64
"""Units of a block of the matrix."""

LAUNCH = Launch(4, 4, 8, False)
"""16 sequences are the least that a matrix product takes, so that few sequences still make several programs. No number
of 16 x 64 is held by two of the 256 threads, so that sums may be added to in place."""


def reservoir_states(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> Tensor:
    """States (T, D, B, N) from features (D, T, B, F). Past its end a sequence keeps its last one."""
    run = _Run(features, lengths, weights)
    states = run.empty_states(features.shape[1])
    for start, stop in run.spans():
        run.advance(states[start:], start, stop, keep=True)
    return states[1:]


def reservoir_pooled(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], how: str) -> Tensor:
    """The "mean" of the valid states or the "last" one, (B, D N), or "both", (B, 2 D N), the last one first."""
    run = _Run(features, lengths, weights)
    states, sums = run.empty_states(1), run.empty_states(0)[0] if how != "last" else None
    for start, stop in run.spans():
        run.advance(states, start, stop, keep=False, sums=sums)
    summaries = [states[0]] if how != "mean" else []
    if sums is not None:
        summaries.append(sums / lengths[:, None])
    return torch.cat([summary.transpose(0, 1).flatten(1) for summary in summaries], 1)


class _Run:
    """The operands of one batch."""

    def __init__(self, features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> None:
        self.features, self.n_units = features, weights[0].n_units
        self.lengths = check_operand(lengths.to(torch.int32).contiguous(), "lengths", torch.int32, features.device)
        self.order = torch.argsort(lengths, stable=True).to(torch.int32)
        self.input = torch.stack([w.input for w in weights])  # (D, N, F + 1)
        self.leaks = torch.stack([self._leak(w) for w in weights])
        self.n_blocks = -(-self.n_units // BLOCK)
        size = self.n_blocks * BLOCK
        self.matrices = features.new_zeros(len(weights), size, size)
        for to, w in zip(self.matrices, weights, strict=True):
            dense = w.recurrent if w.recurrent.layout == torch.strided else w.recurrent.to_dense()
            to[: self.n_units, : self.n_units] = dense.T

    def _leak(self, w: ReservoirWeights) -> Tensor:
        if isinstance(w.leak, Tensor):
            return w.leak.to(self.features).expand(self.n_units)
        return self.features.new_full((self.n_units,), w.leak)

    def empty_states(self, n_slots: int) -> Tensor:
        """Slots (D, B, N) behind a first one of zeros."""
        states = self.features.new_empty(n_slots + 1, *self.features.shape[::2][:2], self.n_units)
        states[0] = 0
        return states

    def spans(self) -> list[tuple[int, int]]:
        """First steps of the spans, and where they end."""
        d, n_steps, n_rows, _ = self.features.shape
        size = max(1, SPAN_BYTES // max(1, 4 * d * n_rows * self.n_units))
        return [(start, min(start + size, n_steps)) for start in range(0, n_steps, size)]

    def advance(self, states: Tensor, start: int, stop: int, *, keep: bool, sums: Tensor | None = None) -> None:
        """Take steps start .. stop - 1 from the states in slot 0: see `reservoir_kernel`."""
        d, _, n_rows, _ = self.features.shape
        launch = launch_on(states.device, LAUNCH)
        if not n_rows:
            return
        with torch.cuda.device_of(states):
            reservoir_kernel[(triton.cdiv(n_rows, launch.pairs), d)](
                self._projected(start, stop),
                self.lengths,
                self.order,
                self.matrices,
                self.leaks,
                states,
                states if sums is None else sums,
                d,
                n_rows,
                self.n_units,
                start,
                stop - start,
                self.n_blocks,
                KEEP=keep,
                MEAN=sums is not None,
                ROWS=launch.pairs,
                BLOCK=BLOCK,
                **launch.options,
            )

    def _projected(self, start: int, stop: int) -> Tensor:
        """W_in [1; u_t] of some steps, (D, T', B, N)."""
        u = self.features[:, start:stop]
        flat = torch.baddbmm(self.input[:, None, :, 0], u.flatten(1, 2), self.input[..., 1:].transpose(1, 2))
        return flat.unflatten(1, u.shape[1:3])
