"""The network of the recurrent estimators: layers of LSTM or GRU, pooling over time, and a linear head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skseqmetric._networks.layers import RecurrentLayers, StepState, linear, silence_filters
from skseqmetric._networks.pooling import pooled
from skseqmetric._networks.stem import read_channels
from skseqmetric._networks.tokens import TokenForm, TokenVectors
from skseqmetric._ops.steps import pool_states


class RecurrentNetwork(nn.Module):
    """The network of the recurrent estimators: K outputs for every sequence or for every step of (B, T, C).

    target : "sequence" applies the head to the pooled states, (B, K). "step" applies it to every state, (B, T, K).
    pooling : "last" is the last valid state. The backward direction ends at the first step. "mean" is the mean of the
        valid states. "both" concatenates the two.
    views : columns of `instance_channels` that the network reads beside the channels.
    tokens : the tokens whose codes the channels are; None for numbers.
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
        pooling: str,
        dropout: float,
        views: tuple[int, ...] = (),
        tokens: TokenForm | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = generator or torch.Generator("cpu").manual_seed(0)
        self.vectors = None if tokens is None else TokenVectors(tokens, dropout, generator)
        n_channels = n_channels if tokens is None else tokens.n_channels
        self.n_units, self.cell, self.target, self.pooling, self.dropout = n_units, cell, target, pooling, dropout
        self.views = views
        self.layers = RecurrentLayers(
            n_channels + len(views),
            n_units,
            n_layers,
            generator,
            cell=cell,
            bidirectional=bidirectional,
            dropout=dropout,
        )
        self.n_outputs = self.layers.n_outputs * (2 if pooling == "both" else 1)
        self.head = linear(self.layers.n_outputs if target == "step" else self.n_outputs, n_targets, generator)

    def forward(self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return K outputs for every sequence, (B, K), or for every step, (B, T, K). A generator turns on dropout."""
        states = silence_filters(
            self.layers(self._read(values, lengths, generator), lengths, generator), self.dropout, 2, generator
        )
        return self.head(states if self.target == "step" else self._pooled(states, lengths))

    def features(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return the pooled states of the last layer, (B, n_outputs)."""
        return self._pooled(self.layers(self._read(values, lengths), lengths), lengths)

    def _read(self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        if self.vectors is not None:
            return self.vectors(values, lengths, generator)
        return read_channels(values, lengths, self.views) if self.views else values

    def _pooled(self, states: Tensor, lengths: Tensor) -> Tensor:
        return pooled(self.pooling, lambda how: self._pooled_once(states, lengths, how))

    def _pooled_once(self, states: Tensor, lengths: Tensor, how: str) -> Tensor:
        if how == "last" and self.layers.bidirectional:
            ahead, back = states[..., : self.n_units], states[:, 0, self.n_units :]
            return torch.cat([pool_states(ahead.transpose(0, 1)[:, None], lengths, "last"), back], 1)
        return pool_states(states.transpose(0, 1)[:, None], lengths, how)

    def prefixes(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return outputs (B, T, K): at every step those of `forward` for the sequence up to this step.

        The views of a prefix are those of its own steps. With views, every prefix is thus a run by itself. A
        bidirectional network reads the whole sequence, and its views.
        """
        if self.views and not self.layers.bidirectional:
            each = range(1, values.shape[1] + 1)
            return torch.stack([self(values[:, :t], lengths.clamp_max(t)) for t in each], 1)
        states = self.layers(self._read(values, lengths), lengths)
        if self.target == "step":
            return self.head(states)
        return self.head(pooled(self.pooling, lambda how: self._pooled_so_far(states, lengths, how)))

    def _pooled_so_far(self, states: Tensor, lengths: Tensor, how: str) -> Tensor:
        """Return the pooled states of all prefixes, (B, T, D H). The backward half is that of the whole sequence."""
        ahead, back = states[..., : self.n_units], states[..., self.n_units :]
        if how == "mean":
            ahead = (
                ahead.cumsum(1) / torch.arange(1, states.shape[1] + 1, dtype=torch.int64, device=states.device)[:, None]
            )
        whole = self._pooled_once(states, lengths, how)[:, None, self.n_units :]
        return torch.cat([ahead, whole.expand_as(back)], 2)

    def states(self, values: Tensor, lengths: Tensor, kind: str = "hidden", layer: int = -1) -> Tensor:
        """Return the "hidden" or "cell" states (B, T, D H) of one layer."""
        values = self._read(values, lengths)
        if kind == "cell":
            return self.layers.cells(values, lengths, layer)
        return self.layers.every_layer(values, lengths)[layer]

    # ------------------------------------------------------------------ one incoming step at a time
    def first_state(self) -> tuple[StepState, ...]:
        """Return the state before the first step of a stream."""
        return self.layers.first_state()

    def advance(self, x: Tensor, state: tuple[StepState, ...]) -> tuple[Tensor, tuple[StepState, ...]]:
        """Return the K outputs of `forward` with target "step" for one step x (C,), and the next state."""
        h, state = self.layers.advance(x if self.vectors is None else self.vectors.advance(x), state)
        return self.head(h), state
