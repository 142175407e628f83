"""Reservoirs over a padded batch by the compiled kernels: one call for all steps of all sequences."""

from __future__ import annotations

from array import array
from ctypes import c_int64
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import Team
from skseqmetric._ops.weights import ReservoirWeights


def reservoir_states(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], *, sparse: bool) -> Tensor:
    """Return states (T, D, B, N) from features (D, T, B, F). Past its end a sequence keeps its last one."""
    features = _readable(features)
    states = features.new_empty(features.shape[1], len(weights), len(lengths), weights[0].n_units)
    of_step, of_reservoir, of_row = states.stride()[:3]
    _run(features, lengths, weights, sparse, (address(states, "states"), of_reservoir, of_step, of_row, 0, 0, 0))
    return states


def reservoir_pooled(
    features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], how: str, *, sparse: bool
) -> Tensor:
    """Return the "mean" of the valid states or the "last" one, (B, D N), or "both", (B, 2 D N), the last one first."""
    features, width = _readable(features), len(weights) * weights[0].n_units
    pooled = features.new_empty(len(lengths), 2 * width if how == "both" else width)
    start = address(pooled, "pooled")
    last = 0 if how == "mean" else start
    mean = 0 if how == "last" else start + pooled.element_size() * width * (how == "both")
    _run(features, lengths, weights, sparse, (0, 0, 0, 0, last, mean, pooled.shape[1]))
    return pooled


def _readable(features: Tensor) -> Tensor:
    """Return features with the numbers of a step side by side, or raise the errors of `address`."""
    features = features if features.stride(3) == 1 else features.contiguous()
    address(features, "features", layout="rows")
    return features


def _run(
    features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], sparse: bool, results: tuple[int, ...]
) -> None:
    """Fill the results, which are the last fields of `struct ReservoirScan` of src/scans.h."""
    lengths = lengths.to(torch.int64).contiguous()
    order = torch.argsort(lengths, descending=True, stable=True)
    form = library().reservoir_form(sparse, len(lengths))
    reservoirs = [_prepared(w, features, sparse, form) for w in weights]
    addresses = (address(lengths, "lengths", torch.int64), address(order, "order", torch.int64))
    team = Team.now()
    fields = _fields(reservoirs, features, sparse, addresses, results)
    library().reservoir_scan(fields, team.n_threads, team.openmp)


class _Operands:
    """The weights of one reservoir as the kernels read them. `packed` is their form for a number of sequences."""

    def __init__(self, w: ReservoirWeights, like: Tensor) -> None:
        dense = w.recurrent if w.recurrent.layout == torch.strided else w.recurrent.to_dense()
        leak = torch.as_tensor(w.leak, dtype=like.dtype, device=like.device)
        self.recurrent, self.input = dense.contiguous(), w.input.contiguous()
        self.leak = leak.expand(w.n_units).contiguous()
        self.packed = like.new_empty(0)
        self.n_units = w.n_units


def _fields(
    reservoirs: list[_Operands],
    features: Tensor,
    sparse: bool,
    addresses: tuple[int, ...] = (0, 0),
    results: tuple[int, ...] = (0,) * 7,
) -> Any:
    n_steps, n_rows, n_features = features.shape[1:]
    of_reservoir, of_step, of_row = features.stride()[:3]
    parts = [
        array("q", [address(getattr(one, part), part) for one in reservoirs])
        for part in ("input", "recurrent", "leak", "packed")
    ]
    numbers = [
        *(len(reservoirs), n_rows, n_steps, n_features, reservoirs[0].n_units, sparse),
        *(address(features, "features", layout="rows"), of_reservoir, of_row, of_step, *addresses),
        *(pointers.buffer_info()[0] for pointers in parts),
        *results,
    ]
    fields: Any = (c_int64 * len(numbers))(*numbers)
    fields.parts = parts  # which would be freed
    return fields


_known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
"""Operands by the recurrent weights of their reservoir: packing takes longer than a run of one short sequence."""


def _prepared(w: ReservoirWeights, features: Tensor, sparse: bool, form: int) -> _Operands:
    """Return the operands of a reservoir, those of an earlier call if its weights are as they were then."""
    countable = all(t.layout == torch.strided and not t.is_inference() for t in (w.recurrent, w.input))
    if not countable or isinstance(w.leak, Tensor):  # changes of these are not seen
        return _packed(w, features, sparse)
    state = (form, library().kernels(), w.recurrent._version, w.input._version, w.leak)
    found = _known.get(w.recurrent)
    if found is None or found[0] != state or found[1] is not w.input:
        found = _known[w.recurrent] = (state, w.input, _packed(w, features, sparse))
    operands: _Operands = found[2]
    return operands


def _packed(w: ReservoirWeights, features: Tensor, sparse: bool) -> _Operands:
    operands = _Operands(w, features)
    fields = _fields([operands], features, sparse)
    operands.packed = features.new_empty(library().reservoir_packed(fields))
    library().pack_reservoir(fields, address(operands.packed, "packed"))
    operands.recurrent = features.new_empty(0)  # not read again; and `_known` must not keep its own keys
    return operands
