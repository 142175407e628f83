"""From rows of the log to tables in Markdown, and to what was set out to be reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.ablation.paired import sign_flip_p
from benchmarks.cross_modal.cost import ENCODERS, STEP
from benchmarks.cross_modal.fitting import ALONE, CLASSES, IMAGES, MARGIN_ARMS, OF_SINES, SERIES
from benchmarks.harness import Result
from benchmarks.peers.bars import Bar
from benchmarks.summaries import head, line, spread

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
    "margins": ("accuracy",),
    "words": ("cer", "wer"),
    "offline": ("cer", "cer of images"),
    "adaptation": ("before", "adapted 1", "alone 1", "adapted 5", "alone 5"),
}
MAIN = {
    "omniglot": "accuracy",
    "digits": "accuracy",
    "margins": "accuracy",
    "words": "cer",
    "offline": "cer",
    "adaptation": "adapted 5",
}
"""The column of which differences are told."""

AGAINST = {IMAGES: SERIES, **{arm: CLASSES for arm in MARGIN_ARMS if arm != CLASSES}}
"""With which other arm one is compared."""


def tables(rows: Sequence[Row]) -> list[str]:
    """Every part's tables, one line of Markdown an entry; shares in per cent."""
    lines: list[str] = []
    for part in dict.fromkeys(row["part"] for row in rows):
        of_part = [row for row in rows if row["part"] == part]
        lines += ["", f"**{part}**", ""]
        lines += synthetic_tables(of_part) if part in OF_SINES else part_table(of_part, COLUMNS[part], MAIN[part])
        lines += offline_gains(of_part) if part == "offline" else []
    return lines


def part_table(rows: Sequence[Row], columns: Sequence[str], main: str) -> list[str]:
    """Task and arm a line: mean ± deviation over the seeds, difference to what it is compared with, seconds."""
    gain = f"{main}: difference (p)"
    lines = head(["task", "arm", "seeds", *columns, gain, "fit (s)"])
    for task, arm in dict.fromkeys((row["task"], row["arm"]) for row in rows):
        found = _by_seed(rows, task, arm)
        cells = [spread([100 * row[name] for row in found.values() if name in row]) for name in columns]
        plain = _by_seed(rows, task, AGAINST[arm]) if arm in AGAINST else {}
        differences = [100 * (found[s][main] - plain[s][main]) for s in found if s in plain and main in found[s]]
        cells.append(_difference(differences))
        lines.append(line([task, arm, str(len(found)), *cells, _seconds(found.values())]))
    return lines


def offline_gains(rows: Sequence[Row]) -> list[str]:
    """What both directions of help are worth: error with both modalities minus that of one alone, within a seed."""
    lines = ["", *head(["task", "arm", "sequences: difference (p)", "images: difference (p)"])]
    for task, arm in dict.fromkeys((row["task"], row["arm"]) for row in rows):
        if arm in (SERIES, ALONE):
            continue
        found, cells = _by_seed(rows, task, arm), []
        for score, other in (("cer", SERIES), ("cer of images", ALONE)):
            plain = _by_seed(rows, task, other)
            known = [s for s in found if s in plain and score in found[s] and score in plain[s]]
            cells.append(_difference([100 * (found[s][score] - plain[s][score]) for s in known]))
        lines.append(line([task, arm, *cells]))
    return lines


def synthetic_tables(rows: Sequence[Row]) -> list[str]:
    """Accuracy, epochs to 90 % of the plateau of the series alone, and both against it over all tasks and seeds."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    accuracy, speed = head(["accuracy", *tasks, "fit (s)"]), head(["epochs to 90 %", *tasks])
    against = head(["against series alone", "accuracy", "better / worse", "p", "epochs", "fewer / more", "p"])
    for arm in arms:
        scores, needed = [], []
        for task in tasks:
            found = _by_seed(rows, task, arm)
            scores.append(spread([100 * row["accuracy"] for row in found.values()]))
            known = [row for row in found.values() if "epochs" in row]
            never = sum(not row["reached"] for row in known)
            needed.append(spread([row["epochs"] for row in known]) + (f" ({never} never)" if never else ""))
        accuracy.append(line([arm, *scores, _seconds(row for row in rows if row["arm"] == arm)]))
        speed.append(line([arm, *needed]))
        if arm != SERIES:
            against.append(line([arm, *_against_series(rows, arm)]))
    return [*accuracy, "", *speed, "", *against]


def with_epochs(rows: Sequence[Row]) -> list[Row]:
    """The rows, with "epochs" instead of their curves: the first at 90 % of the plateau, if that was "reached".

    The plateau is the mean accuracy on the test set after the last three epochs of the series alone, same task and
    seed. Who never gets there counts with all epochs, which is too few. Without the series alone there is neither.
    """
    plateaus = {
        (row["task"], row["seed"]): float(np.mean(row["curve"][-PLATEAU_EPOCHS:]))
        for row in rows
        if row["arm"] == SERIES and "curve" in row
    }
    return [_with_epochs(row, plateaus.get((row["task"], row["seed"]))) for row in rows]


def _with_epochs(row: Row, plateau: float | None) -> Row:
    scores = {name: value for name, value in row.items() if name not in ("curve", "curve_s")}
    if "curve" not in row or plateau is None:
        return scores
    above = np.flatnonzero(np.array(row["curve"]) >= PLATEAU_SHARE * plateau)
    return {**scores, "epochs": int(above[0]) + 1 if len(above) else len(row["curve"]), "reached": len(above) > 0}


def _against_series(rows: Sequence[Row], arm: str) -> list[str]:
    plain = {(row["task"], row["seed"]): row for row in rows if row["arm"] == SERIES}
    both = [(row, plain[key]) for row in rows if row["arm"] == arm and (key := (row["task"], row["seed"])) in plain]
    gains = [100 * (row["accuracy"] - other["accuracy"]) for row, other in both]
    slower = [row["epochs"] - other["epochs"] for row, other in both]
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
