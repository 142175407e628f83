"""Every contender gets exactly the threads that were asked for, by whichever library it computes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
"""What a process that starts reads: libraries that it loads later have no other way to know."""

NUMBA = "NUMBA_NUM_THREADS"
"""Never in this process: numba refuses another value than the one it started with."""


@contextlib.contextmanager
def fixed_threads(threads: int) -> Iterator[None]:
    """Hold torch, OpenMP, BLAS and numba to `threads`, here and in the processes that start meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads), threads_of_children(threads), _numba_threads(threads):
            yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def threads_of_children(threads: int) -> Iterator[None]:
    """Processes that start meanwhile read from their environment how many threads they may have."""
    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def thread_variables(threads: int) -> dict[str, str]:
    """The environment of a process that may have `threads`."""
    return dict.fromkeys((*VARIABLES, NUMBA), str(threads))


@contextlib.contextmanager
def _numba_threads(threads: int) -> Iterator[None]:
    """Of numba where a contender has imported it; it never has more than when it was imported."""
    numba = sys.modules.get("numba")
    if numba is None:
        yield
        return
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def limit_threads(threads: int) -> None:
    """The same for good, in a process that was just started under `threads_of_children`."""
    os.environ.setdefault(NUMBA, str(threads))
    torch.set_num_threads(threads)
    threadpool_limits(threads)
