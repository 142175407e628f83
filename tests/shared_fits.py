"""Fits of several processes: `python -m tests.shared_fits RANK SIZE FOLDER` fits everything, and writes what came out.

Without dropout, so that one process and several draw the same random numbers.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skseqmetric import (
    NRNMClassifier,
    NRNMMetric,
    RecurrentClassifier,
    RecurrentRegressor,
    SyncGRUMetric,
    data_parallel,
)
from tests import small_embedder, small_transcriber

SHORT: dict[str, Any] = {"max_epochs": 3, "min_batches": 4, "batch_size": 12, "random_state": 0, "augment": None}
STILL: dict[str, Any] = {**SHORT, "dropout": 0.0}
NRNM: dict[str, Any] = {**STILL, "memory_dropout": 0.0, "zoneout": 0.0, "n_units": 8}
"""No random numbers but those of the plan."""


def sequences(n: int = 25) -> tuple[list[np.ndarray], np.ndarray]:
    """Noisy sines of three frequencies, an odd number, of unequal lengths."""
    rng, y = np.random.default_rng(0), np.arange(n) % 3
    steps = [np.arange(rng.integers(9, 30)) for _ in y]
    return [np.stack([np.sin((k + 1) * t / 3), rng.normal(size=len(t))], 1) for k, t in zip(y, steps, strict=True)], y


def metric(**settings: Any) -> Any:
    return SyncGRUMetric(**{**STILL, "n_units": 8, **settings}).fit(*sequences())


def pairs(**settings: Any) -> Any:
    X, y = sequences()
    rows = np.random.default_rng(1).integers(len(X), size=(30, 2))
    same = y[rows[:, 0]] == y[rows[:, 1]]
    return SyncGRUMetric(**{**STILL, "n_units": 8, **settings}).fit_pairs(X, rows, same)


def embedder() -> Any:
    X, y = sequences(24)
    images = small_embedder.pictures(y, seed=0)
    return small_embedder.small(dropout=0.0, augment=None, batch_size=9).fit(X, y, images=images)


def transcriber() -> Any:
    X, y, images = small_transcriber.abc_words()
    return small_transcriber.small(dropout=0.0, augment=None).fit(X, y, images=images)


FITS: dict[str, Callable[[], Any]] = {
    "alignment": metric,
    "no coupling": lambda: metric(coupling=None),
    "gate": lambda: metric(coupling="scalar", pairs_per_sequence=4),
    "pairs, alignment": pairs,
    "pairs, gate": lambda: pairs(coupling="symmetric"),
    "augmented": lambda: metric(augment="auto"),
    "early stopping": lambda: metric(early_stopping=True, validation_fraction=0.4),
    "continued": lambda: metric().set_params(warm_start=True).fit(*sequences()),
    "NRNM": lambda: NRNMClassifier(**NRNM).fit(*sequences()),
    "NRNM metric": lambda: NRNMMetric(**NRNM).fit(*sequences()),
    "recurrent": lambda: RecurrentClassifier(**STILL, n_units=8).fit(*sequences()),
    "numbers": lambda: RecurrentRegressor(**STILL, n_units=8).fit(sequences()[0], sequences()[1].astype(float)),
    "partial": lambda: RecurrentClassifier(**STILL, n_units=8).partial_fit(*sequences()).partial_fit(*sequences()),
    "embedder": embedder,
    "transcriber": transcriber,
}


def differing(rank: int) -> dict[str, str]:
    """What fits say of which processes do not agree."""
    X, y = sequences()
    wrong: dict[str, Callable[[], Any]] = {
        "data": lambda: metric_of([X[0] + rank, *X[1:]], y),
        "labels": lambda: metric_of(X, np.roll(y, rank)),
        "parameters": lambda: SyncGRUMetric(**STILL, n_units=8 + rank).fit(X, y),
    }
    said = {}
    for name, fit in wrong.items():
        try:
            fit()
            said[name] = "nothing"
        except ValueError as error:
            said[name] = str(error)
    return said


def metric_of(X: Any, y: Any) -> Any:
    return SyncGRUMetric(**STILL, n_units=8).fit(X, y)


def outcome(model: Any) -> dict[str, Any]:
    """Losses, what the model says of new sequences, and its running statistics."""
    losses = [{k: v for k, v in row.items() if k.endswith("loss")} for row in model.history_]
    X = sequences(5)[0]
    numbers = {k: v.numpy() for k, v in model.module_.state_dict().items() if "running" in k}
    return {"losses": losses, "transform": model.transform(X), "statistics": numbers}


def main() -> None:
    """Fit as one of several processes."""
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    with data_parallel():
        found: dict[str, Any] = {name: outcome(fit()) for name, fit in FITS.items()}
        found["seeds"] = (
            SyncGRUMetric(**{**SHORT, "random_state": None, "n_units": 8}).fit(*sequences()).transform(sequences(5)[0])
        )
        found["refused"] = differing(rank)
    torch.distributed.destroy_process_group()
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
