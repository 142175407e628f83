"""The table of `benchmarks.run_transport`: a row for every contender and its way to answer, the best first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.summaries import head, line, spread
from benchmarks.transport.contenders import ALL, METRICS
from benchmarks.transport.problem import FOLDS

Row = Mapping[str, Any]

REFERENCE = "DTW, 10 % band"
IN_METRICS = frozenset(contender.name for contender in METRICS)
ANSWERS = {"accuracy": "1-NN", "class_means": "class means"}


def table(rows: Sequence[Row]) -> list[str]:
    """Per cent by fold and over folds, with the deviation of the latter over seeds; median seconds of processors."""
    lines = {c.name: list(_lines(c.name, [row for row in rows if row["arm"] == c.name])) for c in ALL}
    reference = next((mean for mean, _ in lines[REFERENCE]), np.nan)
    found = [(mean, cells) for of_contender in lines.values() for mean, cells in of_contender]
    found.sort(key=lambda row: (np.isnan(row[0]), -row[0]))
    names = ["contender", "answers by", *FOLDS, "mean", "to DTW", "seeds", "fit (CPU s)", "predict (CPU s)"]
    return [*head(names, 2), *(line(_with_difference(cells, mean - reference)) for mean, cells in found)]


def _with_difference(cells: list[str], difference: float) -> list[str]:
    place = 3 + len(FOLDS)
    return [*cells[:place], "" if np.isnan(difference) else f"{difference:+.1f}", *cells[place:]]


def _lines(name: str, rows: Sequence[Row]) -> Iterator[tuple[float, list[str]]]:
    """Mean over folds and cells of every way to answer; the mean is NaN unless every fold was fitted."""
    for key, way in ANSWERS.items():
        answered = [row for row in rows if key in row]
        if not answered:
            continue
        seeds = sorted({row["seed"] for row in answered})
        scores = _scores(answered, key, seeds)
        means = scores[~np.isnan(scores).any(axis=1)].mean(axis=1)
        cells = [_mean(of_fold) for of_fold in scores.T]
        seconds = [f"{np.median([row[c] for row in answered]):.3g}" for c in ("fit_cpu_s", "predict_cpu_s")]
        shown = [name, way if name in IN_METRICS else "itself", *cells, spread(means), str(len(seeds)), *seconds]
        yield float(means.mean()) if len(means) else np.nan, shown


def _scores(rows: Sequence[Row], key: str, seeds: Sequence[int]) -> np.ndarray:
    """Per cent, (seeds, folds), NaN where no fit was done."""
    scores = np.full((len(seeds), len(FOLDS)), np.nan)
    for row in rows:
        scores[seeds.index(row["seed"]), FOLDS.index(row["task"])] = 100 * row[key]
    return scores


def _mean(values: np.ndarray) -> str:
    known = values[~np.isnan(values)]
    return f"{known.mean():.1f}" if len(known) else ""


def legend(names: Iterable[str]) -> list[str]:
    """What the contenders are."""
    return [f"* {contender.name}: {contender.about}" for contender in ALL if contender.name in set(names)]
