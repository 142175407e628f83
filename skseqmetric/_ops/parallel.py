"""Threads: tiles side by side, each with one intra-op thread; and who runs the compiled kernels."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch

Item = TypeVar("Item")


def run_tiles(work: Callable[[Item], None], tiles: Iterable[Item], n_threads: int | None = None) -> None:
    """Call `work` on every tile, `n_threads` at a time (default: torch's intra-op count).

    Small recurrent steps are slower with two intra-op threads than with one. Whole tiles, however, run in parallel
    without waiting for each other. torch releases the interpreter lock inside its kernels.
    """
    tiles = list(tiles)
    before = torch.get_num_threads()
    n_threads = min(before if n_threads is None else n_threads, len(tiles))
    if n_threads <= 1:
        for tile in tiles:
            work(tile)
        return
    with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(copy_context().run, work, tile) for tile in tiles]
        # the workers' calls also set the default of threads to come: put it back for the caller's
        torch.set_num_threads(before)
        for future in futures:
            future.result()


@contextmanager
def one_intra_op_thread() -> Iterator[None]:
    """Let torch use one thread on the CPU inside, and as many as before afterwards.

    The steps of a recurrence are too short for two threads, because a step waits for the slower thread. If the cores
    of the machine are busy, it even waits for the scheduler, which takes a hundred times as long.
    """
    before = torch.get_num_threads()
    token = _kernel_threads.set(kernel_threads())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _kernel_threads.reset(token)


_kernel_threads: ContextVar[int | None] = ContextVar("skseqmetric_kernel_threads", default=None)


def kernel_threads() -> int:
    """Threads for the compiled kernels: torch's number, as it was before `one_intra_op_thread`.

    They share whole tiles, not steps, so that a busy core slows them down by its share and no more.
    """
    return _kernel_threads.get() or torch.get_num_threads()


_PROCESS = os.getpid()


@dataclass(frozen=True)
class Team:
    """Threads of one call; `openmp` is the address of GOMP_parallel in the runtime that torch uses, 0 for own ones."""

    n_threads: int
    openmp: int

    @classmethod
    def now(cls, n_threads: int | None = None) -> Team:
        """As many as torch may use, or `n_threads`.

        If torch runs on several threads, its workers spin for milliseconds after each of its operations. Our own
        threads would wait for a core until then, so that the workers get the tiles. If torch is limited to one thread,
        as in fits and searches, the workers sleep. Our own threads then share a busy machine better.
        """
        spinning = torch.get_num_threads() > 1 and os.getpid() == _PROCESS  # a forked process has no workers to wake
        return cls(n_threads or kernel_threads(), _gomp_parallel() if spinning else 0)


@cache
def _gomp_parallel() -> int:
    """0 where torch was built on another runtime or another platform."""
    try:
        torch_library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"), mode=os.RTLD_NOLOAD)
        return ctypes.cast(torch_library.GOMP_parallel, ctypes.c_void_p).value or 0
    except (OSError, AttributeError):
        return 0
