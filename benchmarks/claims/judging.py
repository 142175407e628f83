"""How arms are compared over seeds: scores by arm, a difference with its interval and p, and a family of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.ablation.paired import holm, paired_t_p
from benchmarks.summaries import head, line

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


def summed_up(rows: Sequence[Row], task: str, score: str = "score") -> dict[str, dict[str, float]]:
    """Of a task the mean score and the median seconds of a fit, by arm."""
    scores, seconds = by_arm(rows, task, score), by_arm(rows, task, "fit_s")
    return {
        "means": {arm: round(float(np.mean(values)), 4) for arm, values in scores.items()},
        "seconds": {arm: round(float(np.median(values)), 1) for arm, values in seconds.items()},
    }


def table(results: Mapping[str, dict[str, Any]]) -> list[str]:
    """Lines of Markdown: a task each, its scores, difference, interval, adjusted p, seconds of a fit."""
    lines = head(["task", "score", "difference", "95 %", "adjusted p", "seconds of a fit"])
    for task, of in results.items():
        scores = "; ".join(f"{arm} {mean:.3f}" for arm, mean in of["means"].items())
        against = f" to {of['against']}" if "against" in of else ""
        seconds = "; ".join(f"{value:.0f}" for value in of["seconds"].values())
        low, high = of["interval"]
        interval, p = f"{low:+.3f} to {high:+.3f}", f"{of['adjusted p']:.3f}"
        lines.append(line([task, scores, f"{of['difference']:+.3f}{against}", interval, p, seconds]))
    return lines


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
