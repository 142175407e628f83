"""The reservoir over a padded batch as torch operations, without gradient (`_ops.reference.reservoir` defines it).

Sequences are sorted by length, so that those still running are the first n of them and ended ones cost nothing; their
states simply stay. Input projections are one product for a block of steps, and every step is one product per
reservoir, everything else in place. Layouts: D reservoirs, T steps, B sequences, F features, N units.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from skseqmetric._ops.steps import valid_steps
from skseqmetric._ops.weights import ReservoirWeights

BLOCK_ELEMENTS = 1 << 22
"""Input projections held at once: 16 MB in float32, so that a small cache keeps some of it."""

SPARSE_DENSITY, SPARSE_UNITS = 0.15, 150
"""Up to this density, and from this many units on, torch's sparse product is the faster one."""

FUSED_DENSITY, FUSED_UNITS = 0.25, 100
"""The same of the compiled steps."""


def sparse_pays(density: float, n_units: int, *, fused: bool = False) -> bool:
    """Whether a step with W in CSR form is faster than with a dense W; the one place that decides it.

    Milliseconds, dense | CSR, float32, medians on one core with AVX-512. Product W X of torch 2.13 with MKL, X (N, B):

    ===== ===== ============ ============ ============ ============
    N     B     p = 0.05     p = 0.1      p = 0.2      p = 0.85
    ===== ===== ============ ============ ============ ============
    200   10    .014 | .008  .018 | .015  .022 | .025  .020 | .056
    200   100   .092 | .038  .089 | .057  .088 | .101  .095 | .37
    1000  1     .15 | .10    .17 | .19    .30 | .31    .29 | 1.0
    1000  10    .49 | .15    .47 | .19    .42 | .25    .51 | 1.6
    1000  100   2.2 | .55    2.1 | .86    2.2 | 2.4    2.1 | 7.1
    1000  1000  19.8 | 6.2   19.5 | 8.7   19.0 | 16.2  18.8 | 69.8
    ===== ===== ============ ============ ============ ============

    Whole compiled steps of a reservoir, on another machine:

    ===== ===== ============ ============ ============ ============
    N     B     p = 0.1      p = 0.2      p = 0.3      p = 0.5
    ===== ===== ============ ============ ============ ============
    100   100   .029 | .013  .029 | .016  .029 | .020  .029 | .028
    200   10    .014 | .014  .016 | .018  .015 | .022  .015 | .031
    200   1000  .84 | .21    .83 | .36    .82 | .42    .81 | .63
    1000  10    .23 | .14    .23 | .25    .23 | .36    .24 | .61
    1000  100   1.9 | .55    1.9 | 1.2    1.9 | 1.7    1.9 | 3.0
    1000  1000  18.5 | 4.7   18.5 | 9.2   18.5 | 13.7  18.7 | 22.1
    ===== ===== ============ ============ ============ ============

    The number of sequences has no part in the choice: a sequence is computed alike in every batch.
    Not measured on other devices than the CPU, where the product stays dense. Finding the density and changing the form
    of W takes 2 to 11 ms at N = 1000, once a call.
    """
    least, most = (FUSED_UNITS, FUSED_DENSITY) if fused else (SPARSE_UNITS, SPARSE_DENSITY)
    return density <= most and n_units >= least


def sparse_form(weights: list[ReservoirWeights], *, fused: bool) -> bool:
    """Whether all reservoirs take the sparse form. `fused`: in the compiled kernels."""
    return sparse_pays(max(_density(w.recurrent) for w in weights), weights[0].n_units, fused=fused)


def reservoir_states(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> Tensor:
    """States (T, D, B, N); behind its end a sequence keeps its last one."""
    walk = _Walk(features, lengths, weights)
    states = features.new_empty(features.shape[1], len(weights), len(lengths), weights[0].n_units)
    for t, _ in walk.steps():
        walk.in_order(states[t])
    longest = len(walk.running)
    if longest:
        states[longest:] = states[longest - 1]
    return states


def reservoir_pooled(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], how: str) -> Tensor:
    """The "mean" of the valid states or the "last" one, (B, D N), or "both", (B, 2 D N), the last one first."""
    walk = _Walk(features, lengths, weights)
    sums = torch.zeros_like(walk.states) if how != "last" else None
    for _, n in walk.steps():
        if sums is not None:
            sums[:, :n] += walk.states[:, :n]
    summaries = [walk.states] if how != "mean" else []
    if sums is not None:
        summaries.append(sums / lengths[walk.order][:, None])
    return torch.cat([s[:, walk.position].transpose(0, 1).flatten(1) for s in summaries], 1)


class _Walk:
    """The states of all reservoirs, advanced step by step.

    `states` (D, B, N) are those of the sequences in `order`, longest first; `running[t]` of them take step t. A dense
    matrix wants the states of a sequence contiguous in memory, a sparse matrix those of a unit.
    """

    def __init__(self, features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> None:
        self.features, n_rows, n_units = features, len(lengths), weights[0].n_units
        self.order = torch.argsort(lengths, descending=True, stable=True)
        self.position = torch.argsort(self.order)
        self.sorted = torch.equal(self.order, torch.arange(n_rows, dtype=torch.int64, device=self.order.device))
        counts = valid_steps(lengths, features.shape[1]).sum(0).tolist()
        self.running = [n for n in counts if n]
        self.sparse = features.device.type == "cpu" and sparse_form(weights, fused=False)
        self.recurrent = [_in_form(w.recurrent, sparse=self.sparse) for w in weights]
        self.input = torch.stack([w.input for w in weights])  # (D, N, F + 1)
        self.leak = [_leak(w, features, column=self.sparse) for w in weights]
        shape = (n_units, n_rows) if self.sparse else (n_rows, n_units)
        self.buffer = features.new_zeros(len(weights), *shape)

    @property
    def states(self) -> Tensor:
        return self.buffer.transpose(1, 2) if self.sparse else self.buffer

    def in_order(self, out: Tensor) -> None:
        """The states in the caller's order of sequences, into `out` (D, B, N)."""
        if self.sorted:
            out.copy_(self.states)
        else:
            torch.index_select(self.states, 1, self.position, out=out)

    def steps(self) -> Iterator[tuple[int, int]]:
        """Takes the steps one after another, and says after each its t and how many sequences took it."""
        if not self.running:
            return
        per_step = self.running[0] * self.buffer.shape[0] * self.input.shape[1]
        n_block = min(len(self.running), max(1, BLOCK_ELEMENTS // max(1, per_step)))
        memory = self.buffer.new_empty(n_block * per_step)
        for start in range(0, len(self.running), n_block):
            running = self.running[start : start + n_block]
            projected = self._project(start, len(running), running[0], memory)
            for t, (n, pre) in enumerate(zip(running, projected.unbind(1), strict=True), start):
                self._step(pre[..., :n] if self.sparse else pre[:, :n], n)
                yield t, n

    def _project(self, start: int, n_steps: int, n: int, memory: Tensor) -> Tensor:
        """W_in [1; u_t] of a block of steps and the first n sequences: (D, T', n, N), or (D, T', N, n) if sparse."""
        u = self.features[:, start : start + n_steps]
        u = u[:, :, :n] if self.sorted else u.index_select(2, self.order[:n])
        matrix, bias = self.input[..., 1:], self.input[:, :, 0]
        d, n_units = bias.shape
        memory = memory[: d * n_steps * n * n_units]
        if not self.sparse:
            out = memory.view(d, n_steps * n, n_units)
            torch.baddbmm(bias[:, None], u.flatten(1, 2), matrix.transpose(1, 2), out=out)
            return out.unflatten(1, (n_steps, n))
        out = memory.view(d * n_steps, n_units, n)
        matrices, biases = (m[:, None].expand(-1, n_steps, -1, -1).flatten(0, 1) for m in (matrix, bias[..., None]))
        return torch.baddbmm(biases, matrices, u.flatten(0, 1).transpose(1, 2), out=out).unflatten(0, (d, n_steps))

    def _step(self, projected: Tensor, n: int) -> None:
        """x <- x + l (tanh(projected + W x) - x), for the first n sequences."""
        for x, pre, matrix, leak in zip(self.buffer, projected, self.recurrent, self.leak, strict=True):
            if self.sparse:
                x = x[:, :n]
                torch.addmm(pre, matrix, x, out=pre)
            else:
                x = x[:n]
                pre.addmm_(x, matrix.T)
            x.lerp_(pre.tanh_(), leak)


_counted: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
"""Version and density of dense weights: to count them takes as long as a run of one short sequence."""


def _density(recurrent: Tensor) -> float:
    n = max(1, recurrent.shape[0] * recurrent.shape[1])
    if recurrent.layout != torch.strided:
        return recurrent.values().numel() / n
    if recurrent.is_inference():  # its changes are not counted
        return int(recurrent.count_nonzero()) / n
    found = _counted.get(recurrent)
    if found is None or found[0] != recurrent._version:
        found = _counted[recurrent] = recurrent._version, int(recurrent.count_nonzero()) / n
    density: float = found[1]
    return density


def _in_form(recurrent: Tensor, *, sparse: bool) -> Tensor:
    if not sparse:
        return recurrent if recurrent.layout == torch.strided else recurrent.to_dense()
    if recurrent.layout != torch.strided:
        return recurrent
    _take_csr_warning()
    return recurrent.to_sparse_csr()


@cache
def _take_csr_warning() -> None:
    """Take torch's warning, given once a process, that the interface of CSR tensors may change."""
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(False)  # a warning that is given every time is never used up
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
            torch.eye(1, dtype=torch.float32, device="cpu").to_sparse_csr()
    finally:
        torch.set_warn_always(always)


def _leak(w: ReservoirWeights, like: Tensor, *, column: bool) -> Tensor | float:
    if not isinstance(w.leak, Tensor):
        return w.leak
    leak = w.leak.to(like).expand(w.n_units)
    return leak[:, None] if column else leak
