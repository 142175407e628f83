"""MiniRocket's features by aeon, in a process of its own environment that `benchmarks.peers.aeon_process` starts.

Arguments: a .npz of queries and of training sequences ("references"), and the number of threads. Orders are those of
`aeon_worker`: "run" computes the features of the queries, "save FILE" writes them as .npy.
"""

from __future__ import annotations

import json
import sys
import time

import numba
import numpy as np
from aeon import __version__
from aeon.transformations.collection.convolution_based import MiniRocket

N_FEATURES = 10_000


def read(path: str, name: str) -> np.ndarray:
    """Sequences of one length, (n, channels, steps)."""
    with np.load(path) as file:
        parts = np.split(file[f"{name}_values"], np.cumsum(file[f"{name}_lengths"])[:-1])
    return np.stack([part.T for part in parts]).astype(np.float32)


def main() -> None:
    """Answer orders until the input ends."""
    path, threads = sys.argv[1], int(sys.argv[2])
    numba.set_num_threads(threads)
    Q, X = (read(path, name) for name in ("queries", "references"))
    made = MiniRocket(N_FEATURES, n_jobs=threads, random_state=0).fit(X)
    print(json.dumps({"aeon": __version__, "numba": numba.__version__}), flush=True)
    result = np.empty(0)
    for line in sys.stdin:
        order, *target = line.strip().split(" ", 1)
        start = time.perf_counter()
        if order == "run":
            result = made.transform(Q)
        elif order == "save":
            np.save(target[0], result)
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    main()
