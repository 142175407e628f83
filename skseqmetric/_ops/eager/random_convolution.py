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
    biases = torch.from_numpy(bank.biases[first : first + n * len(taps)].reshape(len(taps), n))
    biases = biases.to(x.device, x.dtype)
    z = x if x.shape[1] == 1 else channel_sums(x, *channel_slots(bank, d, len(taps)))
    found = convolutions(z, int(bank.dilations[d]), taps)
    found = found.masked_fill_(~inside[:, None], -torch.inf)
    counts = [(found > biases[:, i, None]).sum(2, dtype=x.dtype) for i in range(n)]
    return torch.stack(counts, 2).flatten(1)


def channel_slots(bank: Any, d: int, n_kernels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the channels (K, S) that the kernels read at one dilation, and which of these S places are in use."""
    starts = bank.starts[d * n_kernels : (d + 1) * n_kernels + 1]
    sizes = np.diff(starts)
    used = np.arange(sizes.max()) < sizes[:, None]
    return bank.channels[np.where(used, starts[:-1, None] + np.arange(sizes.max()), 0)], used


def channel_sums(x: Tensor, channels: np.ndarray, used: np.ndarray) -> Tensor:
    """Return z (B, K, T), the sums of the channels (K, S) of x (B, C, T), added from the first to the last."""
    z = x[:, torch.from_numpy(channels[:, 0]).to(x.device, torch.int64)]
    for slot in range(1, channels.shape[1]):
        rows = np.flatnonzero(used[:, slot])
        chosen = torch.from_numpy(channels[rows, slot]).to(x.device, torch.int64)
        z[:, torch.from_numpy(rows).to(x.device)] += x[:, chosen]
    return z


def convolutions(z: Tensor, dilation: int, taps: Tensor) -> Tensor:
    """Return v (B, K, T) of all kernels from z (B, K, T), or from z (B, 1, T) that they share."""
    padded = pad(z, (4 * dilation, 4 * dilation))
    shifted = _shifted(padded, dilation)
    total = shifted[:, :, 0]
    for i in range(1, _LENGTH):
        total = total + shifted[:, :, i]
    tripled = _shifted((padded + padded) + padded, dilation)
    row = torch.arange(z.shape[1], dtype=torch.int64, device=z.device)
    found = -total + tripled[:, row, taps[:, 0]]
    for j in (1, 2):
        found += tripled[:, row, taps[:, j]]
    return found


def _shifted(padded: Tensor, dilation: int) -> Tensor:
    """Return the nine views (B, K, 9, T) of z that are `dilation` steps apart."""
    n_rows, n_kernels, width = padded.shape
    step = (n_kernels * width, width, dilation, 1)
    return padded.as_strided((n_rows, n_kernels, _LENGTH, width - 8 * dilation), step)
