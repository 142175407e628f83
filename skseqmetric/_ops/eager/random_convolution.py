"""Random convolutions as torch operations: sequences of similar lengths together, one dilation after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

_LENGTH = 9
_VALUES = 1 << 21  # numbers of one convolution that are held at once; about twenty times as many bytes are in use


def convolution_shares(values: Tensor, lengths: np.ndarray, bank: Any, taps: np.ndarray) -> Tensor:
    """Return the shares (B, P), in the dtype of the values."""
    out = values.new_empty(len(lengths), len(bank.biases))
    places = torch.from_numpy(taps).to(values.device)
    for indices in _batches(lengths, _VALUES // len(taps)):
        x, inside = _padded(values, lengths, indices)
        shares = torch.cat([_shares_of(x, inside, bank, d, places) for d in range(len(bank.dilations))], 1)
        out[torch.from_numpy(indices).to(out.device)] = shares / inside.sum(1, dtype=out.dtype)[:, None]
    return out


def _batches(lengths: np.ndarray, n_steps: int) -> Iterator[np.ndarray]:
    """Yield indices of similar lengths, with at most so many padded steps, or of one sequence."""
    order, start = np.argsort(lengths, kind="stable"), 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= n_steps:
            stop += 1
        yield order[start:stop]
        start = stop


def _padded(values: Tensor, lengths: np.ndarray, indices: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the channels (B, C, T), zero behind the end, and which steps (B, T) there are."""
    chosen = lengths[indices]
    inside = np.arange(chosen.max()) < chosen[:, None]
    rows = (np.cumsum(lengths) - lengths)[indices][:, None] + np.where(inside, np.arange(chosen.max()), 0)
    valid = torch.from_numpy(inside).to(values.device)
    x = values[torch.from_numpy(rows).to(values.device)]
    return torch.where(valid[..., None], x, 0).transpose(1, 2).contiguous(), valid


def _shares_of(x: Tensor, inside: Tensor, bank: Any, d: int, taps: Tensor) -> Tensor:
    """Return the counts (B, K n) of the dilation with index d."""
    n, first = int(bank.n_biases[d]), len(taps) * int(bank.n_biases[:d].sum())
    biases = torch.tensor(bank.biases[first : first + n * len(taps)].reshape(len(taps), n), device=x.device)
    sums, tripled = nine_sums(x, int(bank.dilations[d]))
    if x.shape[1] > 1:
        slots = bank.channel_slots(d)
        sums, tripled = _channel_sums(sums, *slots), _channel_sums(tripled, *slots)
    found = convolutions(sums, tripled, int(bank.dilations[d]), taps).masked_fill_(~inside[:, None], -torch.inf)
    counts = [(found > biases[:, i, None]).sum(2) for i in range(n)]
    return torch.stack(counts, 2).flatten(1).to(x.dtype)


def nine_sums(x: Tensor, dilation: int) -> tuple[Tensor, Tensor]:
    """Return minus the sums of nine taps (B, C, T) of x (B, C, T), and three times x between zeros, (B, C, T + 8 d)."""
    padded = pad(x, (4 * dilation, 4 * dilation))
    shifted = _shifted(padded, dilation)
    total = shifted[:, :, 0]
    for i in range(1, _LENGTH):
        total = total + shifted[:, :, i]
    return -total, (padded + padded) + padded


def convolutions(sums: Tensor, tripled: Tensor, dilation: int, taps: Tensor) -> Tensor:
    """Return v (B, K, T) of kernels with the places `taps` (K, 3), from sums of each of them or of one channel."""
    shifted = _shifted(tripled, dilation)
    row = torch.arange(shifted.shape[1], dtype=torch.int64, device=sums.device)
    found = sums + shifted[:, row, taps[:, 0]]
    for j in (1, 2):
        found += shifted[:, row, taps[:, j]]
    return found


def _channel_sums(x: Tensor, channels: np.ndarray, used: np.ndarray) -> Tensor:
    """Return the sums (B, K, T) of the channels (K, S) of x (B, C, T), added from the first to the last."""
    z = x[:, torch.from_numpy(channels[:, 0]).to(x.device, torch.int64)]
    for slot in range(1, channels.shape[1]):
        rows = np.flatnonzero(used[:, slot])
        chosen = torch.from_numpy(channels[rows, slot]).to(x.device, torch.int64)
        z[:, torch.from_numpy(rows).to(x.device)] += x[:, chosen]
    return z


def _shifted(padded: Tensor, dilation: int) -> Tensor:
    """Return the nine views (B, C, 9, T) that are `dilation` steps apart."""
    n_rows, n_channels, width = padded.shape
    shape = (n_rows, n_channels, _LENGTH, width - 8 * dilation)
    return padded.as_strided(shape, (n_channels * width, width, dilation, 1))
