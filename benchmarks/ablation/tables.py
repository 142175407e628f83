"""From finished jobs to the two tables: every problem, and every comparison over all problems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.ablation.design import Arm
from benchmarks.ablation.paired import holm, paired_t_p, sign_flip_p

Row = dict[str, Any]


def by_problem(arms: Iterable[Arm], done: Mapping[str, Row]) -> list[Row]:
    """Per part, configuration, problem and coupling: mean and spread over the seeds, and the difference to None.

    "std" is the sample standard deviation over seeds; "difference" is the mean of the paired differences over the
    seeds that both have, and "p" the paired t test's.
    """
    found = _finished(arms, done)
    rows = []
    for (part, configuration, problem, coupling), seeds in found.items():
        row = {"part": part, "configuration": configuration, "problem": problem, "coupling": coupling}
        rows.append({**row, **_statistics(list(seeds.values()))})
        if coupling is not None:
            plain = found.get((part, configuration, problem, None), {})
            differences = _differences(seeds, plain)
            if differences:
                rows[-1].update(difference=float(np.mean(differences)), p=paired_t_p(differences))
    return rows


def over_problems(arms: Iterable[Arm], done: Mapping[str, Row]) -> list[Row]:
    """Per part, configuration and coupling: the differences to None over all (problem, seed) blocks.

    "problems" names the mean difference of each; "p" is the exact sign-flip test's, "p_holm" adjusted for all
    comparisons of the part.
    """
    found = _finished(arms, done)
    blocks: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(dict)
    for (part, configuration, problem, coupling), seeds in found.items():
        differences = _differences(seeds, found.get((part, configuration, problem, None), {}))
        if coupling is not None and differences:
            blocks[part, configuration, coupling][problem] = differences
    rows = [_comparison(*names, differences) for names, differences in blocks.items()]
    for part in {row["part"] for row in rows}:
        family = [row for row in rows if row["part"] == part]
        for row, adjusted in zip(family, holm([row["p"] for row in family]), strict=True):
            row["p_holm"] = adjusted
    return rows


def _finished(arms: Iterable[Arm], done: Mapping[str, Row]) -> dict[tuple[str, str, str, str | None], dict[int, Row]]:
    """Rows by (part, configuration, problem, coupling) and seed."""
    found: dict[tuple[str, str, str, str | None], dict[int, Row]] = defaultdict(dict)
    for arm in arms:
        if arm.job.key in done:
            names = (arm.part, arm.configuration, arm.job.problem, arm.job.coupling)
            found[names][arm.job.seed] = done[arm.job.key]
    return found


def _statistics(runs: Sequence[Row]) -> Row:
    accuracies = np.array([run["accuracy"] for run in runs])
    embedded = np.array([run["embedding_accuracy"] for run in runs])
    return {
        "n": len(runs),
        "mean": float(accuracies.mean()),
        "std": _spread(accuracies),
        "embedding_mean": float(embedded.mean()),
        "embedding_std": _spread(embedded),
        "fit_s": float(np.median([run["fit_s"] for run in runs])),
        "failures": sum(run.get("failure") is not None for run in runs),
    }


def _spread(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _differences(seeds: Mapping[int, Row], plain: Mapping[int, Row]) -> list[float]:
    return [seeds[seed]["accuracy"] - plain[seed]["accuracy"] for seed in sorted(seeds.keys() & plain.keys())]


def _comparison(part: str, configuration: str, coupling: str, differences: dict[str, list[float]]) -> Row:
    blocks = [value for values in differences.values() for value in values]
    return {
        "part": part,
        "configuration": configuration,
        "coupling": coupling,
        "blocks": len(blocks),
        "difference": float(np.mean([np.mean(values) for values in differences.values()])),
        "problems": {problem: float(np.mean(values)) for problem, values in differences.items()},
        "better": sum(value > 0 for value in blocks),
        "worse": sum(value < 0 for value in blocks),
        "p": sign_flip_p(_equally_weighted(differences)),
    }


def _equally_weighted(differences: dict[str, list[float]]) -> list[float]:
    """Differences such that their sum is the mean over the problems, whichever seeds each of them has."""
    return [value / len(values) for values in differences.values() for value in values]


# ------------------------------------------------------------------------------------------------------------- Markdown


def markdown(problem_rows: Sequence[Row], comparisons: Sequence[Row]) -> str:
    """Both tables of every part; accuracies in percent, differences in points."""
    parts = dict.fromkeys(row["part"] for row in problem_rows)
    blocks = []
    for part in parts:
        problems = _problem_table([row for row in problem_rows if row["part"] == part])
        overall = _comparison_table([row for row in comparisons if row["part"] == part])
        blocks.append(f"### {part}: every problem\n\n{problems}\n\n### {part}: difference to no coupling\n\n{overall}")
    return "\n\n".join(blocks)


def _problem_table(rows: Sequence[Row]) -> str:
    header = [
        "configuration",
        "problem",
        "coupling",
        "seeds",
        "1-NN %",
        "embedding 1-NN %",
        "to None",
        "p (t)",
        "fit s",
    ]
    cells = [
        [
            row["configuration"],
            row["problem"],
            str(row["coupling"]),
            str(row["n"]),
            _plus_minus(row["mean"], row["std"]),
            _plus_minus(row["embedding_mean"], row["embedding_std"]),
            _points(row.get("difference")),
            _p(row.get("p")),
            f"{row['fit_s']:.1f}" + (f" ({row['failures']} diverged)" if row["failures"] else ""),
        ]
        for row in rows
    ]
    return _table(header, cells)


def _comparison_table(rows: Sequence[Row]) -> str:
    header = ["configuration", "coupling", "mean difference", "better / worse / blocks", "p (sign flip)", "p (Holm)"]
    problems = list(dict.fromkeys(problem for row in rows for problem in row["problems"]))
    cells = [
        [
            row["configuration"],
            row["coupling"],
            _points(row["difference"]),
            f"{row['better']} / {row['worse']} / {row['blocks']}",
            _p(row["p"]),
            _p(row["p_holm"]),
            *(_points(row["problems"].get(problem)) for problem in problems),
        ]
        for row in rows
    ]
    return _table([*header, *problems], cells)


def _table(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plus_minus(mean: float, spread: float | None) -> str:
    return f"{100 * mean:.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")


def _points(difference: float | None) -> str:
    # + 0.0 turns the -0.0 of a rounded small number into 0.0
    return "" if difference is None else f"{round(100 * difference, 1) + 0.0:+.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else ("< 0.001" if value < 0.001 else f"{value:.3f}")
