"""Random convolutions of a padded batch (`_ops.reference.random_convolution`), in the order of additions of all forms.

Layouts: B sequences, T steps, C channels, K kernels, S channels of a kernel, P features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from skseqmetric._ops.steps import valid_steps

_LENGTH = 9


def shares_of_padded(x: Tensor, lengths: Tensor, bank: Any, taps: np.ndarray) -> Tensor:
    """Return the shares (B, P) from x (B, T, C), zero past the end of a sequence, and lengths (B,), >= 1."""
    inside = valid_steps(lengths, x.shape[1])[..., None]
    counts = [_counts(x, inside, bank, d, taps) for d in range(len(bank.dilations))]
    return torch.cat(counts, 1) / lengths[:, None].to(x.dtype)


def _counts(x: Tensor, inside: Tensor, bank: Any, d: int, taps: np.ndarray) -> Tensor:
    """Return the counts (B, K n) of the dilation with index d."""
    n, first = int(bank.n_biases[d]), len(taps) * int(bank.n_biases[:d].sum())
    biases = _constant(bank.biases[first : first + n * len(taps)].reshape(-1, n))
    v = _convolutions(x, int(bank.dilations[d]), bank.channel_slots(d), taps)
    found = torch.where(inside, v, -torch.inf)
    counts = [(found > biases[:, i]).sum(1) for i in range(n)]
    return torch.stack(counts, 2).flatten(1).to(x.dtype)


def _convolutions(x: Tensor, dilation: int, slots: tuple[np.ndarray, np.ndarray], taps: np.ndarray) -> Tensor:
    """Return v (B, T, K)."""
    around, n_steps = 4 * dilation, x.shape[1]
    padded = pad(x, (0, 0, around, around))
    shifted = [padded[:, i * dilation : i * dilation + n_steps] for i in range(_LENGTH)]
    total = shifted[0]
    for part in shifted[1:]:
        total = total + part
    channels, used = slots
    found = -_sums(total, channels, used)
    nine = torch.cat(shifted, 2)
    tripled = (nine + nine) + nine
    for j in range(3):
        found = found + _sums(tripled, taps[:, j, None] * x.shape[2] + channels, used)
    return found


def _sums(x: Tensor, columns: np.ndarray, used: np.ndarray) -> Tensor:
    """Return the sums (B, T, K) of the columns (K, S) of x (B, T, N), added from the first to the last."""
    # places that are not in use read a column of zeros
    with_zero = pad(x, (0, 1))
    read = _constant(np.where(used, columns, x.shape[2]).astype(np.int64))
    total = with_zero[..., read[:, 0]]
    for slot in range(1, columns.shape[1]):
        total = total + with_zero[..., read[:, slot]]
    return total


def _constant(values: np.ndarray) -> Tensor:
    return torch.tensor(values, device="cpu")
