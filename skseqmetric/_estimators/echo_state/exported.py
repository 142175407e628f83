"""The model of an echo state network for export: reservoirs as buffers of a module, and the readout behind them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from skseqmetric._estimators.echo_state.states import all_states, pooled_states
from skseqmetric._ops.weights import ReservoirWeights


class ExportedReservoirs(nn.Module):
    """Scaled sequences (B, T, C) -> states, (B, T, F) with pooling None, else pooled over time.

    reservoirs : those that read forwards, then those that read backwards.
    n_forward : how many read forwards.
    """

    def __init__(self, reservoirs: list[ReservoirWeights], n_forward: int, pooling: str | None) -> None:
        super().__init__()
        self.n_forward, self.pooling, self.forms = n_forward, pooling, reservoirs
        for i, reservoir in enumerate(reservoirs):
            recurrent = reservoir.recurrent
            dense = recurrent if recurrent.layout == torch.strided else recurrent.to_dense()
            self.register_buffer(f"input_{i}", reservoir.input.to("cpu"))
            self.register_buffer(f"recurrent_{i}", dense.to("cpu"))

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        reservoirs = [
            replace(form, input=self.get_buffer(f"input_{i}"), recurrent=self.get_buffer(f"recurrent_{i}"))
            for i, form in enumerate(self.forms)
        ]
        if self.pooling is None:
            return all_states(values, lengths, reservoirs, self.n_forward)
        return pooled_states(values, lengths, reservoirs, self.n_forward, self.pooling)


class ExportedStates(nn.Module):
    """The states themselves as the only answer."""

    def __init__(self, states: nn.Module) -> None:
        super().__init__()
        self.states = states

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor]:
        return (self.states(values, lengths),)


class ExportedReadout(nn.Module):
    """States -> outputs (..., K) in float64, as the estimator computes them."""

    coef: Tensor
    intercept: Tensor

    def __init__(self, states: nn.Module, coef: Tensor, intercept: Tensor) -> None:
        super().__init__()
        self.states = states
        self.register_buffer("coef", coef.to("cpu"))
        self.register_buffer("intercept", intercept.to("cpu"))

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        states: Tensor = self.states(values, lengths)
        return states.to(torch.float64) @ self.coef.T + self.intercept
