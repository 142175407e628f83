"""All DTW distances by aeon, in a process of its own environment that `benchmarks.peers.aeon_process` starts.

Arguments: a .npz of ragged queries and references, and the number of threads. Every line on the standard input is an
order, answered by one line of JSON: "run" computes, "save FILE" writes the last result, squared, as .npy.
"""

from __future__ import annotations

import json
import sys
import time

import numba
import numpy as np
from aeon import __version__
from aeon.distances import dtw_pairwise_distance


def read(path: str, name: str) -> list[np.ndarray]:
    """Sequences as aeon takes them, (channels, steps)."""
    with np.load(path) as file:
        parts = np.split(file[f"{name}_values"], np.cumsum(file[f"{name}_lengths"])[:-1])
    return [np.ascontiguousarray(part.T) for part in parts]


def stacked(sequences: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    """One array where all have one length, as aeon is fastest with."""
    return np.stack(sequences) if len({s.shape for s in sequences}) == 1 else sequences


def main() -> None:
    """Answer orders until the input ends."""
    path, threads = sys.argv[1], int(sys.argv[2])
    numba.set_num_threads(threads)
    Q, X = (stacked(read(path, name)) for name in ("queries", "references"))
    print(json.dumps({"aeon": __version__, "numba": numba.__version__}), flush=True)
    result = np.empty(0)
    for line in sys.stdin:
        order, *target = line.strip().split(" ", 1)
        start = time.perf_counter()
        if order == "run":
            result = dtw_pairwise_distance(Q, X, n_jobs=threads)
        elif order == "save":
            np.save(target[0], result)
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    main()
