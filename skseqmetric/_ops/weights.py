"""The weights of one direction of a (coupled) GRU, as every implementation of the recurrence receives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class RecurrentWeights:
    """Gates stand in the order r, z, n of `torch.nn.GRUCell`; F input features, H units.

    input (3H, F), hidden (3H, H), input_bias (3H,), hidden_bias (3H,); coupling None / "scalar" / "symmetric" /
    "diffusive" with gate_input W_c (H, F), gate_hidden U_c (H, H), gate_other V_c (H, H), gate_bias b_c (H,) or ().
    """

    input: Tensor
    hidden: Tensor
    input_bias: Tensor
    hidden_bias: Tensor
    coupling: str | None = None
    # a Tensor, or None where the coupling has no such part: who reads one has looked at `coupling` first
    gate_input: Any = None
    gate_hidden: Any = None
    gate_other: Any = None
    gate_bias: Any = None

    @property
    def n_units(self) -> int:
        return int(self.hidden.shape[1])


@dataclass(frozen=True)
class Side:
    """Sequences to be paired: features (D, T, N, F), each direction in its own order, 0 past the end; lengths (N,)."""

    features: Tensor
    lengths: Tensor

    def chosen(self, index: Tensor) -> Side:
        """The sequences at `index`, which may repeat."""
        return Side(self.features.index_select(2, index), self.lengths.index_select(0, index))


def project(features: Tensor, weights: list[RecurrentWeights], *, gate: bool = True) -> Tensor:
    """Input projections of every step, (D, T, B, F) -> (D, T, B, G): once per sequence, not once per pair.

    G = 3H, or 4H where the coupling gate reads the inputs and `gate` asks for it (blocks r, z, n, gate). Biases that
    only add to a projection are folded in: b_r, b_z with their hidden twins, b_n; the gate's, halved where two
    projections meet.
    """
    matrix, bias = projection(weights, gate=gate)
    flat = torch.baddbmm(bias[:, None], features.flatten(1, 2), matrix.transpose(1, 2))
    # under autocast the product is bfloat16; states and what is added to them stay in the weights' precision
    return flat.unflatten(1, features.shape[1:3]).to(weights[0].hidden.dtype)


def project_gate(features: Tensor, weights: list[RecurrentWeights]) -> Tensor | None:
    """What a coupling gate reads of the features (D, T, R, F) of its rows; None where it reads nothing of them.

    (D, T, R, H) for the diffusive gate; (D, T, R / 2, H) for the symmetric one, which both halves share: rows are those
    of the first halves, then those of the second.
    """
    first = weights[0]
    if first.gate_input is None:
        return None
    if first.coupling == "symmetric":
        features = torch.add(*features.chunk(2, dim=2))
    matrix, bias = (torch.stack([getattr(w, name) for w in weights]) for name in ("gate_input", "gate_bias"))
    flat = torch.baddbmm(bias[:, None], features.flatten(1, 2), matrix.transpose(1, 2))
    return flat.unflatten(1, features.shape[1:3]).to(first.hidden.dtype)


def projection(weights: list[RecurrentWeights], *, gate: bool) -> tuple[Tensor, Tensor]:
    """The matrices (D, G, F) and biases (D, G) of `project`."""
    matrices, biases = zip(*(_projection(w, gate) for w in weights), strict=True)
    return torch.stack(matrices), torch.stack(biases)


def _projection(w: RecurrentWeights, gate: bool) -> tuple[Tensor, Tensor]:
    n = w.n_units
    bias = torch.cat([w.input_bias[: 2 * n] + w.hidden_bias[: 2 * n], w.input_bias[2 * n :]])
    if not gate or w.gate_input is None or w.gate_bias is None:
        return w.input, bias
    gate_bias = w.gate_bias / 2 if w.coupling == "symmetric" else w.gate_bias
    return torch.cat([w.input, w.gate_input]), torch.cat([bias, gate_bias])
