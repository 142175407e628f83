"""Claim: images that are learned from beside sequences help the sequences, and these the images (Ott et al. 2023).

python -m benchmarks.claims.images --data DIR --out FILE.json [--jobs 2] [--stage development test]

Protocol
--------
Tasks. Twelve, where theory says that it should show: labels are few and images are many. Pen movements of digits, 1,
2, 5 and 10 a class, with all 7,291 scanned digits; all of 1 and of 2 writers, for the transfer to others; characters
of Omniglot, 1, 2, 5 and 10 a class (as many drawers), with the drawings of all training drawers. Words of three to six
digits by five writers, 1,000 to train on: online (sequences are transcribed) and offline (pictures are transcribed).

Splits. By who drew. Of 30 writers 16 are trained on, 6 are chosen by (development), and 8 are tested once; of 20
drawers 10, 4 and 6. In the test those of the development join the training. The seed draws which of them, which
sequences, which words, and the network.

Arms. "both": sequences and images. "alone": sequences without images; offline, images without sequences; same updates.
"alone, equal seconds": more updates, by the ratio of seconds of an update, measured side by side on the processor's
clock of one thread, five rounds, medians, never less than 1. Offline the ratio is 2, because a fit to images alone runs
the branch of the sequences too.

Budget. 64 filters and 32 units in the branch of the sequences, AdamW with one cycle, batches of 32, of 64 for Omniglot.
`UPDATES` lists the updates. A fit takes about 10 to 45 s of one core, and the claim about 2 hours.

Score. Accuracy, or 1 - character error rate, on what unseen people drew. Convergence: updates until the accuracy on
300 of these sequences, after every epoch (of at least 15 updates), is nine tenths of the plateau of "alone", which is
the mean of its last three epochs; who never gets there counts with all updates. It is told of the ten tasks of classes,
in the fits that the scores are of, as log2 of updates alone by updates with both: 1 is half the updates.

Development (seed 0). Either arm tries four settings, which `TRIED` lists: "both" its learning rate, margin with weight
of the loss across, and the loss of pairs; "alone" its learning rate and dropout. The best of each goes on, the first of
equal ones.

Test (seeds 1 to 10), once. Words have seeds 1 to 5: their fits took two minutes in development, and this was decided
before any test. A paired t test over the seeds compares "both" with either arm alone. The weaker of both
comparisons counts: p is 1 where "both" is not above it. Holm adjusts over the twelve tasks. Help is shown on a task
where the adjusted p is below .05. Convergence is compared with "alone" and adjusted over its ten tasks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claims.judging import Row, above_all, adjusted, by_arm, compared, summed_up, table
from benchmarks.claims.options import claim_arguments
from benchmarks.claims.pictures.fitting import ALONE, BOTH, LONGER, PACE, TRIED, run_job
from benchmarks.claims.pictures.tasks import A_CLASS, OFFLINE, ONLINE, TASKS
from benchmarks.cross_modal.fitting import SERIES
from benchmarks.cross_modal.report import with_epochs
from benchmarks.environment import environment
from benchmarks.harness import write_json
from benchmarks.jobs import Job, do_all, exit_if_any_failed

UPDATES = {
    **{f"digits, {n} a class": 450 for n in A_CLASS},
    **{f"digits of {n} writer(s)": 450 for n in (1, 2)},
    **{f"Omniglot, {n} a class": 400 for n in A_CLASS},
    ONLINE: 1200,
    OFFLINE: 1200,
}
SEEDS, FEWER_SEEDS = range(1, 11), range(1, 6)

Chosen = dict[str, int]
"""Numbers of the settings of "both" and "alone"."""


def job_of(args: argparse.Namespace, task: str, arm: str, seed: int, of: Chosen, ratio: float = 1.0) -> Job:
    """A fit: with twentieths of the images and questions and two updates where it is to be quick."""
    stage = "test" if seed else "development"
    updates = round(ratio * (2 if args.quick else UPDATES[task]))
    given = (("stage", stage), ("share", 0.05 if args.quick else 1.0), ("updates", updates), *sorted(of.items()))
    return Job("images", task, arm, seed, given)


def develop(args: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Scores on the development parts: of each task those of all settings of both arms."""
    tried = [(BOTH, {BOTH: k, ALONE: 0}) for k in range(len(TRIED[BOTH]))]
    tried += [(ALONE, {BOTH: 0, ALONE: k}) for k in range(len(TRIED[ALONE]))]
    rows = _done(args, [job_of(args, task, arm, 0, of) for task in args.tasks for arm, of in tried])
    return {task: by_arm(rows, task) for task in args.tasks}


def chosen_of(found: dict[str, list[float]]) -> Chosen:
    """The best setting of each arm, the first of equal ones."""
    return {arm: int(np.argmax(found[arm])) for arm in (BOTH, ALONE)}


def test(args: argparse.Namespace, chosen: dict[str, Chosen]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of every task the means on the held part, and both against the stronger arm alone; and convergence."""
    paces = _done(args, [job_of(args, task, PACE, 0, chosen[task]) for task in args.tasks])
    ratios = {row["task"]: row["ratio"] for row in paces}
    jobs = [
        job_of(args, task, arm, seed, chosen[task], ratios[task] if arm == LONGER else 1.0)
        for task in args.tasks
        for seed in _seeds(args, task)
        for arm in (BOTH, ALONE, LONGER)
    ]
    rows = _done(args, jobs)
    speeds = {task: found for task in args.tasks if (found := convergence(rows, task))}
    return adjusted({task: _judged(rows, task) for task in args.tasks}), adjusted(speeds)


def _seeds(args: argparse.Namespace, task: str) -> range:
    seeds = FEWER_SEEDS if task in (ONLINE, OFFLINE) else SEEDS
    return seeds[:2] if args.quick else seeds


def convergence(rows: Sequence[Row], task: str) -> dict[str, Any]:
    """Epochs to nine tenths of the plateau, and log2 of their ratio. Empty where there are no curves."""
    plain = [{**row, "arm": SERIES if row["arm"] == ALONE else row["arm"]} for row in rows if row["task"] == task]
    counted = [row for row in with_epochs([row for row in plain if row["arm"] != LONGER]) if "epochs" in row]
    if not counted:
        return {}
    epochs = by_arm(counted, task, "epochs")
    never = {arm: sum(row["arm"] == arm and not row["reached"] for row in counted) for arm in epochs}
    means = {arm: round(float(np.mean(values)), 1) for arm, values in epochs.items()}
    return {"epochs": means, "never": never, **compared(np.log2(epochs[SERIES]), np.log2(epochs[BOTH]))}


def _judged(rows: Sequence[Row], task: str) -> dict[str, Any]:
    return {**summed_up(rows, task), **above_all(by_arm(rows, task), BOTH)}


def _done(args: argparse.Namespace, jobs: list[Job]) -> list[Row]:
    rows = do_all(run_job, jobs, args.data, args.jobs, args.out.with_suffix(".jsonl"), threads=1)
    exit_if_any_failed(jobs, rows)  # settings are known by their place
    return rows


def main() -> None:
    """Develop, test, print and write."""
    args = claim_arguments(__doc__, Path("claim_images.json"), list(TASKS))
    development = develop(args)
    chosen = {task: chosen_of(found) for task, found in development.items()}
    for task, found in development.items():
        print(f"{task}: {found}; chosen {chosen[task]}")
    results, speeds = test(args, chosen) if "test" in args.stage else ({}, {})
    print("\n".join(table(results)))
    for task, result in speeds.items():
        print(f"convergence, {task}: {result}")
    document = {"environment": environment(threads=1), "development": development, "chosen": chosen}
    write_json(args.out, {**document, "test": results, "convergence": speeds})


if __name__ == "__main__":
    main()
