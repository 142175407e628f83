"""Memory of answers and fits on a memory map: what a call holds beyond its data and its result.

python -m benchmarks.run_memory [--megabytes 200] [--steps 500] [--channels 10] [--calls NAME ...] [--quick]

Every call runs in a process of its own on a map of float32 that is in memory already, with a model that was fitted to
few sequences. "beyond" is the highest mark of the process less what it held before the call and less the result.
"over data" is that over the bytes of the map.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.harness import argument_parser
from benchmarks.memory import peak_memory, reset_peak_memory
from benchmarks.threads import fixed_threads

N_SMALL = 64
"""Sequences of the models that answer, and of the first calls, which load what is loaded once."""

MEGABYTE = 1e6

QUICK: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "max_updates": 2, "random_state": 0}
SMALL: dict[str, Any] = {**QUICK, "n_units": 8, "n_filters": 8}
Call = Callable[[Any, Any, np.ndarray], Any]
"""A call of a model on data X with labels y."""


def answering() -> dict[str, tuple[Any, Call]]:
    """Models, and the call of each that answers for X."""
    from skseqmetric import (
        EchoStateClassifier,
        EchoStateRegressor,
        EchoStateTransformer,
        NRNMClassifier,
        NRNMMetric,
        RandomConvolutionMetric,
        RandomConvolutionTransformer,
        SequenceKNeighborsClassifier,
        SyncGRUMetric,
    )

    few: dict[str, Any] = {"n_features": 420, "random_state": 0}
    echo: dict[str, Any] = {"n_units": 50, "random_state": 0}
    return {
        "RandomConvolutionMetric.transform": (RandomConvolutionMetric(**few), _transform),
        "RandomConvolutionTransformer.transform": (RandomConvolutionTransformer(84, random_state=0), _transform),
        "SyncGRUMetric.transform": (SyncGRUMetric(**SMALL, coupling=None), _transform),
        "NRNMMetric.transform": (NRNMMetric(**SMALL), _transform),
        "NRNMClassifier.predict": (NRNMClassifier(**SMALL), _predict),
        "EchoStateTransformer.transform": (EchoStateTransformer(**echo), _transform),
        "EchoStateClassifier.predict": (EchoStateClassifier(**echo), _predict),
        "EchoStateRegressor.predict": (EchoStateRegressor(**echo), _predict),
        "SequenceKNeighborsClassifier.predict": (
            SequenceKNeighborsClassifier(RandomConvolutionMetric(**few)),
            _predict,
        ),
        "SequenceKNeighborsClassifier.kneighbors": (
            SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL, coupling=None)),
            _kneighbors,
        ),
        "SequenceKNeighborsClassifier.kneighbors, matched": (
            SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL, coupling="alignment", n_places=4)),
            _kneighbors,
        ),
        "find_subsequences": (RandomConvolutionMetric(**few), _find),
        "SequenceKNeighborsClassifier.kneighbors, coupled": (
            SequenceKNeighborsClassifier(
                SyncGRUMetric(**SMALL, coupling="symmetric"), algorithm="rerank", n_candidates=5
            ),
            _kneighbors,
        ),
    }


def fits() -> dict[str, tuple[Any, Call]]:
    """Models, and the call of each that learns from X."""
    from skseqmetric import EchoStateClassifier, NRNMMetric, RandomConvolutionMetric, SyncGRUMetric

    few: dict[str, Any] = {"n_features": 420, "random_state": 0}
    return {
        "RandomConvolutionMetric.fit": (RandomConvolutionMetric(**few), _fit),
        "SyncGRUMetric.fit": (SyncGRUMetric(**SMALL, coupling=None), _fit),
        "NRNMMetric.fit": (NRNMMetric(**SMALL), _fit),
        "EchoStateClassifier.fit": (EchoStateClassifier(50, random_state=0), _fit),
        "RandomConvolutionMetric.partial_fit, pieces": (RandomConvolutionMetric(**few), _in_pieces),
        "EchoStateClassifier.partial_fit, pieces": (EchoStateClassifier(50, random_state=0), _in_pieces),
    }


def _transform(model: Any, X: Any, y: np.ndarray) -> Any:
    return model.transform(X)


def _predict(model: Any, X: Any, y: np.ndarray) -> Any:
    return model.predict(X)


def _kneighbors(model: Any, X: Any, y: np.ndarray) -> Any:
    return model.kneighbors(X, 1)


def _find(model: Any, X: Any, y: np.ndarray) -> Any:
    from skseqmetric import find_subsequences

    recording = X.reshape(-1, X.shape[2])
    return find_subsequences(model, [X[0][:80], X[1][:100]], [recording], lengths=100)


def _fit(model: Any, X: Any, y: np.ndarray) -> Any:
    return getattr(model.fit(X, y), "mean_", None)


def _in_pieces(model: Any, X: Any, y: np.ndarray) -> Any:
    for start in range(0, len(X), 500):
        model.partial_fit(X[start : start + 500], y[start : start + 500])
    return model.mean_


def made_map(folder: Path, megabytes: float, steps: int, channels: int) -> Path:
    """Write a map (n, steps, channels) of waves under noise, in float32."""
    n = max(2 * N_SMALL, round(megabytes * MEGABYTE / (4 * steps * channels)))
    path = folder / f"waves_{n}_{steps}_{channels}.npy"
    if path.exists():
        return path
    rng = np.random.default_rng(0)
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, steps, channels))
    times = np.arange(steps)[:, np.newaxis]
    for i in range(n):
        rates = 0.05 * (1 + i % 2) * (1 + np.arange(channels))
        made[i] = np.sin(rates * times + rng.uniform(0, 6)) + 0.5 * rng.standard_normal((steps, channels))
    made.flush()
    return path


def weighed(name: str, path: Path) -> dict[str, Any]:
    """Return what one call on a map costs, in bytes and seconds, and a digest of its result."""
    learns = name in fits()
    model, call = (fits() if learns else answering())[name]
    X = np.load(path, mmap_mode="r")
    y = np.arange(len(X)) % 2
    few, labels = np.array(X[:N_SMALL]), y[:N_SMALL]
    if learns:
        call(type(model)(**model.get_params()), few, labels)
    else:
        model.fit(few, labels)
        call(model, few, labels)
    for x in X:  # the map is in memory before, so that its own pages are not counted
        x.sum()
    held = reset_peak_memory()
    began = time.perf_counter()
    result = call(model, X, y)
    seconds = time.perf_counter() - began
    arrays = list(_arrays(result))
    n_result = sum(array.nbytes for array in arrays)
    digest = blake2b(digest_size=8)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    beyond = None if held is None else peak_memory() - held - n_result
    return {
        "name": name,
        "data": X.nbytes,
        "result": n_result,
        "beyond": beyond,
        "seconds": seconds,
        "digest": digest.hexdigest(),
    }


def _arrays(result: Any) -> Iterator[np.ndarray]:
    if sp.issparse(result):
        yield from (result.data, result.indices, result.indptr)
    elif isinstance(result, (list, tuple)):
        for part in result:
            yield from _arrays(part)
    elif isinstance(result, np.ndarray):
        yield result


GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""glibc gives freed blocks back at once. Otherwise it keeps up to 80 MB of a fit, other ones in every run."""


def in_a_process(name: str, path: Path, threads: int = 1) -> dict[str, Any]:
    """Return what `weighed` says of a call in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.run_memory", "--inside", name, str(path), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **GIVEN_BACK})
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argument_parser(__doc__)
    parser.add_argument("--megabytes", type=float, default=200.0)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--channels", type=int, default=10)
    parser.add_argument("--calls", nargs="*", help="names, or parts of names, of calls; default: all")
    parser.add_argument("--inside", nargs=2, metavar=("CALL", "MAP"), help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Measure and print."""
    args = _parser().parse_args()
    if args.inside:
        with fixed_threads(args.threads or 1):
            print(json.dumps(weighed(args.inside[0], Path(args.inside[1]))))
        return
    names = [*answering(), *fits()]
    chosen = [name for name in names if not args.calls or any(part in name for part in args.calls)]
    with tempfile.TemporaryDirectory() as folder:
        path = made_map(Path(folder), 2.0 if args.quick else args.megabytes, args.steps, args.channels)
        print(f"{'call':50} {'beyond, MB':>10} {'over data':>9} {'result, MB':>10} {'seconds':>8}  digest", flush=True)
        for name in chosen:
            row = in_a_process(name, path, args.threads or 1)
            beyond = float("nan") if row["beyond"] is None else row["beyond"]
            print(
                f"{name:50} {beyond / MEGABYTE:10.1f} {beyond / row['data']:9.2f} {row['result'] / MEGABYTE:10.1f} "
                f"{row['seconds']:8.2f}  {row['digest']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
