"""Modes of transport of recordings that were not in the training: every metric with every coupling, and classifiers.

python -m benchmarks.run_transport --data DIR --out FILE.json [--aeon-python PATH]

DIR holds transport_modes.npz: 1,123 windows of phone sensors, 32 s at 4 Hz, five channels, in a bus, car or train, at
rest, or walking. Each of four folds of whole recordings is tested once, trained on the other three. Channels are
standardised by the training windows. Estimators whose fit takes groups get the recordings. A metric answers by the
nearest training window, and where it has an embedding also by the nearest mean of a class in it. MiniROCKET needs the
environment of aeon that `benchmarks.run_panel` describes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.jobs import LOG_NOTE, Job, do_all, exit_if_any_failed, read_log
from benchmarks.panel.contenders import Contender
from benchmarks.panel.fitting import Place
from benchmarks.summaries import commits_of, scores_of
from benchmarks.transport.contenders import ALL, CONTENDERS, GATED
from benchmarks.transport.fitting import Recordings, run_job
from benchmarks.transport.problem import FILE, FOLDS
from benchmarks.transport.report import legend, table

PART = "transport"


NAMES = "; ".join(CONTENDERS).replace("%", "%%")  # a percent sign begins a field of argparse


def chosen_contenders(args: argparse.Namespace) -> list[str]:
    """Those asked for, or all that can run."""
    if args.contenders is not None:
        return list(dict.fromkeys(args.contenders))
    return [contender.name for contender in ALL if args.aeon_python or args.report or not contender.by_aeon]


def planned(names: Sequence[str], args: argparse.Namespace) -> list[Job]:
    """Cheap contenders first and gates last; every fold once before any gets its second seed."""
    settings = (("threads", args.threads), *((("quick", True),) if args.quick else ()))
    return [
        Job(PART, fold, name, seed, settings)
        for turn, n_seeds in enumerate((args.seeds, args.seeds, min(args.seeds, args.gate_seeds)))
        for seed in range(1 if args.quick else n_seeds)
        for name in names
        if _turn(CONTENDERS[name]) == turn and (seed == 0 or CONTENDERS[name].seeded)
        for fold in (args.folds[:1] if args.quick else args.folds)
    ]


def _turn(contender: Contender) -> int:
    return contender.slow + (contender in GATED)


def rows_in_log(args: argparse.Namespace, names: Sequence[str]) -> list[Any]:
    """What was fitted before, of whatever seeds."""
    found = read_log(args.out.with_suffix(".jsonl")).values()
    return [row for row in found if row.get("part") == PART and row["arm"] in names and row["task"] in args.folds]


def document(args: argparse.Namespace, rows: list[Any]) -> dict[str, Any]:
    """What --out holds: the figures from which the table is made."""
    return {
        "environment": environment(threads=args.threads),
        "commits": commits_of(rows),
        "contenders": {name: CONTENDERS[name].about for name in dict.fromkeys(row["arm"] for row in rows)},
        "scores": scores_of(rows),
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argument_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = LOG_NOTE
    parser.set_defaults(out=Path("transport.json"), threads=1)
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), metavar="NAME", help=NAMES)
    parser.add_argument("--folds", nargs="+", choices=FOLDS, default=list(FOLDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--gate-seeds", type=int, default=1, help="of couplings that run the network on every pair")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--aeon-python", type=Path, metavar="PATH", help="Python of the environment that has aeon")
    parser.add_argument("--report", action="store_true", help="sum up all seeds in the log, fit nothing")
    args = parser.parse_args()
    if args.data is None and not args.report:
        parser.error(f"--data DIR is needed: a folder with {FILE}")
    if not args.report and not args.aeon_python and any(CONTENDERS[name].by_aeon for name in args.contenders or ()):
        parser.error("contenders of aeon need --aeon-python PATH")
    return args


def main() -> None:
    """Fit what is missing, print and write the table."""
    args = parse()
    names = chosen_contenders(args)
    jobs = [] if args.report else planned(names, args)
    recordings = Recordings(args.data, Place((), args.threads, args.quick, args.aeon_python))
    rows = do_all(run_job, jobs, recordings, args.jobs, args.out.with_suffix(".jsonl"), threads=args.threads)
    found = rows_in_log(args, names) if args.report else rows
    print("\n".join(["", *table(found), "", *legend(row["arm"] for row in found)]))
    write_json(args.out, document(args, found))
    exit_if_any_failed(jobs, rows)


if __name__ == "__main__":
    main()
