"""The coupled siamese GRU: the parameters of a direction, and the network of stem, recurrences and pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skseqmetric._networks.siamese import SiameseNetwork
from skseqmetric._networks.stem import ConvStem, read_channels, stem_strides
from skseqmetric._ops.gru import gru_pooled, gru_scan
from skseqmetric._ops.places import states_at_places
from skseqmetric._ops.stem_shape import steps_behind
from skseqmetric._ops.steps import pool_states, reverse_valid
from skseqmetric._ops.sync_gru import sync_gru_pooled, sync_gru_scan
from skseqmetric._ops.weights import RecurrentWeights


class SyncGRUCell(nn.Module):
    """The parameters of one direction. `weights()` returns the arguments of the operations.

    Initial values: hidden matrices are orthogonal gate by gate, input matrices Xavier uniform, biases 0. The coupling
    gate is nearly closed: its bias is -2 and its matrices are small.
    """

    def __init__(self, n_features: int, n_units: int, coupling: str | None, generator: torch.Generator) -> None:
        super().__init__()
        self.coupling = coupling

        def new(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape, dtype=torch.float32, device="cpu"))

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
        if self.hidden.is_meta:
            return
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
            self.input,
            self.hidden,
            self.input_bias,
            self.hidden_bias,
            self.coupling,
            self.gate_input,
            self.gate_hidden,
            self.gate_other,
            self.gate_bias,
        )


class SyncGRUNetwork(SiameseNetwork):
    """The siamese network of `SyncGRUMetric`: a stem, one recurrence per direction, and pooling over time.

    The strides of the stem leave at most `max_recurrent_steps` of the `longest` sequence; None: stride 1. With
    coupling "alignment" no gate couples the recurrences. The network reads the channels, and the columns `views` of
    `instance_channels`.
    """

    def __init__(
        self,
        n_channels: int,
        n_units: int,
        *,
        coupling: str | None,
        bidirectional: bool,
        pooling: str,
        n_filters: int | None,
        kernel_sizes: tuple[int, int],
        longest: int,
        max_recurrent_steps: int | None,
        dropout: float,
        n_places: int = 24,
        pooled_weight: float = 1.0,
        views: tuple[int, ...] = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = generator or torch.Generator("cpu").manual_seed(0)
        self.pooling, self.n_units = pooling, n_units
        self.coupling, self.n_places, self.pooled_weight = coupling, n_places, pooled_weight
        gate = None if coupling == "alignment" else coupling
        self.views = views
        n_channels += len(views)
        self.stem = None
        if n_filters:
            strides = stem_strides(longest, max_recurrent_steps)
            self.stem = ConvStem(n_channels, n_filters, strides, dropout, generator, kernel_sizes=kernel_sizes)
        self.n_features = n_filters or n_channels
        self.cells = nn.ModuleList(
            SyncGRUCell(self.n_features, n_units, gate, generator) for _ in range(1 + bidirectional)
        )
        self.n_place_units = n_units * len(self.cells)
        self.n_outputs = self.n_place_units * (2 if pooling == "both" else 1)

    def encode(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        if self.views:
            values = read_channels(values, lengths, self.views)
        return (values, lengths) if self.stem is None else self.stem(values, lengths, generator)

    def n_steps(self, length: int) -> int:
        """Return the recurrent steps of a sequence."""
        return length if self.stem is None else steps_behind(length, self.stem.strides)

    def directions(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return the features in every direction, time first: (B, T, F) -> (D, T, B, F)."""
        ordered = [features] if len(self.cells) == 1 else [features, reverse_valid(features, lengths)]
        return torch.stack(ordered).transpose(1, 2)

    def weights(self) -> list[RecurrentWeights]:
        """Return the weights of every direction."""
        return [cell.weights() for cell in self.cells if isinstance(cell, SyncGRUCell)]

    def free_run(self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the pooled states of the uncoupled run. The run of a sequence paired with itself equals it."""
        return gru_pooled(features.transpose(0, 1)[None], lengths, self.weights(), self.pooling)

    def free_places(
        self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        states = gru_scan(features.transpose(0, 1)[None], lengths, self.weights())
        return pool_states(states, lengths, self.pooling), states_at_places(states, lengths, self.n_places)

    def pair_run(self, features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pooled states of both halves of the coupled pairs (rows[p], columns[p])."""
        ordered = self.directions(features, lengths)
        return sync_gru_pooled(ordered, lengths, rows, columns, self.weights(), self.pooling)

    def free_states(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return the states (B, T, D H) of the uncoupled run, both directions in time order."""
        states = gru_scan(features.transpose(0, 1)[None], lengths, self.weights())
        return to_time_order(states, lengths)

    def pair_states(self, features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (T, D, P, H) of both halves of the coupled pairs."""
        return sync_gru_scan(self.directions(features, lengths), lengths, rows, columns, self.weights())


def to_time_order(states: Tensor, lengths: Tensor) -> Tensor:
    """Convert states (T, D, B, H), each direction in the order of its run, to (B, T, D H) in time order."""
    ahead, *back = states.permute(1, 2, 0, 3)
    return torch.cat([ahead, *(reverse_valid(run, lengths) for run in back)], 2)
