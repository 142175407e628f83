"""Kernels for CUDA, written in Triton; imported only where one is run.

More than `packing.LARGEST_UNITS` units do not fit on the chip: the same functions of `_ops.eager` take them.
`precision` is that of the hidden products, see `packing.PRECISIONS`; None follows torch's settings.
"""

from __future__ import annotations

import importlib.util
import os

import torch
from torch import Tensor

from skseqmetric._ops import eager
from skseqmetric._ops.steps import read_out
from skseqmetric._ops.triton.packing import LARGEST_UNITS
from skseqmetric._ops.weights import RecurrentWeights, Side


def obstacle(device: torch.device) -> str | None:
    """Why the kernels cannot run on `device`; None where they can."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    # Triton's own interpreter runs kernels on the CPU, for tests
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1":
        return None
    return None if device.type == "cuda" else f"they run on CUDA, and the operands are on {device.type}"


def sync_gru_states(
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights],
    *, precision: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """States of both halves, (T, D, P, H) each, from projections (D, T, B, G); differentiable."""
    if weights[0].n_units > LARGEST_UNITS:
        return eager.sync_gru_states(projected, lengths, rows, columns, weights)
    from skseqmetric._ops.triton.scan import sync_gru_states as run

    return run(projected, lengths, rows, columns, weights, precision=precision)


def sync_gru_readout(
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights], how: str,
    *, precision: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The "mean" of the valid states or the "last" one, (P, D H) each; differentiable, no state of every step held."""
    if weights[0].n_units > LARGEST_UNITS:
        first, second = eager.sync_gru_states(projected, lengths, rows, columns, weights)
        return read_out(first, lengths[rows], how), read_out(second, lengths[columns], how)
    from skseqmetric._ops.triton.scan import sync_gru_readout as run

    return run(projected, lengths, rows, columns, weights, how, precision=precision)


def sync_gru_tile(
    first: Side, second: Side, weights: list[RecurrentWeights], how: str, *, crossed: bool, precision: str | None = None
) -> Tensor:
    """Squared coupled distances (N, M), or (N,) pair by pair."""
    if weights[0].n_units > LARGEST_UNITS:
        return eager.sync_gru_tile(first, second, weights, how, crossed=crossed, n_threads=None)
    from skseqmetric._ops.triton.tile import sync_gru_tile as run

    return run(first, second, weights, how, crossed=crossed, precision=precision)


def sync_gru_topk(
    first: Side, second: Side, weights: list[RecurrentWeights], how: str, k: int,
    *, exclude: Tensor | None = None, precision: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Distances and indices (N, k) of the nearest of `second`, in the order of (distance, index)."""
    from skseqmetric._ops.triton.topk import sync_gru_topk as run

    return run(first, second, weights, how, k, exclude=exclude, precision=precision)
