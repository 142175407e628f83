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

from skseqmetric._ops.scanned.constants import constant
from skseqmetric._ops.scanned.scan import State, scan
from skseqmetric._ops.steps import valid_steps

_LENGTH = 9


class BankArrays(NamedTuple):
    """Banks of several views as arrays of one shape for every dilation.

    views : (D,) the view that a dilation belongs to.
    dilations : (D,).
    rows : (D, 4, K, S) which of 10 C + 1 rows are added: of the C rows of sums, and of the 9 C rows of the taps of all
        channels for each of the three taps of a kernel. Where a place is not in use, the last row, which is 0.
    biases : (D, K, n), infinity where there is no bias.
    columns : (P,) places of the features among all D K n.
    """

    views: np.ndarray
    dilations: np.ndarray
    rows: np.ndarray
    biases: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(cls, banks: Sequence[Any], taps: np.ndarray, n_channels: int) -> BankArrays:
        """Return the arrays of the `ConvolutionBank` of every view."""
        each = [(view, bank, d) for view, bank in enumerate(banks) for d in range(len(bank.dilations))]
        slots = [bank.channel_slots(d) for _, bank, d in each]
        first = n_channels * np.concatenate([np.zeros((1, len(taps)), dtype=np.int64), 1 + taps.T])[:, :, None]
        shape = (len(each), 4, len(taps), max(used.shape[1] for _, used in slots))
        rows = np.full(shape, (1 + _LENGTH) * n_channels)
        for own, (numbers, used) in zip(rows, slots, strict=True):
            own[:, :, : used.shape[1]] = np.where(used, first + numbers, own[:, :, : used.shape[1]])
        n_biases = np.concatenate([bank.n_biases for bank in banks])
        biases = np.full((len(each), len(taps), n_biases.max()), np.inf, dtype=np.float32)
        there = np.broadcast_to(np.arange(biases.shape[2]) < n_biases[:, None, None], biases.shape)
        biases[there] = np.concatenate([bank.biases for bank in banks])
        views, dilations = np.array([view for view, *_ in each]), np.concatenate([bank.dilations for bank in banks])
        return cls(views, dilations, rows, biases, np.flatnonzero(there))


def shares_of_padded(x: Tensor, lengths: Tensor, banks: BankArrays) -> Tensor:
    """Return the shares (B, P) from views x (V, B, T, C), zero past the end of a sequence, and lengths (V, B), >= 1."""
    inputs = tuple(constant(part) for part in banks[:4])
    # steps last, so that whole rows of steps are read and added
    by_channel = x.permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)
    _, shares = scan(_shares, (x.new_zeros(1),), inputs, (by_channel, lengths))
    return shares.flatten(0, 2)[constant(banks.columns)].T


def _shares(state: State, inputs: State, constants: State) -> tuple[State, Tensor]:
    """Return the state, which is not used, and the shares (K, n, B) of one dilation of one view."""
    view, dilation, rows, biases = inputs
    x, lengths = (part.index_select(0, view[None])[0] for part in constants)
    t = torch.arange(x.shape[2], dtype=torch.int64, device=x.device)
    steps = t + (torch.arange(_LENGTH, dtype=torch.int64, device=x.device) - _LENGTH // 2)[:, None] * dilation
    there = (steps >= 0) & (steps < x.shape[2])
    nine = torch.where(there, x[:, :, torch.where(there, steps, 0)], 0).permute(2, 0, 1, 3)
    total, *others = nine.unbind(0)
    for part in others:
        total = total + part
    read = torch.cat([-total, ((nine + nine) + nine).flatten(0, 1), torch.zeros_like(total[:1])])[rows]
    added, *others = read.unbind(2)
    for part in others:
        added = added + part
    v = ((added[0] + added[1]) + added[2]) + added[3]
    inside = valid_steps(lengths, x.shape[2])
    exceeds = torch.where(inside, v, -torch.inf)[:, None] > biases[:, :, None, None]
    return state, exceeds.to(x.dtype).sum(3) / lengths.to(x.dtype)
