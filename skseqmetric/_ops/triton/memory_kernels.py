"""Kernels of the steps between two memory updates, forward and backward, one launch for a window.

Layouts: L steps of a window, B sequences, H units, G blocks of gates. ROWS sequences are a program, with their states
in registers. UNITS is H padded to a power of two. Padding is 0 and stays 0: a padded unit starts at 0, and its new
value is tanh(0) times a gate.
"""

# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,assignment"
# ruff: noqa: PLR0915 - a kernel is one function: what stays in registers cannot be passed in a structure
from __future__ import annotations

import triton
import triton.language as tl

from skseqmetric._ops.triton.cell import multiply, sigmoid, tanh
from skseqmetric._ops.triton.reservoir_kernels import load_split

SIZES = ["n_rows", "n_steps", "h_step", "h_row", "c_step", "c_row"]
"""Arguments for whose values no kernel of its own is compiled."""


@triton.jit
def product(a, matrices, index: tl.constexpr, start, UNITS: tl.constexpr):
    """start + a @ matrix `index` of (G, UNITS, UNITS)."""
    i = tl.arange(0, UNITS)
    at = matrices + index * UNITS * UNITS + i[:, None] * UNITS + i[None, :]
    return multiply(a, load_split(at), start, "float32")


@triton.jit
def share_of(masks, at, step, share, inside, KEEP: tl.constexpr):
    """Share of the new value: that of all units, or of each by its mask."""
    if KEEP == "mask":
        kept = tl.load(masks + step + at, mask=inside, other=0.0)
    else:
        kept = tl.zeros(at.shape, tl.float32) + share
    return kept


@triton.jit(do_not_specialize=SIZES)
def forward_kernel(
    projected,
    reads,
    first_h,
    first_c,
    matrices,
    candidate_bias,
    h_masks,
    c_masks,
    gates,
    states,
    cells,
    extra,
    h_share,
    c_share,
    h_step,
    h_row,
    c_step,
    c_row,
    n_rows,
    n_units,
    n_steps,
    zero,
    CELL: tl.constexpr,
    READS: tl.constexpr,
    KEEP_H: tl.constexpr,
    KEEP_C: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
):
    """All steps of a window from (h, c), both (B, H).

    projected (L, B, G H) : the inputs of the gates. gates, of the same shape : filled with their values and, for gru
    and rnn, that of n. Nothing is written where it was read: several threads may hold one number, and one may be late.
    reads (L, B, H) : the part of the memory. states (L, B, H), cells (L + 1, B, H) : after zoneout.
    extra (L, B, H) : tanh(c) of the lstm before zoneout; q = U_n h + b'_n of the gru.
    """
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    unit = tl.arange(0, UNITS)[None, :]
    inside = (row < n_rows) & (unit < n_units)
    own = row * n_units + unit
    of_h, of_c = row * h_row + unit, row * c_row + unit
    slot = n_rows.to(tl.int64) * n_units
    h_wide, c_wide = h_step.to(tl.int64), c_step.to(tl.int64)
    blocks: tl.constexpr = 4 if CELL == "lstm" else 3 if CELL == "gru" else 1
    gate = row * (blocks * n_units) + unit
    h = tl.load(first_h + own, mask=inside, other=0.0)
    c = h
    if CELL == "lstm":
        c = tl.load(first_c + own, mask=inside, other=0.0)
        tl.store(cells + own, c, mask=inside)
    bias = tl.zeros((1, UNITS), tl.float32)
    if CELL == "gru":
        bias = tl.load(candidate_bias + unit, mask=unit < n_units, other=0.0)
    for t in range(n_steps):
        read = tl.zeros((ROWS, UNITS), tl.float32)
        if READS:
            read = tl.load(reads + t * slot + own, mask=inside, other=0.0)
        at = projected + t * blocks * slot + gate
        to = gates + t * blocks * slot + gate
        first = product(h, matrices, 0, tl.load(at, mask=inside, other=0.0), UNITS)
        if CELL == "lstm":
            f = sigmoid(first)
            i = sigmoid(product(h, matrices, 1, tl.load(at + n_units, mask=inside, other=0.0), UNITS))
            g = tanh(product(h, matrices, 3, tl.load(at + 3 * n_units, mask=inside, other=0.0), UNITS))
            new_c = f * c + i * g + read
            squashed = tanh(new_c)
            o = sigmoid(product(h, matrices, 2, tl.load(at + 2 * n_units, mask=inside, other=0.0), UNITS))
            new_h = o * squashed
            tl.store(to, f, mask=inside)
            tl.store(to + n_units, i, mask=inside)
            tl.store(to + 2 * n_units, o, mask=inside)
            tl.store(to + 3 * n_units, g, mask=inside)
            tl.store(extra + t * slot + own, squashed, mask=inside)
            kept_c = share_of(c_masks, of_c, t * c_wide, c_share, inside, KEEP_C)
            c = c + kept_c * (new_c - c)
            tl.store(cells + (t + 1) * slot + own, c, mask=inside)
        elif CELL == "gru":
            r = sigmoid(first)
            q = product(h, matrices, 2, tl.zeros((ROWS, UNITS), tl.float32) + bias, UNITS)
            n = tanh(tl.load(at + 2 * n_units, mask=inside, other=0.0) + read + r * q)
            z = sigmoid(product(h, matrices, 1, tl.load(at + n_units, mask=inside, other=0.0), UNITS))
            new_h = (1.0 - z) * n + z * h
            tl.store(to, r, mask=inside)
            tl.store(to + n_units, z, mask=inside)
            tl.store(to + 2 * n_units, n, mask=inside)
            tl.store(extra + t * slot + own, q, mask=inside)
        else:
            new_h = tanh(first + read)
            tl.store(to, new_h, mask=inside)
        kept_h = share_of(h_masks, of_h, t * h_wide, h_share, inside, KEEP_H)
        h = h + kept_h * (new_h - h)
        tl.store(states + t * slot + own, h, mask=inside)
        # 0, which the compiler does not know: else it would move the loads of all matrices out of the loop
        matrices += zero


@triton.jit(do_not_specialize=SIZES)
def backward_kernel(
    gates,
    extra,
    before,
    cells,
    grad_states,
    grad_last_c,
    transposed,
    h_masks,
    c_masks,
    grad_h,
    grad_c,
    grad_gates,
    grad_extra,
    h_share,
    c_share,
    h_step,
    h_row,
    c_step,
    c_row,
    n_rows,
    n_units,
    n_steps,
    zero,
    CELL: tl.constexpr,
    KEEP_H: tl.constexpr,
    KEEP_C: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
):
    """The steps of `forward_kernel` in reverse, from what it has kept; `before` (L, B, H) are the states it began with.

    grad_states (L, B, H) : gradients of the states. grad_last_c (B, H) : that of the last c.
    grad_h, grad_c (B, H) : filled with the gradients of the first h and c.
    grad_gates (L, B, G H) : filled with the gradients of the projected inputs. grad_extra (L, B, H) : filled with those
    of the new c of the lstm, and of q of the gru.
    """
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    unit = tl.arange(0, UNITS)[None, :]
    inside = (row < n_rows) & (unit < n_units)
    own = row * n_units + unit
    of_h, of_c = row * h_row + unit, row * c_row + unit
    slot = n_rows.to(tl.int64) * n_units
    h_wide, c_wide = h_step.to(tl.int64), c_step.to(tl.int64)
    blocks: tl.constexpr = 4 if CELL == "lstm" else 3 if CELL == "gru" else 1
    gate = row * (blocks * n_units) + unit
    back = tl.zeros((ROWS, UNITS), tl.float32)
    back_c = back
    if CELL == "lstm":
        back_c = tl.load(grad_last_c + own, mask=inside, other=0.0)
    for s in range(n_steps):
        t = n_steps - 1 - s
        whole = back + tl.load(grad_states + t * slot + own, mask=inside, other=0.0)
        grad = whole * share_of(h_masks, of_h, t * h_wide, h_share, inside, KEEP_H)
        past = whole - grad
        at = gates + t * blocks * slot + gate
        to = grad_gates + t * blocks * slot + gate
        first = tl.load(at, mask=inside, other=0.0)
        if CELL == "lstm":
            i = tl.load(at + n_units, mask=inside, other=0.0)
            o = tl.load(at + 2 * n_units, mask=inside, other=0.0)
            g = tl.load(at + 3 * n_units, mask=inside, other=0.0)
            squashed = tl.load(extra + t * slot + own, mask=inside, other=0.0)
            kept_c = share_of(c_masks, of_c, t * c_wide, c_share, inside, KEEP_C)
            new = back_c * kept_c + grad * o * (1.0 - squashed * squashed)
            tl.store(grad_extra + t * slot + own, new, mask=inside)
            by_f = new * tl.load(cells + t * slot + own, mask=inside, other=0.0) * first * (1.0 - first)
            by_i = new * g * i * (1.0 - i)
            by_o = grad * squashed * o * (1.0 - o)
            by_g = new * i * (1.0 - g * g)
            tl.store(to, by_f, mask=inside)
            tl.store(to + n_units, by_i, mask=inside)
            tl.store(to + 2 * n_units, by_o, mask=inside)
            tl.store(to + 3 * n_units, by_g, mask=inside)
            back_c = back_c - back_c * kept_c + new * first
            back = product(by_f, transposed, 0, past, UNITS)
            back = product(by_i, transposed, 1, back, UNITS)
            back = product(by_o, transposed, 2, back, UNITS)
            back = product(by_g, transposed, 3, back, UNITS)
        elif CELL == "gru":
            z = tl.load(at + n_units, mask=inside, other=0.0)
            n = tl.load(at + 2 * n_units, mask=inside, other=0.0)
            q = tl.load(extra + t * slot + own, mask=inside, other=0.0)
            h = tl.load(before + t * slot + own, mask=inside, other=0.0)
            by_z = grad * (h - n) * z * (1.0 - z)
            by_n = grad * (1.0 - z) * (1.0 - n * n)
            by_q = by_n * first
            by_r = by_n * q * first * (1.0 - first)
            tl.store(to, by_r, mask=inside)
            tl.store(to + n_units, by_z, mask=inside)
            tl.store(to + 2 * n_units, by_n, mask=inside)
            tl.store(grad_extra + t * slot + own, by_q, mask=inside)
            back = product(by_r, transposed, 0, past + grad * z, UNITS)
            back = product(by_z, transposed, 1, back, UNITS)
            back = product(by_q, transposed, 2, back, UNITS)
        else:
            by_n = grad * (1.0 - first * first)
            tl.store(to, by_n, mask=inside)
            back = product(by_n, transposed, 0, past, UNITS)
        transposed += zero
    tl.store(grad_h + own, back, mask=inside)
    if CELL == "lstm":
        tl.store(grad_c + own, back_c, mask=inside)
