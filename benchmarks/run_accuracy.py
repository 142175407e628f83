"""1-NN accuracy of SyncGRUMetric with default parameters on real problems, and of 1-NN DTW by tslearn.

python -m benchmarks.run_accuracy --data DIR [--coupling symmetric] [--seeds 3] [--problems JapaneseVowels ...] [--dtw]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import available_cores, environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.problems import COUPLED_BARS, PROBLEMS, Split, load_problem, timed_accuracy
from benchmarks.threads import fixed_threads
from skseqmetric import DTWMetric, SequenceKNeighborsClassifier, SyncGRUMetric


def score(metric: Any, train: Split, test: Split) -> dict[str, float]:
    """Accuracy of 1-NN on the test split, seconds of fit and of predict."""
    return timed_accuracy(SequenceKNeighborsClassifier(metric, n_neighbors=1), train, test)


def run_problem(name: str, data: Path, coupling: str | None, seeds: range, dtw: DTWMetric | None) -> dict[str, Any]:
    """Every seed of one problem, and DTW where asked for."""
    train, test = load_problem(data, name)
    runs = [score(SyncGRUMetric(coupling=coupling, random_state=seed), train, test) for seed in seeds]
    row: dict[str, Any] = {
        "problem": name,
        "coupling": coupling,
        "bar": PROBLEMS[name][1] if coupling is None else COUPLED_BARS.get(name),
        "mean": float(np.mean([run["accuracy"] for run in runs])),
        "seeds": dict(zip(seeds, runs, strict=True)),
    }
    if dtw is not None:
        row["dtw"] = score(dtw, train, test)
    return row


def print_row(row: dict[str, Any]) -> None:
    """One line of the table."""
    runs = list(row["seeds"].values())
    accuracies = [run["accuracy"] for run in runs]
    bar = "-" if row["bar"] is None else f"{row['bar']:.3f}"
    dtw = f"{row['dtw']['accuracy']:.3f}" if "dtw" in row else "-"
    print(
        f"{row['problem']:<18}{row['mean']:>7.3f}{min(accuracies):>8.3f}{max(accuracies):>8.3f}{bar:>8}{dtw:>8}"
        f"{max(run['fit_s'] for run in runs):>9.1f}{np.mean([run['predict_s'] for run in runs]):>11.2f}",
        flush=True,
    )


def main() -> None:
    """Run, print a row a problem as it is done, write JSON."""
    parser = argument_parser(__doc__)
    parser.add_argument("--coupling", default="none", help='"none", "alignment", "scalar", "symmetric" or "diffusive"')
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--problems", nargs="*", choices=list(PROBLEMS))
    parser.add_argument("--dtw", action="store_true", help="measure 1-NN DTW too")
    args = parser.parse_args()
    if args.data is None:
        parser.error("--data DIR is needed: a folder with uea/*.npz and ucr/*.npz")
    threads = args.threads or available_cores()
    coupling = None if args.coupling == "none" else args.coupling
    names = args.problems or (list(PROBLEMS) if coupling is None else list(COUPLED_BARS))
    seeds = range(args.first_seed, args.first_seed + (1 if args.quick else args.seeds))
    print(f"{'problem':<18}{'mean':>7}{'min':>8}{'max':>8}{'bar':>8}{'DTW':>8}{'fit s':>9}{'predict s':>11}")
    rows = []
    with fixed_threads(threads):
        for name in names[:1] if args.quick else names:
            rows.append(run_problem(name, args.data, coupling, seeds, DTWMetric(n_jobs=threads) if args.dtw else None))
            print_row(rows[-1])
    if args.out is not None:
        write_json(args.out, {"environment": environment(threads=threads), "rows": rows})


if __name__ == "__main__":
    main()
