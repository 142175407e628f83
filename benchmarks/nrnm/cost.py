"""CPU seconds of one layer with memory, the same by torch operations, LSTMs, and our code without memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Result, measure
from skseqmetric._networks.memory import MemoryLayer
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.memory import MemoryForm, memory_scan


@dataclass(frozen=True)
class Size:
    """A layer with 4 slots and 4 heads, and its sequences."""

    n_units: int
    n_rows: int
    n_steps: int
    n_channels: int
    stride: int


SIZES = (Size(128, 64, 128, 9, 2), Size(64, 32, 64, 64, 4))
"""The second one is that of a default fit on windows of activity, behind the stem."""
QUICK = (Size(8, 4, 16, 9, 2),)


def layer_cost(*, threads: int, quick: bool, device: str = "cpu") -> list[Result]:
    """Forward and backward, gradients of inputs and weights, lengths all equal and between a half and all."""
    return [
        _cost(size, name, threads=threads, repeats=2 if quick else 15, device=device)
        for size in (QUICK if quick else SIZES)
        for name in ("equal", "ragged")
    ]


def _cost(size: Size, lengths_are: str, *, threads: int, repeats: int, device: str) -> Result:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size.n_rows, size.n_steps, size.n_channels, generator=generator).to(device)
    lengths = torch.full((size.n_rows,), size.n_steps)
    if lengths_are == "ragged":
        lengths[1:] = torch.randint(size.n_steps // 2, size.n_steps + 1, (size.n_rows - 1,), generator=generator)
    contenders = _contenders(size, x, lengths.to(device), generator)
    shape = f"H={size.n_units}, {size.n_rows} sequences of {size.n_steps} x {size.n_channels}, {lengths_are} lengths"
    where = f"{threads} thread(s)" if device == "cpu" else device
    settings: dict[str, Any] = {"repeats": repeats, "threads": threads, "device": device, "memory": False}
    # other work on the machine does not count; a device is waited for
    settings["clock"] = time.process_time if device == "cpu" else time.perf_counter
    return measure(f"forward + backward, {shape}, {where}", contenders, check=_finite, **settings)


def _contenders(
    size: Size, x: Tensor, lengths: Tensor, generator: torch.Generator
) -> dict[str, Callable[[], list[Tensor]]]:
    def layer(n_slots: int, stride: int, n_heads: int) -> MemoryLayer:
        form = MemoryForm("lstm", n_slots, stride, n_heads)
        return MemoryLayer(size.n_channels, size.n_units, form, generator).to(x.device)

    with_memory, backbone = layer(4, size.stride, 4), layer(1, size.n_steps, 1)
    theirs = nn.LSTM(size.n_channels, size.n_units, batch_first=True, device=x.device)
    ours = _ours(with_memory, x, lengths)

    def by_operations() -> list[Tensor]:
        with implementation("eager"):
            return ours()

    return {
        "memory": ours,
        "memory, torch operations": by_operations,
        "plain step loop": _with_gradients(lambda v: _plain_loop(backbone, v), x, _plain_weights(backbone)),
        "same code, no memory": _ours(backbone, x, lengths),
        "torch.nn.LSTM": _with_gradients(lambda v: theirs(v)[0], x, list(theirs.parameters())),
    }


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


def _ours(layer: MemoryLayer, x: Tensor, lengths: Tensor) -> Callable[[], list[Tensor]]:
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
