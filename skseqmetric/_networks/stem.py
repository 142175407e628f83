"""Layers in front of a recurrence: instance channels, and two convolutions over time."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, gelu

from skseqmetric._networks.layers import unstarted
from skseqmetric._ops.stem import conv_stem
from skseqmetric._ops.stem_shape import StemShape
from skseqmetric._ops.steps import valid_steps

KERNEL_SIZES = (7, 5)


def stem_strides(longest: int, most: int | None) -> tuple[int, int]:
    """Return strides of two convolutions, powers of 2, that leave at most `most` steps. None: strides of 1."""
    total = 1
    while most is not None and -(-longest // total) > most:
        total *= 2
    first = 2 ** (total.bit_length() // 2)
    return first, total // first


STILL = 1e-3
"""Deviation within a sequence below which a channel counts as constant, in units of the training data's deviation."""


VIEWS = ("standardised", "changes", "deviation")
"""The versions of a channel beside the channel itself, in the order of `instance_channels`."""


def read_channels(values: Tensor, lengths: Tensor, views: tuple[int, ...]) -> Tensor:
    """Return the channels (B, T, C), and behind them the columns `views` of `instance_channels`."""
    n_channels, every = values.shape[2], instance_channels(values, lengths)
    return every if len(views) == 3 * n_channels else every[..., [*range(n_channels), *views]]


def view_columns(n_channels: int) -> tuple[int, ...]:
    """Return the columns of all views in `instance_channels`."""
    return tuple(range(n_channels, (1 + len(VIEWS)) * n_channels))


def view_names(views: tuple[int, ...], n_channels: int) -> dict[str, tuple[int, ...]]:
    """Return the channels of every view that is among the columns `views` of `instance_channels`."""
    found = {name: tuple(v - n_channels * i for v in views if v // n_channels == i) for i, name in enumerate(VIEWS, 1)}
    return {name: channels for name, channels in found.items() if channels}


def instance_channels(values: Tensor, lengths: Tensor) -> Tensor:
    """Return four versions of every channel, (B, T, C) -> (B, T, 4 C), zero past the end.

    They are the channel itself, the channel standardised within its sequence, its standardised changes from step to
    step, and the logarithm of its deviation. The second and third show small movements that would vanish at the scale
    of the training data. The fourth keeps their size, and is constant in time.
    """
    dtype, valid = values.dtype, valid_steps(lengths, values.shape[1])[..., None]
    values = values.double()  # so that sums do not depend on the amount of padding
    centred, deviation = _standardised(values, valid, lengths, values.masked_fill(~valid, 0).sum(1, keepdim=True))
    steps = torch.diff(values, dim=1, prepend=values[:, :1])
    changes, _ = _standardised(steps, valid, lengths, torch.zeros_like(deviation))
    own = (deviation + STILL).log().expand_as(values)
    return torch.cat([values, centred, changes, own], 2).masked_fill(~valid, 0).to(dtype)


def _standardised(values: Tensor, valid: Tensor, lengths: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract the mean total / length, divide by the deviation, and return also the deviation (B, 1, C)."""
    n_steps = lengths[:, None, None]
    centred = (values - total / n_steps).masked_fill(~valid, 0)
    deviation = (centred.square().sum(1, keepdim=True) / n_steps).sqrt()
    return centred / (deviation + STILL), deviation


class ConvStem(nn.Module):
    """Two convolutions over time with GELU, (B, T, C) -> (B, ceil(T / stride), n_filters).

    The kernels have `kernel_sizes` steps, odd numbers, with "same" padding by zeros. A `causal` stem is padded in
    front only, so that no output reads a later input. Padded steps are set to zero before every convolution, so that
    they act like the zeros outside the sequence. With a generator, a share `dropout` of the filters is zero for a whole
    sequence.
    """

    def __init__(
        self,
        n_channels: int,
        n_filters: int,
        strides: tuple[int, int],
        dropout: float,
        generator: torch.Generator,
        *,
        kernel_sizes: tuple[int, int] = KERNEL_SIZES,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.dropout, self.strides = dropout, strides
        self.kernel_sizes, self.causal = kernel_sizes, causal
        widths = (n_channels, n_filters, n_filters)
        layers: list[Any] = [
            unstarted(nn.Conv1d, widths[i], widths[i + 1], size, strides[i], 0 if causal else size // 2)
            for i, size in enumerate(kernel_sizes)
        ]
        self.convolutions = nn.ModuleList(layers)
        for layer in layers:
            bound = 1 / math.sqrt(layer.weight[0].numel())
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    @property
    def shape(self) -> StemShape:
        """What the convolutions look like."""
        first, second = (size - 1 if self.causal else size // 2 for size in self.kernel_sizes)
        return StemShape(self.kernel_sizes, self.strides, (first, second))

    def forward(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        factors = None
        if generator is not None and self.dropout:
            size = len(values), self._layers()[0].out_channels
            drawn = torch.rand(*size, generator=generator, dtype=torch.float32, device=values.device)
            factors = (drawn >= self.dropout).float() / (1 - self.dropout)
        weights = tuple(tensor for c in self._layers() for tensor in (c.weight, c.bias) if tensor is not None)
        features = conv_stem(values, lengths, weights, self.shape, factors)
        for stride in self.strides:
            lengths = torch.div(lengths - 1, stride, rounding_mode="floor") + 1
        return features, lengths

    def first_inputs(self) -> tuple[Tensor, ...]:
        """Return the inputs of the convolutions before the first step: the zeros that pad a sequence in front."""
        return tuple(c.weight.new_zeros(c.in_channels, c.kernel_size[0] - 1) for c in self._layers())

    def advance(self, x: Tensor, before: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the features of one step x (C,) of a causal stem of stride 1, and the inputs to keep."""
        kept: list[Tensor] = []
        for layer, inputs in zip(self._layers(), before, strict=True):
            seen = torch.cat([inputs, x[:, None]], 1)
            x = gelu(conv1d(seen[None], layer.weight, layer.bias))[0, :, 0]
            kept.append(seen[:, 1:])
        return x, tuple(kept)

    def _layers(self) -> list[nn.Conv1d]:
        return [layer for layer in self.convolutions if isinstance(layer, nn.Conv1d)]
