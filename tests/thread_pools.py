"""How many threads the libraries of a process have; a module of its own, so that a process that starts loads little."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_info

from benchmarks.threads import VARIABLES


def pools() -> dict[str, int]:
    """Threads of every library that has some in this process, by its name."""
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()} | {"torch": torch.get_num_threads()}


def pools_of_a_process(job: Any, data: Any) -> dict[str, Any]:
    """For a process that starts: its pools, BLAS among them, and what its own children would read."""
    np.ones((2, 2)) @ np.ones((2, 2))
    return {"pools": pools(), "variables": [os.environ.get(name) for name in VARIABLES]}
