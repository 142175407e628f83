"""What the shortlist costs in accuracy on real problems."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from benchmarks.peers.distances import N_CANDIDATES
from benchmarks.problems import load_problem
from benchmarks.threads import fixed_threads
from skseqmetric import SequenceKNeighborsClassifier, SyncGRUMetric


def reranked_against_exact(
    data: Path, problems: Iterable[str], *, threads: int, **settings: Any
) -> list[dict[str, Any]]:
    """Per problem: test accuracy of 1-NN both ways and their difference in points, metric at its defaults, seed 0."""
    with fixed_threads(threads):
        return [_row(data, problem, settings) for problem in problems]


def _row(data: Path, problem: str, settings: dict[str, Any]) -> dict[str, Any]:
    (X, y), (Q, expected) = load_problem(data, problem)
    start = time.perf_counter()
    metric = SyncGRUMetric(coupling="symmetric", random_state=0, **settings).fit(X, y)
    row: dict[str, Any] = {"problem": problem, "references": len(X), "fit_s": time.perf_counter() - start}
    for name, search in {"exact": {}, "rerank": {"algorithm": "rerank", "n_candidates": N_CANDIDATES}}.items():
        model = SequenceKNeighborsClassifier(FrozenEstimator(metric), n_neighbors=1, **search).fit(X, y)
        start = time.perf_counter()
        row[name] = float(np.mean(model.predict(Q) == expected))
        row[f"{name}_s"] = time.perf_counter() - start
    row["difference"] = 100 * (row["rerank"] - row["exact"])
    return row


def print_accuracies(rows: Iterable[dict[str, Any]]) -> None:
    """One line a problem."""
    print(f"\n{'problem':<18}{'references':>11}{'exact':>8}{'re-rank':>9}{'points':>8}{'exact s':>10}{'re-rank s':>11}")
    for row in rows:
        print(
            f"{row['problem']:<18}{row['references']:>11}{row['exact']:>8.3f}{row['rerank']:>9.3f}"
            f"{row['difference']:>+8.2f}{row['exact_s']:>10.3f}{row['rerank_s']:>11.3f}"
        )
