"""Find a pattern in long recordings: average precision and processor seconds, beside stumpy and dtaidistance.

python -m benchmarks.run_subsequence [--data DIR] [--out FILE.json] [--choose] [--problems NAME ...]

DIR holds hapt.npz, whose postural transitions are found in the recordings of subjects that nothing was learned from.
Without --data there are only made gestures, planted in drifts under noise. --choose tries the settings of every search
in two recordings of each of two folds of the training subjects, prints a table, and reads no test recording.

A search ranks 100 places for every pattern. Its average precision is the mean over the patterns.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.subsequence.contenders import CONTENDERS, Contender
from benchmarks.subsequence.problems import Problem, planted, postures
from benchmarks.subsequence.scores import average_precision
from benchmarks.threads import fixed_threads


@dataclass(frozen=True)
class Row:
    """What a search reached on a problem: average precision, and processor seconds of learning and of searching."""

    problem: str
    contender: str
    settings: dict[str, Any]
    precision: float
    precisions: list[float]
    learning: float
    searching: float


def measured(problem: Problem, contender: Contender, settings: dict[str, Any]) -> Row:
    """Learn, search and score once."""
    began = time.process_time()
    state = contender.learn(problem, **settings)
    learned = time.process_time()
    found = contender.search(problem, state, **settings)
    searched = time.process_time()
    precisions = [average_precision(found[label], problem.test, label) for label in sorted(found)]
    return Row(
        problem.name,
        contender.name,
        settings,
        round(float(np.mean(precisions)), 3),
        [round(p, 2) for p in precisions],
        round(learned - began, 2),
        round(searched - learned, 2),
    )


def chosen(problem: Problem, contenders: list[Contender], n_folds: int = 2, n_held_out: int = 2) -> None:
    """Print the mean of the average precisions over folds of the training recordings, for all settings."""
    for contender in contenders:
        for settings in contender.tried:
            rows = [measured(part, contender, settings) for part in problem.inner(n_folds, n_held_out)]
            mean, seconds = np.mean([row.precision for row in rows]), sum(row.searching for row in rows)
            print(f"{problem.name:20} {contender.name:34} {mean:.3f} {seconds:7.1f} s  {settings}", flush=True)


def warmed_up(contenders: list[Contender]) -> None:
    """Let every contender load and compile what it does once in a process."""
    small = planted(n_recordings=4, n_steps=3000, n_gestures=12)
    for contender in contenders:
        measured(small, contender, contender.settings[small.name])


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table of the documentation, from the rows of a file of results."""
    lines = ["| problem | search | average precision | learn (s) | search (s) |", "| --- | --- | ---: | ---: | ---: |"]
    for row in rows:
        seconds = " | ".join(
            f"{row[part]:.2g}" if row[part] < 10 else f"{row[part]:.0f}" for part in ("learning", "searching")
        )
        lines.append(f"| {row['problem']} | {row['contender']} | {row['precision']:.2f} | {seconds} |")
    return "\n".join(lines)


def print_row(row: Row) -> None:
    """One line of the table."""
    print(
        f"{row.problem:20} {row.contender:34} {row.precision:.3f} {row.learning:8.2f} {row.searching:8.2f}  "
        f"{row.precisions} {row.settings}",
        flush=True,
    )


def problems_of(args: argparse.Namespace) -> list[Problem]:
    """Made gestures, and what the folder has."""
    made = planted(n_recordings=4, n_steps=3000, n_gestures=12) if args.quick else planted()
    found = [made] if args.data is None else [made, postures(args.data)]
    return [problem for problem in found if args.problems is None or problem.name in args.problems]


def main() -> None:
    """Measure and print, or choose settings."""
    parser = argument_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(threads=1)
    parser.add_argument("--problems", nargs="+", help="by name; default: all")
    parser.add_argument("--contenders", nargs="+", help="find_subsequences, stumpy, dtaidistance; default: all")
    parser.add_argument("--choose", action="store_true", help="compare settings inside the training recordings")
    args = parser.parse_args()
    with fixed_threads(args.threads):
        problems = problems_of(args)
        contenders = [c for c in CONTENDERS if args.contenders is None or c.name.split(",")[0] in args.contenders]
        if args.choose:
            for problem in problems:
                chosen(problem, contenders)
            return
        warmed_up(contenders)
        rows = []
        print(f"{'':55} {'AP':5} {'learn s':>8} {'search s':>8}")
        for problem in problems:
            for contender in contenders:
                rows.append(measured(problem, contender, contender.settings[problem.name]))
                print_row(rows[-1])
    print("\n" + markdown([vars(row) for row in rows]))
    if args.out is not None:
        write_json(args.out, {"environment": environment(threads=args.threads), "rows": [vars(row) for row in rows]})


if __name__ == "__main__":
    main()
