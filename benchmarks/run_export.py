"""Exported programs beside their estimators: seconds of an export, greatest difference, and latency of one sequence."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.environment import environment, version
from skseqmetric import (
    CrossModalTripletEmbedder,
    EchoStateClassifier,
    NRNMClassifier,
    NRNMMetric,
    RandomConvolutionMetric,
    RecurrentClassifier,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
)
from skseqmetric.datasets import load_japanese_vowels

SHORT: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "random_state": 0}
MODELS: dict[str, tuple[Any, str]] = {
    "RecurrentClassifier, LSTM": (RecurrentClassifier(**SHORT), "probabilities"),
    "RecurrentClassifier, GRU": (RecurrentClassifier(cell="gru", bidirectional=True, **SHORT), "probabilities"),
    "SyncGRUMetric": (SyncGRUMetric(**SHORT), "embedding"),
    "NRNMClassifier": (NRNMClassifier(**SHORT), "probabilities"),
    "NRNMMetric": (NRNMMetric(**SHORT), "embedding"),
    "EchoStateClassifier": (EchoStateClassifier(random_state=0), "probabilities"),
    "RandomConvolutionMetric": (RandomConvolutionMetric(random_state=0), "embedding"),
    "SequenceKNeighborsClassifier": (SequenceKNeighborsClassifier(), "probabilities"),
    "CrossModalTripletEmbedder": (CrossModalTripletEmbedder(**SHORT), "probabilities"),
}
"""Estimators of default size, and the output that is compared and timed."""

METHODS = {"probabilities": "predict_proba", "embedding": "transform"}


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The mean time of a processor for a call, after one that is not counted.

    All work has one thread, so that this is the latency where nothing else runs, and other work does not change it.
    """
    call()
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def padded(sequences: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of a program."""
    lengths = np.array([len(x) for x in sequences])
    values = np.zeros((len(sequences), lengths.max(), sequences[0].shape[1]), dtype=np.float32)
    for row, x in zip(values, sequences, strict=True):
        row[: len(x)] = x
    return {"values": values, "lengths": lengths}


def session(path: Path) -> Any:
    """A program of ONNX Runtime with one thread, as the estimator has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def row(name: str, folder: Path, X: list[np.ndarray], y: np.ndarray, repeats: int) -> str:
    """Measure one estimator: the row of the table."""
    estimator, output = MODELS[name]
    estimator.fit(X, y)
    rng, path = np.random.default_rng(0), folder / "model.onnx"
    start, cpu = time.perf_counter(), time.process_time()
    estimator.export(path)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    program, answer = session(path), getattr(estimator, METHODS[output])
    worst = 0.0
    for _ in range(20):
        batch = [rng.normal(size=(t, X[0].shape[1])).astype(np.float32) for t in rng.integers(1, 64, 8)]
        found, true = program.run([output], padded(batch))[0], answer(batch)
        worst = max(worst, float(np.abs(found - true).max() / np.abs(true).max()))
    one = [rng.normal(size=(64, X[0].shape[1])).astype(np.float32)]
    inputs = padded(one)
    own, exported = seconds(lambda: answer(one), repeats), seconds(lambda: program.run([output], inputs), repeats)
    return (
        f"| {name} | {wall:.1f} | {cpu:.1f} | {path.stat().st_size / 1000:.0f} | {worst:.1e} | {1e3 * own:.2f} | "
        f"{1e3 * exported:.2f} |"
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="estimators, all by default", default=[])
    parser.add_argument("--repeats", type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(1)
    X, y = load_japanese_vowels(split="train", return_X_y=True)
    where = environment(threads=1)
    print(where["cpu"], where["versions"], {name: version(name) for name in ("onnx", "onnxscript", "onnxruntime")})
    print("\n| estimator | export [s] | CPU [s] | file [kB] | difference | estimator [ms] | ONNX Runtime [ms] |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names or MODELS:
            print(row(name, Path(folder), X, y, args.repeats), flush=True)


if __name__ == "__main__":
    main()
