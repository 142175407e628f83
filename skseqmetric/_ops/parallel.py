"""Independent tiles on several threads, each with one intra-op thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

import torch

Item = TypeVar("Item")


def run_tiles(work: Callable[[Item], None], tiles: Iterable[Item], n_threads: int | None = None) -> None:
    """Call `work` on every tile, `n_threads` at a time (default: torch's intra-op count).

    Small recurrent steps are slower with two intra-op threads than with one, while whole tiles run side by side
    without meeting; torch releases the interpreter lock inside its kernels.
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

    The steps of a recurrence are too short to be shared: with two threads a step waits for the slower one, and on a
    machine whose cores are busy with something else it waits for the scheduler, a hundred times as long.
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
