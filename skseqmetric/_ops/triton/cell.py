"""One step of the coupled GRU as device functions, for a block of pairs: (PAIRS, UNITS) float32 values in registers.

UNITS is the number of units H padded to a power of two. The padding of every matrix, bias and input is 0. A padded unit
thus starts at 0 and stays 0, because its candidate is tanh(0).

Half 1 and half 2 of a pair stand in two blocks. Both take the same operations in the same order, so equal sequences
have equal states to the bit.
"""

# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,assignment"
from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def sigmoid(x):
    """1 / (1 + e^-x); exact limits for large |x|, NaN stays NaN."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def tanh(x):
    """2 sigma(2x) - 1: off by a few 1e-7 absolute, which is what the states need."""
    return 2.0 / (1.0 + tl.exp(-2.0 * x)) - 1.0


@triton.jit
def load_matrix(matrices, index: tl.constexpr, UNITS: tl.constexpr, PRECISION: tl.constexpr):
    """Matrix `index` (UNITS, UNITS) of one direction; with float32 products its upper and lower part."""
    i = tl.arange(0, UNITS)
    at = i[:, None] * UNITS + i[None, :]
    if PRECISION == "float32":
        upper = tl.load(matrices + 2 * index * UNITS * UNITS + at)
        lower = tl.load(matrices + (2 * index + 1) * UNITS * UNITS + at)
        matrix = (upper, lower)
    else:
        matrix = tl.load(matrices + index * UNITS * UNITS + at)
    return matrix


@triton.jit
def multiply(a, matrix, start, PRECISION: tl.constexpr):
    """start + a @ matrix, accumulated in float32.

    "float32" is the sum of three TF32 products of a = upper + lower, with 11 bits each. Only lower x lower, 2^-22 of
    the result, is left out. "bfloat16" rounds a.
    "rounded" is "bfloat16" for the interpreter, which would multiply bit patterns: the same products, taken in float32.
    """
    if PRECISION == "float32":
        upper = (a.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        product = tl.dot(a - upper, matrix[0], start, input_precision="tf32")
        product = tl.dot(upper, matrix[1], product, input_precision="tf32")
        product = tl.dot(upper, matrix[0], product, input_precision="tf32")
    elif PRECISION == "bfloat16":
        product = tl.dot(a.to(tl.bfloat16), matrix, start)
    else:
        product = tl.dot(a.to(tl.bfloat16).to(tl.float32), matrix, start)
    return product


@triton.jit
def load_input(at, offsets, real, EVEN: tl.constexpr):
    """One block (PAIRS, UNITS) of the projected inputs; 0 for padded units."""
    if EVEN:
        x = tl.load(at + offsets)
    else:
        x = tl.load(at + offsets, mask=real, other=0.0)
    return x


@triton.jit
def hold_matrices(
    matrices, COUPLING: tl.constexpr, UNITS: tl.constexpr, PRECISION: tl.constexpr, RESIDENT: tl.constexpr
):
    """The matrices r, z, n, gate, other that the coupling has, to be kept on the chip; nothing unless RESIDENT."""
    held = (matrices,)
    if RESIDENT:
        r = load_matrix(matrices, 0, UNITS, PRECISION)
        z = load_matrix(matrices, 1, UNITS, PRECISION)
        n = load_matrix(matrices, 2, UNITS, PRECISION)
        held = (r, z, n)
        if COUPLING == "symmetric" or COUPLING == "diffusive":
            own = load_matrix(matrices, 3, UNITS, PRECISION)
            held = (r, z, n, own)
        if COUPLING == "diffusive":
            other = load_matrix(matrices, 4, UNITS, PRECISION)
            held = (r, z, n, own, other)
    return held


@triton.jit
def pick(held, matrices, index: tl.constexpr, UNITS: tl.constexpr, PRECISION: tl.constexpr, RESIDENT: tl.constexpr):
    """Matrix `index`: the one held on the chip, else a fresh copy from memory."""
    if RESIDENT:
        matrix = held[index]
    else:
        matrix = load_matrix(matrices, index, UNITS, PRECISION)
    return matrix


@triton.jit
def coupling_gates(
    h1,
    h2,
    x1,
    x2,
    o1,
    o2,
    real,
    strength,
    held,
    matrices,
    COUPLING: tl.constexpr,
    UNITS: tl.constexpr,
    EVEN: tl.constexpr,
    PRECISION: tl.constexpr,
    RESIDENT: tl.constexpr,
):
    """sigma of both halves' gates, twice their coupling strengths; x1, x2 point to the gate's block of the inputs."""
    if COUPLING == "symmetric":
        own = pick(held, matrices, 3, UNITS, PRECISION, RESIDENT)
        x = load_input(x1, o1, real, EVEN) + load_input(x2, o2, real, EVEN)
        c1 = sigmoid(multiply(tl.abs(h1 - h2), own, x, PRECISION))
        c2 = c1
    elif COUPLING == "diffusive":
        own = pick(held, matrices, 3, UNITS, PRECISION, RESIDENT)
        x = multiply(h1, own, load_input(x1, o1, real, EVEN), PRECISION)
        y = multiply(h2, own, load_input(x2, o2, real, EVEN), PRECISION)
        other = pick(held, matrices, 4, UNITS, PRECISION, RESIDENT)
        c1 = sigmoid(multiply(h2, other, x, PRECISION))
        c2 = sigmoid(multiply(h1, other, y, PRECISION))
    else:
        c1 = tl.zeros_like(h1) + 2.0 * strength
        c2 = c1
    return c1, c2


@triton.jit
def step(
    h1,
    h2,
    x1,
    x2,
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
    COUPLING: tl.constexpr,
    UNITS: tl.constexpr,
    EVEN: tl.constexpr,
    PRECISION: tl.constexpr,
    RESIDENT: tl.constexpr,
):
    """Both halves' states one step on; a half that is not alive keeps its state to the bit.

    x1, x2 : pointers to this step's projected inputs; o1, o2 (PAIRS, UNITS) : where in it a pair's row stands.
    """
    if COUPLING != "none":
        c1, c2 = coupling_gates(
            h1,
            h2,
            x1 + 3 * n_units,
            x2 + 3 * n_units,
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
        e = h2 - h1
        h1 = tl.where(alive1, h1 + 0.5 * c1 * e, h1)
        h2 = tl.where(alive2, h2 - 0.5 * c2 * e, h2)
    u = pick(held, matrices, 0, UNITS, PRECISION, RESIDENT)
    r1 = sigmoid(multiply(h1, u, load_input(x1, o1, real, EVEN), PRECISION))
    r2 = sigmoid(multiply(h2, u, load_input(x2, o2, real, EVEN), PRECISION))
    v = pick(held, matrices, 2, UNITS, PRECISION, RESIDENT)
    start = tl.zeros_like(h1) + bias
    n1 = tanh(load_input(x1 + 2 * n_units, o1, real, EVEN) + r1 * multiply(h1, v, start, PRECISION))
    n2 = tanh(load_input(x2 + 2 * n_units, o2, real, EVEN) + r2 * multiply(h2, v, start, PRECISION))
    w = pick(held, matrices, 1, UNITS, PRECISION, RESIDENT)
    z1 = sigmoid(multiply(h1, w, load_input(x1 + n_units, o1, real, EVEN), PRECISION))
    z2 = sigmoid(multiply(h2, w, load_input(x2 + n_units, o2, real, EVEN), PRECISION))
    # z = 1 makes the step the identity
    z1 = tl.where(alive1, z1, 1.0)
    z2 = tl.where(alive2, z2, 1.0)
    return (1.0 - z1) * n1 + z1 * h1, (1.0 - z2) * n2 + z2 * h2
