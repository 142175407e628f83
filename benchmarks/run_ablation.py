"""What the coupling gate is worth: accuracy of 1-NN with and without it, seed by seed.

python -m benchmarks.run_ablation --data DIR --out FILE.json [--part coupling weak sampling search] [--jobs 2]

coupling : every coupling with every loss, on five real problems with five seeds.
weak     : labels against pairs known to be same or different, 10, 50 and 200 of them a class.
sampling : pairs a sequence of a batch, from 2 to all of them.
search   : where coupling might pay: gate bias at the start, weight of the embedding's loss, stem, pooling, directions,
           few constraints, aligned against shifted sequences.

Every parameter that a configuration does not name keeps its default; `--max-updates` bounds the training of all alike.
Accuracy is that of 1-NN by the exact distance, and by the free-running embedding. All configurations get their first
seed before any gets its second. Differences to coupling=None are taken within (problem, seed), see
`benchmarks.ablation.paired` for the tests. Seconds are of one thread, among `--jobs` processes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.ablation.design import COUPLINGS, PARTS, Arm, Job, arms_of, distinct_jobs
from benchmarks.ablation.fitting import run_job
from benchmarks.ablation.tables import (
    PROBLEM_NAMES,
    SETTING_NAMES,
    by_problem,
    by_setting,
    markdown,
    nested,
    over_problems,
)
from benchmarks.environment import environment
from benchmarks.harness import result_file, write_json
from benchmarks.jobs import LOG_NOTE, append_row, finished, read_log

QUICK = {"max_epochs": 1, "min_batches": 1, "n_units": 4, "batch_size": 16}


def planned(args: argparse.Namespace) -> list[Arm]:
    """Every arm of the parts asked for; quick ones are tiny, on one problem."""
    common: dict[str, Any] = {"max_updates": args.max_updates}
    problems = args.problems
    if args.quick:
        common.update(QUICK)
        problems = problems or ["Libras"]
    chosen = {"problems": problems, "configurations": args.configurations, "couplings": args.couplings}
    n_seeds = 2 if args.quick else args.seeds
    return [arm for part in args.part for arm in arms_of(part, n_seeds, common=common, **chosen)]


def finished_rows(jobs: Sequence[Job], data: Path, n_processes: int) -> Iterator[dict[str, Any]]:
    """Every row as it is done. The key is enough to resume; the job is for whoever reads the log."""
    commit = environment()["commit"]
    for job, found in finished(run_job, jobs, data, n_processes):
        yield {"key": job.key, **asdict(job), **found, "commit": commit}


def summed_up(
    args: argparse.Namespace, arms: Sequence[Arm], done: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], str]:
    """What --out holds, and the tables."""
    keys = {arm.job.key for arm in arms}
    problems, seconds, comparisons = by_problem(arms, done), by_setting(arms, done), over_problems(arms, done)
    document = {
        "environment": environment(threads=1),
        "max_updates": args.max_updates,
        "jobs": args.jobs,
        "planned": len(keys),
        "finished": len(keys & done.keys()),
        "implementations": sorted({done[key]["implementation"] for key in keys & done.keys()}),
        "commits": sorted({str(done[key]["commit"]) for key in keys & done.keys()}),
        "problems": nested(problems, PROBLEM_NAMES),
        "seconds": nested(seconds, SETTING_NAMES),
        "comparisons": nested(comparisons, SETTING_NAMES),
    }
    return document, markdown(problems, seconds, comparisons)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Finish what is not finished, and sum up."""
    log = args.out.with_suffix(".jsonl")
    arms, done = planned(args), read_log(log)
    jobs = [] if args.report else distinct_jobs(arms, done)
    print(f"{len(jobs)} fits to do, {len(done)} in {log.name}", flush=True)
    start = time.perf_counter()
    for count, row in enumerate(finished_rows(jobs, args.data, args.jobs) if jobs else (), 1):
        append_row(log, row)
        done[row["key"]] = row
        left = (time.perf_counter() - start) / count * (len(jobs) - count)
        print(
            f"{count}/{len(jobs)}  {row['problem']} {row['coupling']} seed {row['seed']} {row['settings']}"
            f"  {row['accuracy']:.3f} ({row['embedding_accuracy']:.3f})  fit {row['fit_s']:.1f} s, left {left:.0f} s",
            flush=True,
        )
    return summed_up(args, arms, done)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=LOG_NOTE)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="folder of real data sets (.npz)")
    parser.add_argument(
        "--out", type=result_file, metavar="FILE.json", required=True, help="summary; the log is FILE.jsonl"
    )
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=["coupling"])
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--max-updates", type=int, default=2500, help="of SyncGRUMetric, the same in every arm")
    parser.add_argument("--problems", nargs="+", help="only these, also ones that the part leaves out")
    parser.add_argument("--configurations", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--couplings", nargs="+", choices=[c for c in COUPLINGS if c], help="only these, and None")
    parser.add_argument("--report", action="store_true", help="sum up what is in the log, fit nothing")
    parser.add_argument("--quick", action="store_true", help="tiny fits on one problem: shows that it runs")
    return parser.parse_args()


def main() -> None:
    """Run, write JSON, print the tables."""
    args = parse()
    document, tables = run(args)
    write_json(args.out, document)
    print("\n" + tables)


if __name__ == "__main__":
    main()
