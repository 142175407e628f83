"""Distances of sequences that match their states, for training: minima are soft, with a learned temperature.

Every sequence has states at P places. Layouts: B sequences, K pairs, P places, D numbers of a state. The costs between
the places of a pair are c_pq = |h^x_p - h^y_q|^2, and d^2 = mean_p f_p + mean_q g_q, where

    f_p = sum_q a_pq c_pq,  a_pq = softmax_q(-tau c_pq),  and g_q likewise over p.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.compiled import alignment_block as compiled
from skseqmetric._ops.dispatch import choose
from skseqmetric._ops.eager import alignment_block as eager
from skseqmetric._ops.reference import alignment_block as reference


def alignment_block(states: Tensor, temperature: Tensor) -> Tensor:
    """Return the soft squared distances (B, B) of all pairs of sequences with states (B, P, D).

    `temperature` is tau. The result is symmetric to the bit, and 0 on the diagonal. The forward pass takes B^2 P^2 D
    / 2 multiply-adds, and the backward pass twice as many. Memory beyond the result is bounded for any B. States of
    half precision are computed in float32.
    """
    states, tau = _operands(states, temperature)
    if choose("alignment_block", states, 1) == "compiled":
        return compiled.alignment_block(states, tau)
    n = len(states)
    i, j = torch.triu_indices(n, n, 1, dtype=torch.int64, device=states.device)
    squared = alignment_pairs(states, i, j, tau)
    block = squared.new_zeros(n, n).index_put((i, j), squared)
    return block + block.T


def alignment_pairs(states: Tensor, rows: Tensor, columns: Tensor, temperature: Tensor) -> Tensor:
    """Return the soft squared distances (K,) of `alignment_block` for the pairs (rows[k], columns[k])."""
    states, tau = _operands(states, temperature)
    chosen = choose("alignment_block", states, 1)
    if chosen == "reference":
        return reference.alignment_pairs(states, rows, columns, tau)
    if chosen == "compiled":
        return compiled.alignment_pairs(states, rows, columns, tau)
    return eager.alignment_pairs(states, rows, columns, tau)


def _operands(states: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in one dtype: float32 for states of half precision."""
    states = states.float() if states.dtype in (torch.float16, torch.bfloat16) else states
    return states, temperature.to(states.dtype)
