"""Seconds of one layer with memory, of an LSTM step by step, of the same code without memory, and of torch.nn.LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Result, measure
from skseqmetric._networks.memory import MemoryLayer
from skseqmetric._ops.memory import MemoryForm, memory_scan

CHANNELS = 9


def layer_cost(*, threads: int, quick: bool, device: str = "cpu") -> list[Result]:
    """Forward and backward, gradients of inputs and weights, lengths all equal and between a half and all."""
    units, rows, steps = (8, 4, 16) if quick else (128, 64, 128)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, steps, CHANNELS, generator=generator).to(device)
    equal = torch.full((rows,), steps)
    ragged = torch.randint(steps // 2, steps + 1, (rows,), generator=generator)
    ragged[0] = steps
    with_memory = MemoryLayer(CHANNELS, units, MemoryForm("lstm", 4, 2, 4), generator).to(device)
    backbone = MemoryLayer(CHANNELS, units, MemoryForm("lstm", 1, steps, 1), generator).to(device)
    theirs = nn.LSTM(CHANNELS, units, batch_first=True, device=device)
    results = []
    for name, lengths in (("equal", equal.to(device)), ("ragged", ragged.to(device))):
        contenders = {
            "memory": _ours(with_memory, x, lengths),
            "plain step loop": _with_gradients(lambda v: _plain_loop(backbone, v), x, _plain_weights(backbone)),
            "same code, no memory": _ours(backbone, x, lengths),
            "torch.nn.LSTM": _with_gradients(lambda v: theirs(v)[0], x, list(theirs.parameters())),
        }
        where = f"{threads} thread(s)" if device == "cpu" else device
        title = f"forward + backward, H={units}, {rows} sequences of {steps} steps, {name} lengths, {where}"
        settings = {"repeats": 2 if quick else 15, "threads": threads, "device": device, "memory": False}
        results.append(measure(title, contenders, check=_finite, **settings))
    return results


def _plain_weights(layer: MemoryLayer) -> list[Any]:
    return [layer.input, layer.hidden, layer.bias]


def _plain_loop(layer: MemoryLayer, x: Tensor) -> Tensor:
    """An LSTM as torch operations step by step, inputs projected at once, gradients by autograd."""
    h = c = x.new_zeros(len(x), layer.hidden.shape[1])
    states = []
    for projected in (x @ layer.input.T + layer.bias).unbind(1):
        f, i, o, g = torch.addmm(projected, h, layer.hidden.T).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return torch.stack(states, 1)


def _ours(layer: MemoryLayer, x: Tensor, lengths: Tensor) -> Callable[[], Any]:
    return _with_gradients(lambda v: memory_scan(v, lengths, layer.weights()).states, x, list(layer.parameters()))


def _with_gradients(states: Callable[[Tensor], Tensor], x: Tensor, weights: list[Tensor]) -> Callable[[], list[Tensor]]:
    inputs = [x.clone().requires_grad_(), *weights]

    def both() -> list[Any]:
        out = states(inputs[0])
        return [out.detach(), *torch.autograd.grad(out, inputs, torch.ones_like(out), allow_unused=True)]

    return both


def _finite(answers: dict[str, list[Any]]) -> None:
    for name, answer in answers.items():
        if not all(torch.isfinite(part).all() for part in answer if part is not None):
            raise AssertionError(f"{name}: not finite")
