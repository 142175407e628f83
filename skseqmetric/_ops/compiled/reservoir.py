"""Reservoirs over a padded batch by the compiled kernels: one call for all steps of all sequences."""

from __future__ import annotations

from array import array
from ctypes import c_int64

import torch
from torch import Tensor

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import Team
from skseqmetric._ops.weights import ReservoirWeights


def reservoir_states(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], *, sparse: bool) -> Tensor:
    """Return states (T, D, B, N) from features (D, T, B, F). Past its end a sequence keeps its last one."""
    run = _Run(features, lengths, weights, sparse)
    states = features.new_empty(features.shape[1], len(weights), len(lengths), run.n_units)
    strides = states.stride()
    run([address(states, "states"), strides[1], strides[0], strides[2], 0, 0, 0])
    return states


def reservoir_pooled(
    features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], how: str, *, sparse: bool
) -> Tensor:
    """Return the "mean" of the valid states or the "last" one, (B, D N), or "both", (B, 2 D N), the last one first."""
    run = _Run(features, lengths, weights, sparse)
    width = len(weights) * run.n_units
    pooled = features.new_empty(len(lengths), 2 * width if how == "both" else width)
    start = address(pooled, "pooled")
    last = 0 if how == "mean" else start
    mean = 0 if how == "last" else start + pooled.element_size() * width * (how == "both")
    run([0, 0, 0, 0, last, mean, pooled.shape[1]])
    return pooled


class _Run:
    """The operands of one call. It keeps them alive."""

    def __init__(self, features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], sparse: bool) -> None:
        self.n_units = weights[0].n_units
        self.features = features if features.stride(3) == 1 else features.contiguous()
        self.lengths = lengths.to(torch.int64).contiguous()
        self.order = torch.argsort(self.lengths, descending=True, stable=True)
        self.inputs = [w.input.contiguous() for w in weights]
        self.recurrents = [_dense(w.recurrent).contiguous() for w in weights]
        self.leaks = [_leak(w, features) for w in weights]
        d, n_steps, n_rows, n_features = self.features.shape
        of_direction, of_step, of_row = self.features.stride()[:3]
        self.parts = [_addresses(part) for part in (self.inputs, self.recurrents, self.leaks)]
        self.operands = [
            *(d, n_rows, n_steps, n_features, self.n_units, sparse),
            *(address(self.features, "features", layout="rows"), of_direction, of_row, of_step),
            *(address(self.lengths, "lengths", torch.int64), address(self.order, "order", torch.int64)),
            *(pointers.buffer_info()[0] for pointers in self.parts),
        ]

    def __call__(self, results: list[int]) -> None:
        """Fill the results, the last fields of `struct ReservoirScan` of src/scans.h."""
        numbers = [*self.operands, *results]
        team = Team.now()
        library().reservoir_scan((c_int64 * len(numbers))(*numbers), team.n_threads, team.openmp)


def _addresses(tensors: list[Tensor]) -> array[int]:
    return array("q", [address(tensor, "weights") for tensor in tensors])


def _dense(recurrent: Tensor) -> Tensor:
    return recurrent if recurrent.layout == torch.strided else recurrent.to_dense()


def _leak(w: ReservoirWeights, like: Tensor) -> Tensor:
    leak = torch.as_tensor(w.leak, dtype=like.dtype, device=like.device)
    return leak.expand(w.n_units).contiguous()
