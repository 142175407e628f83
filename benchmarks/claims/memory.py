"""Claim: a non-local memory learns dependencies over many steps that its backbone does not (Fu et al. 2019).

python -m benchmarks.claims.memory --data DIR --out FILE.json [--jobs 2] [--stage development test]

Protocol
--------
Tasks. Ten, without stem and stride, so that every step is a recurrent step. Scanned digits (USPS), 2,000 to train on,
row by row (16 steps) and pixel by pixel (256 steps), read off the last state. Activities at every step of 50 Hz, 400
pieces of 512 steps (hapt). Phases of gestures, recordings whole (gesture_phase, 1,073 to 1,834 steps). The adding
problem, and five symbols of four letters to copy, over 200, 400 and 800 steps each, 2,000 to train on.

Splits. `benchmarks.claims.memories.tasks` names them. Every real task has a part to train on, a part to choose by
(development), and a part that is tested once; in the test the development part joins the training. Digits are split at
random, activities by subject, gestures by recording. Of the made tasks every stage and seed has sequences of its own.
In the copying task only the five steps that are asked are learned from and scored.

Arms. "memory": an LSTM of 32 units with memory. "equal parameters": `window=None`, with the fewest units that make its
LSTM and its linear map have at least as many parameters as the memory's network has; same updates. "equal seconds":
`window=None`, 32 units, more updates: by the ratio of seconds of an update, measured side by side on the processor's
clock of one thread, five rounds, medians, never less than 1.

Budget. AdamW with one cycle. Batches of 32; of 16 for activities; gestures take all recordings at once. `UPDATES` lists
the updates. A fit takes up to about 45 s of one core, and the claim about 2 hours, so that long tasks are trained
briefly. A task says nothing where nothing learns it: where no setting in development, or no arm's mean in the test, is
.05 above the best constant answer. A task that nothing learned in development is not tested, and the longer ones of its
kind are not tried. (Added after the development of the adding problem over 200 steps, and before any test: neither 300
updates of all settings nor 1,200 of one taught it.)

Score. Accuracy of sequences or of labelled steps; R2 of the sums.

Development (seed 0). Memory and backbone each try four settings, which `TRIED` lists: the memory its window, slots,
dropout and learning rate, the backbone (at equal parameters) its learning rate and zoneout. The best of each goes on,
the first of equal ones.

Test (seeds 1 to 10; 1 to 5 for gestures and for 800 steps, whose fits take longest), once. A paired t test over the
seeds compares the memory with either backbone. The weaker of both comparisons counts: p is 1 where the memory is not
above it. Holm adjusts over the tasks. The claim is shown on a task where the adjusted p is below .05.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claims.judging import Row, above_all, adjusted, by_arm, summed_up, table
from benchmarks.claims.memories.fitting import MEMORY, PACE, PARAMETERS, SECONDS, TRIED, run_job
from benchmarks.claims.memories.tasks import TASKS
from benchmarks.claims.options import claim_arguments
from benchmarks.environment import environment
from benchmarks.harness import write_json
from benchmarks.jobs import Job, do_all, exit_if_any_failed

UPDATES = {
    "digits by row": 400,
    "digits by pixel": 250,
    "activities": 120,
    "gestures": 50,
    **{
        f"{made}, {n} steps": updates
        for made in ("adding", "copying")
        for n, updates in ((200, 300), (400, 200), (800, 120))
    },
}
SEEDS, FEWER_SEEDS = range(1, 11), range(1, 6)
LONGEST = ("gestures", "adding, 800 steps", "copying, 800 steps")
ENOUGH = 0.05
"""Above the best constant answer."""

Chosen = dict[str, int]
"""Numbers of the settings of "memory" and "backbone"."""


def job_of(args: argparse.Namespace, task: str, arm: str, seed: int, of: Chosen, ratio: float = 1.0) -> Job:
    """A fit: with twentieths of the data and two updates where it is to be quick."""
    stage = "test" if seed else "development"
    updates = round(ratio * (2 if args.quick else UPDATES[task]))
    given = (("stage", stage), ("share", 0.05 if args.quick else 1.0), ("updates", updates), *sorted(of.items()))
    return Job("memory", task, arm, seed, given)


def develop(args: argparse.Namespace) -> tuple[dict[str, dict[str, list[float]]], dict[str, Chosen]]:
    """Scores of all settings on the development parts, and the best settings of the tasks that something learns."""
    tried = [(MEMORY, {"memory": k, "backbone": 0}) for k in range(len(TRIED[MEMORY]))]
    tried += [(PARAMETERS, {"memory": 0, "backbone": k}) for k in range(len(TRIED["backbone"]))]
    found: dict[str, dict[str, list[float]]] = {}
    chosen: dict[str, Chosen] = {}
    hopeless: set[str] = set()
    for task in args.tasks:
        kind = task.partition(",")[0]
        if kind in hopeless:
            continue
        rows = _done(args, [job_of(args, task, arm, 0, of) for arm, of in tried])
        found[task] = by_arm(rows, task)
        if learned(found[task].values(), rows):
            chosen[task] = chosen_of(found[task])
        else:
            hopeless.add(kind)
    return found, chosen


def learned(scores: Iterable[Sequence[float]], rows: Sequence[Row]) -> bool:
    """Whether one of the scores is well above the best constant answer."""
    constant = float(np.mean([row["constant"] for row in rows]))
    return max(max(some) for some in scores) > constant + ENOUGH


def chosen_of(found: dict[str, list[float]]) -> Chosen:
    """The best setting of each, the first of equal ones."""
    return {"memory": int(np.argmax(found[MEMORY])), "backbone": int(np.argmax(found[PARAMETERS]))}


def test(args: argparse.Namespace, chosen: dict[str, Chosen]) -> dict[str, dict[str, Any]]:
    """Of every task the means on the held part, and the memory against the stronger backbone."""
    paces = _done(args, [job_of(args, task, PACE, 0, of) for task, of in chosen.items()])
    ratios = {row["task"]: row["ratio"] for row in paces}
    jobs = []
    for task in chosen:
        seeds = FEWER_SEEDS if task in LONGEST else SEEDS
        for seed in seeds[:2] if args.quick else seeds:
            jobs += [
                job_of(args, task, arm, seed, chosen[task], ratios[task] if arm == SECONDS else 1.0)
                for arm in (MEMORY, PARAMETERS, SECONDS)
            ]
    rows = _done(args, jobs)
    return adjusted({task: _judged(rows, task) for task in chosen})


def _judged(rows: Sequence[Row], task: str) -> dict[str, Any]:
    found = by_arm(rows, task)
    told = summed_up(rows, task)
    own = [row for row in rows if row["task"] == task]
    return {
        **told,
        "constant": round(float(np.mean([row["constant"] for row in own])), 4),
        "learned": learned([[mean] for mean in told["means"].values()], own),
        **above_all(found, MEMORY),
    }


def _done(args: argparse.Namespace, jobs: list[Job]) -> list[Row]:
    rows = do_all(run_job, jobs, args.data, args.jobs, args.out.with_suffix(".jsonl"), threads=1)
    exit_if_any_failed(jobs, rows)  # settings are known by their place
    return rows


def main() -> None:
    """Develop, test, print and write."""
    args = claim_arguments(__doc__, Path("claim_memory.json"), list(TASKS))
    development, chosen = develop(args)
    for task, found in development.items():
        print(f"{task}: {found}; chosen {chosen.get(task, 'none: not learned')}")
    results = test(args, chosen) if "test" in args.stage else {}
    for task, result in results.items():
        print(f"{task}: the best constant answer scores {result['constant']}; learned: {result['learned']}")
    print("\n".join(table(results)))
    document = {"environment": environment(threads=1), "development": development, "chosen": chosen, "test": results}
    write_json(args.out, document)


if __name__ == "__main__":
    main()
