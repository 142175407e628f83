"""Echo state networks against trained recurrent ones and against reservoirpy.

python -m benchmarks.run_echo_state --out FILE.json [--data DIR] [--part language classes throughput map]

language   : the cross-situational task at 4 to 50 objects: valid and exact error, seconds of training.
classes    : real problems of DIR by the classifiers' default parameters.
throughput : fit and predict of 1,000 sequences of 20 steps, against reservoirpy.
map        : the states of 200 sentences as a map, from the reservoir to the picture: seconds, trustworthiness, purity.

Seeds draw corpus, split and network. Each fit is a job of its own on one thread.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.echo_state.fitting import CONTENDERS, TASKS, run_job
from benchmarks.echo_state.report import bars, tables
from benchmarks.echo_state.state_map import map_of_sentences
from benchmarks.echo_state.throughput import CASES, throughput
from benchmarks.environment import environment
from benchmarks.harness import print_table, write_json
from benchmarks.jobs import do_all, every_job, exit_if_any_failed, job_parser
from benchmarks.summaries import commits_of, figures, scores_of
from benchmarks.threads import fixed_threads

PARTS = (*TASKS, "throughput", "map")


def main() -> None:
    """Measure what is missing, print and write tables and bars."""
    args = job_parser(__doc__, PARTS, Path("echo_state.json")).parse_args()
    threads = args.threads or 1
    speeds = []
    if "throughput" in args.part:
        cases = CASES[-1:] if args.quick else CASES
        found = [throughput(units, p, threads=threads, repeats=1 if args.quick else 3) for units, p, _ in cases]
        speeds = [result for result in found if result is not None]
    for result in speeds:
        print_table(result)
    jobs = every_job(args, TASKS, CONTENDERS)
    rows = do_all(run_job, jobs, args.data, args.jobs, args.out.with_suffix(".jsonl"))
    with fixed_threads(threads):
        states = map_of_sentences(quick=args.quick) if "map" in args.part else {}
    lines, reached = tables(rows), bars(rows, speeds)
    print("\n".join([*lines, "", *(f"{name}: {value:.3g}" for name, value in states.items()), *map(str, reached)]))
    document = {
        "environment": environment(threads=threads),
        "commits": commits_of(rows),
        "throughput": [figures(result) for result in speeds],
        "map": states,
        "scores": scores_of(rows),
        "bars": [bar.row() for bar in reached],
    }
    write_json(args.out, document)
    exit_if_any_failed(jobs, rows)


if __name__ == "__main__":
    main()
