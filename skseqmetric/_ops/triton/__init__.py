"""Kernels for CUDA, written in Triton; imported only where one is run."""

from __future__ import annotations

import importlib.util
import os

import torch
from torch import Tensor

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
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
) -> tuple[Tensor, Tensor]:
    """States of both halves, (T, D, P, H) each, from projections (D, T, B, G); differentiable."""
    from skseqmetric._ops.triton.scan import sync_gru_states as run

    return run(projected, lengths, rows, columns, weights)


def sync_gru_tile(first: Side, second: Side, weights: list[RecurrentWeights], how: str, *, crossed: bool) -> Tensor:
    """Squared coupled distances (N, M), or (N,) pair by pair."""
    from skseqmetric._ops.triton.tile import sync_gru_tile as run

    return run(first, second, weights, how, crossed=crossed)
