"""The kernel of reservoirs: all steps of some sequences in one program, whose states pass through memory.

A matrix of some hundred units does not fit on a multiprocessor. Every step reads it again from the second-level cache,
in blocks. So it reads the states of the step before, which the same program has written.
"""

# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def"
from __future__ import annotations

import triton
import triton.language as tl

from skseqmetric._ops.triton.cell import multiply, tanh

SIZES = ["n_directions", "n_rows", "first", "n_steps", "n_blocks"]
"""Arguments for whose values no kernel of its own is compiled."""


@triton.jit
def load_split(at):
    """A block of a matrix as the upper and lower part that `multiply` takes: half the bytes of two stored parts."""
    whole = tl.load(at)
    upper = (whole.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
    return upper, whole - upper


@triton.jit
def pre_activations(start, old, own, wanted, matrices, unit, n_units, n_blocks, BLOCK: tl.constexpr):
    """start + W x for one block of units, from the states x (ROWS, N) at `old`."""
    total = start
    for i in range(n_blocks):
        source = i * BLOCK + tl.arange(0, BLOCK)
        x = tl.load(old + own + source[None, :], mask=wanted & (source < n_units)[None, :], other=0.0)
        total = multiply(
            x, load_split(matrices + source[:, None] * (n_blocks * BLOCK) + unit[None, :]), total, "float32"
        )
    return total


@triton.jit(do_not_specialize=SIZES)
def reservoir_kernel(
    projected,
    lengths,
    order,
    matrices,
    leaks,
    states,
    sums,
    n_directions,
    n_rows,
    n_units,
    first,
    n_steps,
    n_blocks,
    KEEP: tl.constexpr,
    MEAN: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Steps first .. first + n_steps - 1 of ROWS sequences (axis 0) in reservoir d (axis 1), from the states in slot 0.

    projected (D, n_steps, B, N), matrices (D, U, U) with inputs along the rows, leaks (D, N), sums (D, B, N).

    KEEP : states are (n_steps + 1, D, B, N), and every step goes to the next slot; an ended sequence keeps its state.
    Else they are (2, D, B, N), and the last ones are in slot 0 at the end.
    MEAN : the states of valid steps are added to sums.
    """
    at, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.program_id(1)
    row = tl.load(order + at, mask=at < n_rows, other=0).to(tl.int64)
    length = tl.where(at < n_rows, tl.load(lengths + row), 0)
    wanted = (at < n_rows)[:, None]
    slot = n_directions.to(tl.int64) * n_rows * n_units
    own = (d * n_rows + row)[:, None] * n_units
    projected += d * n_steps.to(tl.int64) * n_rows * n_units
    matrices += d.to(tl.int64) * n_blocks * BLOCK * n_blocks * BLOCK
    last = tl.maximum(tl.minimum(tl.max(length) - first, n_steps), 0)
    for s in range(last):
        old = states + (s if KEEP else s % 2) * slot
        new = states + (s + 1 if KEEP else (s + 1) % 2) * slot
        alive = (first + s < length)[:, None]
        for j in range(n_blocks):
            unit = j * BLOCK + tl.arange(0, BLOCK)
            inside = wanted & (unit < n_units)[None, :]
            start = tl.load(projected + row[:, None] * n_units + unit[None, :], mask=inside, other=0.0)
            pre = pre_activations(start, old, own, wanted, matrices, unit, n_units, n_blocks, BLOCK)
            leak = tl.load(leaks + d * n_units + unit, mask=unit < n_units, other=0.0)[None, :]
            x = tl.load(old + own + unit[None, :], mask=inside, other=0.0)
            x = tl.where(alive, x + leak * (tanh(pre) - x), x)
            tl.store(new + own + unit[None, :], x, mask=inside)
            if MEAN:
                total = tl.load(sums + own + unit[None, :], mask=inside, other=0.0)
                tl.store(sums + own + unit[None, :], total + tl.where(alive, x, 0.0), mask=inside)
        projected += n_rows.to(tl.int64) * n_units
        # the next step reads what other threads of this program have written
        tl.debug_barrier()
    if KEEP:
        for s in range(last, n_steps):
            copy_states(states + s * slot + own, states + (s + 1) * slot + own, wanted, n_units, n_blocks, BLOCK)
    elif last % 2 == 1:
        copy_states(states + slot + own, states + own, wanted, n_units, n_blocks, BLOCK)


@triton.jit
def copy_states(source, target, wanted, n_units, n_blocks, BLOCK: tl.constexpr):
    """Copy the states of a tile from one slot to another."""
    for j in range(n_blocks):
        unit = j * BLOCK + tl.arange(0, BLOCK)
        inside = wanted & (unit < n_units)[None, :]
        tl.store(target + unit[None, :], tl.load(source + unit[None, :], mask=inside), mask=inside)
