"""From rows of the log to tables in Markdown, and to what was set out to be reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.echo_state.fitting import (
    ARMS,
    ESN,
    ESN_CONTINUOUS,
    ESN_FINAL,
    GRU,
    LSTM,
    LSTM_20,
    OBJECTS,
)
from benchmarks.echo_state.throughput import CASES, OURS, THEIRS, title
from benchmarks.harness import Result
from benchmarks.peers.bars import Bar
from benchmarks.summaries import head, line, spread

Row = dict[str, Any]

EXACT_AT_4, EXACT_AT_50, VALID_AT_4, VALID_AT_50 = 0.075, 0.31, 0.005, 0.05
CLASS_BARS = {"JapaneseVowels": 0.96, "SyntheticControl": 0.97, "ECG200": 0.82}
HARDER = tuple(n for n in OBJECTS if n >= 30)


def tables(rows: Sequence[Row]) -> list[str]:
    """Every part's table, one line of Markdown an entry; shares in per cent, mean ± deviation over the seeds."""
    lines: list[str] = []
    language = [row for row in rows if row["part"] == "language"]
    if language:
        lines += language_table(language, "exact") + [""] + language_table(language, "valid") + [""]
        lines += language_table(language, "fit_s") + [""] + claims(language)
    classes = [row for row in rows if row["part"] == "classes"]
    return lines + ([""] + class_table(classes) if classes else [])


def language_table(rows: Sequence[Row], column: str) -> list[str]:
    """Contenders against numbers of objects."""
    names = {"exact": "exact error", "valid": "valid error", "fit_s": "training (s)"}
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    lines = head([names[column], *tasks])
    for arm in ARMS:
        found = [_of(rows, task, arm, column) for task in tasks]
        cells = [spread([v * (1 if column == "fit_s" else 100) for v in values]) for values in found]
        lines.append(line([arm, *cells]))
    return lines


def claims(rows: Sequence[Row]) -> list[str]:
    """The paper's three claims, each shown or not by these rows."""
    mean = {(task, arm): _mean(rows, task, arm, "exact") for task in {r["task"] for r in rows} for arm in ARMS}
    networks = (LSTM_20, LSTM, GRU)
    easy, hard = "4 objects", [f"{n} objects" for n in HARDER]
    best = min(mean.get((easy, arm), np.inf) for arm in networks[:2])
    others = min(mean.get((easy, arm), np.inf) for arm in (ESN_FINAL, ESN_CONTINUOUS))
    seconds = {arm: np.median([r["fit_s"] for r in rows if r["arm"] == arm] or [np.nan]) for arm in ARMS}
    ratios = ", ".join(f"{seconds[arm] / seconds[ESN_FINAL]:.0f} ({arm})" for arm in networks)
    harder = [
        min(mean.get((task, arm), np.inf) for arm in networks) - mean[task, ESN_FINAL]
        for task in hard
        if (task, ESN_FINAL) in mean
    ]
    faster = all(seconds[arm] > seconds[ESN_FINAL] for arm in networks)
    gains = ", ".join(f"{100 * d:+.1f}" for d in harder)
    return [
        f"- an LSTM has the lowest error at 4 objects: {_verdict(best < others)} "
        f"({100 * best:.1f} against {100 * others:.1f})",
        f"- the ESN trains faster: {_verdict(faster)}, times {ratios}",
        f"- the ESN is better on harder corpora than these networks, which were set at 4 objects: "
        f"{_verdict(bool(harder) and min(harder) > 0)} ({gains} points at {', '.join(hard)})",
    ]


def class_table(rows: Sequence[Row]) -> list[str]:
    """Problems against contenders: accuracy and seconds of fit."""
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    lines = head(["problem", *arms, *[f"{arm}, fit (s)" for arm in arms]])
    for task in dict.fromkeys(row["task"] for row in rows):
        accuracies = [spread([100 * v for v in _of(rows, task, arm, "accuracy")]) for arm in arms]
        seconds = [f"{np.median(_of(rows, task, arm, 'fit_s') or [np.nan]):.1f}" for arm in arms]
        lines.append(line([task, *accuracies, *seconds]))
    return lines


def bars(rows: Sequence[Row], speeds: Sequence[Result]) -> list[Bar]:
    """What was set out to be reached, of the parts that were run; means over the seeds."""
    wanted = [
        ("4 objects", ESN_FINAL, "exact", EXACT_AT_4),
        ("4 objects", ESN_FINAL, "valid", VALID_AT_4),
        ("50 objects", ESN_FINAL, "exact", EXACT_AT_50),
        ("50 objects", ESN_FINAL, "valid", VALID_AT_50),
    ]
    found = [
        Bar(f"{arm}, {task}: {column} error", float(np.mean(values)), bound, at_most=True)
        for task, arm, column, bound in wanted
        if (values := _of(rows, task, arm, column))
    ]
    found += [
        Bar(f"{ESN}, {task}: accuracy", float(np.mean(values)), bound)
        for task, bound in CLASS_BARS.items()
        if (values := _of(rows, task, ESN, "accuracy"))
    ]
    bounds = {title(units, density): bound for units, density, bound in CASES}
    found += [Bar(f"{r.title}: times as fast", r.ratio(THEIRS, OURS), bounds[r.title]) for r in speeds]
    return found


# ------------------------------------------------------------------------------------------------------------- cells


def _of(rows: Sequence[Row], task: str, arm: str, column: str) -> list[float]:
    return [row[column] for row in rows if (row["task"], row["arm"]) == (task, arm)]


def _mean(rows: Sequence[Row], task: str, arm: str, column: str) -> float:
    values = _of(rows, task, arm, column)
    return float(np.mean(values)) if values else np.inf


def _verdict(shown: bool) -> str:
    return "shown" if shown else "not shown"
