"""The weights of one direction of a (coupled) GRU, as every implementation of the recurrence receives them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

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
    gate_input: Tensor | None = None
    gate_hidden: Tensor | None = None
    gate_other: Tensor | None = None
    gate_bias: Tensor | None = None

    @property
    def n_units(self) -> int:
        return int(self.hidden.shape[1])

    @property
    def has_input_gate(self) -> bool:
        """Whether the coupling gate reads the inputs, so that it needs a fourth block of projections."""
        return self.gate_input is not None

    def detach(self) -> RecurrentWeights:
        """The same weights outside the autograd graph."""
        tensors = {f.name: v.detach() for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}
        return replace(self, **tensors)
