"""Classes never seen in training: one-shot trials and verification by every metric with every coupling.

python -m benchmarks.run_unseen --data DIR --out FILE.json [--plot FILE.png]

DIR holds omniglot_pairs.npz, hapt.npz and pendigits_strokes.npz; a problem whose file is not there is left out and
named. Without --data there is one problem, made of random curves. A seed draws which classes are left out where the
problem leaves it open, the trials, and every random number of the contenders.

A problem has three parts that share no class. Metrics are fitted to the first. `calibrate_threshold` gets pairs of the
second. One-shot trials and pairs to verify are of the third. A query is never compared with a sequence by the same
person, or of the same recording where persons are the classes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.jobs import LOG_NOTE, Job, Settings, do_all, exit_if_any_failed, read_log
from benchmarks.summaries import commits_of
from benchmarks.unseen.contenders import ALL, CONTENDERS
from benchmarks.unseen.design import QUICK, Sizes
from benchmarks.unseen.fitting import run_job
from benchmarks.unseen.problems import PROBLEMS, find_problems
from benchmarks.unseen.report import COLUMNS, legend, scores_of, tables

PART = "unseen"


def sizes_of(args: argparse.Namespace) -> Sizes:
    """What the options ask for; a quick run trains and asks little."""
    given = {name: getattr(args, name) for name in ("updates", "trials", "pairs")}
    return QUICK if args.quick else replace(Sizes(), **given)


def settings_of(args: argparse.Namespace) -> Settings:
    """What the key of a fit holds beside problem, contender and seed."""
    return (("threads", args.threads), *asdict(sizes_of(args)).items())


def planned(contenders: Sequence[str], problems: Sequence[str], args: argparse.Namespace) -> list[Job]:
    """Every contender on every problem before any gets its second seed; slow ones come last and have fewer seeds."""
    return [
        Job(PART, problem, name, seed, settings_of(args))
        for slow, n_seeds in ((False, args.seeds), (True, min(args.seeds, args.gate_seeds)))
        for seed in range(1 if args.quick else n_seeds)
        for problem in problems
        for name in contenders
        if CONTENDERS[name].slow == slow
    ]


def rows_in_log(args: argparse.Namespace, problems: Sequence[str]) -> list[Any]:
    """What was fitted before with these settings, of whatever seeds."""
    settings = [list(setting) for setting in settings_of(args)]
    found = [row for row in read_log(args.out.with_suffix(".jsonl")).values() if row["settings"] == settings]
    return [row for row in found if row["arm"] in args.contenders and row["task"] in problems]


def document(args: argparse.Namespace, rows: list[Any], problems: Sequence[str]) -> dict[str, Any]:
    """What --out holds: the figures from which `benchmarks.unseen.report` makes the tables."""
    sizes = sizes_of(args)
    return {
        "environment": environment(threads=args.threads),
        "commits": commits_of(rows),
        "sizes": asdict(sizes),
        "contenders": {name: CONTENDERS[name].about for name in dict.fromkeys(row["arm"] for row in rows)},
        "problems": {
            name: PROBLEMS[name].make(args.data, sizes, 0).described()
            for name in problems
            if name in {row["task"] for row in rows}
        },
        "left out": args.left_out,
        "columns": COLUMNS,
        "scores": scores_of(rows),
    }


def parse() -> argparse.Namespace:
    """The command line."""
    sizes = Sizes()
    parser = argument_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = LOG_NOTE
    parser.set_defaults(out=Path("unseen.json"), threads=1)
    names = [contender.name for contender in ALL]
    parser.add_argument("--contenders", nargs="+", choices=names, metavar="NAME", default=names, help="; ".join(names))
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), metavar="NAME", help="; ".join(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--gate-seeds", type=int, default=1, help="of couplings that run the network on every pair")
    parser.add_argument("--updates", type=int, default=sizes.updates, help="of every network")
    parser.add_argument("--trials", type=int, default=sizes.trials, help="one-shot queries")
    parser.add_argument("--pairs", type=int, default=sizes.pairs, help="pairs to verify, and for the threshold")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="one-shot trials and ROC-AUC by problem")
    parser.add_argument("--report", action="store_true", help="sum up all seeds in the log, fit nothing")
    return parser.parse_args()


def main() -> None:
    """Fit what is missing, print and write the tables, draw."""
    args = parse()
    problems, args.left_out = find_problems(args.data)
    for name, why in args.left_out.items():
        print(f"left out: {name}: {why}")
    problems = [name for name in args.problems or problems if name not in args.left_out]
    jobs = [] if args.report else planned(args.contenders, problems, args)
    rows = do_all(run_job, jobs, args.data, args.jobs, args.out.with_suffix(".jsonl"), threads=args.threads)
    found = document(args, rows_in_log(args, problems) if args.report else rows, problems)
    if not found["scores"]:
        sys.exit("no fit to report")
    print("\n".join(["", *tables(found), "", *legend(found["contenders"])]))
    write_json(args.out, found)
    if args.plot is not None:
        from benchmarks.unseen.picture import draw

        draw(found, args.plot)
    exit_if_any_failed(jobs, rows)


if __name__ == "__main__":
    main()
