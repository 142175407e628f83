"""A pool of large buffers. Touching 100 MB of new memory takes ten times as long as filling an old buffer."""

from __future__ import annotations

import math
import os
import threading

import torch
from torch import Tensor

BOUND = 2**29
"""Bytes that may lie idle at most; `clear` frees them."""


class Buffer:
    """A tensor whose memory returns to the pool when it is released or no longer referred to."""

    def __init__(self, memory: Tensor | None, tensor: Tensor) -> None:
        self._memory, self.tensor = memory, tensor

    def release(self) -> None:
        """Return the memory; the tensor must not be used any more."""
        if self._memory is not None:
            _put_back(self._memory)
            self._memory = None

    def __del__(self) -> None:
        self.release()


_idle: list[Tensor] = []
_lock = threading.RLock()  # a buffer may be collected, and returned, while this thread holds it


def take(*shape: int) -> Buffer:
    """Return a buffer of `shape` with undefined contents, or NaN if torch shall fill uninitialised memory."""
    memory = _find(math.prod(shape))
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    if fill and torch.are_deterministic_algorithms_enabled():
        memory.fill_(math.nan)
    return Buffer(memory, memory[: math.prod(shape)].view(shape))


def take_like(like: Tensor, *shape: int) -> Buffer:
    """Return a buffer with the device and precision of `like`. Only float32 buffers on the CPU are used again."""
    if like.device.type == "cpu" and like.dtype == torch.float32:
        return take(*shape)
    return Buffer(None, like.new_empty(shape))


def _find(n: int) -> Tensor:
    with _lock:
        fitting = [i for i, memory in enumerate(_idle) if n <= len(memory) <= 2 * n + 1024]
        if fitting:
            return _idle.pop(min(fitting, key=lambda i: len(_idle[i])))
    with torch.inference_mode(False):  # else it could only be written to in inference mode later on
        return torch.empty(n, dtype=torch.float32, device="cpu")


def _put_back(memory: Tensor) -> None:
    with _lock:
        _idle.append(memory)
        while sum(len(kept) for kept in _idle) * 4 > BOUND:
            _idle.pop(0)


def clear() -> None:
    """Free every idle buffer."""
    with _lock:
        _idle.clear()


def _start_anew() -> None:
    """In a forked process: another thread may have held the lock, and the buffers would be copied page by page."""
    global _lock
    _lock = threading.RLock()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
