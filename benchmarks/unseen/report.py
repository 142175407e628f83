"""The tables in Markdown, from the summary of a run: python -m benchmarks.unseen.report FILE.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.summaries import head, line, spread
from benchmarks.unseen.contenders import CONTENDERS
from benchmarks.unseen.problems import PROBLEMS

FIGURES = {
    "one_shot_20": "20-way",
    "one_shot_5": "5-way",
    "auc": "ROC-AUC",
    "eer": "EER",
    "accuracy": "accuracy",
}
"""What a problem is judged by, and what a table calls it: all in per cent. Only of EER less is better."""

COSTS = {"fit_cpu_s": "fit (CPU s)", "ask_cpu_s": "trials (CPU s)"}
COLUMNS = (*FIGURES, *COSTS)

Columns = Mapping[str, list[float]]
Scores = dict[str, dict[str, list[list[float]]]]


def scores_of(rows: Iterable[Mapping[str, Any]]) -> Scores:
    """Problem -> contender -> for each of `COLUMNS` one value a seed, none where the problem has no such figure.

    In this form, and in per cent to one digit, the summary of many fits is small enough for git.
    """
    scores: Scores = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        values = scores.setdefault(row["task"], {}).setdefault(row["arm"], [[] for _ in COLUMNS])
        for column, found in zip(COLUMNS, values, strict=True):
            if column in row:
                found.append(round(100 * row[column], 1) if column in FIGURES else float(f"{row[column]:.2g}"))
    return scores


def tables(document: Mapping[str, Any]) -> list[str]:
    """One table over all problems, then the figures of each: mean ± deviation over the seeds, in per cent."""
    of_problems = ordered(document)
    lines = ["### One-shot trials and ROC-AUC", "", _asked(document["sizes"]), "", *_overview(of_problems)]
    for name, of_contenders in of_problems.items():
        about = document["problems"][name]
        lines += ["", f"### {name}: {PROBLEMS[name].about}", "", _described(about), "", *_details(of_contenders)]
    return lines


def ordered(document: Mapping[str, Any]) -> dict[str, dict[str, Columns]]:
    """Problem -> contender -> column -> one value a seed, in the order of `PROBLEMS` and of `CONTENDERS`."""
    names, scores = document["columns"], document["scores"]
    return {
        problem: {
            name: dict(zip(names, scores[problem][name], strict=True)) for name in CONTENDERS if name in scores[problem]
        }
        for problem in PROBLEMS
        if problem in scores
    }


def one_shot(of_contenders: Mapping[str, Columns]) -> str:
    """The figure of the trials with most classes that the problem has."""
    present = {figure for columns in of_contenders.values() for figure in columns if columns[figure]}
    return next(figure for figure in FIGURES if figure in present)


def _overview(of_problems: Mapping[str, Mapping[str, Columns]]) -> list[str]:
    pairs = [(problem, figure) for problem, found in of_problems.items() for figure in (one_shot(found), "auc")]
    names = list(dict.fromkeys(name for found in of_problems.values() for name in found))
    lines = head(["", *(f"{problem}, {FIGURES[figure]}" for problem, figure in pairs), "mean AUC"])
    for name in names:
        cells = [of_problems[problem].get(name, {}).get(figure, []) for problem, figure in pairs]
        areas = [np.mean(cell) for cell, (_, figure) in zip(cells, pairs, strict=True) if figure == "auc" and cell]
        mean = f"{np.mean(areas):.1f}" if len(areas) == len(of_problems) else ""
        lines.append(line([name, *map(spread, cells), mean]))
    return lines


def _details(of_contenders: Mapping[str, Columns]) -> list[str]:
    figures = [figure for figure in FIGURES if any(columns[figure] for columns in of_contenders.values())]
    lines = head(["", *(FIGURES[figure] for figure in figures), "seeds", *COSTS.values()])
    for name, columns in of_contenders.items():
        seconds = [f"{np.mean(columns[cost]):.2g}" for cost in COSTS]
        cells = [spread(columns[figure]) for figure in figures]
        lines.append(line([name, *cells, str(len(columns["auc"])), *seconds]))
    return lines


def _asked(sizes: Mapping[str, int]) -> str:
    return (
        f"Per cent, mean ± deviation over the seeds. Networks had {sizes['updates']} updates. A seed has "
        f"{sizes['trials']} one-shot queries and {sizes['pairs']} pairs."
    )


def _described(about: Mapping[str, Any]) -> str:
    classes = "{} classes to train on, {} for the threshold, {} to test on".format(*about["classes"])
    sequences = "{}, {} and {} sequences".format(*about["sequences"])
    shortest, longest = about["steps"]
    steps = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
    return f"{classes}; {sequences} of {steps} steps and {about['channels']} channels (seed 0)."


def legend(names: Any) -> list[str]:
    """What the contenders are."""
    return [f"* {name}: {CONTENDERS[name].about}" for name in names]


if __name__ == "__main__":
    summary = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print("\n".join([*tables(summary), "", *legend(summary["contenders"])]))
