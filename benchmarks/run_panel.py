"""One table for a folder of problems: our estimators, dynamic time warping, random convolutions of others, a forest.

python -m benchmarks.run_panel --data DIR --out FILE.json [--plot FILE.png] [--aeon-python PATH]

DIR and its folders hold problems in the form of `skseqmetric.datasets.read_sequences`, each a file with the splits
"train" and "test". A problem with missing values is left out and named. Every fit is a job in a process of `--threads`
threads, which loads, compiles and warms up before it is measured. Its row has accuracy on the test split, seconds of
processors and by the clock, and memory of fit and predict.

aeon holds numpy and numba back. So it lives in an environment of its own:

    python -m venv aeon-environment
    aeon-environment/bin/python -m pip install aeon==1.6.0 torch
    python -m benchmarks.run_panel ... --aeon-python aeon-environment/bin/python

aeon takes equal lengths only. Ragged sequences are padded with zeros to the longest of the training split, as its
users do. Longer ones of the test split are cut, and sequences of fewer than 9 steps padded to 9.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.environment import available_cores, environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.jobs import LOG_NOTE, Job, do_all, exit_if_any_failed, read_log
from benchmarks.panel.contenders import ALL, CONTENDERS, Contender
from benchmarks.panel.fitting import Place, run_job
from benchmarks.panel.problems import find_problems, read_problem
from benchmarks.panel.report import DIGITS, legend, scores_by_problem, tables
from benchmarks.summaries import commits_of, scores_of

PART = "panel"
QUICK_PROBLEMS = 2


def chosen_contenders(args: argparse.Namespace) -> list[Contender]:
    """Those asked for, or all that can run; networks come last."""
    if args.contenders is not None:
        return [CONTENDERS[name] for name in dict.fromkeys(args.contenders)]
    can = [contender for contender in ALL if args.aeon_python or args.report or not contender.by_aeon]
    if len(can) < len(ALL):
        print(f"left out without --aeon-python: {', '.join(c.name for c in ALL if c not in can)}")
    return can


def planned(contenders: Sequence[Contender], problems: Sequence[str], args: argparse.Namespace) -> list[Job]:
    """Cheap contenders first; every problem once before any gets its second seed."""
    settings = (("threads", args.threads), *((("quick", True),) if args.quick else ()))
    return [
        Job(PART, problem, contender.name, seed, settings)
        for slow in (False, True)
        for seed in range(1 if args.quick else args.seeds)
        for contender in contenders
        if contender.slow == slow and (seed == 0 or contender.seeded)
        for problem in problems
    ]


def rows_in_log(args: argparse.Namespace, contenders: Sequence[Contender], problems: Sequence[str]) -> list[Any]:
    """What was fitted before, of whatever seeds."""
    names = {contender.name for contender in contenders}
    found = read_log(args.out.with_suffix(".jsonl")).values()
    return [row for row in found if row.get("part") == PART and row["arm"] in names and row["task"] in problems]


def document(args: argparse.Namespace, rows: list[Any], files: dict[str, Path]) -> dict[str, Any]:
    """What --out holds: the figures from which `benchmarks.panel.report` makes the tables."""
    return {
        "environment": environment(threads=args.threads),
        "commits": commits_of(rows),
        "contenders": {name: CONTENDERS[name].about for name in dict.fromkeys(row["arm"] for row in rows)},
        "problems": {name: read_problem(name, path).described() for name, path in files.items()},
        "left out": args.left_out,
        "scores": scores_of(_short(row) for row in rows),
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "accuracy": round(row["accuracy"], DIGITS)}


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argument_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = LOG_NOTE
    parser.set_defaults(out=Path("panel.json"))
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), metavar="NAME", help=", ".join(CONTENDERS))
    parser.add_argument("--problems", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--aeon-python", type=Path, metavar="PATH", help="Python of the environment that has aeon")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="critical differences, and accuracy against seconds"
    )
    parser.add_argument("--report", action="store_true", help="sum up all seeds in the log, fit nothing")
    args = parser.parse_args()
    if args.data is None:
        parser.error("--data DIR is needed: a folder of problems in the form of skseqmetric.datasets.read_sequences")
    if args.aeon_python is None and any(CONTENDERS[name].by_aeon for name in args.contenders or () if not args.report):
        parser.error("contenders of aeon need --aeon-python PATH")
    args.threads = args.threads or available_cores()
    return args


def main() -> None:
    """Fit what is missing, print and write the table, draw."""
    args = parse()
    files, args.left_out = find_problems(args.data, args.problems)
    for name, why in args.left_out.items():
        print(f"left out: {name}: {why}")
    if args.quick:
        files = dict(list(files.items())[:QUICK_PROBLEMS])
    contenders = chosen_contenders(args)
    jobs = [] if args.report else planned(contenders, list(files), args)
    place = Place(tuple(files.items()), args.threads, args.quick, args.aeon_python)
    log = args.out.with_suffix(".jsonl")
    rows = do_all(run_job, jobs, place, args.jobs, log, threads=args.threads)
    rows_to_sum_up = rows_in_log(args, contenders, list(files)) if args.report else rows
    scores = scores_by_problem(rows_to_sum_up)
    lines = [*tables(scores), "", *legend(scores.contenders)]
    print("\n".join(["", *lines]))
    write_json(args.out, document(args, rows_to_sum_up, files))
    if args.plot is not None and scores.complete.any():
        from benchmarks.panel.picture import draw

        draw(scores.of(scores.complete), args.plot)
    exit_if_any_failed(jobs, rows)


if __name__ == "__main__":
    main()
