"""Kernels for CUDA, written in Triton; imported only where one is run."""

from __future__ import annotations

import os
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from skseqmetric._ops.triton.packing import LARGEST_UNITS
from skseqmetric._ops.weights import RecurrentWeights, ReservoirWeights, Side

if TYPE_CHECKING:
    from skseqmetric._ops.products import MakeMatrix

OLDEST = (3, 6)
"""Oldest release of Triton that the kernels were compiled with."""

SHARED_BYTES = 227 * 1024
"""Shared memory of one program that the launches count on: compute capability 9.0 and 10.0."""


def obstacle(device: torch.device, n_units: int, largest: int = LARGEST_UNITS) -> str | None:
    """Why the kernels cannot run on `device` with so many units; None where they can. `largest` is what they take."""
    if n_units > largest:
        return f"{n_units} units do not fit on the chip, {largest} do"
    # Triton's own interpreter runs kernels on the CPU, for tests
    interpreted = device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1"
    if device.type != "cuda" and not interpreted:
        return f"they run on CUDA, and the operands are on {device.type}"
    version = _installed()
    if version is None:
        return "triton is not installed"
    if version < OLDEST:
        return f"triton is {'.'.join(map(str, version))}, and they need {'.'.join(map(str, OLDEST))} or newer"
    return None if interpreted else _too_small(device)


@cache
def _installed() -> tuple[int, ...] | None:
    """Major and minor version of Triton; None without it."""
    for name in ("triton", "pytorch-triton"):
        try:
            return tuple(int(part) for part in metadata.version(name).split(".")[:2])
        except metadata.PackageNotFoundError:
            continue
    return None


@cache
def _too_small(device: torch.device) -> str | None:
    """Why the device's multiprocessors cannot hold what a program needs."""
    properties = torch.cuda.get_device_properties(device)
    usual = SHARED_BYTES if properties.major in (9, 10) else 0
    found = getattr(properties, "shared_memory_per_block_optin", usual)
    if found >= SHARED_BYTES:
        return None
    return f"they count on {SHARED_BYTES // 1024} KiB of shared memory, and {properties.name} has {found // 1024}"


def sync_gru_states(
    projected: Tensor,
    lengths: Tensor,
    rows: Tensor,
    columns: Tensor,
    weights: list[RecurrentWeights],
) -> tuple[Tensor, Tensor]:
    """States of both halves, (T, D, P, H) each, from projections (D, T, B, G); differentiable."""
    from skseqmetric._ops.triton.scan import sync_gru_states as run

    return run(projected, lengths, rows, columns, weights)


def sync_gru_pooled(
    projected: Tensor,
    lengths: Tensor,
    rows: Tensor,
    columns: Tensor,
    weights: list[RecurrentWeights],
    how: str,
) -> tuple[Tensor, Tensor]:
    """The "mean" of the valid states or the "last" one, (P, D H) each; differentiable, no state of every step held."""
    from skseqmetric._ops.triton.scan import sync_gru_pooled as run

    return run(projected, lengths, rows, columns, weights, how)


def sync_gru_tile(
    first: Side,
    second: Side,
    weights: list[RecurrentWeights],
    how: str,
    *,
    pairs: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Squared coupled distances (N, M), or (P,) of `pairs` of indices."""
    from skseqmetric._ops.triton.tile import sync_gru_tile as run

    return run(first, second, weights, how, pairs=pairs)


def reservoir_states(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights]) -> Tensor:
    """States (T, D, B, N) of reservoirs from features (D, T, B, F); an ended sequence keeps its last one."""
    from skseqmetric._ops.triton.reservoir import reservoir_states as run

    return run(features, lengths, weights)


def reservoir_pooled(features: Tensor, lengths: Tensor, weights: list[ReservoirWeights], how: str) -> Tensor:
    """The "mean" of the valid states or the "last" one, (B, D N), or "both", (B, 2 D N), the last one first."""
    from skseqmetric._ops.triton.reservoir import reservoir_pooled as run

    return run(features, lengths, weights, how)


def memory_window() -> tuple[MakeMatrix, Any]:
    """The kind of matrix, and what runs a window of a layer with memory: operands of `eager.memory.memory_scan`."""
    from skseqmetric._ops.triton.memory import BlockMatrix, run_window

    return BlockMatrix, run_window
