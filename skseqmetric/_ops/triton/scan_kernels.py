"""Kernels of the differentiable scan: some steps forward, the same steps backward, and the sum over pairs.

Layouts: states are (slots, D, 2, P, H), with slot 0 before the first of the steps. Inputs are (D, T, B, G). Results of
the backward pass are (D, steps, 2, P, ·). They are zero at first, and rows of pairs that have ended stay zero. The
kernels take pairs in the order of their lengths, and write every pair to its own place.
"""

# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def"
# ruff: noqa: C901, PLR0915 - a kernel is one function: what stays in registers cannot be passed in a structure
from __future__ import annotations

import triton
import triton.language as tl

from skseqmetric._ops.triton.cell import coupling_gates, hold_matrices, load_input, multiply, pick, sigmoid, step, tanh

SIZES = ["n_directions", "n_pairs", "n_sequences", "n_total", "first", "n_steps"]
"""Arguments for whose values no kernel of its own is compiled; those of the layout are left to be aligned."""


@triton.jit
def load_state(at, offsets, inside):
    """Rows (PAIRS, UNITS) of one half's block (P, H), 0 outside."""
    return tl.load(at + offsets, mask=inside, other=0.0)


@triton.jit(do_not_specialize=SIZES)
def forward_kernel(
    projected,
    rows,
    columns,
    lengths,
    order,
    matrices,
    biases,
    strengths,
    states,
    sums,
    n_directions,
    n_pairs,
    n_sequences,
    n_total,
    n_units,
    n_gates,
    first,
    n_steps,
    zero,
    COUPLING: tl.constexpr,
    MEAN: tl.constexpr,
    KEEP: tl.constexpr,
    PAIRS: tl.constexpr,
    UNITS: tl.constexpr,
    EVEN: tl.constexpr,
    PRECISION: tl.constexpr,
    RESIDENT: tl.constexpr,
):
    """Steps first .. first + n_steps - 1 of one tile (axis 0) in direction d (axis 1), from the states in slot 0.

    KEEP : every step's states go to slots 1, 2, ...; else the last step's to slot 1.
    MEAN : the states of valid steps, divided by the length, are added to sums (D, 2, P, H).
    """
    at, d = tl.program_id(0) * PAIRS + tl.arange(0, PAIRS), tl.program_id(1)
    wanted = at < n_pairs
    pair = tl.load(order + at, mask=wanted, other=0)
    i = tl.load(rows + pair)
    j = tl.load(columns + pair)
    length1 = tl.where(wanted, tl.load(lengths + i), 0)
    length2 = tl.where(wanted, tl.load(lengths + j), 0)
    share1 = (1.0 / tl.maximum(length1, 1).to(tl.float32))[:, None]
    share2 = (1.0 / tl.maximum(length2, 1).to(tl.float32))[:, None]
    unit = tl.arange(0, UNITS)
    real = (unit < n_units)[None, :]
    inside = wanted[:, None] & real
    o1 = (i * n_gates)[:, None] + unit[None, :]
    o2 = (j * n_gates)[:, None] + unit[None, :]
    own = (pair * n_units)[:, None] + unit[None, :]
    half = n_pairs.to(tl.int64) * n_units
    x = projected + (d * n_total + first).to(tl.int64) * n_sequences * n_gates
    states += 2 * d * half
    sums += 2 * d * half
    parts: tl.constexpr = 2 if PRECISION == "float32" else 1
    matrices += d * (5 * parts * UNITS * UNITS)
    bias = tl.load(biases + d * UNITS + unit)[None, :]
    strength = tl.load(strengths + d)
    held = hold_matrices(matrices, COUPLING, UNITS, PRECISION, RESIDENT)
    h1 = load_state(states, own, inside)
    h2 = load_state(states + half, own, inside)
    states += 2 * n_directions * half
    if MEAN:
        m1 = load_state(sums, own, inside)
        m2 = load_state(sums + half, own, inside)
    else:
        m1 = h1
        m2 = h2
    last = tl.minimum(tl.max(tl.maximum(length1, length2)) - first, n_steps)
    for s in range(last):
        alive1 = (first + s < length1)[:, None]
        alive2 = (first + s < length2)[:, None]
        h1, h2 = step(
            h1,
            h2,
            x,
            x,
            o1,
            o2,
            real,
            alive1,
            alive2,
            bias,
            strength,
            held,
            matrices,
            n_units,
            COUPLING,
            UNITS,
            EVEN,
            PRECISION,
            RESIDENT,
        )
        if MEAN:
            m1 += tl.where(alive1, h1, 0.0) * share1
            m2 += tl.where(alive2, h2, 0.0) * share2
        if KEEP:
            tl.store(states + own, h1, mask=inside)
            tl.store(states + half + own, h2, mask=inside)
            states += 2 * n_directions * half
        x += n_sequences * n_gates
        # 0, which the compiler does not know: else it would move the loads of all matrices out of the loop
        matrices += zero
    if KEEP:
        for _s in range(tl.maximum(last, 0), n_steps):
            tl.store(states + own, h1, mask=inside)
            tl.store(states + half + own, h2, mask=inside)
            states += 2 * n_directions * half
    else:
        tl.store(states + own, h1, mask=inside)
        tl.store(states + half + own, h2, mask=inside)
    if MEAN:
        tl.store(sums + own, m1, mask=inside)
        tl.store(sums + half + own, m2, mask=inside)


@triton.jit
def half_backward(
    grad,
    h,
    x,
    o,
    real,
    alive,
    bias,
    held,
    matrices,
    held_back,
    transposed,
    grad_inputs,
    gates_at,
    states_at,
    contracted,
    grad_candidates,
    inside,
    n_units,
    UNITS: tl.constexpr,
    EVEN: tl.constexpr,
    PRECISION: tl.constexpr,
    RESIDENT: tl.constexpr,
):
    """Gradient of the contracted state h from that of the new one, `grad`; writes those of the inputs.

    Where the half is not alive z = 1: the gradient passes unchanged and the inputs get none.
    """
    w = pick(held, matrices, 1, UNITS, PRECISION, RESIDENT)
    z = sigmoid(multiply(h, w, load_input(x + n_units, o, real, EVEN), PRECISION))
    z = tl.where(alive, z, 1.0)
    u = pick(held, matrices, 0, UNITS, PRECISION, RESIDENT)
    r = sigmoid(multiply(h, u, load_input(x, o, real, EVEN), PRECISION))
    v = pick(held, matrices, 2, UNITS, PRECISION, RESIDENT)
    q = multiply(h, v, tl.zeros_like(h) + bias, PRECISION)
    n = tanh(load_input(x + 2 * n_units, o, real, EVEN) + r * q)
    tl.store(contracted + states_at, h, mask=inside)
    grad_z = grad * (h - n) * z * (1.0 - z)
    tl.store(grad_inputs + n_units + gates_at, grad_z, mask=inside)
    grad_n = grad * (1.0 - z) * (1.0 - n * n)
    tl.store(grad_inputs + 2 * n_units + gates_at, grad_n, mask=inside)
    u = pick(held_back, transposed, 1, UNITS, PRECISION, RESIDENT)
    back = multiply(grad_z, u, grad * z, PRECISION)
    grad_r = grad_n * q * r * (1.0 - r)
    tl.store(grad_inputs + gates_at, grad_r, mask=inside)
    v = pick(held_back, transposed, 0, UNITS, PRECISION, RESIDENT)
    back = multiply(grad_r, v, back, PRECISION)
    grad_q = grad_n * r
    tl.store(grad_candidates + states_at, grad_q, mask=inside)
    w = pick(held_back, transposed, 2, UNITS, PRECISION, RESIDENT)
    return multiply(grad_q, w, back, PRECISION)


@triton.jit
def coupling_backward(
    g1,
    g2,
    h1,
    h2,
    c1,
    c2,
    alive1,
    alive2,
    held_back,
    transposed,
    grad_gates1,
    grad_gates2,
    gates_at,
    inside,
    COUPLING: tl.constexpr,
    UNITS: tl.constexpr,
    PRECISION: tl.constexpr,
    RESIDENT: tl.constexpr,
):
    """Gradients of the states before the contraction from those behind it; writes those of the gates' inputs."""
    e = h2 - h1
    # only a half that is alive was contracted
    m1 = 0.5 * tl.where(alive1, g1, 0.0)
    m2 = 0.5 * tl.where(alive2, g2, 0.0)
    if COUPLING == "symmetric":
        pull = m1 - m2
        grad_gate = pull * e * c1 * (1.0 - c1)
        tl.store(grad_gates1 + gates_at, grad_gate, mask=inside)
        tl.store(grad_gates2 + gates_at, grad_gate, mask=inside)
        own = pick(held_back, transposed, 3, UNITS, PRECISION, RESIDENT)
        through = multiply(grad_gate, own, tl.zeros_like(e), PRECISION)
        pull = pull * c1 + tl.where(e > 0, through, 0.0) - tl.where(e < 0, through, 0.0)
        b1 = g1 - pull
        b2 = g2 + pull
    elif COUPLING == "diffusive":
        a1 = m1 * e * c1 * (1.0 - c1)
        a2 = -m2 * e * c2 * (1.0 - c2)
        tl.store(grad_gates1 + gates_at, a1, mask=inside)
        tl.store(grad_gates2 + gates_at, a2, mask=inside)
        pull = m1 * c1 - m2 * c2
        own = pick(held_back, transposed, 3, UNITS, PRECISION, RESIDENT)
        b1 = multiply(a1, own, g1 - pull, PRECISION)
        b2 = multiply(a2, own, g2 + pull, PRECISION)
        other = pick(held_back, transposed, 4, UNITS, PRECISION, RESIDENT)
        b1 = multiply(a2, other, b1, PRECISION)
        b2 = multiply(a1, other, b2, PRECISION)
    else:
        pull = c1 * (m1 - m2)
        b1 = g1 - pull
        b2 = g2 + pull
    return b1, b2


@triton.jit(do_not_specialize=SIZES)
def backward_kernel(
    projected,
    rows,
    columns,
    lengths,
    order,
    matrices,
    transposed,
    biases,
    strengths,
    states,
    grad_states,
    carry,
    grad_inputs,
    grad_candidates,
    contracted,
    grad_strengths,
    n_directions,
    n_pairs,
    n_sequences,
    n_total,
    n_units,
    n_gates,
    first,
    n_steps,
    zero,
    COUPLING: tl.constexpr,
    FROM: tl.constexpr,
    PAIRS: tl.constexpr,
    UNITS: tl.constexpr,
    EVEN: tl.constexpr,
    PRECISION: tl.constexpr,
    RESIDENT: tl.constexpr,
):
    """The steps of `forward_kernel` in reverse; gates are computed again from the kept states.

    carry (D, 2, P, H) : gradient of the states behind the last step, replaced by that of the states in slot 0.
    FROM "steps": grad_states (n_steps, D, 2, P, H) adds to every step; "mean": grad_states (D, 2, P, H) is that of the
    mean of the valid states; "last": nothing adds.
    """
    at, d = tl.program_id(0) * PAIRS + tl.arange(0, PAIRS), tl.program_id(1)
    wanted = at < n_pairs
    pair = tl.load(order + at, mask=wanted, other=0)
    i = tl.load(rows + pair)
    j = tl.load(columns + pair)
    length1 = tl.where(wanted, tl.load(lengths + i), 0)
    length2 = tl.where(wanted, tl.load(lengths + j), 0)
    share1 = (1.0 / tl.maximum(length1, 1).to(tl.float32))[:, None]
    share2 = (1.0 / tl.maximum(length2, 1).to(tl.float32))[:, None]
    unit = tl.arange(0, UNITS)
    real = (unit < n_units)[None, :]
    inside = wanted[:, None] & real
    o1 = (i * n_gates)[:, None] + unit[None, :]
    o2 = (j * n_gates)[:, None] + unit[None, :]
    own = (pair * n_units)[:, None] + unit[None, :]
    gates_at = pair.to(tl.int64)[:, None] * n_gates + unit[None, :]
    half = n_pairs.to(tl.int64) * n_units
    all_gates = n_pairs.to(tl.int64) * n_gates
    slot = 2 * n_directions * half
    end = n_steps - 1
    x = projected + (d * n_total + first + end).to(tl.int64) * n_sequences * n_gates
    states += 2 * d * half + end * slot
    if FROM == "steps":
        grad_states += 2 * d * half + end * slot
    else:
        grad_states += 2 * d * half
    carry += 2 * d * half
    grad_inputs += 2 * (d * n_steps + end).to(tl.int64) * all_gates
    grad_candidates += 2 * (d * n_steps + end).to(tl.int64) * half
    contracted += 2 * (d * n_steps + end).to(tl.int64) * half
    parts: tl.constexpr = 2 if PRECISION == "float32" else 1
    matrices += d * (5 * parts * UNITS * UNITS)
    transposed += d * (5 * parts * UNITS * UNITS)
    bias = tl.load(biases + d * UNITS + unit)[None, :]
    strength = tl.load(strengths + d)
    held = hold_matrices(matrices, COUPLING, UNITS, PRECISION, RESIDENT)
    held_back = hold_matrices(transposed, COUPLING, UNITS, PRECISION, RESIDENT)
    g1 = load_state(carry, own, inside)
    g2 = load_state(carry + half, own, inside)
    grad_strength = tl.zeros((PAIRS,), tl.float32)
    # steps behind the tile's longest sequence
    idle = tl.minimum(tl.maximum(first + n_steps - tl.max(tl.maximum(length1, length2)), 0), n_steps)
    if FROM == "steps":
        for _s in range(idle):
            g1 += load_state(grad_states, own, inside)
            g2 += load_state(grad_states + half, own, inside)
            grad_states -= slot
    x -= idle.to(tl.int64) * n_sequences * n_gates
    states -= idle * slot
    grad_inputs -= 2 * idle * all_gates
    grad_candidates -= 2 * idle * half
    contracted -= 2 * idle * half
    for s in range(idle, n_steps):
        t = first + end - s
        alive1 = (t < length1)[:, None]
        alive2 = (t < length2)[:, None]
        if FROM == "steps":
            g1 += load_state(grad_states, own, inside)
            g2 += load_state(grad_states + half, own, inside)
            grad_states -= slot
        elif FROM == "mean":
            g1 += tl.where(alive1, load_state(grad_states, own, inside) * share1, 0.0)
            g2 += tl.where(alive2, load_state(grad_states + half, own, inside) * share2, 0.0)
        b1 = load_state(states, own, inside)
        b2 = load_state(states + half, own, inside)
        c1 = b1
        c2 = b2
        if COUPLING != "none":
            c1, c2 = coupling_gates(
                b1,
                b2,
                x + 3 * n_units,
                x + 3 * n_units,
                o1,
                o2,
                real,
                strength,
                held,
                matrices,
                COUPLING,
                UNITS,
                EVEN,
                PRECISION,
                RESIDENT,
            )
            e = 0.5 * (b2 - b1)
            b1 = tl.where(alive1, b1 + c1 * e, b1)
            b2 = tl.where(alive2, b2 - c2 * e, b2)
        g1 = half_backward(
            g1,
            b1,
            x,
            o1,
            real,
            alive1,
            bias,
            held,
            matrices,
            held_back,
            transposed,
            grad_inputs,
            gates_at,
            own,
            contracted,
            grad_candidates,
            inside,
            n_units,
            UNITS,
            EVEN,
            PRECISION,
            RESIDENT,
        )
        g2 = half_backward(
            g2,
            b2,
            x,
            o2,
            real,
            alive2,
            bias,
            held,
            matrices,
            held_back,
            transposed,
            grad_inputs + all_gates,
            gates_at,
            own,
            contracted + half,
            grad_candidates + half,
            inside,
            n_units,
            UNITS,
            EVEN,
            PRECISION,
            RESIDENT,
        )
        if COUPLING != "none":
            # once more from memory: registers are scarcer
            h1 = load_state(states, own, inside)
            h2 = load_state(states + half, own, inside)
            if COUPLING == "scalar":
                pulled = tl.where(alive1, g1, 0.0) - tl.where(alive2, g2, 0.0)
                grad_strength += tl.sum((h2 - h1) * pulled, 1)
            g1, g2 = coupling_backward(
                g1,
                g2,
                h1,
                h2,
                c1,
                c2,
                alive1,
                alive2,
                held_back,
                transposed,
                grad_inputs + 3 * n_units,
                grad_inputs + all_gates + 3 * n_units,
                gates_at,
                inside,
                COUPLING,
                UNITS,
                PRECISION,
                RESIDENT,
            )
        x -= n_sequences * n_gates
        states -= slot
        grad_inputs -= 2 * all_gates
        grad_candidates -= 2 * half
        contracted -= 2 * half
        matrices += zero
        transposed += zero
    tl.store(carry + own, g1, mask=inside)
    tl.store(carry + half + own, g2, mask=inside)
    if COUPLING == "scalar":
        tl.store(grad_strengths + d * n_pairs + pair, grad_strength, mask=wanted)


@triton.jit(do_not_specialize=["n_rows", "n_steps", "n_sequences", "n_total", "first"])
def sum_kernel(
    source,
    order,
    starts,
    out,
    n_rows,
    n_steps,
    n_sequences,
    n_total,
    first,
    n_gates,
    ROWS: tl.constexpr,
    GATES: tl.constexpr,
):
    """out[d, first + s, b] = sum of source[d, s, order[k]], starts[b] <= k < starts[b + 1], always in that order.

    source (D, n_steps, n_rows, G), out (D, n_total, B, G); axes b, s, d.
    """
    b, s, d = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    row, gate = tl.arange(0, ROWS), tl.arange(0, GATES)
    total = tl.zeros((ROWS, GATES), tl.float32)
    source += (d * n_steps + s).to(tl.int64) * n_rows * n_gates
    begin, end = tl.load(starts + b), tl.load(starts + b + 1)
    for k in range(begin, end, ROWS):
        inside = k + row < end
        at = tl.load(order + k + row, mask=inside, other=0).to(tl.int64)
        mask = inside[:, None] & (gate < n_gates)[None, :]
        total += tl.load(source + at[:, None] * n_gates + gate[None, :], mask=mask, other=0.0)
    out += ((d * n_total + first + s).to(tl.int64) * n_sequences + b) * n_gates
    tl.store(out + gate, tl.sum(total, 0), mask=gate < n_gates)
