"""Recurrent networks with a non-local memory as torch modules: parameters, initial values and pooling."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from skseqmetric._networks.layers import SteadyLinear, unstarted
from skseqmetric._networks.siamese import SiameseNetwork
from skseqmetric._networks.stem import ConvStem, read_channels
from skseqmetric._networks.tokens import TokenForm, TokenVectors
from skseqmetric._ops.memory import MemoryState, draw_noise, first_memory_state, memory_scan, memory_step
from skseqmetric._ops.places import states_at_places
from skseqmetric._ops.steps import pool_states
from skseqmetric._ops.weights import CELLS, MemoryForm, MemoryNoise, MemoryScan, MemoryWeights


def _matrix(rows: int, columns: int, n_units: int, begin: Any, generator: torch.Generator) -> nn.Parameter:
    """Return a matrix with separate initial values for each block of n_units rows."""
    matrix = torch.empty(rows, columns, dtype=torch.float32, device="cpu")
    for block in () if matrix.is_meta else matrix.split(n_units):
        begin(block, generator=generator)
    return nn.Parameter(matrix)


class MemoryLayer(nn.Module):
    """The parameters of one layer of recurrent memory. `weights()` returns the arguments of the operation.

    Initial values: hidden matrices are orthogonal gate by gate, the others Xavier uniform. Gains are 1. Biases are 0,
    but 1 for the forget gates: f of the LSTM and G_f of the memory. W_mt, which reads the memory, is 0. A new layer
    thus computes the plain backbone.
    """

    def __init__(self, n_features: int, n_units: int, form: MemoryForm, generator: torch.Generator) -> None:
        super().__init__()
        self.form = form
        gates, room = CELLS[form.cell] * n_units, form.n_slots * n_units
        pooled = form.memory_input == "pooled"

        def blocks(rows: int, columns: int, *, orthogonal: bool = False) -> nn.Parameter:
            begin = nn.init.orthogonal_ if orthogonal else nn.init.xavier_uniform_
            return _matrix(rows, columns, n_units, begin, generator)

        mixed = 3 * n_units if form.attention else n_units
        self.input = blocks(gates, n_features)
        self.hidden = blocks(gates, n_units, orthogonal=True)
        self.bias = self._vector(gates)
        self.memory_gate_input = blocks(room, n_features)
        self.memory_gate_memory = blocks(room, room)
        self.memory_gate_bias = self._vector(room)
        self.read = nn.Parameter(torch.zeros(n_units, room, dtype=torch.float32, device="cpu"))
        self.token = blocks(n_units, form.n_slots * n_features if pooled else n_features)
        self.token_bias = self._vector(n_units) if pooled else None
        self.mixing, self.mixing_bias = blocks(mixed, n_units), self._vector(mixed)
        self.first_gain, self.first_shift = self._vector(n_units, 1.0), self._vector(n_units)
        self.second_gain, self.second_shift = self._vector(n_units, 1.0), self._vector(n_units)
        self.first_layer, self.first_layer_bias = blocks(n_units, n_units), self._vector(n_units)
        self.second_layer, self.second_layer_bias = blocks(n_units, n_units), self._vector(n_units)
        self.update_input = blocks(2 * n_units, n_units)
        self.update_memory = blocks(2 * n_units, n_units)
        self.update_bias = self._vector(2 * n_units)
        self.candidate_bias = self._vector(n_units) if form.cell == "gru" else None
        with torch.no_grad():
            self.update_bias[n_units:] = 1.0
            if form.cell == "lstm":
                self.bias[:n_units] = 1.0

    @staticmethod
    def _vector(n: int, value: float = 0.0) -> nn.Parameter:
        return nn.Parameter(torch.full((n,), value, dtype=torch.float32, device="cpu"))

    def weights(self) -> MemoryWeights:
        own: dict[str, Any] = self._parameters  # a walk along all modules takes longer than the call
        return MemoryWeights(self.form, **own)


@dataclass(frozen=True)
class MemoryStreamState:
    """The state between two steps of a stream: the last inputs of the stem, and the state of every layer."""

    stem: tuple[Tensor, ...]
    layers: tuple[MemoryState, ...]


class MemoryNetwork(SiameseNetwork):
    """The network of the NRNM estimators: stem, layers of recurrent memory, and a linear head.

    head : "sequence" maps the pooled states of the last layer to (B, K). "step" maps every state, to (B, T, K).
        "embedding" maps the pooled states to n_components numbers of length 1.
    n_outputs : outputs K, or the size of the embedding.
    views : columns of `instance_channels` that the network reads beside the channels.
    tokens : the tokens whose codes the channels are; None for numbers.
    """

    def __init__(
        self,
        n_channels: int,
        n_units: int,
        *,
        form: MemoryForm,
        n_layers: int,
        head: str,
        n_outputs: int,
        pooling: str,
        n_filters: int | None,
        strides: tuple[int, int],
        dropout: float,
        zoneout: float,
        memory_dropout: float,
        coupling: str | None = None,
        n_places: int = 24,
        pooled_weight: float = 1.0,
        views: tuple[int, ...] = (),
        tokens: TokenForm | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = generator or torch.Generator("cpu").manual_seed(0)
        self.coupling, self.n_places, self.pooled_weight = coupling, n_places, pooled_weight
        self.n_place_units = n_units
        self.vectors = None if tokens is None else TokenVectors(tokens, dropout, generator)
        n_channels = n_channels + len(views) if tokens is None else tokens.n_channels
        self.pooling, self.views = pooling, views
        self.head_name, self.keep_new, self.memory_dropout = head, 1 - zoneout, memory_dropout
        self.stem = None
        if n_filters:
            self.stem = ConvStem(n_channels, n_filters, strides, dropout, generator, causal=head == "step")
        sizes = [n_filters or n_channels, *[n_units] * n_layers]
        self.layers = nn.ModuleList(MemoryLayer(a, b, form, generator) for a, b in pairwise(sizes))
        width = n_units * (2 if pooling == "both" else 1)
        self.head = unstarted(SteadyLinear, n_units if head == "step" else width, n_outputs)
        nn.init.xavier_uniform_(self.head.weight, generator=generator)
        nn.init.zeros_(self.head.bias)
        self.n_outputs = n_outputs if head == "embedding" else width

    def encode(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        if self.vectors is not None:
            values = self.vectors(values, lengths, generator)
        elif self.views:
            values = read_channels(values, lengths, self.views)
        return (values, lengths) if self.stem is None else self.stem(values, lengths, generator)

    def memory_layers(self) -> list[MemoryLayer]:
        """Return the layers. The first one reads the features."""
        return [layer for layer in self.layers if isinstance(layer, MemoryLayer)]

    def scans(
        self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None, *, keep: bool = False
    ) -> list[MemoryScan]:
        """Return the states of every layer and, with `keep`, memory and attention. A generator turns on the noise."""
        scans: list[MemoryScan] = []
        for layer in self.memory_layers():
            x = scans[-1].states if scans else features
            weights = layer.weights()
            noise = self._noise(x, weights, generator)
            scans.append(memory_scan(x, lengths, weights, noise, keep_memory=keep, keep_attention=keep))
        return scans

    def _noise(self, x: Tensor, weights: MemoryWeights, generator: torch.Generator | None) -> MemoryNoise:
        if generator is None:
            return MemoryNoise(self.keep_new, self.keep_new)
        return draw_noise(x, weights, generator, keep_new=self.keep_new, dropout=self.memory_dropout)

    def states(self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the states (B, T, H) of the last layer. Past its end a sequence repeats its last state."""
        return self.scans(features, lengths, generator)[-1].states

    def free_run(self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the pooled states (B, n_outputs), or the embedding of length 1 that they are mapped to."""
        return self._embedding(self.states(features, lengths, generator), lengths)

    def free_places(
        self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        states = self.states(features, lengths, generator)
        return self._embedding(states, lengths), states_at_places(
            states.transpose(0, 1)[:, None], lengths, self.n_places
        )

    def _embedding(self, states: Tensor, lengths: Tensor) -> Tensor:
        # past its end a sequence repeats its last state
        last = self.pooling == "last"
        read = states[:, -1] if last else pool_states(states.transpose(0, 1)[:, None], lengths, self.pooling)
        return normalize(self.head(read), dim=1) if self.head_name == "embedding" else read

    def forward(self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return K outputs for every sequence, (B, K), or for every step, (B, T, K)."""
        run = self.states if self.head_name == "step" else self.free_run
        return self.head(run(*self.encode(values, lengths, generator), generator))

    # ------------------------------------------------------------------ one incoming step at a time
    def first_state(self) -> MemoryStreamState:
        """Return the state before the first step of a stream."""
        stem = () if self.stem is None else self.stem.first_inputs()
        return MemoryStreamState(stem, tuple(first_memory_state(c.weights(), 1) for c in self.memory_layers()))

    def advance(self, x: Tensor, state: MemoryStreamState) -> tuple[Tensor, MemoryStreamState]:
        """Return the K outputs of `forward` with head "step" for one step x (C,), and the next state."""
        x = x if self.vectors is None else self.vectors.advance(x)
        x, stem = (x, ()) if self.stem is None else self.stem.advance(x, state.stem)
        layers: list[MemoryState] = []
        for layer, before in zip(self.memory_layers(), state.layers, strict=True):
            layers.append(memory_step(x[None], before, layer.weights(), self.keep_new))
            x = layers[-1].h[0]
        return self.head(x), MemoryStreamState(stem, tuple(layers))
