"""What images add to sequences while they are learned from, and what a training step costs.

python -m benchmarks.run_cross_modal --data DIR --out FILE.json [--part NAME ...]

synthetic  : ten sines under noise, with Gramian angular fields; series alone and four losses over four distances, four
             levels of noise, 100 and 20 sequences a class; accuracy after every epoch.
layers     : the same with 20 sequences a class, the loss on the embedding, on the shared convolution or on both, whose
             weights are common to both encoders or not.
margins    : distances of classes for the dynamic margin, 5 and 10 pen digits and characters a class, asked of people
             that no test of `benchmarks.claims.images` asks.
omniglot   : characters as drawing and as pen trajectory, unseen drawers: retrieval, accuracy with and without images.
digits     : pen digits of unseen writers, 10, 50 and all sequences a class, without images and with a pool of scans.
words      : numbers of three to six pen digits of unseen writers, transcribed; without images and with their picture.
offline    : the same words, read from movements and from pictures; each alone, both without the cross term, and both.
adaptation : digits of new writers, before and after a few epochs on 1 and 5 of their own of each, and from these alone.
cost       : a training step against its two encoders alone.

The arms of a task differ in what the table names alone: same data, network of the series, epochs, seed. Seeds draw
data, split and network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.cross_modal.cost import step_cost
from benchmarks.cross_modal.fitting import ARMS, OF_SINES, TASKS, run_job
from benchmarks.cross_modal.report import bars, tables, with_epochs
from benchmarks.environment import environment
from benchmarks.harness import print_table, write_json
from benchmarks.jobs import Job, Settings, do_all, every_job, exit_if_any_failed, job_parser
from benchmarks.summaries import commits_of, figures, scores_of

PARTS = (*TASKS, "cost")

SMALL = (("n_filters", 64), ("n_units", 32))
SINES = (*SMALL, ("augment", "jitter"))
"""Warping would change the frequency, which is the class."""

SETTINGS: dict[str, Settings] = {
    "synthetic": SINES,
    "layers": SINES,
    "margins": (*SMALL, ("min_batches", 15), ("batch_size", 64), ("max_updates", 450), ("max_epochs", 450)),
    "omniglot": (
        ("n_filters", 64),
        ("batch_size", 64),
        ("max_epochs", 50),
        ("beta", 0.6),
        ("loss_weights", (1.0, 1.0, 10.0)),
    ),
    "digits": (*SMALL, ("max_epochs", 60), ("max_updates", 2000)),
    "words": (*SMALL, ("max_epochs", 40), ("max_updates", 2500)),
    "offline": (*SMALL, ("max_epochs", 40), ("max_updates", 2500)),
    "adaptation": (*SMALL, ("max_epochs", 60), ("max_updates", 1500)),
}
EPOCHS_OF_SINES = {"100 a class": 20, "20 a class": 60}
UPDATES_OF_ALL_DIGITS = 4000
"""Better than 2000 for both arms on splits of seeds 5 to 7, which the tables do not use."""

QUICK: Settings = (("max_epochs", 1), ("max_updates", 2), ("n_filters", 8), ("n_units", 4), ("min_batches", 1))

SECONDS = {
    "synthetic": 25,
    "layers": 25,
    "margins": 15,
    "omniglot": 50,
    "digits": 20,
    "words": 60,
    "offline": 90,
    "adaptation": 60,
}
"""Of one fit on one core of the machine that the published tables come from, about; for the estimate alone."""


def settings_of(part: str, task: str) -> Settings:
    """Parameters that all arms of a task share; the rest are at their defaults."""
    settings = dict(SETTINGS[part])
    if part in OF_SINES:
        settings["max_epochs"] = next(n for end, n in EPOCHS_OF_SINES.items() if task.endswith(end))
    if (part, task) == ("digits", "all"):
        settings["max_updates"] = UPDATES_OF_ALL_DIGITS
    return tuple(settings.items())


def estimate(jobs: Sequence[Job], n_processes: int) -> str:
    """How long that takes, in words."""
    seconds = sum(SECONDS[job.part] for job in jobs) / n_processes
    return f"{len(jobs)} fits, about {seconds / 3600:.1f} h in {n_processes} process(es) where none is done yet"


def main() -> None:
    """Measure the cost, fit what is missing, print and write tables and bars."""
    args = job_parser(__doc__, PARTS, Path("cross_modal.json")).parse_args()
    costs = [step_cost(threads=args.threads or 1, quick=args.quick)] if "cost" in args.part else []
    for result in costs:
        print_table(result)
    jobs = every_job(args, TASKS, ARMS, (lambda part, task: QUICK) if args.quick else settings_of)
    print(estimate(jobs, args.jobs), flush=True)
    rows = with_epochs(do_all(run_job, jobs, args.data, args.jobs, args.out.with_suffix(".jsonl")))
    lines, reached = tables(rows), bars(rows, costs)
    print("\n".join([*lines, "", *map(str, reached)]))
    document = {
        "environment": environment(threads=args.threads or 1),
        "commits": commits_of(rows),
        "cost": [figures(result) for result in costs],
        "scores": scores_of(rows),
        "bars": [bar.row() for bar in reached],
    }
    write_json(args.out, document)
    exit_if_any_failed(jobs, rows)


if __name__ == "__main__":
    main()
