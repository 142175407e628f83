"""What the non-local recurrent memory is worth, and what it costs, beside its own backbone and 1-NN DTW.

python -m benchmarks.run_nrnm --data DIR --out FILE.json [--part cost memory defaults classification steps similarity]

cost           : seconds of one layer forward and backward (H=128, S=4, s=2, 4 heads, 64 sequences of 128 x 9) against
                 an LSTM step by step under autograd, our own code without memory, and torch.nn.LSTM.
memory         : a cue in the first 10 of 400 steps, noise after it: memory and backbone, five seeds.
defaults       : NRNMClassifier with every parameter at its default.
classification : memory and backbone on five problems, and 1-NN DTW.
steps          : labels of steps, memory and backbone: gesture phases with one video left out, protein structure,
                 activities of unseen subjects, occupancy of a room.
similarity     : 1-NN by NRNMMetric, memory and backbone, and 1-NN DTW.

Memory and backbone differ in `window=None` alone: same units, epochs, seeds. Each fit is a job of its own, written to
FILE.jsonl as soon as it is done and skipped when the command is given again. Differences are taken within (task, seed).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ablation.paired import sign_flip_p
from benchmarks.environment import environment
from benchmarks.harness import argument_parser, print_table
from benchmarks.jobs import Job, append_row, do_all, read_log, spread
from benchmarks.nrnm.cost import layer_cost
from benchmarks.nrnm.fitting import ARMS, run_job
from benchmarks.nrnm.tasks import (
    CLASSIFICATION_TASKS,
    N_ACTIVITY_FOLDS,
    SIMILARITY_TASKS,
    STEP_TASKS,
    Fold,
    classification,
)
from skseqmetric import DTWMetric, SequenceKNeighborsClassifier

PARTS = ("cost", "memory", "defaults", "classification", "steps", "similarity")
DEFAULT_TASKS = ("JapaneseVowels", "RacketSports", *(f"activity, fold {k}" for k in range(N_ACTIVITY_FOLDS)))
LONG_MEMORY = (
    ("readout", "last"),
    ("instance_channels", False),
    ("stem_channels", None),
    ("max_recurrent_steps", None),
    ("augment", None),
    ("max_epochs", 10),
    ("n_units", 64),
)
SETTINGS: dict[str, Any] = {"memory": LONG_MEMORY, "steps": (("max_epochs", 60),)}
QUICK = (("max_epochs", 1), ("max_updates", 2), ("n_units", 8), ("stem_channels", None))


def planned(parts: Sequence[str], n_seeds: int, tasks: Sequence[str] | None, quick: bool) -> list[Job]:
    """Every fit, all tasks with their first seed before any gets its second."""
    tasks_of = {
        "classification": CLASSIFICATION_TASKS,
        "steps": tuple(STEP_TASKS),
        "similarity": SIMILARITY_TASKS,
        "defaults": DEFAULT_TASKS,
        "memory": ("long memory",),
    }
    jobs = []
    for part in parts:
        if part == "cost":
            continue
        settings = QUICK if quick else SETTINGS.get(part, ())
        arms = ["memory"] if part == "defaults" else list(ARMS)
        chosen = [t for t in tasks_of[part] if tasks is None or t in tasks]
        name = "long memory" if part == "memory" else part
        jobs += [Job(name, t, a, seed, settings) for seed in range(n_seeds) for t in chosen for a in arms]
    return jobs


def dtw_scores(rows: Sequence[dict[str, Any]], data: Path | None, log: Path) -> dict[str, float]:
    """Accuracy of 1-NN DTW on the tasks with one label a sequence, computed once."""
    if data is None:
        return {}
    done = read_log(log)
    for name in dict.fromkeys(r["task"] for r in rows if r["part"] in ("classification", "similarity")):
        key = f"1-NN DTW, {name}"
        if key not in done:
            done[key] = {"key": key, "task": name, "accuracy": _dtw_score(next(classification(data, name)))}
            append_row(log, done[key])
    return {row["task"]: row["accuracy"] for key, row in done.items() if key.startswith("1-NN DTW")}


def _dtw_score(fold: Fold) -> float:
    return float(SequenceKNeighborsClassifier(DTWMetric(), n_neighbors=1).fit(*fold.train).score(*fold.test))


def table(rows: Sequence[dict[str, Any]], dtw: dict[str, float]) -> list[str]:
    """Markdown: mean and deviation over the seeds in per cent, difference to the backbone and its p, seconds."""
    lines = ["| part | task | score | memory | backbone | difference | p | 1-NN DTW | fit (s) |"]
    lines.append("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for part, task in dict.fromkeys((r["part"], r["task"]) for r in rows):
        of_task = [r for r in rows if (r["part"], r["task"]) == (part, task)]
        for score in ("accuracy", "macro_f1"):
            if score in of_task[0]:
                lines.append(_line(part, task, score, of_task, dtw if score == "accuracy" else {}))
    return lines


def _line(part: str, task: str, score: str, rows: Sequence[dict[str, Any]], dtw: dict[str, float]) -> str:
    by_arm = {arm: {r["seed"]: 100 * r[score] for r in rows if r["arm"] == arm} for arm in ARMS}
    shared = sorted(set(by_arm["memory"]) & set(by_arm["backbone"]))
    differences = [by_arm["memory"][seed] - by_arm["backbone"][seed] for seed in shared]
    cells = [spread(list(by_arm[arm].values())) for arm in ARMS]
    cells += [f"{np.mean(differences):+.1f}", f"{sign_flip_p(differences):.2f}"] if shared else ["", ""]
    cells.append(f"{100 * dtw[task]:.1f}" if task in dtw else "")
    seconds = " / ".join(
        f"{np.median(found):.0f}" for arm in ARMS if (found := [r["fit_s"] for r in rows if r["arm"] == arm])
    )
    return f"| {part} | {task} | {score} | " + " | ".join([*cells, seconds]) + " |"


def main() -> None:
    """Measure the cost, fit what is missing, print and write the tables."""
    parser = argument_parser(__doc__)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tasks", nargs="+", help="only these")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each")
    args = parser.parse_args()
    out = args.out or Path("nrnm.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    costs = layer_cost(threads=args.threads or 1, quick=args.quick) if "cost" in args.part else []
    for result in costs:
        print_table(result)
    jobs = planned(args.part, 1 if args.quick else args.seeds, args.tasks, args.quick)
    rows = do_all(run_job, jobs, args.data, args.jobs, out.with_suffix(".jsonl"))
    dtw = {} if args.quick else dtw_scores(rows, args.data, out.with_suffix(".jsonl"))
    lines = table(rows, dtw)
    print("\n".join(lines))
    document = {
        "environment": environment(),
        "cost": [asdict(result) for result in costs],
        "dtw": dtw,
        "rows": rows,
        "table": lines,
    }
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if len(rows) < len(jobs):
        sys.exit(f"{len(jobs) - len(rows)} fits failed")


if __name__ == "__main__":
    main()
