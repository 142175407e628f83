"""The reservoir (echo state network) as a plain loop: the definition that every fast form is tested against.

Layouts: D reservoirs (or directions), T steps, B sequences, F features, N units.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.weights import ReservoirWeights


def reservoir_step(u: Tensor, x: Tensor, w: ReservoirWeights) -> Tensor:
    """x_t = (1 - l) x_{t-1} + l tanh(W_in [1; u_t] + W x_{t-1}), of u (B, F) and x (B, N)."""
    recurrent = w.recurrent if w.recurrent.layout == torch.strided else w.recurrent.to_dense()
    with_one = torch.cat([torch.ones_like(u[:, :1]), u], dim=1)
    return (1 - w.leak) * x + w.leak * torch.tanh(with_one @ w.input.T + x @ recurrent.T)


def reservoir_scan(u: Tensor, lengths: Tensor, w: ReservoirWeights) -> Tensor:
    """States (B, T, N) from inputs (B, T, F), from x_0 = 0; an ended sequence keeps its last state."""
    x = u.new_zeros(len(u), w.n_units)
    states = []
    for t, u_t in enumerate(u.unbind(1)):
        x = torch.where((t < lengths)[:, None], reservoir_step(u_t, x, w), x)
        states.append(x)
    return torch.stack(states, 1)
