"""The network of the recurrent estimators: layers of LSTM or GRU, a read-out, a linear head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skseqmetric._networks.layers import RecurrentLayers, linear, silence_filters
from skseqmetric._ops.steps import pool_states


class RecurrentNetwork(nn.Module):
    """What the recurrent estimators train: K numbers of every row of (B, T, C), or of every step of it.

    target : "sequence", the head of the read-out, (B, K); "step", the head of every state, (B, T, K).
    readout : "last", the last valid state (of the backward direction its own last one, at the first step), or "mean",
    the mean of the valid ones.
    """

    def __init__(
        self,
        n_channels: int,
        n_units: int,
        n_targets: int,
        *,
        cell: str,
        n_layers: int,
        bidirectional: bool,
        target: str,
        readout: str,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_units, self.cell, self.target, self.readout, self.dropout = n_units, cell, target, readout, dropout
        self.layers = RecurrentLayers(
            n_channels, n_units, n_layers, generator, cell=cell, bidirectional=bidirectional, dropout=dropout
        )
        self.n_outputs = self.layers.n_outputs
        self.head = linear(self.n_outputs, n_targets, generator)

    def forward(self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """K numbers of every sequence, (B, K), or of every step, (B, T, K); a generator draws the dropout."""
        states = silence_filters(self.layers(values, lengths, generator), self.dropout, 2, generator)
        return self.head(states if self.target == "step" else self._read(states, lengths))

    def features(self, values: Tensor, lengths: Tensor) -> Tensor:
        """The read-out of the last layer's states, (B, D H)."""
        return self._read(self.layers(values, lengths), lengths)

    def _read(self, states: Tensor, lengths: Tensor) -> Tensor:
        if self.readout == "last" and self.layers.bidirectional:
            ahead, back = states[..., : self.n_units], states[:, 0, self.n_units :]
            return torch.cat([pool_states(ahead.transpose(0, 1)[:, None], lengths, "last"), back], 1)
        return pool_states(states.transpose(0, 1)[:, None], lengths, self.readout)

    def steps(self, values: Tensor, lengths: Tensor) -> Tensor:
        """K numbers of every step, (B, T, K): what `forward` says, or would say had the sequence ended there."""
        states = self.layers(values, lengths)
        return self.head(states if self.target == "step" else self._read_so_far(states, lengths))

    def _read_so_far(self, states: Tensor, lengths: Tensor) -> Tensor:
        """The read-out of the steps up to each, (B, T, D H); the backward half is that of the whole sequence."""
        ahead, back = states[..., : self.n_units], states[..., self.n_units :]
        if self.readout == "mean":
            ahead = ahead.cumsum(1) / torch.arange(1, states.shape[1] + 1, device=states.device)[:, None]
        whole = self._read(states, lengths)[:, None, self.n_units :]
        return torch.cat([ahead, whole.expand_as(back)], 2)

    def states(self, values: Tensor, lengths: Tensor, kind: str = "hidden", layer: int = -1) -> Tensor:
        """The "hidden" or "cell" states (B, T, D H) of one layer."""
        if kind == "cell":
            return self.layers.cells(values, lengths, layer)
        return self.layers.every_layer(values, lengths)[layer]
