"""One layer of non-local recurrent memory as a scan over windows of a scan over steps (`_ops.reference.memory`).

Every update reads rows of the last block that exist for all sequences that go on, so that no length is read here.
Layouts: B sequences, T steps, D channels, H units, S memory slots, K windows, L steps of a window.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from skseqmetric._ops.reference.memory import update_memory
from skseqmetric._ops.scanned.scan import State, projected, scan
from skseqmetric._ops.weights import MemoryNoise, MemoryWeights

NEVER = 2**31
"""A window that no sequence fills: the plain backbone."""

Backbone = tuple[tuple[Tensor, Tensor], Tensor]
"""The last (h, c), and the states of all steps."""


def memory_states(x: Tensor, w: MemoryWeights, noise: MemoryNoise) -> Tensor:
    """Return states (B, T, H) from inputs (B, T, D). States past the end of a sequence are arbitrary."""
    steps, form = x.transpose(0, 1), w.form
    h, c = (x.new_zeros(x.shape[0], w.n_units) for _ in range(2))
    if form.window >= NEVER:
        return _backbone((h, c), steps, None, w, noise)[1].transpose(0, 1)
    names, constants = _tensors(w)

    def window(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
        given: dict[str, Any] = dict(zip(names, constants, strict=True))
        return _window(state, inputs, replace(w, **given), noise)

    ends = form.window + torch.arange(0, steps.shape[0], form.window, dtype=torch.int64, device=x.device)[:, None]
    within = ends - form.window + torch.arange(form.window, dtype=torch.int64, device=x.device)
    rows = ends - form.stride * torch.arange(form.n_slots, 0, -1, dtype=torch.int64, device=x.device)
    memory = x.new_zeros(x.shape[0], form.n_slots, w.n_units)
    earlier = x.new_zeros(form.block, x.shape[0], w.n_units)
    inputs = (_rows(steps, within), _rows(steps, rows), rows >= 0)
    _, states = scan(window, (h, c, memory, earlier), inputs, constants)
    places = torch.arange(steps.shape[0], dtype=torch.int64, device=x.device)
    return states.flatten(0, 1)[places].transpose(0, 1)


def _tensors(w: MemoryWeights) -> tuple[list[str], State]:
    """Return the names of all tensors of the weights, and the tensors."""
    found: dict[str, Any] = {field.name: getattr(w, field.name) for field in fields(w)}
    kept = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    return list(kept), tuple(kept.values())


def _rows(steps: Tensor, places: Tensor) -> Tensor:
    """Return the steps at `places` (K, n) of (T, B, D) as (K, n, B, D), 0 where there is no step."""
    inside = (places >= 0) & (places < steps.shape[0])
    return steps[torch.where(inside, places, 0)] * inside[..., None, None]


def _window(state: State, inputs: State, w: MemoryWeights, noise: MemoryNoise) -> tuple[State, Tensor]:
    """Return the state after a window, and its states (L, B, H). The state ends with the memory and the last block."""
    h, c, memory, earlier = state
    part, input_rows, present = inputs
    (h, c), states = _backbone((h, c), part, _read(part, memory, w), w, noise)
    earlier = torch.cat([earlier, states])[-w.form.block :]
    hidden = earlier[:: w.form.stride].transpose(0, 1)
    exists = present.expand(part.shape[1], w.form.n_slots)
    memory = update_memory(input_rows.transpose(0, 1), hidden, exists, memory, w)[0]
    return (h, c, memory, earlier), states


def _read(part: Tensor, memory: Tensor, w: MemoryWeights) -> Tensor:
    """Return what the steps (L, B, D) of a window read from the memory: equation 8 and its use, (L, B, H)."""
    v = memory.flatten(1)
    from_memory = v @ w.memory_gate_memory.T + w.memory_gate_bias
    gate = torch.sigmoid(projected(part, w.memory_gate_input, None) + from_memory)
    return projected(gate * v, w.read, None)


def _backbone(
    first: tuple[Tensor, Tensor], x: Tensor, read: Tensor | None, w: MemoryWeights, noise: MemoryNoise
) -> Backbone:
    """Compute equations 7 to 10 for steps (L, B, D) and what they read."""
    from_input = projected(x, w.input, w.bias)
    reads = from_input.new_zeros(x.shape[0], x.shape[1], w.n_units) if read is None else read
    cell, keep_h, keep_c = w.form.cell, noise.hidden, noise.cell

    def step(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
        (h, c), (from_input, read) = state, inputs
        new_h, new_c = _cell(cell, from_input, h, c, read, constants)
        h, c = h + keep_h * (new_h - h), c + keep_c * (new_c - c)
        return (h, c), h

    constants = (w.hidden.T,) if w.candidate_bias is None else (w.hidden.T, w.candidate_bias)
    (h, c), states = scan(step, first, (from_input, reads), constants)
    return (h, c), states


def _cell(cell: str, x: Tensor, h: Tensor, c: Tensor, read: Tensor, constants: State) -> tuple[Tensor, Tensor]:
    """Return the new (h, c) without zoneout. x is the product with the inputs."""
    u = h @ constants[0]
    if cell == "lstm":
        f, i, o, g = (x + u).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g) + read
        return torch.sigmoid(o) * torch.tanh(c), c
    if cell == "gru":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = x.chunk(3, 1), u.chunk(3, 1)
        z = torch.sigmoid(x_z + h_z)
        new = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * (h_n + constants[1]) + read)
        return (1 - z) * new + z * h, c
    return torch.tanh(x + u + read), c
