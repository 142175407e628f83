"""The OpenMP runtime of torch: its team, the number of threads of one thread alone, and forks."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from sklearn.utils import _openmp_helpers

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


def gomp_parallel() -> int:
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
