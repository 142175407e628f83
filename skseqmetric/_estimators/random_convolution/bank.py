"""Draws a bank of random convolutions. Biases are quantiles of convolutions of training sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from skseqmetric._ops.eager.random_convolution import convolutions, nine_sums
from skseqmetric._ops.random_convolution import N_KERNELS, TAPS, ConvolutionBank

MAX_DILATIONS = 32

_GOLDEN = (np.sqrt(5) + 1) / 2

_ROUNDING = 2.0**-17  # of the largest convolution: above the error of its additions, and too little to matter

_VALUES = 1 << 22  # numbers of one convolution that are held at once

Read = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""A function of indices (m,) that returns these sequences, stacked along time, in float32, and their lengths (m,)."""


def draw_bank(
    read: Read,
    lengths: np.ndarray,
    n_channels: int,
    weights: np.ndarray,
    order: np.ndarray,
    n_features: int,
    rng: np.random.Generator,
) -> ConvolutionBank:
    """Return a bank of about `n_features` features for sequences of these `lengths` (n,). Only those drawn are read.

    Sequences are drawn with probabilities in proportion to `weights` (n,), from a list that has them in this `order`.
    """
    dilations, n_biases = spread_dilations(median_length(lengths, weights), n_features // N_KERNELS)
    starts, channels = _draw_channels(len(dilations) * N_KERNELS, n_channels, rng)
    shares = np.cumsum(weights[order] / weights.sum())
    drawn = order[np.searchsorted(shares[:-1], rng.random((len(dilations), N_KERNELS)), side="right")]
    bank = ConvolutionBank(dilations, n_biases, starts, channels, np.zeros(0, np.float32))
    levels = np.arange(1, N_KERNELS * n_biases.sum() + 1) * _GOLDEN % 1
    last = np.cumsum(N_KERNELS * n_biases)
    biases = [
        _biases(read, bank, d, drawn[d], levels[stop - N_KERNELS * n_biases[d] : stop]) for d, stop in enumerate(last)
    ]
    return ConvolutionBank(dilations, n_biases, starts, channels, np.concatenate(biases))


def median_length(lengths: np.ndarray, weights: np.ndarray) -> int:
    """Return the lower median of the lengths, weighted."""
    order = np.argsort(lengths, kind="stable")
    below = np.cumsum(weights[order])
    return int(lengths[order[np.searchsorted(below, below[-1] / 2)]])


def spread_dilations(n_steps: int, n_biases: int) -> tuple[np.ndarray, np.ndarray]:
    """Return dilations, even on a logarithmic scale from 1 to (n_steps - 1) / 8, and how many biases each has."""
    n = min(n_biases, MAX_DILATIONS)
    wanted = 2.0 ** np.linspace(0, np.log2(max(1.0, (n_steps - 1) / 8)), n)
    # the last one is whole where n_steps - 1 is a multiple of 8, but for rounding
    dilations, counts = np.unique(np.floor(wanted * (1 + 1e-12)).astype(np.int64), return_counts=True)
    return dilations, np.diff(np.cumsum(counts) * n_biases // n, prepend=0)


def _draw_channels(n: int, n_channels: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw n subsets of channels, of 2^u channels with u uniform in [0, log2(min(C, 9) + 1)); as starts and numbers."""
    most = min(n_channels, 9)
    sizes = np.minimum(np.floor(2.0 ** rng.uniform(0, np.log2(most + 1), n)).astype(np.int64), most)
    drawn = np.empty((n, most), dtype=np.int32)
    for j in range(most):
        # of the channels that are left, those before each one that is drawn already keep their number
        channel = rng.integers(n_channels - j, size=n)
        for taken in np.sort(drawn[:, :j], axis=1).T:
            channel += channel >= taken
        drawn[:, j] = channel
    used = np.arange(most) < sizes[:, None]
    ordered = np.sort(np.where(used, drawn, n_channels), axis=1)
    return np.concatenate([[0], np.cumsum(sizes)]), ordered[used].astype(np.int32)


def _biases(read: Read, bank: ConvolutionBank, d: int, drawn: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the biases (K n,) at one dilation: quantiles of the convolution of the sequence drawn for each kernel.

    Every other bias lies a little above its quantile, and the rest a little below. Equal values, of which data such as
    symbols and counts have many, are then on one side of it, however their sums were rounded.
    """
    levels = levels.reshape(N_KERNELS, -1)
    channels, used = bank.channel_slots(d)
    sides = np.where(np.arange(levels.shape[1]) % 2, 1, -1) * _ROUNDING
    found = np.empty(levels.shape, dtype=np.float32)
    used_rows, drawn = np.unique(drawn, return_inverse=True)
    values, lengths = read(used_rows)
    share = max(1, _VALUES // int(lengths[drawn].max()))
    for start in range(0, N_KERNELS, share):
        part = slice(start, start + share)
        reading = Reading(drawn[part], channels[part], used[part], TAPS[part], int(bank.dilations[d]))
        convolved = _convolved(values, lengths, reading)
        quantiles, largest = _quantiles(convolved, lengths[drawn[part]], levels[part])
        found[part] = quantiles + sides * largest[:, None]
    return found.ravel()


class Reading(NamedTuple):
    """What K kernels read: sequences (K,), channels (K, S) and which of them are used, and at which places (K, 3)."""

    drawn: np.ndarray
    channels: np.ndarray
    used: np.ndarray
    taps: np.ndarray
    dilation: int


def _convolved(values: np.ndarray, lengths: np.ndarray, read: Reading) -> np.ndarray:
    """Return the convolutions (K, T) of one sequence by each kernel; infinity behind the end."""
    drawn, channels, used, taps, dilation = read
    steps = np.arange(lengths[drawn].max())
    inside = steps < lengths[drawn][:, None]
    rows = (np.cumsum(lengths) - lengths)[drawn][:, None] + np.where(inside, steps, 0)
    sums = torch.zeros(1, *inside.shape, dtype=torch.float32, device="cpu")
    tripled = torch.zeros(1, len(drawn), len(steps) + 8 * dilation, dtype=torch.float32, device="cpu")
    for slot in range(channels.shape[1]):
        some = np.flatnonzero(used[:, slot])
        x = np.where(inside[some], values[rows[some], channels[some, slot, None]], np.float32(0))
        more = nine_sums(torch.from_numpy(x)[None], dilation)
        sums[:, some] += more[0]
        tripled[:, some] += more[1]
    found = convolutions(sums, tripled, dilation, torch.from_numpy(taps))[0].numpy()
    return np.where(inside, found, np.inf)


def _quantiles(convolved: np.ndarray, lengths: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return quantiles (K, n) of rows (K, T) at levels (K, n), linear between values, and their largest size (K,)."""
    ordered = np.sort(convolved, axis=1).astype(np.float64)
    places = levels * (lengths[:, None] - 1)
    lower = places.astype(np.int64)
    upper = np.minimum(lower + 1, lengths[:, None] - 1)
    rows = np.arange(len(ordered))[:, None]
    below, above = ordered[rows, lower], ordered[rows, upper]
    largest = np.maximum(-ordered[:, 0], ordered[rows[:, 0], lengths - 1])
    return below + (places - lower) * (above - below), np.abs(largest)
