"""From finished jobs to the tables: every setting, every problem, and every comparison over all problems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.ablation.design import Arm
from benchmarks.ablation.paired import holm, paired_t_p, sign_flip_p
from benchmarks.summaries import head, line

Row = dict[str, Any]

SETTING_NAMES = ("part", "configuration", "coupling")
PROBLEM_NAMES = ("part", "configuration", "problem", "coupling")
"""What identifies a row."""


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


def by_setting(arms: Iterable[Arm], done: Mapping[str, Row]) -> list[Row]:
    """Per part, configuration and coupling: median seconds of all its fits."""
    seconds: dict[tuple[str, str, str | None], list[float]] = defaultdict(list)
    for (part, configuration, _, coupling), seeds in _finished(arms, done).items():
        seconds[part, configuration, coupling] += [row["fit_s"] for row in seeds.values()]
    return [
        {**dict(zip(SETTING_NAMES, names, strict=True)), "fit_s": float(np.median(found))}
        for names, found in seconds.items()
    ]


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


DIGITS = 6
"""Of a number in a summary: more than a table shows."""


def nested(rows: Iterable[Row], names: Sequence[str]) -> Row:
    """The rows as mappings within mappings, by their columns `names` from the outside in; floats are rounded."""
    *outer, last = names
    tree: Row = {}
    for row in rows:
        place = tree
        for name in outer:
            place = place.setdefault(str(row[name]), {})
        place[str(row[last])] = {name: _rounded(value) for name, value in row.items() if name not in names}
    return tree


def unnested(tree: Row, names: Sequence[str]) -> list[Row]:
    """The rows from which `nested` made `tree`."""
    if not names:
        return [tree]
    key = {name: None if name == "None" else name for name in tree}
    return [{names[0]: key[name], **row} for name, part in tree.items() for row in unnested(part, names[1:])]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value


# ------------------------------------------------------------------------------------------------------------- Markdown


def markdown(problems: Sequence[Row], seconds: Sequence[Row], comparisons: Sequence[Row]) -> str:
    """The tables of every part; accuracies in percent, differences in points."""
    blocks = []
    for part in dict.fromkeys(row["part"] for row in problems):
        of_part = [[row for row in rows if row["part"] == part] for rows in (problems, seconds, comparisons)]
        blocks += [f"### {part}: every problem", _problem_table(of_part[0])]
        blocks += [f"### {part}: difference to no coupling", _comparison_table(of_part[2])]
        blocks += [f"### {part}: every setting", "\n".join(setting_table(of_part[0], of_part[1]))]
    return "\n\n".join(blocks)


def setting_table(problems: Sequence[Row], seconds: Sequence[Row]) -> list[str]:
    """Settings of one part against problems: accuracy, and median seconds of a fit."""
    names = list(dict.fromkeys(row["problem"] for row in problems))
    found = {(row["configuration"], row["coupling"], row["problem"]): row for row in problems}
    lines = head(["setting", "coupling", *names, "fit (s)"], n_texts=2)
    for setting in seconds:
        key = setting["configuration"], setting["coupling"]
        rows = [found.get((*key, name)) for name in names]
        cells = ["" if row is None else _plus_minus(row["mean"], row["std"]) for row in rows]
        lines.append(line([key[0], str(key[1]), *cells, f"{setting['fit_s']:.1f}"]))
    return lines


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
    return "\n".join([*head(header, len(header)), *map(line, cells)])


def _plus_minus(mean: float, spread: float | None) -> str:
    return f"{100 * mean:.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")


def _points(difference: float | None) -> str:
    # + 0.0 turns the -0.0 of a rounded small number into 0.0
    return "" if difference is None else f"{round(100 * difference, 1) + 0.0:+.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else ("< 0.001" if value < 0.001 else f"{value:.3f}")
