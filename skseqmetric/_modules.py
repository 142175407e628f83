"""Networks as torch modules: parameters, their starting values, and how the operations are put together."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from skseqmetric._ops.gru import gru_readout, gru_scan
from skseqmetric._ops.steps import reverse_valid, valid_steps
from skseqmetric._ops.sync_gru import sync_gru_readout, sync_gru_scan
from skseqmetric._ops.weights import RecurrentWeights

KERNELS = (7, 5)


def stem_strides(longest: int, most: int | None) -> tuple[int, int]:
    """Strides of the stem's two convolutions, powers of 2, that leave at most so many steps; None: all of them."""
    total = 1
    while most is not None and -(-longest // total) > most:
        total *= 2
    first = 2 ** (total.bit_length() // 2)
    return first, total // first


STILL = 1e-3
"""Deviation within a sequence, in units of the training data's, below which a channel counts as constant."""


def instance_channels(values: Tensor, lengths: Tensor) -> Tensor:
    """Every channel in four ways, (B, T, C) -> (B, T, 4 C), zero past the end.

    As it is; standardised within its sequence; its differences from step to step over their deviation; and the
    logarithm of its own deviation, the same at all steps. The second and third show how a channel moves however little
    it does, beside others whose movements set the scale of the training data; the fourth says how much it moves.
    """
    dtype, valid = values.dtype, valid_steps(lengths, values.shape[1])[..., None]
    values = values.double()  # so that sums over more padding round alike
    centred, deviation = _standardised(values, valid, lengths, values.masked_fill(~valid, 0).sum(1, keepdim=True))
    steps = torch.diff(values, dim=1, prepend=values[:, :1])
    changes, _ = _standardised(steps, valid, lengths, torch.zeros_like(deviation))
    own = (deviation + STILL).log().expand_as(values)
    return torch.cat([values, centred, changes, own], 2).masked_fill(~valid, 0).to(dtype)


def _standardised(values: Tensor, valid: Tensor, lengths: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """Values less the mean total / length, over their deviation from it; and that deviation (B, 1, C)."""
    n_steps = lengths[:, None, None]
    centred = (values - total / n_steps).masked_fill(~valid, 0)
    deviation = (centred.square().sum(1, keepdim=True) / n_steps).sqrt()
    return centred / (deviation + STILL), deviation


class ConvStem(nn.Module):
    """Two convolutions over time with GELU, (B, T, C) -> (B, ceil(T / stride), S), masked before each one.

    Kernels 7 and 5, "same" padding with zeros, or all of it in front (`causal`), so that no output reads a later
    input. Padding steps are zeroed before every convolution, so that they act as the zeros outside the sequence and
    never leak into it. Given a generator (in training), `dropout` of the filters are silenced for a whole sequence.
    """

    def __init__(
        self, n_channels: int, n_filters: int, strides: tuple[int, int], dropout: float, generator: torch.Generator,
        *, causal: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.dropout, self.strides = dropout, strides
        self.in_front = [kernel - 1 if causal else 0 for kernel in KERNELS]
        widths = (n_channels, n_filters, n_filters)
        layers = [
            nn.utils.skip_init(
                nn.Conv1d, widths[i], widths[i + 1], KERNELS[i], strides[i], 0 if causal else KERNELS[i] // 2
            )
            for i in range(2)
        ]
        self.convolutions = nn.ModuleList(layers)
        for layer in layers:
            bound = 1 / math.sqrt(layer.weight[0].numel())
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    def forward(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x = values.transpose(1, 2)
        for layer, stride, in_front in zip(self.convolutions, self.strides, self.in_front, strict=True):
            x = gelu(layer(pad(x, (in_front, 0)) if in_front else x))
            lengths = torch.div(lengths - 1, stride, rounding_mode="floor") + 1
            x = x * valid_steps(lengths, x.shape[2])[:, None, :]
        if generator is not None and self.dropout:
            kept = torch.rand(*x.shape[:2], 1, generator=generator, device=x.device) >= self.dropout
            x = x * (kept / (1 - self.dropout))
        return x.transpose(1, 2), lengths


class SyncGRUCell(nn.Module):
    """The parameters of one direction; `weights()` is what the operations take.

    Start: hidden matrices orthogonal gate by gate, input matrices Xavier uniform, biases 0; coupling gate nearly
    closed (bias -2) with small matrices.
    """

    def __init__(self, n_features: int, n_units: int, coupling: str | None, generator: torch.Generator) -> None:
        super().__init__()
        self.coupling = coupling

        def new(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape))

        self.input, self.hidden = new(3 * n_units, n_features), new(3 * n_units, n_units)
        self.input_bias, self.hidden_bias = new(3 * n_units), new(3 * n_units)
        self.gate_bias = new(*(() if coupling == "scalar" else (n_units,))) if coupling else None
        gated = coupling in ("symmetric", "diffusive")
        self.gate_input = new(n_units, n_features) if gated else None
        self.gate_hidden = new(n_units, n_units) if gated else None
        self.gate_other = new(n_units, n_units) if coupling == "diffusive" else None
        self._start(generator)

    @torch.no_grad()
    def _start(self, generator: torch.Generator) -> None:
        for block in self.hidden.chunk(3):
            nn.init.orthogonal_(block, generator=generator)
        for block in self.input.chunk(3):
            nn.init.xavier_uniform_(block, generator=generator)
        if self.gate_bias is not None:
            self.gate_bias.fill_(-2.0)
        for matrix in (self.gate_input, self.gate_hidden, self.gate_other):
            if matrix is not None:
                nn.init.normal_(matrix, std=0.05, generator=generator)

    def weights(self) -> RecurrentWeights:
        return RecurrentWeights(
            self.input, self.hidden, self.input_bias, self.hidden_bias,
            self.coupling, self.gate_input, self.gate_hidden, self.gate_other, self.gate_bias,
        )  # fmt: skip


class SiameseNetwork(nn.Module):
    """What a learned metric trains: one network for both sequences of a pair. `n_outputs` is the embedding's size."""

    n_outputs: int

    def encode(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features (B, T', F) and their lengths: everything before the recurrence, zero past the end.

        With a generator dropout is drawn from it; without one there is none.
        """
        raise NotImplementedError

    def free_run(self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The embedding (B, n_outputs); with a generator, as in training."""
        raise NotImplementedError

    def pair_run(self, features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (P, n_outputs) of both halves of the pairs (rows[p], columns[p]), for networks whose pairs meet."""
        raise NotImplementedError


class SyncGRUNetwork(SiameseNetwork):
    """Stem, one recurrence per direction, read-out: the siamese network of `SyncGRUMetric`."""

    def __init__(
        self, n_channels: int, n_units: int, *, coupling: str | None, bidirectional: bool, readout: str,
        stem_channels: int | None, strides: tuple[int, int], dropout: float, generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self.readout = readout
        self.stem = ConvStem(n_channels, stem_channels, strides, dropout, generator) if stem_channels else None
        n_features = stem_channels or n_channels
        self.cells = nn.ModuleList(
            SyncGRUCell(n_features, n_units, coupling, generator) for _ in range(1 + bidirectional)
        )
        self.n_features, self.n_outputs = n_features, n_units * len(self.cells)

    def encode(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return (values, lengths) if self.stem is None else self.stem(values, lengths, generator)

    def n_steps(self, length: int) -> int:
        """Recurrent steps of a sequence."""
        for stride in () if self.stem is None else self.stem.strides:
            length = (length - 1) // stride + 1
        return length

    def directions(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Features in every direction, time first: (B, T, F) -> (D, T, B, F)."""
        ordered = [features] if len(self.cells) == 1 else [features, reverse_valid(features, lengths)]
        return torch.stack(ordered).transpose(1, 2)

    def weights(self) -> list[RecurrentWeights]:
        """The weights of every direction."""
        return [cell.weights() for cell in self.cells if isinstance(cell, SyncGRUCell)]

    def free_run(self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The embedding (B, D H): read-out of the uncoupled run, to which a sequence paired with itself reduces."""
        return gru_readout(self.directions(features, lengths), lengths, self.weights(), self.readout)

    def pair_run(self, features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Read-outs (P, D H) of both halves of the coupled pairs (rows[p], columns[p])."""
        ordered = self.directions(features, lengths)
        return sync_gru_readout(ordered, lengths, rows, columns, self.weights(), self.readout)

    def free_states(self, features: Tensor, lengths: Tensor) -> Tensor:
        """States (B, T, D H) of the uncoupled run, both directions' at their own place in time."""
        return in_place(gru_scan(self.directions(features, lengths), lengths, self.weights()), lengths)

    def pair_states(self, features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """States (T, D, P, H) of both halves of the coupled pairs."""
        return sync_gru_scan(self.directions(features, lengths), lengths, rows, columns, self.weights())


def in_place(states: Tensor, lengths: Tensor) -> Tensor:
    """States (T, D, B, H), each direction in the order it ran, as (B, T, D H) in the order of the steps."""
    ahead, *back = states.permute(1, 2, 0, 3)
    return torch.cat([ahead, *(reverse_valid(run, lengths) for run in back)], 2)
