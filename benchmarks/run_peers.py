"""The package against its peers in one run: recurrences, distances, neighbours, reservoirs, convolutions, scaling.

python -m benchmarks.run_peers [--data DIR] --out FILE.json --plot FILE.png [--aeon-python PATH]

Competitors of one comparison run in turn, round by round, after their answers were checked against each other or
against the plain reference loop. Every implementation of ours that can run here does, forced by name. Peers that are
not installed are left out and named. aeon holds numpy and numba back. So it lives in an environment of its own, in
which a second process runs:

    python -m venv aeon-environment
    aeon-environment/bin/python -m pip install aeon==1.6.0
    python -m benchmarks.run_peers ... --aeon-python aeon-environment/bin/python

Rates of the recurrences count 6 H (H + F) FLOP a row and step for the plain GRU. For the coupled one they count
14 H (H + F) a pair and step. The backward pass counts twice that again. Shares of the all-pairs runs count 14 H^2 a
pair and step. The GEMM peak is that of the fastest of three square float32 products of this run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.environment import environment, version
from benchmarks.harness import Result, argument_parser, print_table, write_json
from benchmarks.peers import accuracy, bars, convolutions, distances, picture, recurrences, reservoirs, runs, scaling
from benchmarks.problems import PROBLEMS
from benchmarks.summaries import figures

PEERS = ("tslearn", "dtaidistance", "reservoirpy")
UNITS, ROWS = (32, 64, 128), (64, 256, 1024)
NUMBERS = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
PARTS = ("scans", "pairs", "neighbours", "reservoirs", "convolutions", "scaling", "accuracy")


class Run:
    """What was measured so far: printed as it comes, kept for the file."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.quick = args, args.quick
        self.repeats = 1 if args.quick else args.repeats
        self.results: dict[str, list[Result]] = {}
        self.bars: list[bars.Bar] = []
        self.gemm: dict[int, float] = {}
        self.accuracies: list[dict[str, Any]] = []

    def peak(self, threads: int) -> float:
        """The fastest matrix product until now, measured again each time: the machine may have been busy before."""
        rate = recurrences.gemm_peak(threads, 3 if self.quick else 20)
        self.gemm[threads] = max(rate, self.gemm.get(threads, 0.0))
        print(f"\nGEMM peak, {threads} thread(s): {self.gemm[threads] / 1e9:.1f} GFLOP/s", flush=True)
        return self.gemm[threads]

    def keep(self, part: str, results: Sequence[Result]) -> None:
        """Print and remember."""
        for result in results:
            print_table(result)
            print(f"({result.environment['threads']} thread(s))", flush=True)
        self.results.setdefault(part, []).extend(results)

    def judge(self, found: Sequence[bars.Bar], threads: int) -> None:
        """Bars are set for the largest number of threads asked for."""
        if threads == max(self.args.thread_counts):
            self.bars += found

    # ---------------------------------------------------------------------------------------------------------- parts

    def scans(self, threads: int) -> None:
        """Plain and coupled GRU, forward and backward."""
        units, rows = ((32,), (8,)) if self.quick else (UNITS, ROWS)
        self.peak(threads)
        results = recurrences.all_scans(units, rows, threads, self.repeats)
        self.keep("scans", results)
        sizes = [(h, backward) for h in units for _ in rows for backward in (False, True)]
        self.judge(bars.scan_bars(results, sizes, self.peak(threads)), threads)

    def pairs(self, threads: int) -> None:
        """All distances between two sets, of one length and ragged."""
        n_queries, n_references = (6, 10) if self.quick else (200, 500)
        steps, lengths = (24, (15, 30)) if self.quick else (128, (50, 150))
        common = {
            "n_queries": n_queries,
            "n_references": n_references,
            "threads": threads,
            "repeats": self.repeats,
            "aeon_python": self.args.aeon_python,
        }
        self.peak(threads)
        equal = distances.all_pairs(steps, (32, 64), **common)
        ragged = distances.all_pairs(lengths, (32,), **common)
        self.keep("pairs", [equal, ragged])
        flop = {h: 14.0 * h * h * steps for h in (32, 64)}
        self.judge(bars.pair_bars(equal, ragged, self.peak(threads), flop), threads)

    def neighbours(self, threads: int) -> None:
        """1-NN prediction."""
        sizes = (24, 12, 30) if self.quick else (128, 200, 500)
        result = distances.nearest(
            steps=sizes[0], n_queries=sizes[1], n_references=sizes[2], threads=threads, repeats=self.repeats
        )
        self.keep("neighbours", [result])
        self.judge(bars.neighbour_bars(result), threads)

    def reservoirs(self, threads: int) -> None:
        """States of reservoirs."""
        for units in (20,) if self.quick else (100, 500):
            result = reservoirs.reservoirs(threads, self.repeats, units=units, rows=4 if self.quick else 64)
            self.keep("reservoirs", [result] if result else [])

    def convolutions(self, threads: int) -> None:
        """Features of random convolutions."""
        results = convolutions.all_convolutions(threads, self.repeats, self.args.aeon_python, quick=self.quick)
        self.keep("convolutions", results)
        self.judge(bars.convolution_bars(results), threads)

    def scaling(self, threads: int) -> None:
        """Once, with the largest number of threads, which it varies itself."""
        if threads != max(self.args.thread_counts):
            return
        limits = scaling.Limits(1 if self.quick else 3, 0.5 if self.quick else self.args.longest_call)
        numbers = (30, 100) if self.quick else NUMBERS
        n, n_queries = (6, 5) if self.quick else (100, 100)
        results = scaling.against_references(
            numbers, n_queries=n_queries, threads=threads, limits=limits, aeon_python=self.args.aeon_python
        )
        self.keep("scaling with references", results)
        if self.args.plot is not None:
            subtitle = f"{n_queries} queries, {scaling.STEPS} steps x {runs.CHANNELS} channels, {threads} thread(s)"
            picture.draw(results, numbers, subtitle, self.args.plot)
        steps, units = ((16, 32), (8, 16)) if self.quick else ((32, 64, 128, 256, 512, 1024), (16, 32, 64, 128, 256))
        self.keep("scaling with steps", scaling.against_steps(steps, n=n, threads=threads, limits=limits))
        self.keep("scaling with units", scaling.against_units(units, n=n, threads=threads, limits=limits))
        counts = sorted(self.args.thread_counts)
        self.keep("scaling with threads", scaling.against_threads(counts, n=n, limits=limits))

    def accuracy(self, threads: int) -> None:
        """Once, where there are real problems."""
        if self.args.data is None or threads != max(self.args.thread_counts):
            return
        problems = ["ECG200"] if self.quick else list(PROBLEMS)
        settings = {"max_epochs": 1, "min_batches": 2} if self.quick else {}
        self.accuracies = accuracy.reranked_against_exact(self.args.data, problems, threads=threads, **settings)
        accuracy.print_accuracies(self.accuracies)
        self.judge(bars.accuracy_bars(self.accuracies), threads)

    def save(self) -> None:
        """Write what there is to --out."""
        if self.args.out is not None:
            write_json(self.args.out, self.document())

    def document(self) -> dict[str, Any]:
        """What --out holds."""
        return {
            "environment": environment(threads=max(self.args.thread_counts)),
            "thread_counts": self.args.thread_counts,
            "peers": {name: version(name) for name in PEERS},
            "gemm_flop_per_second": self.gemm,
            "results": {part: [figures(result) for result in results] for part, results in self.results.items()},
            "accuracy": self.accuracies,
            "bars": [bar.row() for bar in self.bars],
        }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argument_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="pairs a second against references")
    parser.add_argument("--aeon-python", type=Path, metavar="PATH", help="Python of the environment that has aeon")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--longest-call", type=float, default=15.0, help="seconds; in scaling, longer calls are left out"
    )
    args = parser.parse_args()
    args.thread_counts = [args.threads] if args.threads else [1] if args.quick else [1, 2]
    return args


def main() -> None:
    """Measure, print, write."""
    args = parse()
    missing = [name for name in PEERS if version(name) is None] + ["aeon"] * (args.aeon_python is None)
    print(f"threads: {args.thread_counts}; implementations: {runs.implementations('sync_gru')}; left out: {missing}")
    run = Run(args)
    for threads in args.thread_counts:
        for part in args.parts:
            getattr(run, part)(threads)
            run.save()  # after every part, so that a run that is stopped leaves what it has
    print("\n" + "\n".join(map(str, run.bars)))


if __name__ == "__main__":
    main()
