"""How arms are compared over seeds: scores by arm, a difference with its interval and p, and a family of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.ablation.paired import holm, paired_t_p

Row = dict[str, Any]


def by_arm(rows: Sequence[Row], task: str, score: str = "score") -> dict[str, list[float]]:
    """Scores of a task by arm, in the order of the seeds."""
    found: dict[str, list[float]] = {}
    for row in sorted((row for row in rows if row["task"] == task), key=lambda row: row["seed"]):
        found.setdefault(row["arm"], []).append(row[score])
    return found


def compared(scores: Sequence[float], others: Sequence[float]) -> dict[str, Any]:
    """Mean difference, its interval of 95 %, and p of the paired t test: 1 where it is not defined."""
    difference = np.subtract(scores, others)
    p = paired_t_p(difference)
    n = len(difference)
    half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    return {
        "difference": round(float(difference.mean()), 4),
        "interval": [round(float(difference.mean() + s * half), 4) for s in (-1, 1)],
        "p": 1.0 if p is None else p,
    }


def adjusted(results: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The results of a family of tests, each with Holm's "adjusted p"."""
    found = holm([result["p"] for result in results.values()])
    return {name: {**result, "adjusted p": p} for (name, result), p in zip(results.items(), found, strict=True)}


def above_all(found: Mapping[str, Sequence[float]], arm: str) -> dict[str, Any]:
    """The weaker of an arm's comparisons with all others, "against" which that is: it has to be above each of them.

    p is 1 where it is not above the other.
    """
    comparisons = []
    for other, scores in found.items():
        if other != arm:
            result = compared(found[arm], scores)
            comparisons.append({"against": other, **result, "p": result["p"] if result["difference"] > 0 else 1.0})
    return max(comparisons, key=lambda result: (result["p"], -result["difference"]))
