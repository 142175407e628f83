"""Large temporaries that are used again: a fresh 100 MB costs ten times as long to touch as to fill once more."""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor

BOUND = 2**29
"""Bytes that may lie idle at most; `clear` hands them back."""


class Lease:
    """A tensor whose memory goes back to the shelf when it is released or no longer referred to."""

    def __init__(self, memory: Tensor | None, tensor: Tensor) -> None:
        self._memory, self.tensor = memory, tensor

    def release(self) -> None:
        """Hand the memory back; the tensor must not be used any more."""
        if self._memory is not None:
            _put_back(self._memory)
            self._memory = None

    def __del__(self) -> None:
        self.release()


_shelf: list[Tensor] = []
_lock = threading.RLock()  # a lease may be collected, and given back, while this thread holds it


def take(*shape: int) -> Lease:
    """Memory of `shape`, its contents undefined: NaN where torch is asked to show uses of such memory."""
    memory = _find(math.prod(shape))
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    if fill and torch.are_deterministic_algorithms_enabled():
        memory.fill_(math.nan)
    return Lease(memory, memory[: math.prod(shape)].view(shape))


def room(like: Tensor, *shape: int) -> Lease:
    """The same for the device and precision of a tensor; only float32 on the CPU is ever used again."""
    if like.device.type == "cpu" and like.dtype == torch.float32:
        return take(*shape)
    return Lease(None, like.new_empty(shape))


def _find(n: int) -> Tensor:
    with _lock:
        fitting = [i for i, memory in enumerate(_shelf) if n <= len(memory) <= 2 * n + 1024]
        if fitting:
            return _shelf.pop(min(fitting, key=lambda i: len(_shelf[i])))
    with torch.inference_mode(False):  # else it could only be written to in inference mode later on
        return torch.empty(n)


def _put_back(memory: Tensor) -> None:
    with _lock:
        _shelf.append(memory)
        while sum(len(kept) for kept in _shelf) * 4 > BOUND:
            _shelf.pop(0)


def clear() -> None:
    """Free what lies idle."""
    with _lock:
        _shelf.clear()
