"""What the comparisons share: implementations at hand, synthetic data, metrics, and answers checked for closeness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from skseqmetric import SyncGRUMetric
from skseqmetric._ops.dispatch import implementation, obstacle

CHANNELS = 9


def implementations(op: str) -> list[str]:
    """Those of "eager" and "compiled" that can compute `op` on float32 here."""
    return [name for name in ("eager", "compiled") if obstacle(name, op, torch.empty(0), 1) is None]


def forced(name: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """`call` by the implementation `name`."""

    def run() -> Any:
        with implementation(name):
            return call()

    return run


def sines(n: int, lengths: int | tuple[int, int], seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Six classes of noisy sines: n float64 sequences (T, 9) of one length, or of lengths drawn between two."""
    rng = np.random.default_rng(seed)
    least, most = (lengths, lengths) if isinstance(lengths, int) else lengths
    y = rng.integers(0, 6, n)
    X = []
    for k in y:
        t = np.linspace(0, 2 * np.pi, rng.integers(least, most, endpoint=True))[:, None]
        X.append(np.sin((1 + k) * t + rng.uniform(0, 6, CHANNELS)) + rng.normal(0, 0.3, (len(t), CHANNELS)))
    return X, y


def quick_metric(n_units: int, **settings: Any) -> SyncGRUMetric:
    """One direction, no stem, few updates: how long a distance takes does not depend on how well it was trained."""
    bare = {
        "coupling": "symmetric",
        "bidirectional": False,
        "n_filters": None,
        "max_epochs": 1,
        "min_batches": 2,
        "random_state": 0,
    }
    return SyncGRUMetric(n_units, **{**bare, **settings})


def check_close(name: str, answer: Any, expected: Any, tolerance: float) -> None:
    """Raise unless the largest error is within `tolerance` of the largest expected number."""
    answer, expected = (np.asarray(a, dtype=np.float64) for a in (answer, expected))
    if answer.shape != expected.shape:
        raise AssertionError(f"{name}: shape {answer.shape} instead of {expected.shape}")
    error = float(np.abs(answer - expected).max() / np.abs(expected).max())
    if not error <= tolerance:
        raise AssertionError(f"{name}: relative error {error:.2g} is above {tolerance:.2g}")
