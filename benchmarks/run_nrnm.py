"""What the non-local recurrent memory is worth, and what it costs, against its own backbone and 1-NN DTW.

python -m benchmarks.run_nrnm --data DIR --out FILE.json [--part PART ...]

cost           : CPU seconds of one layer forward and backward (H=128, S=4, s=2, 4 heads, 64 sequences of 128 x 9; and
                 H=64, s=4, 32 sequences of 64 x 64, as in a default fit on activity) against the same layer in torch
                 operations, an LSTM step by step under autograd, our own code without memory, and torch.nn.LSTM.
memory         : a cue in the first 10 of 400 steps, noise after it: memory and backbone, five seeds.
defaults       : NRNMClassifier with every parameter at its default.
classification : memory and backbone on five problems, and 1-NN DTW.
steps          : labels of steps, memory, backbone and logistic regression of what a step shows: gesture phases with one
                 video left out, protein structure, activities of unseen subjects, occupancy of a room.
similarity     : 1-NN by NRNMMetric, memory and backbone, and 1-NN DTW.
questions      : six classes of questions (TREC) from their words: memory, backbone, an LSTM in both directions, TF-IDF.
chunks         : chunks of sentences (CoNLL-2000) from words and parts of speech, F1 of whole chunks.
long           : limits of recurrent steps, and windows, on long sequences, in halves of the training splits. Not made
                 unless asked for.

Up to "similarity", memory and backbone differ in `window=None` alone: same units, epochs, seeds. Differences are taken
within (task, seed).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ablation.paired import sign_flip_p
from benchmarks.environment import environment
from benchmarks.harness import print_table, write_json
from benchmarks.jobs import Settings, append_row, do_all, every_job, exit_if_any_failed, job_parser, read_log
from benchmarks.nrnm.cost import layer_cost
from benchmarks.nrnm.fitting import ARMS, LINEAR, run_job
from benchmarks.nrnm.long import LONG_ARMS, LONG_TASKS
from benchmarks.nrnm.tasks import (
    CLASSIFICATION_TASKS,
    N_ACTIVITY_FOLDS,
    SIMILARITY_TASKS,
    STEP_TASKS,
    Fold,
    classification,
)
from benchmarks.nrnm.text import TEXT_ARMS
from benchmarks.summaries import commits_of, figures, head, line, scores_of, spread
from skseqmetric import DTWMetric, SequenceKNeighborsClassifier

TASKS: dict[str, Iterable[str]] = {
    "memory": ("long memory",),
    "defaults": ("JapaneseVowels", "RacketSports", *(f"activity, fold {k}" for k in range(N_ACTIVITY_FOLDS))),
    "classification": CLASSIFICATION_TASKS,
    "steps": STEP_TASKS,
    "similarity": SIMILARITY_TASKS,
    **{task: (task,) for task in TEXT_ARMS},
    "long": LONG_TASKS,
}
PARTS = ("cost", *TASKS)
OWN_ARMS: dict[str, Iterable[str]] = {"defaults": ("memory",), "steps": (*ARMS, LINEAR), "long": LONG_ARMS, **TEXT_ARMS}
ARMS_OF = {part: OWN_ARMS.get(part, ARMS) for part in TASKS}
LONG_MEMORY: Settings = (
    ("pooling", "last"),
    ("instance_channels", False),
    ("n_filters", None),
    ("max_recurrent_steps", None),
    ("augment", None),
    ("max_epochs", 10),
    ("n_units", 64),
)
SETTINGS: dict[str, Settings] = {"memory": LONG_MEMORY, "steps": (("max_epochs", 60),)}
PROTEIN: Settings = (
    ("n_units", 32),
    ("n_filters", None),
    ("instance_channels", False),
    ("scaling", None),
    ("dropout", 0.7),
    ("batch_size", 8),
    ("max_epochs", 20),
)
"""Best of six on four folds of the training chains: .639. After 60 epochs of the defaults it is overfitted (.57)."""
QUICK: Settings = (("max_epochs", 1), ("max_updates", 2), ("n_units", 8), ("n_filters", None))


def settings_of(part: str, task: str) -> Settings:
    """Parameters that both arms of a task share; the rest are at their defaults."""
    return PROTEIN if task == "protein_qian" else SETTINGS.get(part, ())


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
    lines = head(["part", "task", "score", "memory", "backbone", "difference", "p", "1-NN DTW", "fit (s)"], n_texts=3)
    paired = [r for r in rows if r["arm"] in ARMS]
    for part, task in dict.fromkeys((r["part"], r["task"]) for r in paired):
        of_task = [r for r in rows if (r["part"], r["task"]) == (part, task)]
        for score in ("accuracy", "macro_f1"):
            if score in of_task[0]:
                lines.append(_line(part, task, score, of_task, dtw if score == "accuracy" else {}))
    return lines


def contenders(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Markdown: what more than two contenders reached, in per cent, mean and deviation over the seeds."""
    lines = head(["task", "contender", "accuracy", "chunk F1", "fit (s)"], n_texts=2)
    others = [r for r in rows if r["arm"] not in ARMS]
    for task, arm in dict.fromkeys((r["task"], r["arm"]) for r in others):
        found = [r for r in others if (r["task"], r["arm"]) == (task, arm)]
        cells = [spread([100 * r[score] for r in found if score in r]) for score in ("accuracy", "chunk_f1")]
        lines.append(line([task, arm, *cells, f"{np.median([r['fit_s'] for r in found]):.0f}"]))
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
    return line([part, task, score, *cells, seconds])


def main() -> None:
    """Measure the cost, fit what is missing, print and write the tables."""
    parser = job_parser(__doc__, PARTS, Path("nrnm.json"))
    parser.set_defaults(part=[part for part in PARTS if part != "long"])
    args = parser.parse_args()
    costs = layer_cost(threads=args.threads or 1, quick=args.quick) if "cost" in args.part else []
    for result in costs:
        print_table(result)
    jobs = every_job(args, TASKS, ARMS_OF, (lambda part, task: QUICK) if args.quick else settings_of)
    log = args.out.with_suffix(".jsonl")
    rows = do_all(run_job, jobs, args.data, args.jobs, log)
    dtw = {} if args.quick else dtw_scores(rows, args.data, log)
    lines = [*table(rows, dtw), "", *contenders(rows)]
    print("\n".join(lines))
    document = {
        "environment": environment(threads=args.threads or 1),
        "commits": commits_of(rows),
        "cost": [figures(result) for result in costs],
        "dtw": dtw,
        "scores": scores_of(rows),
    }
    write_json(args.out, document)
    exit_if_any_failed(jobs, rows)


if __name__ == "__main__":
    main()
