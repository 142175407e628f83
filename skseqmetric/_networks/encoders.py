"""Encoders: of sequences, to features at a quarter of the steps, and of images, to one vector each."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, max_pool2d, pad, relu

from skseqmetric._networks.layers import RecurrentLayers, linear, silence_filters, started, unstarted
from skseqmetric._ops.batch_norm import shared_batch_norm
from skseqmetric._ops.dispatch import FORCED, SCANNED_FORMS
from skseqmetric._ops.ranks import RANKS
from skseqmetric._ops.steps import valid_steps

Length = TypeVar("Length", int, np.ndarray, Tensor)

IMAGE_FILTERS = (16, 32, 64, 128)
"""Filters of the blocks of the image encoder. The last block exists only if both sides have 16 pixels or more."""

CELLS = 4
"""Cells along the shorter side of an image, after its final map is averaged. Also the most rows of a strip's map."""

HIGH_STRIP = 24
"""Height in pixels from which a strip is halved twice along its width, and not once."""


class MaskedBatchNorm1d(nn.Module):
    """Batch normalisation over the valid steps of x (B, T, F). The result is zero past the end.

    In training it uses mean and variance of the sum(lengths) valid steps, and updates the running statistics. In
    evaluation it uses the running statistics. Without padding it equals `torch.nn.BatchNorm1d`. A single valid step in
    the whole batch has no variance. It is normalised by the running statistics, which then do not change.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(n_features, dtype=torch.float32, device="cpu")

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[2])
        valid = valid_steps(lengths, x.shape[1]).flatten()
        if FORCED.get() in SCANNED_FORMS:  # without a choice by the lengths
            return torch.where(valid[:, None], self._normalised(flat), 0).view_as(x)
        if bool(valid.all()):
            return self._normalised(flat).view_as(x)
        rows = valid.nonzero()[:, 0]
        result = self._normalised(flat.index_select(0, rows))
        return torch.zeros_like(flat).index_copy(0, rows, result).view_as(x)

    def _normalised(self, rows: Tensor) -> Tensor:
        if not self.training or len(rows) > 1 or RANKS.get() is not None:
            return _normalised(self.norm, rows)
        norm = self.norm
        return batch_norm(rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


class StepConvolution(nn.Module):
    """Convolution over time, (B, T, C) -> (B, T, F), with "same" padding by zeros.

    An even kernel reads one step more ahead than back. x must be zero past the end of every row. The result is not
    zero there.
    """

    def __init__(self, n_inputs: int, n_outputs: int, kernel: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = started(unstarted(nn.Conv1d, n_inputs, n_outputs, kernel), generator)
        self.around = (0, 0, (kernel - 1) // 2, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        # as an image of height 1 with its channels last, which needs no copy to (B, C, T) and back
        image = pad(x, self.around).transpose(1, 2)[:, :, None]
        alone = _is_alone(x)
        found = self._convolved(torch.cat([image, image]) if alone else image)
        return (found[:1] if alone else found)[:, :, 0].transpose(1, 2)

    def of_rows(self, maps: Tensor) -> Tensor:
        """Return the convolution of every row of maps along its columns, (B, C, h, w) -> (B, F, h, w)."""
        return self._convolved(pad(maps, self.around[2:]))

    def _convolved(self, image: Tensor) -> Tensor:
        return conv2d(image, self.layer.weight[:, :, None], self.layer.bias)


def pool_steps(x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum of every two steps, (B, T, F) -> (B, ceil(T / 2), F), and the new lengths.

    The last step of an odd number stays alone. Steps past the new end hold -inf or arbitrary values.
    """
    outside = ~valid_steps(lengths, x.shape[1])[..., None]
    if FORCED.get() in SCANNED_FORMS:  # without a choice by the number of steps
        padded = pad(x.masked_fill(outside, -torch.inf), (0, 0, 0, 1), value=-torch.inf)
        first = torch.arange(0, x.shape[1], 2, dtype=torch.int64, device=x.device)
        return torch.maximum(padded[:, first], padded[:, first + 1]), (lengths + 1) // 2
    image = x.masked_fill(outside, -torch.inf).transpose(1, 2)[:, :, None]
    return max_pool2d(image, (1, 2), ceil_mode=True)[:, :, 0].transpose(1, 2), (lengths + 1) // 2


class SeriesEncoder(nn.Module):
    """Encoder of sequences: (B, T, C) and lengths (B,) -> features (B, T', n_outputs) and their lengths (B,).

    It has two blocks [convolution over time - maximum of every two steps - batch normalisation - dropout]. Then follow
    a convolution with ReLU, as wide as the last one of the image encoder, a bidirectional LSTM and a linear layer.
    T' = ceil(T / 4) for any T >= 1. Values past the end of a row are never read. Features are zero there. Dropout acts
    on whole filters. It is drawn from the generator of a call; without a generator there is none. A batch costs
    O(B T F^2 kernel) for F filters, and T' sequential steps of the LSTM.

    Parameters
    ----------
    n_channels : channels C of the sequences.
    n_filters : filters of the two blocks.
    kernel : width of each convolution in steps.
    n_shared : filters of the last convolution.
    n_units, n_layers : units per direction, and layers, of the LSTM.
    dropout : probability that a filter of the blocks is set to zero.
    n_outputs : size of the features.
    generator : generator of the initial values.
    """

    def __init__(
        self,
        n_channels: int,
        n_filters: int = 200,
        kernel: int = 4,
        n_shared: int = 100,
        n_units: int = 60,
        n_layers: int = 2,
        dropout: float = 0.2,
        n_outputs: int = 100,
        *,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.dropout, self.n_outputs = dropout, n_outputs
        sizes = (n_channels, n_filters, n_filters)
        self.convolutions = nn.ModuleList(StepConvolution(a, b, kernel, generator) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(MaskedBatchNorm1d(n_filters) for _ in self.convolutions)
        self.shared = StepConvolution(n_filters, n_shared, kernel, generator)
        self.recurrence = RecurrentLayers(n_shared, n_units, n_layers, generator, bidirectional=True)
        self.output = linear(self.recurrence.n_outputs, n_outputs, generator)

    @staticmethod
    def output_lengths(lengths: Length) -> Length:
        """Return the lengths of the features, ceil(T / 4), from one length or an array of lengths."""
        return (lengths + 3) // 4

    def forward(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.read(*self.shared_map(values, lengths, generator))

    def shared_map(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the output (B, T', n_shared) of the shared convolution, arbitrary past the end, and its lengths."""
        x = values.masked_fill(~valid_steps(lengths, values.shape[1])[..., None], 0)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x, lengths = pool_steps(convolution(x), lengths)
            x = silence_filters(norm(x, lengths), self.dropout, 2, generator)
        return relu(self.shared(x)), lengths

    def read(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and lengths from what `shared_map` returns."""
        features = self.output(self.recurrence(maps, lengths))
        return features.masked_fill(~valid_steps(lengths, maps.shape[1])[..., None], 0), lengths


class CommonConvolution(nn.Module):
    """The shared convolution of a series encoder over maps of images, (B, C, h, w) -> (B, F, h, w).

    A pointwise convolution leaves as many channels as sequences have there. The weights behind it are those of the
    other encoder: what slides along the steps of a sequence slides along every row of an image.

    Parameters
    ----------
    n_inputs : channels C of the maps.
    common : the convolution of the series encoder, which is not copied.
    generator : generator of the initial values of the pointwise convolution.
    """

    def __init__(self, n_inputs: int, common: StepConvolution, generator: torch.Generator) -> None:
        super().__init__()
        self.pointwise = _image_convolution(n_inputs, common.layer.in_channels, generator, kernel=1)
        self.common = common

    def forward(self, maps: Tensor) -> Tensor:
        return self.common.of_rows(relu(self.pointwise(maps)))


class ImageEncoder(nn.Module):
    """Encoder of images: (B, c, h, w) -> one vector per image, (B, n_outputs).

    It has blocks [convolution 3 x 3 - batch normalisation - ReLU - maximum of 2 x 2 pixels - dropout] with 16, 32, 64
    and 128 filters. The last block exists only if both sides have 16 pixels or more. Then follows a convolution 3 x 3
    with ReLU, as wide as the last one of the series encoder. Its map is averaged to at most 4 x 4 cells. An oblong
    image has proportionally more cells along the longer side, at most 32. A linear layer reads all cells. Dropout is
    that of `SeriesEncoder`.

    Parameters
    ----------
    shape : (channels, height, width) of the images. Height and width are then fixed.
    n_shared : filters of the last convolution.
    n_outputs : size of the vector.
    dropout : probability that a filter of the blocks is set to zero.
    generator : generator of the initial values.
    common : the shared convolution of the series encoder, to be that of the images too. None: they have their own.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        n_shared: int = 100,
        n_outputs: int = 100,
        dropout: float = 0.2,
        *,
        generator: torch.Generator,
        common: StepConvolution | None = None,
    ) -> None:
        super().__init__()
        channels, *sides = shape
        self.dropout, self.n_outputs = dropout, n_outputs
        n_blocks = _n_blocks(shape)
        sizes = (channels, *IMAGE_FILTERS[:n_blocks])
        self.convolutions = nn.ModuleList(_image_convolution(a, b, generator, bias=False) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm2d(n, dtype=torch.float32, device="cpu") for n in sizes[1:])
        self.shared = _shared_convolution(sizes[-1], n_shared, common, generator)
        pooled = [math.ceil(side / 2**n_blocks) for side in sides]
        most = [min(32, CELLS * round(side / min(sides))) for side in sides]
        self.window = tuple(math.ceil(n / cells) for n, cells in zip(pooled, most, strict=True))
        n_cells = math.prod(math.ceil(n / step) for n, step in zip(pooled, self.window, strict=True))
        self.output = linear(n_cells * n_shared, n_outputs, generator)

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.read(self.shared_map(images, generator))

    def shared_map(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the output (B, n_shared, h', w') of the shared convolution."""
        alone, pools = _is_alone(images), [(2, 2)] * len(self.convolutions)
        x = torch.cat([images, images]) if alone else images
        maps = relu(self.shared(_image_blocks(x, self.convolutions, self.norms, pools, self.dropout, generator)))
        return maps[:1] if alone else maps

    def read(self, maps: Tensor) -> Tensor:
        """Return vectors (B, n_outputs) from what `shared_map` returns."""
        return self.output(avg_pool2d(maps, self.window, ceil_mode=True).flatten(1))


class StripEncoder(nn.Module):
    """Encoder of strips that are read from left to right: (B, c, h, w) -> features of columns (B, S, n_outputs).

    Its blocks are those of `ImageEncoder`, but only the first one halves the width, or the first two from a height of
    24 pixels. The others halve the height alone, so that S = ceil(w / 2) or ceil(w / 4). The convolution after them is
    that of `ImageEncoder`. Its map is averaged to at most four rows. The rows of a column are the input of a
    bidirectional LSTM, and a linear layer follows. A batch costs the convolutions and S sequential steps.

    Parameters
    ----------
    shape : (channels, height, width) of the images. Height and width are then fixed.
    n_shared : filters of the last convolution.
    n_units, n_layers : units per direction, and layers, of the LSTM.
    n_outputs : size of the features.
    dropout : probability that a filter of the blocks is set to zero.
    generator : generator of the initial values.
    common : as in `ImageEncoder`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        n_shared: int = 100,
        n_units: int = 60,
        n_layers: int = 2,
        n_outputs: int = 100,
        dropout: float = 0.2,
        *,
        generator: torch.Generator,
        common: StepConvolution | None = None,
    ) -> None:
        super().__init__()
        channels, height, _ = shape
        self.dropout, self.n_outputs = dropout, n_outputs
        n_blocks = _n_blocks(shape)
        self.pools = [(2, 2) if k < _n_halvings(height) else (2, 1) for k in range(n_blocks)]
        sizes = (channels, *IMAGE_FILTERS[:n_blocks])
        self.convolutions = nn.ModuleList(_image_convolution(a, b, generator, bias=False) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm2d(n, dtype=torch.float32, device="cpu") for n in sizes[1:])
        self.shared = _shared_convolution(sizes[-1], n_shared, common, generator)
        rows = math.ceil(height / 2**n_blocks)
        self.window = math.ceil(rows / CELLS)
        n_inputs = math.ceil(rows / self.window) * n_shared
        self.recurrence = RecurrentLayers(n_inputs, n_units, n_layers, generator, bidirectional=True)
        self.output = linear(self.recurrence.n_outputs, n_outputs, generator)

    @staticmethod
    def n_steps(shape: tuple[int, int, int]) -> int:
        """Return the number S of columns that are left of images (channels, height, width)."""
        return math.ceil(shape[2] / 2 ** _n_halvings(shape[1]))

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.read(self.shared_map(images, generator))

    def shared_map(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the output (B, n_shared, h', S) of the shared convolution."""
        alone = _is_alone(images)
        x = torch.cat([images, images]) if alone else images
        maps = relu(self.shared(_image_blocks(x, self.convolutions, self.norms, self.pools, self.dropout, generator)))
        return maps[:1] if alone else maps

    def read(self, maps: Tensor) -> Tensor:
        """Return features (B, S, n_outputs) from what `shared_map` returns."""
        columns = avg_pool2d(maps, (self.window, 1), ceil_mode=True).permute(0, 3, 1, 2).flatten(2)
        steps = torch.full((maps.shape[0],), columns.shape[1], dtype=torch.int64, device=maps.device)
        return self.output(self.recurrence(columns, steps))


def _n_blocks(shape: tuple[int, int, int]) -> int:
    """Return the number of blocks of an image encoder."""
    return 4 if min(shape[1:]) >= 16 else 3


def _n_halvings(height: int) -> int:
    """Return how often the width of a strip is halved."""
    return 1 if height < HIGH_STRIP else 2


def _is_alone(x: Tensor) -> bool:
    """Return whether a single row is asked for. It is computed twice: of one, torch convolves by another algorithm."""
    return torch.is_inference_mode_enabled() and len(x) == 1


def _shared_convolution(
    n_inputs: int, n_shared: int, common: StepConvolution | None, generator: torch.Generator
) -> nn.Module:
    if common is None:
        return _image_convolution(n_inputs, n_shared, generator)
    return CommonConvolution(n_inputs, common, generator)


def _image_blocks(
    x: Tensor,
    convolutions: nn.ModuleList,
    norms: nn.ModuleList,
    pools: list[tuple[int, int]],
    dropout: float,
    generator: torch.Generator | None,
) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    for convolution, norm, pool in zip(convolutions, norms, pools, strict=True):
        # pooling before ReLU is faster, with equal results
        x = relu(max_pool2d(_normalised(norm, convolution(x)), pool, ceil_mode=True))
        x = silence_filters(x, dropout, 1, generator)
    return x


def _normalised(norm: nn.Module, x: Tensor) -> Tensor:
    ranks = RANKS.get()
    normalised: Tensor = norm(x) if ranks is None or not norm.training else shared_batch_norm(norm, x, ranks)
    return normalised


def _image_convolution(
    n_inputs: int, n_outputs: int, generator: torch.Generator, *, kernel: int = 3, bias: bool = True
) -> nn.Conv2d:
    layer = started(unstarted(nn.Conv2d, n_inputs, n_outputs, kernel, padding=kernel // 2, bias=bias), generator)
    # channels last: half the time on a CPU
    layer.weight = nn.Parameter(layer.weight.detach().contiguous(memory_format=torch.channels_last))
    return layer
