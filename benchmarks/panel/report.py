"""The table of the panel: accuracies by problem, and means, ranks, wins and costs by contender."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.panel.contenders import ALL, CONTENDERS
from benchmarks.panel.statistics import friedman_p, mean_ranks, outcomes, wilcoxon_holm
from benchmarks.problems import GROUPS, group_of, is_chosen_on
from benchmarks.summaries import head, line

PUBLISHED = Path(__file__).parents[1] / "published.csv"
COLUMNS = ("ROCKET", "HC2")
DIGITS = 6
"""Mean accuracies that differ by rounding only are ties."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Scores:
    """Mean accuracy over the seeds, (problems, contenders), NaN where no fit was done; and the mean of each cost."""

    problems: tuple[str, ...]
    contenders: tuple[str, ...]
    accuracy: np.ndarray
    costs: Mapping[str, np.ndarray]

    @property
    def complete(self) -> np.ndarray:
        """Problems that every contender was fitted on: only there are means comparable."""
        return ~np.isnan(self.accuracy).any(axis=1)

    def of(self, rows: np.ndarray) -> Scores:
        """Of some problems only."""
        names = tuple(name for name, kept in zip(self.problems, rows, strict=True) if kept)
        return Scores(names, self.contenders, self.accuracy[rows], {k: v[rows] for k, v in self.costs.items()})


COSTS = ("fit_cpu_s", "predict_cpu_s", "fit_mib", "predict_mib")


def scores_by_problem(rows: Sequence[Row]) -> Scores:
    """Contenders in the order of `contenders.ALL`."""
    problems = tuple(dict.fromkeys(sorted((row["task"] for row in rows), key=_place)))
    present = {row["arm"] for row in rows}
    contenders = tuple(contender.name for contender in ALL if contender.name in present)
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["task"], row["arm"]), []).append(row)

    def means(name: str) -> np.ndarray:
        values = [[_mean(cells.get((p, c), ()), name) for c in contenders] for p in problems]
        return np.array(values).reshape(len(problems), len(contenders))

    accuracy = np.round(means("accuracy"), DIGITS)
    return Scores(problems, contenders, accuracy, {name: means(name) for name in COSTS})


def _place(problem: str) -> tuple[int, str]:
    return list(GROUPS).index(group_of(problem)), problem


def _mean(rows: Sequence[Row], name: str) -> float:
    values = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(values)) if values else np.nan


def read_published(path: Path = PUBLISHED) -> dict[str, dict[str, float]]:
    """Accuracies of others on original splits, by problem and classifier; their sources are in the file."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(row for row in file if not row.startswith("#"))
        return {row["problem"]: {name: float(row[name]) for name in COLUMNS} for row in lines}


# ------------------------------------------------------------------------------------------------------------- tables


def tables(scores: Scores, published_file: Path = PUBLISHED) -> list[str]:
    """Everything, in Markdown."""
    published = {name: of for name, of in read_published(published_file).items() if name in scores.problems}
    lines = ["Accuracy, mean over the seeds. A star: settings of the contender were chosen on this problem.", ""]
    for group, about in GROUPS.items():
        chosen = np.array([group_of(name) == group for name in scores.problems])
        if chosen.any():
            of_group = scores.of(chosen)
            title = f"### Problems {group}: {about}"
            lines += [title, "", *_accuracies(of_group, published), "", *_comparison(of_group, published)]
    return [*lines, "### All problems", "", *_comparison(scores, published)]


def _comparison(scores: Scores, published: Mapping[str, Mapping[str, float]]) -> list[str]:
    complete = scores.of(scores.complete)
    n = len(complete.problems)
    if n == 0:
        return ["No problem has a fit of every contender, so that there are no means to compare.", ""]
    lines = [f"Over the {n} problem(s) that every contender was fitted on:", "", *_summary(complete), ""]
    return [*lines, *_against_published(complete, published), *_outcomes(complete), ""]


def _accuracies(scores: Scores, published: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = head(["problem", *scores.contenders, *(f"{name}, published" for name in COLUMNS)])
    for name, accuracies in zip(scores.problems, scores.accuracy, strict=True):
        cells = [
            "" if np.isnan(accuracy) else f"{accuracy:.3f}{'*' if is_chosen_on(contender, name) else ''}"
            for contender, accuracy in zip(scores.contenders, accuracies, strict=True)
        ]
        others = published.get(name, {})
        lines.append(line([name, *cells, *(f"{others[c]:.3f}" if c in others else "" for c in COLUMNS)]))
    means = [_number(of[~np.isnan(of)], np.mean) for of in scores.accuracy.T]
    return [*lines, line(["mean", *means, *("" for _ in COLUMNS)])]


def _number(values: np.ndarray, of: Any, form: str = ".3f") -> str:
    return f"{of(values):{form}}" if len(values) and not np.isnan(values).all() else ""


def _summary(scores: Scores) -> list[str]:
    names = ["contender", "mean accuracy", "mean rank", "best alone or with others", "fit (CPU s, all problems)"]
    names += ["predict (CPU s)", "median fit (CPU s)", "peak memory (MiB)"]
    lines, ranks = head(names), mean_ranks(scores.accuracy)
    best = scores.accuracy == scores.accuracy.max(axis=1, keepdims=True)
    for at in np.argsort(ranks, kind="stable"):
        fit, predict = (scores.costs[name][:, at] for name in ("fit_cpu_s", "predict_cpu_s"))
        memory = np.fmax(scores.costs["fit_mib"][:, at], scores.costs["predict_mib"][:, at])
        cells = [scores.contenders[at], f"{scores.accuracy[:, at].mean():.4f}", f"{ranks[at]:.2f}"]
        cells += [f"{best[:, at].sum()}", _number(fit, np.sum, ".3g"), _number(predict, np.sum, ".3g")]
        lines.append(line([*cells, _number(fit, np.median, ".2g"), _number(memory, np.nanmax, ".0f")]))
    return lines


def _against_published(scores: Scores, published: Mapping[str, Mapping[str, float]]) -> list[str]:
    has = np.array([name in published for name in scores.problems], dtype=bool)
    if not has.any():
        return []
    theirs = np.array([[published[name][c] for c in COLUMNS] for name in scores.of(has).problems])
    means = {name: f"{of.mean():.4f}" for name, of in zip(scores.contenders, scores.accuracy[has].T, strict=True)}
    means |= {f"{name}, published": f"{of.mean():.4f}" for name, of in zip(COLUMNS, theirs.T, strict=True)}
    ordered = dict(sorted(means.items(), key=lambda item: -float(item[1])))
    lines = [f"Mean accuracy over the {has.sum()} of them that have published figures:", "", *head(["", "mean"])]
    return [*lines, *(line([name, mean]) for name, mean in ordered.items()), ""]


def _outcomes(scores: Scores) -> list[str]:
    p = wilcoxon_holm(scores.accuracy)
    order = np.argsort(mean_ranks(scores.accuracy), kind="stable")
    lines = ["Wins / ties / losses of the row against the column, and p of Wilcoxon's signed ranks, adjusted by Holm."]
    lines.append(f"Friedman's test over all contenders: p = {friedman_p(scores.accuracy):.2g}.")
    lines += ["", *head(["", *(scores.contenders[j] for j in order)])]
    for i in order:
        cells = ["" if i == j else _outcome(scores.accuracy, i, j, p[i, j]) for j in order]
        lines.append(line([scores.contenders[i], *cells]))
    return lines


def _outcome(accuracies: np.ndarray, i: int, j: int, p: float) -> str:
    return f"{' / '.join(map(str, outcomes(accuracies, i, j)))} ({p:.2g})"


def legend(names: Sequence[str]) -> list[str]:
    """What the contenders are."""
    return [f"* {name}: {CONTENDERS[name].about}" for name in names]
