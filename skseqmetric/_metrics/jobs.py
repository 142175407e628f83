"""Searches side by side: each job has some of the queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from skseqmetric._metrics.parts import can_grow, taken
from skseqmetric._ops.parallel import ThreadCount

Found = tuple[np.ndarray, ...]
Search = Callable[[Any, Any, np.ndarray | None], Found]
"""(metric, queries, exclude) -> what was found. `exclude` (Q,) has a reference for each query, or is None."""


def in_jobs(
    search: Search, metric: Any, queries: Any, exclude: np.ndarray | None, n_jobs: int | None, *, in_python: bool
) -> list[Found]:
    """Return what a search found for every part of the queries, in their order.

    With `in_python` the distance holds the interpreter lock, and jobs are processes unless the caller has chosen a
    backend of joblib. All others are threads. Queries that cannot be divided are one part.
    """
    # to ask joblib takes as long as a small search
    n_parts = min(effective_n_jobs(n_jobs), len(queries)) if len(queries) > 1 else 1
    if n_parts < 2 or not can_grow(queries):
        return [search(metric, queries, exclude)]
    parts = np.array_split(np.arange(len(queries)), n_parts)
    calls = (
        delayed(_in_one_thread)(search, metric, taken(queries, rows), None if exclude is None else exclude[rows])
        for rows in parts
    )
    return Parallel(n_jobs=n_jobs, prefer="processes" if in_python else "threads")(calls)


def nearest_in_jobs(
    search: Search, metric: Any, queries: Any, exclude: np.ndarray | None, n_jobs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances and indices (Q, K) that a search finds in jobs."""
    found = in_jobs(search, metric, queries, exclude, n_jobs, in_python=getattr(metric, "_in_python", False))
    distances, indices = found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))
    return distances, indices


def _in_one_thread(search: Search, metric: Any, queries: Any, exclude: np.ndarray | None) -> Found:
    before = ThreadCount(1).set()
    try:
        return search(metric, queries, exclude)
    finally:
        before.set()
