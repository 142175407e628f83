"""One layer of non-local recurrent memory over a padded batch (`_ops.reference.memory` defines it).

Layouts: B sequences, T steps, D channels, H units, S memory slots, m heads, U = ceil(T / win) memory updates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from skseqmetric._ops import scanned, triton
from skseqmetric._ops.compiled import memory_states
from skseqmetric._ops.dispatch import SCANNED_FORMS, choose
from skseqmetric._ops.eager import memory as eager
from skseqmetric._ops.products import compiled_products
from skseqmetric._ops.reference import memory as reference
from skseqmetric._ops.steps import freeze_ended
from skseqmetric._ops.weights import MemoryForm, MemoryNoise, MemoryScan, MemoryWeights

__all__ = [
    "MemoryForm",
    "MemoryNoise",
    "MemoryScan",
    "MemoryState",
    "MemoryWeights",
    "draw_noise",
    "first_memory_state",
    "memory_scan",
    "memory_step",
]

QUIET = MemoryNoise()


def memory_scan(
    x: Tensor,
    lengths: Tensor,
    weights: MemoryWeights,
    noise: MemoryNoise = QUIET,
    *,
    keep_memory: bool = False,
    keep_attention: bool = False,
) -> MemoryScan:
    """Return the states (B, T, H) of inputs (B, T, D) with true lengths (B,). Padding is not read.

    After every win steps, the block of the last S * stride steps updates the memory from rows 0, stride, 2 stride, ...
    of its inputs and states. By default win = S * stride, and blocks follow one another. With fewer steps they overlap,
    and rows before the first step are missing. With more, steps between blocks are not read.

    The end of a sequence closes its last window too. The rows of its block past the end are missing. A missing
    row is not a key of the attention. It counts as 0 in the pooled input, and not at all in the mean of input tokens.
    Its slot has no candidate, so that M_t = G_f * M_{t-win}. No step follows this update, so that only the returned
    memory shows it. After it h, c and M of the sequence are constant. If the window is longer than a sequence, its
    states are those of the plain backbone.

    `keep_memory` returns the memory after every update, (B, U, S, H). `keep_attention` returns the attention maps
    (B, U, m, tokens, tokens), or None without attention. There are S + 1 tokens for "pooled", and 2 S for "tokens".
    Rows and columns of missing tokens are 0, and so are maps after the last update of a sequence.

    A step costs a backbone step and 2 S H^2 FLOP to read the memory. An update costs about 2 (S^2 + 7 S) H^2 FLOP.
    Training needs O(B T S H) memory. The compiled kernels return states only: with `keep_memory` or `keep_attention`
    the scan is that of torch's operations, with compiled products.
    """
    x = x.to(weights.hidden.dtype)
    chosen = choose("memory", x, weights.n_units)
    if chosen == "compiled" and not (keep_memory or keep_attention):
        return MemoryScan(memory_states(x, lengths, weights, noise), None, None)
    if chosen == "reference":
        scan = reference.memory_scan(x, lengths, weights, noise)
    elif chosen in SCANNED_FORMS:
        states = scanned.memory_states(x, weights, noise).transpose(0, 1)[:, None]
        return MemoryScan(freeze_ended(states, lengths)[:, 0].transpose(0, 1), None, None)
    else:
        keep: dict[str, Any] = {"keep_memory": keep_memory, "keep_attention": keep_attention}
        if chosen == "compiled":
            keep["make_matrix"] = compiled_products()
        elif chosen == "triton":
            keep["make_matrix"], keep["run_window"] = triton.memory_window()
        scan = eager.memory_scan(x, lengths, weights, noise, **keep)
    return MemoryScan(scan.states, scan.memory if keep_memory else None, scan.attention if keep_attention else None)


class MemoryState(NamedTuple):
    """What a layer carries from one step to the next, after `n_steps`."""

    n_steps: int
    h: Tensor  # (B, H), as c
    c: Tensor
    memory: Tensor  # (B, S, H)
    inputs: tuple[Tensor, ...]  # the rows so far of the next block, or all steps it may read, (B, D) each
    hidden: tuple[Tensor, ...]  # and the states after them, (B, H)


def first_memory_state(weights: MemoryWeights, n_rows: int) -> MemoryState:
    """The state before the first step: zeros."""
    h = weights.hidden.new_zeros(n_rows, weights.n_units)
    return MemoryState(0, h, h, h.new_zeros(n_rows, weights.form.n_slots, weights.n_units), (), ())


def memory_step(x: Tensor, state: MemoryState, weights: MemoryWeights, keep_new: float = 1.0) -> MemoryState:
    """One step of `memory_scan` on the inputs x (B, D) of sequences that go on; `keep_new` is the share of zoneout."""
    form, (n_steps, h, c, memory, inputs, hidden) = weights.form, state
    if n_steps and n_steps % form.window == 0:
        rows, states, present = _block(state, form)
        memory = reference.update_memory(rows, states, present.expand(len(x), -1), memory, weights)[0]
        if form.every is None:
            inputs = hidden = ()
    new_h, new_c = reference.recurrent_step(x, h, c, memory.flatten(1), weights)
    h, c = torch.lerp(h, new_h, keep_new), torch.lerp(c, new_c, keep_new)
    if form.every is not None:
        inputs, hidden = (*inputs, x)[-form.block :], (*hidden, h)[-form.block :]
    elif n_steps % form.window % form.stride == 0:
        inputs, hidden = (*inputs, x), (*hidden, h)
    return MemoryState(n_steps + 1, h, c, memory, inputs, hidden)


def _block(state: MemoryState, form: MemoryForm) -> tuple[Tensor, Tensor, Tensor]:
    """The rows (B, S, D) and (B, S, H) of the update that is due, 0 where there is no step, and which exist (1, S)."""
    rows = range(form.n_slots) if form.every is None else range(-form.block, 0, form.stride)
    known = [row >= 0 or -row <= len(state.inputs) for row in rows]
    read = [
        torch.stack([steps[row] if k else torch.zeros_like(steps[0]) for row, k in zip(rows, known, strict=True)], 1)
        for steps in (state.inputs, state.hidden)
    ]
    return read[0], read[1], torch.tensor([known], dtype=torch.bool, device=read[0].device)


def draw_noise(
    x: Tensor, weights: MemoryWeights, generator: torch.Generator, *, keep_new: float = 0.8, dropout: float = 0.5
) -> MemoryNoise:
    """Masks of one training pass over x (B, T, D), every sequence its own, drawn on the generator's device.

    At inference `MemoryNoise(keep_new, keep_new)` is the expectation of the zoneout, and nothing is dropped.
    """

    def draw(share: float, *shape: int) -> Tensor:
        kept = torch.rand(shape, generator=generator, dtype=torch.float32, device=generator.device) < share
        return kept.to(x.device, weights.hidden.dtype)

    form, (n_rows, n_steps, _), n_units = weights.form, x.shape, weights.n_units
    hidden, cell = (draw(keep_new, n_rows, n_steps, n_units) if keep_new < 1 else 1.0 for _ in range(2))
    if not dropout:
        return MemoryNoise(hidden, cell)
    memory = draw(1 - dropout, n_rows, form.n_updates(n_steps), form.n_slots, n_units) / (1 - dropout)
    return MemoryNoise(hidden, cell, memory)
