"""What the kernels get: weights padded and laid out for them, the precision of products, and the shape of a launch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from skseqmetric._ops.weights import RecurrentWeights

PRECISIONS = ("float32", "bfloat16")
"""Operands of the hidden products; sums, states and gates are float32 in both.

float32 : three TF32 products of split operands, about 2^-21 relative.
bfloat16 : operands rounded to 8 bits, in the differentiable scan under `torch.autocast(..., torch.bfloat16)`.
"""

LARGEST_UNITS = 128
"""The most units H with which one matrix and the states of a tile fit on one multiprocessor."""

LARGEST_RESERVOIR = 512
"""The most units N of a reservoir whose matrix every program reads again at each step. Beyond, one product of torch for
all sequences reads it less often."""


@dataclass(frozen=True)
class Launch:
    """Shape of a program.

    pairs : pairs of its tile, rows x columns of a crossed one.
    n_warps : warps that share them.
    resident : whether every matrix stays on the chip for the whole sequence; else each is read again at every step,
    from the second-level cache.
    """

    rows: int
    columns: int
    n_warps: int
    resident: bool

    @property
    def pairs(self) -> int:
        return self.rows * self.columns

    @property
    def options(self) -> dict[str, Any]:
        """What the compiler gets; loads are not pipelined, for a step needs all its inputs at once."""
        return {"num_warps": self.n_warps, "num_stages": 1, "enable_fp_fusion": True}


# 64 pairs are what the matrix instruction of a warp group takes; split operands need registers, so they get 16 pairs
FORWARD = {
    "bfloat16": {
        16: Launch(8, 8, 4, True),
        32: Launch(8, 8, 4, True),
        64: Launch(8, 8, 8, True),
        128: Launch(8, 8, 16, True),
    },
    "float32": {
        16: Launch(4, 4, 4, True),
        32: Launch(4, 4, 4, True),
        64: Launch(4, 4, 4, True),
        128: Launch(4, 4, 8, False),
    },
}
"""Launches of the forward kernels by precision and padded units: within 227 KiB of shared memory, few spills."""

BACKWARD = {
    "bfloat16": {
        16: Launch(8, 4, 4, True),
        32: Launch(8, 4, 8, True),
        64: Launch(8, 4, 8, True),
        128: Launch(4, 4, 8, False),
    },
    "float32": {
        16: Launch(4, 4, 4, False),
        32: Launch(4, 4, 4, False),
        64: Launch(4, 4, 8, False),
        128: Launch(4, 4, 8, False),
    },
}
"""Likewise of the backward kernel, which needs every matrix twice, also transposed."""

INTERPRETED = Launch(16, 16, 1, True)


def launch_on(device: torch.device, launch: Launch) -> Launch:
    """The launch for a GPU; Triton's interpreter on the CPU is fastest with few large programs."""
    return launch if device.type == "cuda" else INTERPRETED


def forward_launch(precision: str, size: int, device: torch.device) -> Launch:
    """Launch of the forward kernels."""
    return launch_on(device, FORWARD[precision][size])


def backward_launch(precision: str, size: int, device: torch.device) -> Launch:
    """Launch of the backward kernel."""
    return launch_on(device, BACKWARD[precision][size])


def padded_units(n_units: int) -> int:
    """The next power of two, at least 16, which is the least a matrix product takes."""
    return max(16, 1 << (n_units - 1).bit_length())


def precision_for(device: torch.device) -> str:
    """The precision of products that autocast asks for on a device."""
    lower = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) == torch.bfloat16
    return "bfloat16" if lower else "float32"


@dataclass(frozen=True)
class Recurrence:
    """The weights of the recurrence itself, of D directions at once; the tensors may be leaves of autograd.

    hidden (D, 3H, H), bias (D, H) of the candidate; gate_hidden, gate_other (D, H, H) or None; strength (D,) of the
    scalar coupling, or None.
    """

    coupling: str | None
    hidden: Tensor
    bias: Tensor
    gate_hidden: Tensor | None
    gate_other: Tensor | None
    strength: Tensor | None

    @property
    def n_units(self) -> int:
        return int(self.hidden.shape[2])


def stack_weights(weights: list[RecurrentWeights]) -> Recurrence:
    """The weights of all directions, stacked; differentiable."""
    first, n = weights[0], weights[0].n_units

    def stacked(name: str) -> Tensor | None:
        return None if getattr(first, name) is None else torch.stack([getattr(w, name) for w in weights])

    scalar = first.coupling == "scalar"
    return Recurrence(
        first.coupling,
        torch.stack([w.hidden for w in weights]),
        torch.stack([w.hidden_bias[2 * n :] for w in weights]),
        stacked("gate_hidden"),
        stacked("gate_other"),
        torch.sigmoid(torch.stack([w.gate_bias for w in weights])) / 2 if scalar else None,
    )


@dataclass(frozen=True)
class Packed:
    """Weights as the kernels read them.

    matrices : (D, 5, parts, U, U), inputs along the rows; blocks r, z, n, gate, other; two parts with float32 products.
    transposed : the same with outputs along the rows, for the backward pass.
    bias : (D, U); strength : (D,), 0 where the coupling has none.
    precision : what the kernels call the precision of the products.
    """

    precision: str
    matrices: Tensor
    transposed: Tensor
    bias: Tensor
    strength: Tensor


def pack(recurrence: Recurrence, precision: str) -> Packed:
    """Pad with zeros to a power of two, and round or split for the products."""
    n_directions, n = len(recurrence.hidden), recurrence.n_units
    if precision == "bfloat16" and not recurrence.hidden.is_cuda:
        precision = "rounded"
    size = padded_units(n)
    blocks = recurrence.hidden.new_zeros(n_directions, 5, size, size)
    blocks[:, :3, :n, :n] = recurrence.hidden.unflatten(1, (3, n))
    for index, matrix in ((3, recurrence.gate_hidden), (4, recurrence.gate_other)):
        if matrix is not None:
            blocks[:, index, :n, :n] = matrix
    strength = recurrence.strength
    return Packed(
        precision,
        _parts(blocks.transpose(2, 3), precision),
        _parts(blocks, precision),
        pad(recurrence.bias, (0, size - n)).contiguous(),
        blocks.new_zeros(n_directions) if strength is None else strength.contiguous(),
    )


def _parts(blocks: Tensor, precision: str) -> Tensor:
    if precision == "bfloat16":
        return blocks[:, :, None].to(torch.bfloat16).contiguous()
    if precision == "rounded":
        return blocks[:, :, None].to(torch.bfloat16).float().contiguous()
    upper = (blocks.contiguous().view(torch.int32) & -8192).view(torch.float32)
    return torch.stack([upper, blocks - upper], 2).contiguous()
