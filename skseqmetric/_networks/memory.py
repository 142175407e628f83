"""Recurrent networks with a non-local memory as torch modules: parameters, their starting values, read-outs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from skseqmetric._networks.siamese import SiameseNetwork
from skseqmetric._networks.stem import ConvStem, instance_channels
from skseqmetric._ops.memory import MemoryForm, MemoryNoise, MemoryScan, MemoryWeights, draw_noise, memory_scan
from skseqmetric._ops.steps import pool_states
from skseqmetric._ops.weights import CELLS


def _matrix(rows: int, columns: int, n_units: int, start: Any, generator: torch.Generator) -> nn.Parameter:
    """A matrix whose blocks of n_units rows start each on their own."""
    matrix = torch.empty(rows, columns)
    for block in matrix.split(n_units):
        start(block, generator=generator)
    return nn.Parameter(matrix)


class MemoryLayer(nn.Module):
    """The parameters of one layer of recurrent memory; `weights()` is what the operation takes.

    Start: hidden matrices orthogonal gate by gate, the others Xavier uniform, gains 1, biases 0 but 1 for the gates
    that keep what is there: the lstm's f and the memory's G_f. The read-out of the memory, W_mt, starts at 0: a new
    layer is the plain backbone, and learns what to read.
    """

    def __init__(self, n_features: int, n_units: int, form: MemoryForm, generator: torch.Generator) -> None:
        super().__init__()
        self.form = form
        gates, room = CELLS[form.cell] * n_units, form.n_slots * n_units
        pooled = form.memory_input == "pooled"

        def blocks(rows: int, columns: int, *, orthogonal: bool = False) -> nn.Parameter:
            start = nn.init.orthogonal_ if orthogonal else nn.init.xavier_uniform_
            return _matrix(rows, columns, n_units, start, generator)

        mixed = 3 * n_units if form.attention else n_units
        self.input = blocks(gates, n_features)
        self.hidden = blocks(gates, n_units, orthogonal=True)
        self.bias = self._vector(gates)
        self.memory_gate_input = blocks(room, n_features)
        self.memory_gate_memory = blocks(room, room)
        self.memory_gate_bias = self._vector(room)
        self.read = nn.Parameter(torch.zeros(n_units, room))
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
        return nn.Parameter(torch.full((n,), value))

    def weights(self) -> MemoryWeights:
        return MemoryWeights(self.form, **dict(self.named_parameters()))


class MemoryNetwork(SiameseNetwork):
    """Stem, layers of recurrent memory, and a linear head: what the NRNM estimators train.

    head : "sequence" maps the read-out of the last layer's states to (B, K); "steps" every state, to (B, T, K);
    "embedding" the read-out to n_outputs numbers of length 1.
    readout : "last", the last valid state, or "mean", the mean of the valid ones.
    with_instance : whether the network is shown `instance_channels` of its input.
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
        stem_channels: int | None,
        strides: tuple[int, int],
        dropout: float,
        zoneout: float,
        memory_dropout: float,
        generator: torch.Generator,
        readout: str = "last",
        with_instance: bool = False,
    ) -> None:
        super().__init__()
        causal = head == "steps"
        n_channels *= 4 if with_instance else 1
        self.readout, self.with_instance = readout, with_instance
        self.head_name, self.keep_new, self.memory_dropout = head, 1 - zoneout, memory_dropout
        self.stem = (
            ConvStem(n_channels, stem_channels, strides, dropout, generator, causal=causal) if stem_channels else None
        )
        sizes = [stem_channels or n_channels, *[n_units] * n_layers]
        self.layers = nn.ModuleList(MemoryLayer(a, b, form, generator) for a, b in pairwise(sizes))
        self.head = nn.utils.skip_init(nn.Linear, n_units, n_outputs)
        nn.init.xavier_uniform_(self.head.weight, generator=generator)
        nn.init.zeros_(self.head.bias)
        self.n_outputs = n_outputs if head == "embedding" else n_units

    def encode(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        if self.with_instance:
            values = instance_channels(values, lengths)
        return (values, lengths) if self.stem is None else self.stem(values, lengths, generator)

    def memory_layers(self) -> list[MemoryLayer]:
        """The layers, from the one that reads the features on."""
        return [layer for layer in self.layers if isinstance(layer, MemoryLayer)]

    def scans(
        self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None, *, keep: bool = False
    ) -> list[MemoryScan]:
        """Of every layer the states and, with `keep`, memory and attention; a generator draws the noise of training."""
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
        """States (B, T, H) of the last layer; those behind a sequence's end repeat its last one."""
        return self.scans(features, lengths, generator)[-1].states

    def free_run(self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The read-out (B, H), or the embedding (B, n_outputs) of length 1 made of it."""
        states = self.states(features, lengths, generator)
        last = self.readout == "last"
        read = states[:, -1] if last else pool_states(states.transpose(0, 1)[:, None], lengths, self.readout)
        return normalize(self.head(read), dim=1) if self.head_name == "embedding" else read

    def features(self, values: Tensor, lengths: Tensor) -> Tensor:
        """`free_run` of whole sequences, without noise: what `transform` returns."""
        return self.free_run(*self.encode(values, lengths))

    def forward(self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Class scores: (B, K) of sequences, or (B, T, K) of steps."""
        run = self.states if self.head_name == "steps" else self.free_run
        return self.head(run(*self.encode(values, lengths, generator), generator))
