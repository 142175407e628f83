"""The reservoir as a scan (`_ops.reference.reservoir` defines it)."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.scanned.scan import State, projected, scan
from skseqmetric._ops.weights import ReservoirWeights


def reservoir_states(features: Tensor, weights: list[ReservoirWeights]) -> Tensor:
    """Return states (T, D, B, N) from features (D, T, B, F). States past the end of a sequence are arbitrary."""
    return torch.stack([_one(features[d], w) for d, w in enumerate(weights)], 1)


def _one(u: Tensor, w: ReservoirWeights) -> Tensor:
    recurrent = (w.recurrent if w.recurrent.layout == torch.strided else w.recurrent.to_dense()).T
    leak, per_unit = w.leak, isinstance(w.leak, Tensor)

    def step(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
        share = constants[1] if per_unit else leak
        x = (1 - share) * state[0] + share * torch.tanh(inputs[0] + state[0] @ constants[0])
        return (x,), x

    constants = (recurrent, leak) if isinstance(leak, Tensor) else (recurrent,)
    inputs = projected(u, w.input[:, 1:], w.input[:, 0])
    return scan(step, (u.new_zeros(u.shape[1], w.n_units),), (inputs,), constants)[1]
