"""One incoming step at a time: the network of `NRNMStepClassifier` with its state carried along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, gelu

from skseqmetric._networks.memory import MemoryLayer, MemoryNetwork
from skseqmetric._ops.reference_memory import recurrent_step, update_memory


@dataclass(frozen=True)
class LayerState:
    """State and memory of one layer after `n_steps`, and the rows of the block that is not yet written."""

    n_steps: int
    h: Tensor  # (1, H), as c
    c: Tensor
    memory: Tensor  # (1, S, H)
    inputs: tuple[Tensor, ...]  # of the steps attended to so far, (1, D) each
    hidden: tuple[Tensor, ...]  # and the states after them, (1, H)


@dataclass(frozen=True)
class StreamState:
    """What is carried from one step to the next: the stem's last inputs and every layer's state."""

    stem: tuple[Tensor, ...]
    layers: tuple[LayerState, ...]


def start(network: MemoryNetwork) -> StreamState:
    """Before the first step: zeros, as a sequence is padded in front."""
    device = network.head.weight.device
    convolutions: Any = [] if network.stem is None else network.stem.convolutions
    stem = tuple(torch.zeros(c.in_channels, c.kernel_size[0] - 1, device=device) for c in convolutions)
    return StreamState(stem, tuple(_start_of(layer, device) for layer in network.memory_layers()))


def _start_of(layer: MemoryLayer, device: torch.device) -> LayerState:
    n = layer.hidden.shape[1]
    zeros = torch.zeros(1, n, device=device)
    return LayerState(0, zeros, zeros, torch.zeros(1, layer.form.n_slots, n, device=device), (), ())


@torch.inference_mode()
def advance(network: MemoryNetwork, x: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
    """Logits (K,) of the step x (C,), and the state after it."""
    convolutions: Any = [] if network.stem is None else network.stem.convolutions
    stem: list[Tensor] = []
    for layer, before in zip(convolutions, state.stem, strict=True):
        seen = torch.cat([before, x[:, None]], 1)
        x = gelu(conv1d(seen[None], layer.weight, layer.bias))[0, :, 0]
        stem.append(seen[:, 1:])
    layers: list[LayerState] = []
    for memory_layer, of_layer in zip(network.memory_layers(), state.layers, strict=True):
        layers.append(_step(memory_layer, x[None], of_layer, network.keep_new))
        x = layers[-1].h[0]
    return network.head(x), StreamState(tuple(stem), tuple(layers))


def _step(layer: MemoryLayer, x: Tensor, s: LayerState, keep_new: float) -> LayerState:
    form, weights = layer.form, layer.weights()
    memory, inputs, hidden = s.memory, s.inputs, s.hidden
    if s.n_steps and s.n_steps % form.window == 0:
        present = torch.ones(1, form.n_slots, dtype=torch.bool, device=x.device)
        memory = update_memory(torch.stack(inputs, 1), torch.stack(hidden, 1), present, memory, weights)[0]
        inputs = hidden = ()
    new_h, new_c = recurrent_step(x, s.h, s.c, memory.flatten(1), weights)
    h, c = torch.lerp(s.h, new_h, keep_new), torch.lerp(s.c, new_c, keep_new)
    if s.n_steps % form.window % form.stride == 0:
        inputs, hidden = (*inputs, x), (*hidden, h)
    return LayerState(s.n_steps + 1, h, c, memory, inputs, hidden)
