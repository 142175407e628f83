"""Random convolutions of a padded batch (`_ops.reference.random_convolution`), in the order of additions of all forms.

A scan over the dilations keeps the program small. Layouts: B sequences, T steps, C channels, D dilations, K kernels,
S channels of a kernel, n biases of a kernel, P features.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from skseqmetric._ops.scanned.scan import State, scan
from skseqmetric._ops.steps import valid_steps

_LENGTH = 9


class BankArrays(NamedTuple):
    """A bank as arrays of one shape for every dilation.

    dilations : (D,).
    channels : (D, K, S) channels of the sums; C where a place is not in use.
    taps : (D, 3, K, S) columns of the nine taps of all channels, that is tap * C + channel; 9 C where not in use.
    biases : (D, K, n), infinity where there is no bias.
    columns : (P,) places of the features among all D K n.
    """

    dilations: np.ndarray
    channels: np.ndarray
    taps: np.ndarray
    biases: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(cls, bank: Any, taps: np.ndarray, n_channels: int) -> BankArrays:
        """Return the arrays of a `ConvolutionBank`."""
        n_dilations, n_kernels = len(bank.dilations), len(taps)
        slots = [bank.channel_slots(d) for d in range(n_dilations)]
        shape = (n_dilations, n_kernels, max(used.shape[1] for _, used in slots))
        channels, read = np.full(shape, n_channels), np.full((n_dilations, 3, *shape[1:]), _LENGTH * n_channels)
        for d, (numbers, used) in enumerate(slots):
            width = used.shape[1]
            channels[d, :, :width] = np.where(used, numbers, n_channels)
            columns = taps.T[:, :, None] * n_channels + numbers
            read[d, :, :, :width] = np.where(used, columns, _LENGTH * n_channels)
        biases = np.full((n_dilations, n_kernels, bank.n_biases.max()), np.inf, dtype=np.float32)
        there = np.broadcast_to(np.arange(biases.shape[2]) < bank.n_biases[:, None, None], biases.shape)
        biases[there] = bank.biases
        return cls(bank.dilations, channels, read, biases, np.flatnonzero(there))


def shares_of_padded(x: Tensor, lengths: Tensor, bank: BankArrays) -> Tensor:
    """Return the shares (B, P) from x (B, T, C), zero past the end of a sequence, and lengths (B,), >= 1."""
    inputs = tuple(torch.tensor(part, device="cpu") for part in bank[:4])
    _, counts = scan(_counts, (x.new_zeros(1),), inputs, (x, lengths))
    found = counts.transpose(0, 1).flatten(1)[:, torch.tensor(bank.columns, device="cpu")]
    return found / lengths[:, None].to(x.dtype)


def _counts(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
    """Return the state, which is not used, and the counts (B, K, n) of one dilation."""
    (dilation, channels, taps, biases), (x, lengths) = inputs, constants
    t = torch.arange(x.shape[1], dtype=torch.int64, device=x.device)
    steps = t[:, None] + (torch.arange(_LENGTH, dtype=torch.int64, device=x.device) - _LENGTH // 2) * dilation
    there = (steps >= 0) & (steps < x.shape[1])
    nine = torch.where(there[..., None], x[:, torch.where(there, steps, 0)], 0)
    total = nine[:, :, 0]
    for i in range(1, _LENGTH):
        total = total + nine[:, :, i]
    v = -_sums(total, channels)
    tripled = ((nine + nine) + nine).flatten(2)
    for j in range(3):
        v = v + _sums(tripled, taps[j])
    inside = valid_steps(lengths, x.shape[1])[:, :, None]
    exceeds = torch.where(inside, v, -torch.inf)[..., None] > biases
    return state, exceeds.to(x.dtype).sum(1)


def _sums(x: Tensor, columns: Tensor) -> Tensor:
    """Return the sums (B, T, K) of the columns (K, S) of x (B, T, N), added from the first to the last.

    Places that are not in use have the number N: they read a column of zeros.
    """
    read = pad(x, (0, 1))[:, :, columns]
    total = read[..., 0]
    for slot in range(1, columns.shape[1]):
        total = total + read[..., slot]
    return total
