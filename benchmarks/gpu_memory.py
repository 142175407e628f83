"""The layer with memory on a CUDA device: its answers against the reference loop, its time and that of other LSTMs."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.harness import Result
from benchmarks.nrnm.cost import layer_cost
from skseqmetric._networks.memory import MemoryLayer
from skseqmetric._ops.memory import MemoryForm, memory_scan
from skseqmetric._ops.reference import memory as reference
from skseqmetric._ops.weights import CELLS, MemoryNoise

LIMIT = 1e-4
"""Largest error of a state or a gradient, relative to the largest entry of its tensor."""


def memory_answers(device: str) -> dict[str, float]:
    """Worst errors of states and of gradients against the reference loop in float64, ragged lengths, every cell."""
    found: dict[str, float] = {}
    for cell in CELLS:
        generator = torch.Generator().manual_seed(0)
        layer = MemoryLayer(5, 16, MemoryForm(cell, 3, 2, 4), generator)
        torch.nn.init.normal_(layer.read, std=0.2, generator=generator)
        x, lengths = torch.randn(7, 20, 5, generator=generator), torch.tensor([20, 3, 6, 7, 13, 1, 19])
        expected = _with_gradients(reference.memory_scan, layer.double(), x.double(), lengths)
        got = _with_gradients(memory_scan, layer.float().to(device), x.to(device), lengths.to(device))
        errors = [_error(a, b) for a, b in zip(got, expected, strict=True)]
        found |= {f"{cell}: states": errors[0], f"{cell}: gradients": max(errors[1:])}
    return found


def _with_gradients(scan: Any, layer: MemoryLayer, x: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
    states = scan(x, lengths, layer.weights(), MemoryNoise()).states
    gradients = torch.autograd.grad(states.square().mean(), list(layer.parameters()))
    return [states.detach().cpu().double(), *(gradient.cpu().double() for gradient in gradients)]


def _error(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max().clamp_min(1e-12))


def memory_speed(device: str, *, quick: bool) -> list[Result]:
    """Forward and backward of one layer, and of the LSTMs of `benchmarks.run_nrnm --part cost`."""
    return layer_cost(threads=1, quick=quick, device=device)
