"""Threads: tiles side by side, each with one intra-op thread; and who runs the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import TypeVar

from skseqmetric._ops.openmp import ThreadCount, gomp_parallel, intra_op_threads

Item = TypeVar("Item")


def run_tiles(work: Callable[[Item], None], tiles: Iterable[Item], n_threads: int | None = None) -> None:
    """Call `work` on every tile, `n_threads` at a time (default: torch's intra-op count).

    Small recurrent steps are slower with two intra-op threads than with one. Whole tiles, however, run in parallel
    without waiting for each other. torch releases the interpreter lock inside its kernels.
    """
    tiles = list(tiles)
    n_threads = min(intra_op_threads() if n_threads is None else n_threads, len(tiles))
    if n_threads <= 1:
        for tile in tiles:
            work(tile)
        return
    with ThreadPoolExecutor(n_threads, initializer=ThreadCount(1).set) as pool:
        futures = [pool.submit(copy_context().run, work, tile) for tile in tiles]
        for future in futures:
            future.result()


@contextmanager
def one_intra_op_thread() -> Iterator[None]:
    """Let torch use one thread on the CPU inside, and as many as before afterwards.

    The steps of a recurrence are too short for two threads, because a step waits for the slower thread. If the cores
    of the machine are busy, it even waits for the scheduler, which takes a hundred times as long.
    """
    if intra_op_threads() == 1:
        yield
        return
    token = _kernel_threads.set(kernel_threads())
    before = ThreadCount(1).set()
    try:
        yield
    finally:
        before.set()
        _kernel_threads.reset(token)


_kernel_threads: ContextVar[int | None] = ContextVar("skseqmetric_kernel_threads", default=None)


def kernel_threads() -> int:
    """Threads for the compiled kernels: torch's number, as it was before `one_intra_op_thread`.

    They share whole tiles, not steps, so that a busy core slows them down by its share and no more.
    """
    return _kernel_threads.get() or intra_op_threads()


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
        spinning = intra_op_threads() > 1
        return cls(n_threads or kernel_threads(), gomp_parallel() if spinning else 0)
