"""What it costs to load a model file, beside its pickle: processor time of both, for every public estimator.

python -m benchmarks.run_load [NAME ...] [--repeats N] [--default]

The models are the small ones of the tests. With --default they have the sizes of the defaults, and learned the Japanese
vowels. Both ways read a file that the system has in memory. They take turns, and the times are medians.
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import skseqmetric
from benchmarks.environment import environment
from benchmarks.run_export import MODELS
from skseqmetric.datasets import load_japanese_vowels
from tests.small_models import STORABLE, fitted

BAR = 1.5
"""Most of the time of a pickle."""


def models(names: list[str], *, default: bool) -> Iterator[tuple[str, Any]]:
    """Fitted models and what they are called."""
    known = list(MODELS) if default else [case.name for case in STORABLE]
    chosen = [name for name in known if not names or name in names]
    if not default:
        yield from ((name, fitted(name)) for name in chosen)
        return
    X, y = load_japanese_vowels(split="train", return_X_y=True)
    for name in chosen:
        yield name, MODELS[name][0].fit(X, y)


def row(name: str, model: Any, folder: Path, repeats: int) -> str:
    """Milliseconds of the pickle and of the model file, their ratio, and the sizes of both."""
    saved, pickled = folder / "model.skm", folder / "model.pickle"
    model.save(saved)
    pickled.write_bytes(pickle.dumps(model))

    def unpickle() -> Any:
        with open(pickled, "rb") as file:
            return pickle.load(file)

    ways = (unpickle, lambda: skseqmetric.load(saved))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for way, found in zip(ways, times, strict=True):
            began = time.process_time()
            way()
            found.append(time.process_time() - began)
    theirs, ours = (1e3 * statistics.median(found[1:]) for found in times)
    sizes = [path.stat().st_size / 1000 for path in (pickled, saved)]
    return f"| {name} | {theirs:.2f} | {ours:.2f} | {ours / theirs:.2f} | {sizes[0]:.0f} | {sizes[1]:.0f} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="estimators, all by default", default=[])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--default", action="store_true", help="models of the sizes of the defaults")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(environment(threads=1)["cpu"], f"bar: {BAR}\n")
    print("| estimator | pickle [ms] | load [ms] | ratio | pickle [kB] | file [kB] |\n" + "| --- " * 6 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models(args.names, default=args.default):
            print(row(name, model, Path(folder), args.repeats), flush=True)


if __name__ == "__main__":
    main()
