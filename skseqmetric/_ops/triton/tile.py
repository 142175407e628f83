"""Squared distances of coupled pairs without gradient: one program a tile of pairs, the time loop inside."""

# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def"
# ruff: noqa: PLR0915 - a kernel is one function: what stays in registers cannot be passed in a structure
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from skseqmetric._ops.operands import check_operand
from skseqmetric._ops.steps import pad_steps
from skseqmetric._ops.triton.cell import hold_matrices, step
from skseqmetric._ops.triton.packing import forward_launch, pack, padded_units, stack_weights
from skseqmetric._ops.weights import RecurrentWeights, Side, project


@triton.jit(do_not_specialize=["n_left", "n_right", "n_pairs", "n_steps"])
def tile_kernel(
    left,
    right,
    left_lengths,
    right_lengths,
    left_order,
    right_order,
    places,
    matrices,
    biases,
    strengths,
    out,
    n_left,
    n_right,
    n_pairs,
    n_steps,
    n_units,
    n_gates,
    zero,
    COUPLING: tl.constexpr,
    MEAN: tl.constexpr,
    CROSSED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    UNITS: tl.constexpr,
    EVEN: tl.constexpr,
    RESIDENT: tl.constexpr,
):
    """Direction d (axis 1) of the squared distances of one tile (axis 0).

    CROSSED: of (left_order[i], right_order[j]), to its own place of (N, M); else of the pairs (left_order[p],
    right_order[p]), to places[p].
    """
    program, d = tl.program_id(0), tl.program_id(1)
    pair = tl.arange(0, ROWS * COLUMNS)
    if CROSSED:
        across = tl.cdiv(n_right, COLUMNS)
        i = (program // across) * ROWS + pair // COLUMNS
        j = (program % across) * COLUMNS + pair % COLUMNS
        wanted = (i < n_left) & (j < n_right)
    else:
        i = program * ROWS * COLUMNS + pair
        j = i
        wanted = i < n_pairs
        place = tl.load(places + i, mask=wanted, other=0)
    i = tl.load(left_order + i, mask=wanted, other=0)
    j = tl.load(right_order + j, mask=wanted, other=0)
    length1 = tl.load(left_lengths + i, mask=wanted, other=0)
    length2 = tl.load(right_lengths + j, mask=wanted, other=0)
    share1 = (1.0 / tl.maximum(length1, 1).to(tl.float32))[:, None]
    share2 = (1.0 / tl.maximum(length2, 1).to(tl.float32))[:, None]
    unit = tl.arange(0, UNITS)
    real = (unit < n_units)[None, :]
    o1 = (i * n_gates)[:, None] + unit[None, :]
    o2 = (j * n_gates)[:, None] + unit[None, :]
    left += (d * n_steps).to(tl.int64) * n_left * n_gates
    right += (d * n_steps).to(tl.int64) * n_right * n_gates
    matrices += d * (10 * UNITS * UNITS)
    bias = tl.load(biases + d * UNITS + unit)[None, :]
    strength = tl.load(strengths + d)
    held = hold_matrices(matrices, COUPLING, UNITS, "float32", RESIDENT)
    h1 = tl.zeros((ROWS * COLUMNS, UNITS), tl.float32)
    h2 = tl.zeros((ROWS * COLUMNS, UNITS), tl.float32)
    gap = tl.zeros((ROWS * COLUMNS, UNITS), tl.float32)
    for t in range(tl.max(tl.maximum(length1, length2))):
        alive1 = (t < length1)[:, None]
        alive2 = (t < length2)[:, None]
        h1, h2 = step(
            h1,
            h2,
            left,
            right,
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
            "float32",
            RESIDENT,
        )
        if MEAN:
            # products inside the selections, where none can be fused with the subtraction: equal halves give exactly 0
            gap += tl.where(alive1, h1 * share1, 0.0) - tl.where(alive2, h2 * share2, 0.0)
        left += n_left * n_gates
        right += n_right * n_gates
        # 0, which the compiler does not know: else it would move the loads of all matrices out of the loop
        matrices += zero
    if not MEAN:
        gap = h1 - h2
    squared = tl.sum(gap * gap, 1)
    if CROSSED:
        tl.store(out + d.to(tl.int64) * n_left * n_right + i.to(tl.int64) * n_right + j, squared, mask=wanted)
    else:
        tl.store(out + d * n_pairs + place, squared, mask=wanted)


@torch.no_grad()
def sync_gru_tile(
    first: Side,
    second: Side,
    weights: list[RecurrentWeights],
    how: str,
    *,
    pairs: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Squared distances between the pooled states ("mean" or "last") of coupled pairs.

    Parameters
    ----------
    first, second : Side
        N and M sequences of any lengths.
    weights : list of RecurrentWeights
        One of each direction, at most `LARGEST_UNITS` units.
    how : {"mean", "last"}
    pairs : two Tensors (P,), int64, optional
        Indices into `first` and into `second`; without them every first is paired with every second.

    Returns
    -------
    Tensor (N, M) or (P,)
        float32, summed over units and directions.

    Notes
    -----
    14 H^2 FLOP a pair, step and direction for the symmetric gate. A tile stops at its longest sequence, and tiles are
    made of sequences of like length. Memory O(D T (N + M) G) for the projections, and D times the result.
    """
    n = weights[0].n_units
    n_steps = max(first.features.shape[1], second.features.shape[1])
    left, right = (project(pad_steps(side.features, n_steps), weights).contiguous() for side in (first, second))
    packed, size = pack(stack_weights(weights), "float32"), padded_units(n)
    launch = forward_launch("float32", size, left.device)
    (n_directions, _, n_left, n_gates), n_right = left.shape, right.shape[2]
    lengths = [side.lengths.to(torch.int32).contiguous() for side in (first, second)]
    if pairs is None:
        orders = [_by_length(lengths[0]), _by_length(lengths[1])]
        n_pairs, places = 0, orders[0]
        out = left.new_empty(n_directions, n_left, n_right)
        n_tiles = triton.cdiv(n_left, launch.rows) * triton.cdiv(n_right, launch.columns)
    else:
        rows, columns = pairs
        places = _by_length(torch.maximum(lengths[0][rows], lengths[1][columns]))
        orders = [rows[places].to(torch.int32), columns[places].to(torch.int32)]
        n_pairs = len(rows)
        out = left.new_empty(n_directions, n_pairs)
        n_tiles = triton.cdiv(n_pairs, launch.pairs)
    if not out.numel():
        return out.sum(0)
    for name, tensor in (("features", left), ("features", right), ("bias", packed.bias), ("strength", packed.strength)):
        check_operand(tensor, name, torch.float32, left.device)
    for name, tensor in (("lengths", lengths[0]), ("lengths", lengths[1]), ("order", orders[0]), ("order", orders[1])):
        check_operand(tensor, name, torch.int32, left.device)
    with torch.cuda.device_of(left):
        tile_kernel[(n_tiles, n_directions)](
            left,
            right,
            *lengths,
            *orders,
            places,
            packed.matrices,
            packed.bias,
            packed.strength,
            out,
            n_left,
            n_right,
            n_pairs,
            n_steps,
            n,
            n_gates,
            0,
            COUPLING=weights[0].coupling or "none",
            MEAN=how == "mean",
            CROSSED=pairs is None,
            ROWS=launch.rows,
            COLUMNS=launch.columns,
            UNITS=size,
            EVEN=size == n,
            RESIDENT=launch.resident,
            **launch.options,
        )
    return out.sum(0)


def _by_length(lengths: Tensor) -> Tensor:
    return torch.argsort(lengths, stable=True).to(torch.int32)
