"""One incoming step at a time: the network of `NRNMStepClassifier` with its state carried along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, gelu

from skseqmetric._networks.memory import MemoryNetwork
from skseqmetric._ops.memory import MemoryState, first_memory_state, memory_step


@dataclass(frozen=True)
class StreamState:
    """What is carried from one step to the next: the stem's last inputs and every layer's state."""

    stem: tuple[Tensor, ...]
    layers: tuple[MemoryState, ...]


def start(network: MemoryNetwork) -> StreamState:
    """Before the first step: zeros, as a sequence is padded in front."""
    device = network.head.weight.device
    convolutions: Any = [] if network.stem is None else network.stem.convolutions
    stem = tuple(torch.zeros(c.in_channels, c.kernel_size[0] - 1, device=device) for c in convolutions)
    return StreamState(stem, tuple(first_memory_state(layer.weights(), 1) for layer in network.memory_layers()))


@torch.inference_mode()
def advance(network: MemoryNetwork, x: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
    """Logits (K,) of the step x (C,), and the state after it."""
    convolutions: Any = [] if network.stem is None else network.stem.convolutions
    stem: list[Tensor] = []
    for layer, before in zip(convolutions, state.stem, strict=True):
        seen = torch.cat([before, x[:, None]], 1)
        x = gelu(conv1d(seen[None], layer.weight, layer.bias))[0, :, 0]
        stem.append(seen[:, 1:])
    layers: list[MemoryState] = []
    for memory_layer, of_layer in zip(network.memory_layers(), state.layers, strict=True):
        layers.append(memory_step(x[None], of_layer, memory_layer.weights(), network.keep_new))
        x = layers[-1].h[0]
    return network.head(x), StreamState(tuple(stem), tuple(layers))
