"""Latency: p50 and p99 of `predict` or `transform` of one sequence and of 32, and of searches in many references.

python -m benchmarks.run_latency --threads 1 --out FILE.json

Estimators have default sizes, fitted to the Japanese vowels for one epoch. Where an estimator can be exported, ONNX
Runtime runs its program on the same sequences. Searches are of `SequenceKNeighborsClassifier` over the embeddings of a
network, with 500 to 1,000,000 references: embeddings of the training sequences, repeated with noise. `search`
is the search alone, beside `torch.mm` with a transposed copy of the references and `torch.topk`. Times are CPU seconds
of the process, so that other work on the machine changes them little.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.run_export import METHODS, MODELS, padded, session
from skseqmetric import SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric._ops.references import References
from skseqmetric.datasets import load_japanese_vowels

SIZES = (1, 32)
REFERENCES = (500, 1000, 10_000, 100_000, 1_000_000)


def percentiles(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """The 50th and the 99th percentile of the milliseconds of calls that take turns, after three that do not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 3):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn >= 3:
                times[name].append(1e3 * (time.process_time() - start))
    return {name: [round(float(value), 3) for value in np.percentile(found, (50, 99))] for name, found in times.items()}


def of_estimator(name: str, X: list[np.ndarray], y: np.ndarray, repeats: int) -> dict[str, Any]:
    """The latencies of an estimator and of its program, by the number of sequences."""
    estimator, output = MODELS[name]
    estimator.fit(X, y)
    answer, found = getattr(estimator, METHODS[output]), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        estimator.export(path)
        program = session(path)
        for n in SIZES:
            some = X[:n]
            inputs = padded(some)
            calls = {"estimator": partial(answer, some), "program": partial(program.run, [output], inputs)}
            found[str(n)] = percentiles(calls, repeats)
    return found


def of_references(X: list[np.ndarray], y: np.ndarray, n: int, repeats: int) -> dict[str, Any]:
    """The latencies of a search among n embeddings, and of a product with the best of its columns."""
    embeddings = SyncGRUMetric(coupling=None, max_epochs=1, random_state=0).fit(X, y).transform(X)
    rng = np.random.default_rng(0)
    rows = embeddings[rng.integers(0, len(embeddings), n)]
    rows += 0.1 * embeddings.std() * rng.normal(size=rows.shape).astype(np.float32)
    references, queries = References.of(torch.from_numpy(rows)), torch.from_numpy(embeddings)
    columns, found = references.rows.T.contiguous(), {}
    for size in SIZES:
        some = queries[:size]
        calls = {
            "search": partial(references.search, some, 5),
            "product": lambda some=some: torch.topk(torch.mm(some, columns), 5, largest=False),
        }
        found[str(size)] = percentiles(calls, repeats if n < 100_000 else max(3, repeats // 10))
    return found


def of_neighbors(X: list[np.ndarray], y: np.ndarray, n: int, repeats: int) -> dict[str, Any]:
    """The latencies of predictions by n references of a network."""
    metric = FrozenEstimator(SyncGRUMetric(coupling=None, max_epochs=1, random_state=0).fit(X, y))
    rows = np.random.default_rng(0).integers(0, len(X), n)
    model = SequenceKNeighborsClassifier(metric).fit([X[row] for row in rows], y[rows])
    return {str(size): percentiles({"estimator": partial(model.predict, X[:size])}, repeats) for size in SIZES}


def main() -> None:
    """Measure, print and write."""
    parser = argument_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--estimators", nargs="*", choices=list(MODELS), default=list(MODELS), metavar="NAME")
    args = parser.parse_args()
    repeats = 5 if args.quick else args.repeats
    torch.set_num_threads(args.threads or 1)
    X, y = load_japanese_vowels(split="train", return_X_y=True)
    document: dict[str, Any] = {"unit": "ms, [p50, p99]", **environment(threads=args.threads or 1)}
    for name in args.estimators:
        document[name] = of_estimator(name, X, y, repeats)
        print(name, document[name], flush=True)
    for n in REFERENCES[:1] if args.quick else REFERENCES:
        found = {"search": of_references(X, y, n, repeats)}
        if n < 100_000:
            found["classifier"] = of_neighbors(X, y, n, repeats)
        document[f"{n} references"] = found
        print(n, found, flush=True)
    if args.out is not None:
        write_json(args.out, document)


if __name__ == "__main__":
    main()
