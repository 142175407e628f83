"""Random convolutions of a padded batch (`_ops.reference.random_convolution`), in the order of additions of all forms.

A scan over the dilations keeps the program small. Layouts: V views, B sequences, T steps, C channels, D dilations of
all views, K kernels, S channels of a kernel, n biases of a kernel, P features of all views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from skseqmetric._ops.scanned.scan import State, scan
from skseqmetric._ops.steps import valid_steps

_LENGTH = 9


class BankArrays(NamedTuple):
    """Banks of several views as arrays of one shape for every dilation.

    views : (D,) the view that a dilation belongs to.
    dilations : (D,).
    channels : (D, K, S) channels of the sums; C where a place is not in use.
    taps : (D, 3, K, S) columns of the nine taps of all channels, that is tap * C + channel; 9 C where not in use.
    biases : (D, K, n), infinity where there is no bias.
    columns : (P,) places of the features among all D K n.
    """

    views: np.ndarray
    dilations: np.ndarray
    channels: np.ndarray
    taps: np.ndarray
    biases: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(cls, banks: Sequence[Any], taps: np.ndarray, n_channels: int) -> BankArrays:
        """Return the arrays of the `ConvolutionBank` of every view."""
        rows = [(view, bank, d) for view, bank in enumerate(banks) for d in range(len(bank.dilations))]
        slots = [bank.channel_slots(d) for _, bank, d in rows]
        shape = (len(rows), len(taps), max(used.shape[1] for _, used in slots))
        channels, read = np.full(shape, n_channels), np.full((len(rows), 3, *shape[1:]), _LENGTH * n_channels)
        for row, (numbers, used) in enumerate(slots):
            width = used.shape[1]
            channels[row, :, :width] = np.where(used, numbers, n_channels)
            columns = taps.T[:, :, None] * n_channels + numbers
            read[row, :, :, :width] = np.where(used, columns, _LENGTH * n_channels)
        n_biases = np.concatenate([bank.n_biases for bank in banks])
        biases = np.full((*shape[:2], n_biases.max()), np.inf, dtype=np.float32)
        there = np.broadcast_to(np.arange(biases.shape[2]) < n_biases[:, None, None], biases.shape)
        biases[there] = np.concatenate([bank.biases for bank in banks])
        views, dilations = np.array([row[0] for row in rows]), np.concatenate([bank.dilations for bank in banks])
        return cls(views, dilations, channels, read, biases, np.flatnonzero(there))


def shares_of_padded(x: Tensor, lengths: Tensor, banks: BankArrays) -> Tensor:
    """Return the shares (B, P) from views x (V, B, T, C), zero past the end of a sequence, and lengths (V, B), >= 1."""
    inputs = tuple(torch.tensor(part, device="cpu") for part in banks[:5])
    _, shares = scan(_shares, (x.new_zeros(1),), inputs, (x, lengths))
    return shares.transpose(0, 1).flatten(1)[:, torch.tensor(banks.columns, device="cpu")]


def _shares(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
    """Return the state, which is not used, and the shares (B, K, n) of one dilation of one view."""
    view, dilation, channels, taps, biases = inputs
    x, lengths = (part.index_select(0, view[None])[0] for part in constants)
    t = torch.arange(x.shape[1], dtype=torch.int64, device=x.device)
    steps = t[:, None] + (torch.arange(_LENGTH, dtype=torch.int64, device=x.device) - _LENGTH // 2) * dilation
    there = (steps >= 0) & (steps < x.shape[1])
    nine = torch.where(there[..., None], x[:, torch.where(there, steps, 0)], 0)
    parts = nine.unbind(2)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    v = -_sums(total, channels)
    tripled = ((nine + nine) + nine).flatten(2)
    for read in taps.unbind(0):
        v = v + _sums(tripled, read)
    inside = valid_steps(lengths, x.shape[1])[:, :, None]
    exceeds = torch.where(inside, v, -torch.inf)[..., None] > biases
    return state, exceeds.to(x.dtype).sum(1) / lengths[:, None, None].to(x.dtype)


def _sums(x: Tensor, columns: Tensor) -> Tensor:
    """Return the sums (B, T, K) of the columns (K, S) of x (B, T, N), added from the first to the last.

    Places that are not in use have the number N: they read a column of zeros.
    """
    read = pad(x, (0, 1))[:, :, columns]
    total, *others = read.unbind(3)
    for part in others:
        total = total + part
    return total
