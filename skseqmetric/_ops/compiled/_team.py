"""Who runs the kernels: threads of their own, or those of torch while they are awake."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from skseqmetric._ops.parallel import kernel_threads

_PROCESS = os.getpid()


@dataclass(frozen=True)
class Team:
    """Threads of one call; `openmp` is the address of GOMP_parallel in the runtime that torch uses, 0 for own ones."""

    n_threads: int
    openmp: int

    @classmethod
    def now(cls, n_threads: int | None = None) -> Team:
        """As many as torch may use, or `n_threads`.

        Where torch itself runs on several threads, its workers spin for milliseconds after each of its operations, and
        threads of our own would wait for a core until they stop: so the workers are given the tiles. Where torch is
        held to one thread, as in fits and searches, they sleep, and threads of our own share a busy machine better.
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
