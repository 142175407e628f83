"""Claim: halves of a siamese network that are coupled learn a better metric (Compagnon et al. 2021).

python -m benchmarks.claims.coupling --data DIR --out FILE.json [--jobs 2] [--stage development test]

Protocol
--------
Tasks. Three of classification by the nearest training sequence: activity by subject (hapt), transport by recording
(transport_modes), and activity where one half of every pair, in training and in the test, has lost a random third of
its steps. Three of verification of classes that were not trained on: Omniglot pen movements aligned, the same shifted
by up to ten steps of rest, and who walks (hapt subjects).

Splits. `benchmarks.claims.coupled.tasks` names them. Every task has a part to train on, a part to choose by
(development), and a part that is tested once. Subjects, recordings or classes of one part are in no other.

Settings. "paper": what the abstract names, a bare siamese GRU with weak supervision by pairs and the contrastive loss.
"ours": stem, both directions, neighbourhood loss over a batch, noise. 32 units, 150 updates, AdamW at 3e-3 with one
cycle, for every arm alike.

Forms. No coupling; scalar, symmetric and diffusive gates; a signed gate; the other state in the candidate; and
alignment of states, which is not a coupling of dynamics.

Score. Accuracy, or the area under the ROC curve (the equal error rate beside it).

Development (seed 0). Round 1 tries every form with mean states in both settings. Round 2 tries the best coupled form
and no coupling with the last state and with the gap. Of every task the setting is taken whose best coupled arm scores
highest, and in it the best coupled arm and the best arm without coupling.

Test (seeds 1 to 10), once. The two arms, and alignment in the same setting, on the held part. A paired t test over the
seeds of each task compares the coupled arm with no coupling; Holm adjusts over the six tasks. The claim is shown where
the difference is positive and the adjusted p is below .05; "partly" means on some of the tasks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.claims.coupled.fitting import SETTINGS, run_job
from benchmarks.claims.coupled.network import FORMS
from benchmarks.claims.coupled.tasks import TASKS
from benchmarks.claims.judging import adjusted, by_arm, compared, summed_up, table
from benchmarks.claims.options import claim_arguments
from benchmarks.environment import environment
from benchmarks.harness import write_json
from benchmarks.jobs import Job, do_all

UPDATES = 150
SEEDS = range(1, 11)
COUPLED = tuple(form for form in FORMS if form not in ("none", "alignment"))

Rows = list[dict[str, Any]]


def jobs_of(task: str, arms: Sequence[str], stage: str, seeds: Sequence[int], updates: int) -> list[Job]:
    """A job for every arm and seed."""
    settings = (("stage", stage), ("updates", updates))
    return [Job("coupling", task, arm, seed, settings) for seed in seeds for arm in arms]


def best(found: dict[str, list[float]], setting: str, forms: Sequence[str]) -> str:
    """The arm of these forms with the highest score; the first of equal ones."""
    arms = [arm for arm in found if arm.split("/")[0] == setting and arm.split("/")[1] in forms]
    return max(arms, key=lambda arm: found[arm][0])


def second_round(found: dict[str, list[float]]) -> list[str]:
    """The best coupled form and no coupling, with the other readouts."""
    forms = {setting: ("none", best(found, setting, COUPLED).split("/")[1]) for setting in SETTINGS}
    return [f"{s}/{form}/{readout}" for s in SETTINGS for form in forms[s] for readout in ("last", "gap")]


def chosen_arms(found: dict[str, list[float]]) -> tuple[str, str, str]:
    """Of the setting whose best coupled arm is highest: no coupling, the coupled arm, alignment."""
    coupled = max((best(found, setting, COUPLED) for setting in SETTINGS), key=lambda arm: found[arm][0])
    setting = coupled.split("/")[0]
    return best(found, setting, ("none",)), coupled, f"{setting}/alignment/mean"


def develop(args: argparse.Namespace, updates: int) -> dict[str, dict[str, list[float]]]:
    """Development scores of all tasks."""
    first = [f"{setting}/{form}/mean" for form in FORMS for setting in SETTINGS]
    rows = _done(args, [job for task in args.tasks for job in jobs_of(task, first, "development", [0], updates)])
    more = [
        job
        for task in args.tasks
        for job in jobs_of(task, second_round(by_arm(rows, task)), "development", [0], updates)
    ]
    rows += _done(args, more)
    return {task: by_arm(rows, task) for task in args.tasks}


def test(args: argparse.Namespace, chosen: dict[str, tuple[str, str, str]], updates: int) -> dict[str, Any]:
    """Scores on the held parts, differences to no coupling, their intervals and p."""
    seeds = SEEDS[:2] if args.quick else SEEDS
    rows = _done(args, [job for task in args.tasks for job in jobs_of(task, chosen[task], "test", seeds, updates)])
    return adjusted({task: _compared(rows, task, chosen[task]) for task in args.tasks})


def _compared(rows: Rows, task: str, arms: tuple[str, str, str]) -> dict[str, Any]:
    none, coupled, _ = arms
    found = by_arm(rows, task)
    return {**summed_up(rows, task), **compared(found[coupled], found[none])}


def _done(args: argparse.Namespace, jobs: list[Job]) -> Rows:
    return do_all(run_job, jobs, args.data, args.jobs, args.out.with_suffix(".jsonl"), threads=1)


def main() -> None:
    """Develop, test, print and write."""
    args = claim_arguments(__doc__, Path("coupling.json"), list(TASKS))
    updates = 2 if args.quick else UPDATES
    development = develop(args, updates)
    chosen = {task: chosen_arms(found) for task, found in development.items()}
    for task, found in development.items():
        print(f"\n{task}: {', '.join(f'{arm} {values[0]:.3f}' for arm, values in found.items())}")
        print(f"chosen: {', '.join(chosen[task])}")
    results = test(args, chosen, updates) if "test" in args.stage else {}
    print("\n".join(table(results)))
    rounded = {task: {arm: round(v[0], 4) for arm, v in found.items()} for task, found in development.items()}
    write_json(args.out, {"environment": environment(threads=1), "development": rounded, "test": results})


if __name__ == "__main__":
    main()
