"""Summaries of a log: the scores of all fits without their repetition, and tables in Markdown.

A log (FILE.jsonl) has a line a fit and stays on the machine that made it. Its summary (FILE.json) holds the figures
from which the tables are made, so that they can be made again without the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.harness import Result

Row = dict[str, Any]
Scores = dict[str, dict[str, dict[str, dict[str, list[Any]]]]]

IDENTITY = ("key", "part", "task", "arm", "settings", "commit")
"""What a row of the log says of its fit, scores apart."""


def scores_of(rows: Iterable[Row]) -> Scores:
    """Part -> task -> arm -> column -> one value a seed, None where a fit has none; seconds to four digits."""
    arms: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        arms.setdefault((row["part"], row["task"], row["arm"]), []).append(row)
    scores: Scores = {}
    for (part, task, arm), found in arms.items():
        columns = dict.fromkeys(name for row in found for name in row if name not in IDENTITY)
        values = {name: [_rounded(name, row.get(name)) for row in found] for name in columns}
        scores.setdefault(part, {}).setdefault(task, {})[arm] = values
    return scores


def _rounded(name: str, value: Any) -> Any:
    return float(f"{value:.4g}") if name.endswith("_s") and value is not None else value


def rows_of(scores: Scores) -> list[Row]:
    """The rows from which `scores_of` made `scores`, less what identifies a fit beyond part, task, arm and seed."""
    rows = []
    for part, tasks in scores.items():
        for task, arms in tasks.items():
            for arm, columns in arms.items():
                for values in zip(*columns.values(), strict=True):
                    known = {n: value for n, value in zip(columns, values, strict=True) if value is not None}
                    rows.append({"part": part, "task": task, "arm": arm, **known})
    return rows


def commits_of(rows: Iterable[Row]) -> list[str]:
    """The commits at which the rows were measured."""
    return sorted({str(row["commit"]) for row in rows})


def figures(result: Result) -> Row:
    """A comparison for a document that tells its circumstances once: the threads alone stay with the result."""
    timings = [{name: value for name, value in asdict(t).items() if value not in (None, {})} for t in result.timings]
    for timing in timings:
        timing["seconds"] = [float(f"{value:.4g}") for value in timing["seconds"]]
    threads = result.environment.get("threads")
    return {"title": result.title, "threads": threads, "unit": result.unit, "timings": timings}


# ------------------------------------------------------------------------------------------------------------- Markdown


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean ± standard deviation, for a table; nothing of no values."""
    if not len(values):
        return ""
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else mean


def head(names: Sequence[str], n_texts: int = 1) -> list[str]:
    """The first two lines of a table whose first `n_texts` columns are text."""
    return [line(names), line(["---"] * n_texts + ["---:"] * (len(names) - n_texts))]


def line(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"
