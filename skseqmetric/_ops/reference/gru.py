"""The recurrences as plain loops: the definition that every fast form is tested against, in any float dtype."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.weights import RecurrentWeights


def gru_step(x: Tensor, h: Tensor, w: RecurrentWeights) -> Tensor:
    """One step of the GRU in the convention of `torch.nn.GRUCell` (Cho et al. 2014).

    Inputs x are (B, F) and states h are (B, H).

    - r = sigma(W_r x + b_r + U_r h + b'_r),  z = sigma(W_z x + b_z + U_z h + b'_z)
    - n = tanh(W_n x + b_n + r * (U_n h + b'_n)),  h_t = (1 - z) * n + z * h
    """
    x_r, x_z, x_n = (x @ w.input.T + w.input_bias).chunk(3, dim=-1)
    h_r, h_z, h_n = (h @ w.hidden.T + w.hidden_bias).chunk(3, dim=-1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * h_n)
    return (1 - z) * n + z * h


def coupling_gates(
    x1: Tensor, x2: Tensor, h1: Tensor, h2: Tensor, w: RecurrentWeights
) -> tuple[Tensor | float, Tensor | float]:
    """Return the coupling strengths (c^1, c^2) of the two halves, each in (0, 1/2).

    - symmetric: c = 1/2 sigma(W_c (x1 + x2) + U_c |h1 - h2| + b_c), one gate for both halves
    - diffusive: c^i = 1/2 sigma(W_c x_i + U_c h_i + V_c h_j + b_c)
    - scalar: c = 1/2 sigma(b_c)
    - None: c = 0
    """
    if w.coupling is None:
        return 0.0, 0.0
    if w.coupling == "scalar":
        c = torch.sigmoid(w.gate_bias) / 2
        return c, c
    if w.coupling == "symmetric":
        c = torch.sigmoid((x1 + x2) @ w.gate_input.T + (h1 - h2).abs() @ w.gate_hidden.T + w.gate_bias) / 2
        return c, c
    own = (x @ w.gate_input.T + w.gate_bias for x in (x1, x2))
    c1 = torch.sigmoid(next(own) + h1 @ w.gate_hidden.T + h2 @ w.gate_other.T) / 2
    c2 = torch.sigmoid(next(own) + h2 @ w.gate_hidden.T + h1 @ w.gate_other.T) / 2
    return c1, c2


def sync_gru_scan(
    x1: Tensor, x2: Tensor, lengths1: Tensor, lengths2: Tensor, w: RecurrentWeights
) -> tuple[Tensor, Tensor]:
    """States of the two coupled halves, (P, T, H) each, from inputs (P, T, F) of true lengths (P,).

    A step computes hb^i = h^i + c^i (h^j - h^i) of both halves from the states at t - 1, then `gru_step` from hb^i. A
    half whose sequence has ended keeps its last state and remains coupled. Its input then counts as 0.
    """
    h1 = h2 = x1.new_zeros(len(x1), w.n_units)
    states1, states2 = [], []
    steps = torch.arange(x1.shape[1], dtype=torch.int64, device=x1.device)
    x1 = x1 * (steps < lengths1[:, None])[..., None]
    x2 = x2 * (steps < lengths2[:, None])[..., None]
    for t in range(x1.shape[1]):
        c1, c2 = coupling_gates(x1[:, t], x2[:, t], h1, h2, w)
        new1 = gru_step(x1[:, t], h1 + c1 * (h2 - h1), w)
        new2 = gru_step(x2[:, t], h2 + c2 * (h1 - h2), w)
        h1 = torch.where((t < lengths1)[:, None], new1, h1)
        h2 = torch.where((t < lengths2)[:, None], new2, h2)
        states1.append(h1)
        states2.append(h2)
    return torch.stack(states1, 1), torch.stack(states2, 1)


def gru_scan(x: Tensor, lengths: Tensor, w: RecurrentWeights) -> Tensor:
    """States (B, T, H) of the uncoupled GRU on inputs (B, T, F); an ended sequence keeps its last state."""
    h = x.new_zeros(len(x), w.n_units)
    states = []
    for t in range(x.shape[1]):
        h = torch.where((t < lengths)[:, None], gru_step(x[:, t], h, w), h)
        states.append(h)
    return torch.stack(states, 1)


def pool_states(states: Tensor, lengths: Tensor, how: str) -> Tensor:
    """(B, T, H) -> (B, H): the mean of the valid states, or the last one."""
    if how == "last":
        return states[torch.arange(len(states), dtype=torch.int64, device=states.device), lengths - 1]
    valid = (torch.arange(states.shape[1], dtype=torch.int64, device=states.device) < lengths[:, None])[..., None]
    return (states * valid).sum(1) / lengths[:, None]
