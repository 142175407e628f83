r"""Shares of steps at which random convolutions exceed their biases (`_ops.reference.random_convolution` defines them).

The 84 kernels have nine weights: 2 at three places and -1 at the six others. With the dilation d, the set S of the
channels that a kernel reads, and zeros outside the steps of the sequence:

.. math::
    v_t = -\sum_{c \in S} \sum_{i=0}^{8} x_{t + (i - 4) d,\, c} +
          3 \sum_{i \in (a, b, c)} \sum_{c \in S} x_{t + (i - 4) d,\, c}

A feature is the share of the steps with :math:`v_t > b`. All forms add the same float32 numbers in the same order, so
that they agree in every bit. Layouts: B sequences, T steps, C channels, D dilations, K = 84 kernels, P features. A
sequence costs O(T D K) additions and T P comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from torch import Tensor

from skseqmetric._files import record
from skseqmetric._ops import compiled
from skseqmetric._ops.dispatch import choose
from skseqmetric._ops.eager import random_convolution as eager
from skseqmetric._ops.reference import random_convolution as reference

__all__ = ["LENGTH", "N_KERNELS", "TAPS", "ConvolutionBank", "convolution_shares"]

LENGTH = 9
"""Weights of a kernel."""

TAPS = np.array(list(combinations(range(LENGTH), 3)))
"""Places (K, 3) of the weights of 2."""

N_KERNELS = len(TAPS)


@record(dilations="int64 D", n_biases="int64 D", starts="int64 *", channels="int32 *", biases="float32 *")
@dataclass(frozen=True, eq=False)
class ConvolutionBank:
    """Random convolutions with their biases. Arrays on the host, so that a bank is the same on every device.

    Parameters
    ----------
    dilations : ndarray (D,) int64
        Steps between two weights of a kernel.
    n_biases : ndarray (D,) int64
        Biases that each kernel has at this dilation, >= 1.
    starts : ndarray (D K + 1,) int64
        The kernel k of the dilation d reads the channels `channels[starts[j]:starts[j + 1]]`, with j = d K + k.
    channels : ndarray int32
        Channels in ascending order, at least one for each (dilation, kernel).
    biases : ndarray (P,) float32
        Biases of all kernels, by dilation, kernel, number.
    """

    dilations: np.ndarray
    n_biases: np.ndarray
    starts: np.ndarray
    channels: np.ndarray
    biases: np.ndarray

    def check_record(self) -> None:
        """Raise ValueError if one of the arrays does not fit the others. A kernel would read beyond its memory."""
        starts, n_kernels = self.starts, N_KERNELS * len(self.dilations)
        in_order = len(starts) == n_kernels + 1 and starts[0] == 0 and (np.diff(starts) > 0).all()
        if not in_order or starts[-1] != len(self.channels) or (self.dilations < 1).any() or (self.channels < 0).any():
            raise ValueError("the channels of the random convolutions are not where they should be.")
        n_biases = self.n_biases
        if (
            (n_biases < 1).any()
            or (n_biases > len(self.biases)).any()
            or N_KERNELS * n_biases.sum() != len(self.biases)
        ):
            raise ValueError("the random convolutions have not as many biases as they should.")

    def check_channels(self, n_channels: int) -> None:
        """Raise ValueError if a kernel reads a channel that sequences of so many channels do not have."""
        if (self.channels >= n_channels).any():
            raise ValueError(f"the random convolutions read more than {n_channels} channels.")

    @cached_property
    def order(self) -> np.ndarray:
        """The kernels (D, K) int32 of every dilation in an order in which those with equal channels are neighbours."""
        each = range(len(self.dilations))
        slots = [np.where(used, channels, -1) for channels, used in (self.channel_slots(d) for d in each)]
        return np.array([np.lexsort(columns.T) for columns in slots], dtype=np.int32)

    def channel_slots(self, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the channels (K, S) that the kernels read at one dilation, and which of these S places are in use."""
        starts = self.starts[d * N_KERNELS : (d + 1) * N_KERNELS + 1]
        sizes = np.diff(starts)
        used = np.arange(sizes.max()) < sizes[:, None]
        return self.channels[np.where(used, starts[:-1, None] + np.arange(sizes.max()), 0)], used

    @property
    def n_features(self) -> int:
        """Number of features P."""
        return len(self.biases)


def convolution_shares(values: Tensor, lengths: np.ndarray, bank: ConvolutionBank) -> Tensor:
    """Return the shares (B, P) from the steps of all sequences (sum of lengths, C) and their lengths (B,), >= 1."""
    chosen = choose("random_convolution", values, 1)
    if chosen == "reference":
        return reference.convolution_shares(values, lengths, bank, TAPS)
    if chosen == "compiled":
        return compiled.convolution_shares(values.contiguous(), lengths, bank)
    return eager.convolution_shares(values, lengths, bank, TAPS)
