"""Settings of SyncGRUMetric by cross-validation inside the training splits of a folder of problems.

python -m benchmarks.run_defaults --data DIR --out FILE.json [--settings NAME ...] [--problems NAME ...] [--folds N]

DIR holds problems as for run_panel; their test splits are not read. Every training split, at most 450 sequences of it,
is cut in three folds that keep the shares of classes. A fold is one fit on the other two and 1-NN on the fold. A fourth
fold begins the next cut. Classes of fewer than three sequences are left out. With --per-class N a fold trains on N
sequences of every class that are drawn anew, or on two thirds of a smaller class, and holds out the others.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.jobs import LOG_NOTE, Job, do_all, exit_if_any_failed
from benchmarks.panel.cost import costed
from benchmarks.panel.problems import find_problems, read_problem
from benchmarks.problems import Split
from benchmarks.summaries import commits_of, head, line, scores_of
from skseqmetric import SequenceKNeighborsClassifier, SyncGRUMetric

PART, N_FOLDS, MOST = "defaults", 3, 450
_MATCHED: dict[str, Any] = {"coupling": "alignment", "max_updates": 300, "kernel_sizes": (7, 5)}
SETTINGS: dict[str, dict[str, Any]] = {
    "pooled": {"coupling": None, "max_updates": 300, "kernel_sizes": (7, 5)},
    "matched": {**_MATCHED, "pooled_weight": 0.0},
    "matched + pooled": {**_MATCHED, "pooled_weight": 1.0},
    "matched + 3 pooled": {**_MATCHED, "pooled_weight": 3.0},
    "matched + pooled, 12 places": {**_MATCHED, "n_places": 12},
    "matched + pooled, 450 updates": {**_MATCHED, "max_updates": 450, "max_epochs": 100},
    "matched + pooled, 600 updates": {**_MATCHED, "max_updates": 600, "max_epochs": 100},
    "matched + pooled, kernels 9 and 7": {**_MATCHED, "kernel_sizes": (9, 7)},
    "matched + pooled, kernels 13 and 9": {**_MATCHED, "kernel_sizes": (13, 9)},
}
PER_CLASS = "per class"


def training_split(path: Path) -> Split:
    """Sequences and labels of the training split, cut down."""
    X, y = read_problem(path.stem, path).train
    kept = np.arange(len(y))
    if len(y) > MOST:
        kept = np.sort(np.random.default_rng(0).permutation(len(y))[:MOST])
    counts = np.bincount(y[kept])
    kept = kept[counts[y[kept]] >= N_FOLDS]
    return [X[i] for i in kept], y[kept]


def cut(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and those held out: one of the folds of a cut."""
    number, fold = divmod(seed, N_FOLDS)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=number).split(np.zeros(len(y)), y)
    return list(folds)[fold]


def few_of_each(y: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on, n of every class or two thirds of it, and the others."""
    rng = np.random.default_rng(seed)
    members = [rng.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
    train = np.sort(np.concatenate([rows[: min(n, 2 * len(rows) // 3)] for rows in members]))
    return train, np.setdiff1d(np.arange(len(y)), train)


def run_job(job: Job, data: Path) -> dict[str, Any]:
    """Accuracy on one fold, and the cost of the fit."""
    X, y = training_split(find_problems(data, [job.task])[0][job.task])
    settings = dict(job.settings)
    train, held_out = few_of_each(y, settings.pop(PER_CLASS), job.seed) if PER_CLASS in settings else cut(y, job.seed)
    metric = SyncGRUMetric(random_state=job.seed, **{**SETTINGS[job.arm], **settings})
    model = SequenceKNeighborsClassifier(metric, n_neighbors=1)
    _, cost = costed(lambda: model.fit([X[i] for i in train], y[train]), "fit")
    return {"accuracy": model.score([X[i] for i in held_out], y[held_out]), **cost}


def table(rows: list[dict[str, Any]], settings: list[str]) -> list[str]:
    """Accuracy of every setting on every problem that has them all, per cent, and means."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        found.setdefault(row["task"], {}).setdefault(row["arm"], []).append(100 * row["accuracy"])
    whole = {task: arms for task, arms in found.items() if set(settings) <= set(arms)}
    means = {task: [float(np.mean(arms[name])) for name in settings] for task, arms in whole.items()}
    body = [line([task, *(f"{value:.1f}" for value in values)]) for task, values in means.items()]
    mean = [f"{value:.1f}" for value in np.mean(list(means.values()), axis=0)] if means else []
    return [*head(["problem", *settings]), *body, line(["**mean**", *mean])]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argument_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = LOG_NOTE
    parser.set_defaults(out=Path("defaults.json"), threads=1)
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), metavar="NAME", default=list(SETTINGS))
    parser.add_argument("--problems", nargs="+", metavar="NAME")
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--per-class", type=int, metavar="N", help="train on N sequences of every class")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    args = parser.parse_args()
    if args.data is None:
        parser.error("--data is needed")
    return args


def main() -> None:
    """Fit what is missing, print and write the table."""
    args = parse()
    problems, left_out = find_problems(args.data, args.problems)
    for name, why in left_out.items():
        print(f"left out: {name}: {why}")
    quick = (("max_epochs", 1), ("max_updates", 2), ("n_units", 4), ("n_filters", 4)) if args.quick else ()
    few = () if args.per_class is None else ((PER_CLASS, args.per_class),)
    jobs = [
        Job(PART, problem, setting, fold, (*few, *quick))
        for fold in range(args.folds)
        for problem in problems
        for setting in args.settings
    ]
    rows = do_all(run_job, jobs, args.data, args.jobs, args.out.with_suffix(".jsonl"), threads=args.threads)
    print("\n".join(["", *table(rows, args.settings)]))
    write_json(
        args.out,
        {
            "environment": environment(threads=args.threads),
            "commits": commits_of(rows),
            "settings": {name: SETTINGS[name] for name in args.settings},
            "scores": scores_of(rows),
        },
    )
    exit_if_any_failed(jobs, rows)


if __name__ == "__main__":
    main()
