"""Threads: tiles side by side, each with one intra-op thread, who runs the compiled kernels, and forks."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from sklearn.utils import _openmp_helpers

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
        return cls(n_threads or kernel_threads(), _gomp_parallel() if spinning else 0)


# ------------------------------------------------------------------------------------------------ torch's OpenMP

_PAUSE_SOFT = 1
"""omp_pause_soft of OpenMP 5.0: the threads may go, the settings stay."""


@dataclass(frozen=True)
class ThreadCount:
    """Numbers of threads of the calling thread. MKL has one of its own, 0 where it follows OpenMP's."""

    openmp: int
    mkl: int | None = None

    def set(self) -> ThreadCount:
        """Make it so for the calling thread, and return what was before.

        `torch.set_num_threads` would also set the number for threads to come. A thread that calls torch for the first
        time while another one trains would keep it.
        """
        before, set_openmp, set_mkl = intra_op_threads(), _function("omp_set_num_threads"), _mkl_setter()
        count = 1 if _stranded else self.openmp
        if set_openmp is None:
            torch.set_num_threads(count)
            return ThreadCount(before)
        set_openmp(count)
        if set_mkl is None:
            return ThreadCount(before)
        return ThreadCount(before, set_mkl(self.openmp if self.mkl is None else self.mkl))


def intra_op_threads() -> int:
    """Threads that torch may use in the calling thread."""
    count = torch.get_num_threads()
    if _stranded and count > 1:
        raise RuntimeError(
            f"torch would wait for ever: this process was forked from one with OpenMP threads, and is set to {count}. "
            "Call torch.set_num_threads(1) here, or start processes by 'spawn' or 'forkserver', and gunicorn without "
            "--preload."
        )
    return count


def _gomp_parallel() -> int:
    """Address of GOMP_parallel; 0 where torch was built on another runtime, or where its threads are lost."""
    function = None if _stranded else _function("GOMP_parallel")
    return 0 if function is None else ctypes.cast(function, ctypes.c_void_p).value or 0


@cache
def _function(name: str) -> Any:
    """A function of the runtime that torch has loaded, or of torch's own MKL; None on other platforms."""
    with suppress(OSError, AttributeError):
        return getattr(_loaded(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"), name)
    return None


def _mkl_setter() -> Any:
    return _function("MKL_Set_Num_Threads_Local")


def _loaded(path: Path | str) -> ctypes.CDLL:
    """A library that the process has; its functions include those of the libraries that it needs."""
    return ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD)


# ------------------------------------------------------------------------------------------------ forks

# The threads of an OpenMP team do not survive a fork, and GNU's runtime would wait for them for ever. So the forking
# thread sends its team home before: parent and child start new teams when they need them.
_team_is_home = False
_stranded = False
"""Whether this process was forked from one whose team could not be sent home. It uses one thread."""


def _before_fork() -> None:
    global _team_is_home
    _pause_scikit_learn()
    pause = _function("omp_pause_resource_all")
    _team_is_home = pause is not None and pause(_PAUSE_SOFT) == 0


def _pause_scikit_learn() -> None:
    """The same for the runtime of scikit-learn, whose wheels bring their own."""
    with suppress(OSError, AttributeError):
        _loaded(_openmp_helpers.__file__).omp_pause_resource_all(_PAUSE_SOFT)


def _after_fork_in_parent() -> None:
    global _team_is_home
    _team_is_home = False


def _after_fork_in_child() -> None:
    # also where C code has forked: then the hook before has not run
    global _team_is_home, _stranded
    if not _team_is_home:
        _stranded = True
        torch.set_num_threads(1)
    _team_is_home = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
