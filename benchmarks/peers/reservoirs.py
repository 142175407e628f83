"""The states of a reservoir against reservoirpy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Result, measure
from benchmarks.peers.runs import CHANNELS, check_close, forced, implementations
from skseqmetric._ops.reservoir import ReservoirWeights, reservoir_scan

STEPS = 128
TOLERANCE = 1e-3


def reservoirs(threads: int, repeats: int, *, units: int, rows: int) -> Result | None:
    """States of a dense reservoir against reservoirpy's; None where that is not installed."""
    try:
        from reservoirpy.nodes import Reservoir
    except ImportError:
        return None
    rng = np.random.default_rng(0)
    W, W_in = rng.normal(0, 0.9 / units**0.5, (units, units)), rng.uniform(-1, 1, (units, CHANNELS + 1))
    X = rng.normal(size=(rows, STEPS, CHANNELS))
    node = Reservoir(W=W, Win=W_in[:, 1:], bias=W_in[:, 0], lr=0.3)
    node.initialize(X)
    features, lengths = torch.from_numpy(X.astype(np.float32))[None].transpose(1, 2), torch.full((rows,), STEPS)
    weights = [ReservoirWeights(torch.from_numpy(W_in).float(), torch.from_numpy(W).float(), 0.3)]

    def theirs(workers: int) -> np.ndarray:
        node.reset()
        return np.asarray(node.run(X, workers=workers))

    def ours() -> np.ndarray:
        return reservoir_scan(features, lengths, weights)[:, 0].transpose(0, 1).numpy()

    def check(answers: dict[str, np.ndarray]) -> None:
        for name, answer in answers.items():
            check_close(name, answer, answers["reservoirpy"], TOLERANCE)

    contenders: dict[str, Callable[[], Any]] = {"reservoirpy": lambda: theirs(1)}
    if threads > 1:
        contenders[f"reservoirpy, workers={threads}"] = lambda: theirs(threads)
    contenders |= {f"reservoir, {name}": forced(name, ours) for name in implementations("reservoir")}
    return measure(
        f"reservoir of {units} units, {rows} sequences of {STEPS} x {CHANNELS}",
        contenders,
        check=check,
        repeats=repeats,
        items=rows,
        unit="sequences",
        threads=threads,
        memory=False,
    )
