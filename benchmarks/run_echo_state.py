"""Echo state networks beside trained recurrent ones and beside reservoirpy.

python -m benchmarks.run_echo_state --out FILE.json [--data DIR] [--part language classes throughput map]

language   : the cross-situational task at 4 to 50 objects: valid and exact error, seconds of training.
classes    : real problems of DIR by the classifiers' default parameters.
throughput : fit and predict of 1,000 sequences of 20 steps, beside reservoirpy.
map        : the states of 200 sentences as a map, from the reservoir to the picture: seconds, trustworthiness, purity.

Seeds draw corpus, split and network. Each fit is a job of its own on one thread, written to FILE.jsonl as soon as it is
done and skipped when the command is given again.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.echo_state.fitting import CONTENDERS, TASKS, run_job
from benchmarks.echo_state.report import bars, tables
from benchmarks.echo_state.state_map import map_of_sentences
from benchmarks.echo_state.throughput import CASES, throughput
from benchmarks.environment import environment
from benchmarks.harness import argument_parser, print_table
from benchmarks.jobs import add_job_options, do_all, every_job

PARTS = (*TASKS, "throughput", "map")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argument_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    add_job_options(parser)
    return parser.parse_args()


def main() -> None:
    """Measure what is missing, print and write tables and bars."""
    args = parse()
    out = args.out or Path("echo_state.json")
    threads = args.threads or 1
    speeds = []
    if "throughput" in args.part:
        cases = CASES[-1:] if args.quick else CASES
        found = [throughput(units, p, threads=threads, repeats=1 if args.quick else 3) for units, p, _ in cases]
        speeds = [result for result in found if result is not None]
    for result in speeds:
        print_table(result)
    jobs = every_job(args, TASKS, CONTENDERS)
    rows = do_all(run_job, jobs, args.data, args.jobs, out.with_suffix(".jsonl"))
    states = map_of_sentences(quick=args.quick) if "map" in args.part else {}
    lines, reached = tables(rows), bars(rows, speeds)
    print("\n".join([*lines, "", *(f"{name}: {value:.3g}" for name, value in states.items()), *map(str, reached)]))
    document = {
        "environment": environment(threads=threads),
        "throughput": [asdict(result) for result in speeds],
        "map": states,
        "rows": rows,
        "table": lines,
        "bars": [{**asdict(bar), "met": bar.met} for bar in reached],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if len(rows) < len(jobs):
        sys.exit(f"{len(jobs) - len(rows)} fits failed")


if __name__ == "__main__":
    main()
