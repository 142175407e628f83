"""From rows of the log to tables in Markdown, and to what was set out to be reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.ablation.paired import sign_flip_p
from benchmarks.cross_modal.cost import ENCODERS, STEP
from benchmarks.cross_modal.fitting import IMAGES, SERIES
from benchmarks.harness import Result
from benchmarks.jobs import spread
from benchmarks.peers.bars import Bar

Row = dict[str, Any]

PLATEAU_EPOCHS = 3
PLATEAU_SHARE = 0.9

RECALL_AT_5, DIGIT_ACCURACY, WORD_ERROR, STEP_RATIO = 0.8, 0.975, 0.05, 1.3

COLUMNS: dict[str, tuple[str, ...]] = {
    "omniglot": (
        "accuracy",
        "recall@1",
        "recall@5",
        "own recall@1",
        "own recall@5",
        "image recall@1",
        "image recall@5",
    ),
    "digits": ("accuracy",),
    "words": ("cer", "wer"),
    "adaptation": ("before", "adapted 1", "alone 1", "adapted 5", "alone 5"),
}
MAIN = {"omniglot": "accuracy", "digits": "accuracy", "words": "cer", "adaptation": "adapted 5"}
"""The column of which differences are told."""


def tables(rows: Sequence[Row]) -> list[str]:
    """Every part's tables, one line of Markdown an entry; shares in per cent."""
    lines: list[str] = []
    for part in dict.fromkeys(row["part"] for row in rows):
        of_part = [row for row in rows if row["part"] == part]
        lines += ["", f"**{part}**", ""]
        lines += synthetic_tables(of_part) if part == "synthetic" else part_table(of_part, COLUMNS[part], MAIN[part])
    return lines


def part_table(rows: Sequence[Row], columns: Sequence[str], main: str) -> list[str]:
    """Task and arm a line: mean ± deviation over the seeds, difference of images to none within a seed, seconds."""
    gain = f"{main}: difference (p)"
    lines = _head(["task", "arm", "seeds", *columns, gain, "fit (s)"])
    for task, arm in dict.fromkeys((row["task"], row["arm"]) for row in rows):
        found = _by_seed(rows, task, arm)
        cells = [spread([100 * row[name] for row in found.values() if name in row]) for name in columns]
        plain = _by_seed(rows, task, SERIES)
        differences = [100 * (found[s][main] - plain[s][main]) for s in found if s in plain]
        cells.append(_difference(differences) if arm == IMAGES else "")
        lines.append(_line([task, arm, str(len(found)), *cells, _seconds(found.values())]))
    return lines


def synthetic_tables(rows: Sequence[Row]) -> list[str]:
    """Accuracy, epochs to 90 % of the plateau of the series alone, and both against it over all tasks and seeds."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    epochs = epochs_needed(rows)
    accuracy, speed = _head(["accuracy", *tasks, "fit (s)"]), _head(["epochs to 90 %", *tasks])
    against = _head(["against series alone", "accuracy", "better / worse", "p", "epochs", "fewer / more", "p"])
    for arm in arms:
        scores, needed = [], []
        for task in tasks:
            found = _by_seed(rows, task, arm)
            scores.append(spread([100 * row["accuracy"] for row in found.values()]))
            known = [epochs[task, arm, seed] for seed in found if (task, arm, seed) in epochs]
            never = sum(reached is None for reached, _ in known)
            needed.append(spread([count for _, count in known]) + (f" ({never} never)" if never else ""))
        accuracy.append(_line([arm, *scores, _seconds(row for row in rows if row["arm"] == arm)]))
        speed.append(_line([arm, *needed]))
        if arm != SERIES:
            against.append(_line([arm, *_against_series(rows, arm, epochs)]))
    return [*accuracy, "", *speed, "", *against]


Needed = dict[tuple[str, str, int], tuple[int | None, int]]


def epochs_needed(rows: Sequence[Row]) -> Needed:
    """(first epoch at 90 % of the plateau or None, the same or all epochs) by task, arm and seed.

    The plateau is the mean accuracy on the test set after the last three epochs of the series alone, same task and
    seed. Who never gets there counts with all epochs, which is too few.
    """
    plateaus = {
        (row["task"], row["seed"]): float(np.mean(row["curve"][-PLATEAU_EPOCHS:]))
        for row in rows
        if row["arm"] == SERIES
    }
    needed: Needed = {}
    for row in rows:
        plateau = plateaus.get((row["task"], row["seed"]))
        if plateau is not None:
            above = np.flatnonzero(np.array(row["curve"]) >= PLATEAU_SHARE * plateau)
            first = int(above[0]) + 1 if len(above) else None
            needed[row["task"], row["arm"], row["seed"]] = (first, first or len(row["curve"]))
    return needed


def _against_series(rows: Sequence[Row], arm: str, epochs: Needed) -> list[str]:
    plain = {(row["task"], row["seed"]): row["accuracy"] for row in rows if row["arm"] == SERIES}
    both = [row for row in rows if row["arm"] == arm and (row["task"], row["seed"]) in plain]
    gains = [100 * (row["accuracy"] - plain[row["task"], row["seed"]]) for row in both]
    slower = [epochs[row["task"], arm, row["seed"]][1] - epochs[row["task"], SERIES, row["seed"]][1] for row in both]
    return [*_comparison(gains, "better"), *_comparison(slower, "fewer")]


def _comparison(differences: Sequence[float], good: str) -> list[str]:
    if not differences:
        return ["", "", ""]
    more, less = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    counts = f"{more} / {less}" if good == "better" else f"{less} / {more}"
    return [f"{np.mean(differences):+.1f}", counts, f"{sign_flip_p(differences):.3f}"]


def bars(rows: Sequence[Row], cost: Sequence[Result]) -> list[Bar]:
    """What was set out to be reached, of the parts that were run; means over the seeds."""
    wanted = [
        ("omniglot", "136 characters", IMAGES, "recall@5", RECALL_AT_5, False),
        ("digits", "all", SERIES, "accuracy", DIGIT_ACCURACY, False),
        ("digits", "all", IMAGES, "accuracy", DIGIT_ACCURACY, False),
        ("words", "22 writers", SERIES, "cer", WORD_ERROR, True),
        ("words", "22 writers", IMAGES, "cer", WORD_ERROR, True),
    ]
    found = []
    for part, task, arm, score, bound, at_most in wanted:
        values = [r[score] for r in rows if (r["part"], r["task"], r["arm"]) == (part, task, arm)]
        if values:
            name = f"{part}, {task}, {arm}: {score}, {len(values)} seed(s)"
            found.append(Bar(name, float(np.mean(values)), bound, at_most))
    ratios = [Bar(result.title, result.ratio(STEP, ENCODERS), STEP_RATIO, at_most=True) for result in cost]
    return found + ratios


# ------------------------------------------------------------------------------------------------------------- cells


def _by_seed(rows: Sequence[Row], task: str, arm: str) -> dict[int, Row]:
    return {row["seed"]: row for row in rows if (row["task"], row["arm"]) == (task, arm)}


def _difference(differences: Sequence[float]) -> str:
    return f"{np.mean(differences):+.1f} ({sign_flip_p(differences):.2f})" if differences else ""


def _seconds(rows: Iterable[Row]) -> str:
    return f"{np.median([row['fit_s'] for row in rows]):.0f}"


def _head(names: Sequence[str]) -> list[str]:
    return [_line(names), _line(["---", *["---:"] * (len(names) - 1)])]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
