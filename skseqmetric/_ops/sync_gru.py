"""The coupled GRU for training: pairs of sequences row by row, differentiable (`_ops.reference` defines it)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from skseqmetric._ops.weights import RecurrentWeights


def project(features: Tensor, w: RecurrentWeights) -> Tensor:
    """Input projections of every step, (B, T, F) -> (B, T, G): once per sequence, not once per pair.

    G = 3H, or 4H where the coupling gate reads the inputs (blocks r, z, n, gate). Biases that only add to a
    projection are folded in: b_r, b_z with their hidden twins, b_n; the gate's, halved where two projections meet.
    """
    n = w.n_units
    bias = torch.cat([w.input_bias[: 2 * n] + w.hidden_bias[: 2 * n], w.input_bias[2 * n :]])
    if w.gate_input is None or w.gate_bias is None:
        return linear(features, w.input, bias)
    gate_bias = w.gate_bias / 2 if w.coupling == "symmetric" else w.gate_bias
    return linear(features, torch.cat([w.input, w.gate_input]), torch.cat([bias, gate_bias]))


def sync_gru_pairs(
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, w: RecurrentWeights
) -> tuple[Tensor, Tensor]:
    """States of both halves, (P, T, H) each, for the pairs (rows[p], columns[p]) of projected sequences (B, T, G).

    Cost O(P T 14 H^2) FLOP for the symmetric gate; memory O(P T H) kept for the backward pass.
    """
    # under autocast the products are bfloat16; the state and what is added to it stay in the weights' precision
    projected = projected.to(w.hidden.dtype)
    both = torch.cat([rows, columns])
    n_pairs, first_end = len(rows), int(lengths.min())
    alive_until = lengths[both][:, None]
    h = projected.new_zeros(2 * n_pairs, w.n_units)
    states = []
    # unbind and not projected[:, t]: the backward pass of T slices would be quadratic in T
    for t, step in enumerate(projected.unbind(1)):
        new = _coupled_step(step.index_select(0, both), h, n_pairs, w)
        h = new if t < first_end else torch.where(t < alive_until, new, h)
        states.append(h)
    first, second = torch.stack(states, 1).split(n_pairs)
    return first, second


def _coupled_step(x: Tensor, h: Tensor, n_pairs: int, w: RecurrentWeights) -> Tensor:
    n = w.n_units
    h = _contract(x[:, 3 * n :], h, n_pairs, w)
    hidden = linear(h, w.hidden).to(h.dtype)
    r, z = torch.sigmoid(x[:, : 2 * n] + hidden[:, : 2 * n]).chunk(2, dim=1)
    candidate = torch.tanh(x[:, 2 * n : 3 * n] + r * (hidden[:, 2 * n :] + w.hidden_bias[2 * n :]))
    return torch.lerp(candidate, h, z)


def _contract(x_gate: Tensor, h: Tensor, n_pairs: int, w: RecurrentWeights) -> Tensor:
    """hb^i = h^i + c^i (h^j - h^i) for the stacked halves (2P, H)."""
    if w.coupling is None:
        return h
    h1, h2 = h.split(n_pairs)
    difference = h1 - h2
    if w.coupling == "diffusive":
        partner = torch.cat([h2, h1])
        gate = torch.sigmoid(x_gate + (linear(h, w.gate_hidden) + linear(partner, w.gate_other)).to(h.dtype))
        return torch.lerp(h, partner, gate / 2)
    if w.coupling == "scalar":
        pull = torch.sigmoid(w.gate_bias) / 2 * difference
    else:
        x1, x2 = x_gate.split(n_pairs)
        gate = torch.sigmoid(x1 + x2 + linear(difference.abs(), w.gate_hidden).to(h.dtype))
        pull = gate / 2 * difference
    return h + torch.cat([-pull, pull])
