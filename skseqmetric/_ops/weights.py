"""The weights of one direction of a (coupled) GRU, as every implementation of the recurrence receives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
