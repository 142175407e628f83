"""A large `SequenceIndex`: seconds to build it, memory, recall and queries per second of every backend.

The references are embeddings of 20,000 sequences, repeated with noise until there are enough. Times are CPU seconds of
one thread. Answers are checked first: distances are exact for every backend.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.memory import reset_peak_memory
from benchmarks.threads import fixed_threads
from skseqmetric import Metric, RandomConvolutionMetric, SequenceIndex, Sequences, check_sequences

SEQUENCES, CLASSES, STEPS, CHANNELS, WIDTH = 20_000, 200, 32, 3, 64
NOISE = 0.25
"""Of a reference, in standard deviations of each number of the embeddings."""

K = 10
PIECE = 50_000
"""References of one addition."""

BACKENDS = ("exact", "hnsw", "ivf")


@dataclass(frozen=True)
class Vectors:
    """Prepared sequences: their single steps."""

    embeddings: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)


class VectorMetric(Metric):
    """The Euclidean distance of sequences of one step, which are embeddings that were computed before."""

    _is_euclidean = True

    def fit(self, X: Any, y: Any = None) -> VectorMetric:
        """Check the input."""
        check_sequences(X, estimator=self)
        return self

    def _prepare(self, sequences: Sequences) -> Vectors:
        return Vectors(sequences.values, sequences.lengths)

    def _embeddings(self, prepared: Vectors) -> np.ndarray:
        return prepared.embeddings

    def _tile(self, left: Vectors, rows: np.ndarray, right: Vectors, columns: np.ndarray) -> np.ndarray:
        return np.stack([self._rows(left, np.full(len(columns), row), right, columns) for row in rows])

    def _rows(self, left: Vectors, rows: np.ndarray, right: Vectors, columns: np.ndarray) -> np.ndarray:
        difference = left.embeddings[rows].astype(np.float64) - right.embeddings[columns]
        return np.linalg.norm(difference, axis=1)

    def _nearest(self, queries: Any, references: Any, k: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        return self._nearest_by_pairs(queries, references, k, **options)


def encoded() -> np.ndarray:
    """Embeddings (20,000, 64) of noisy sums of sines, by random convolutions that learned from 2,000 of them."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, SEQUENCES)
    frequency, phase = rng.uniform(0.5, 6, (CLASSES, 3, CHANNELS)), rng.uniform(0, 6, (CLASSES, 3, CHANNELS))
    shift = phase[y] + rng.normal(0, 0.3, (SEQUENCES, 3, CHANNELS))
    steps = np.linspace(0, 1, STEPS)
    X = np.zeros((SEQUENCES, STEPS, CHANNELS))
    for wave in range(3):
        angles = 2 * np.pi * frequency[y, wave][:, np.newaxis] * steps[:, np.newaxis] + shift[:, wave][:, np.newaxis]
        X += np.sin(angles)
    X += rng.normal(0, 0.5, X.shape)
    metric = RandomConvolutionMetric(1680, n_components=WIDTH, random_state=0).fit(X[:2000])
    return metric.transform(X.astype(np.float32))


def noisy(embeddings: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Some embeddings with noise, as sequences (n, 1, 64) of one step."""
    rng = np.random.default_rng(seed)
    chosen = embeddings[rng.integers(0, len(embeddings), n)]
    noise = rng.standard_normal(chosen.shape, dtype=np.float32) * (NOISE * embeddings.std(axis=0))
    return (chosen + noise)[:, np.newaxis]


def pieces(embeddings: np.ndarray, n: int) -> Iterator[np.ndarray]:
    """All references, piece by piece."""
    for seed, start in enumerate(tqdm(range(0, n, PIECE), "references", unit="piece", disable=None)):
        yield noisy(embeddings, min(PIECE, n - start), seed)


def seconds(call: Callable[[], Any]) -> float:
    """CPU seconds of a call, of all threads of this process."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def held() -> int:
    """Bytes of memory that this process holds."""
    reset_peak_memory()
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


def built(metric: Metric, backend: str, embeddings: np.ndarray, n: int) -> tuple[SequenceIndex, dict[str, Any]]:
    """An index of all references, and what it took. The first search is part of it."""
    before, index, total = held(), SequenceIndex(metric, backend=backend), 0.0
    for piece in pieces(embeddings, n):
        total += seconds(lambda piece=piece: index.add(piece))
    query = piece[:1].copy()
    del piece
    total += seconds(lambda: index.search(query, K))
    gc.collect()
    return index, {
        "build s": round(total, 1),
        "memory / float32 references": round((held() - before) / (4 * WIDTH * n), 2),
    }


def speed(index: SequenceIndex, queries: np.ndarray) -> dict[str, Any]:
    """Queries per CPU second, one at a time and together."""
    few = queries[:100] if index.backend_ == "exact" else queries
    alone = seconds(lambda: [index.search(query[np.newaxis], K) for query in few]) / len(few)
    together = seconds(lambda: index.search(queries, K)) / len(queries)
    return {"ms of one query": round(1e3 * alone, 3), "ms of a query among all": round(1e3 * together, 4)}


def figures(embeddings: np.ndarray, n: int, n_queries: int) -> dict[str, dict[str, Any]]:
    """What was measured, by backend."""
    queries = noisy(embeddings, n_queries, 10**6)
    metric = VectorMetric().fit(queries)
    found: dict[str, dict[str, Any]] = {}
    exact: Any = None
    for backend in BACKENDS:
        index, row = built(metric, backend, embeddings, n)
        answer = index.search(queries, K)
        exact = answer if exact is None else exact
        check(exact, answer)
        row["recall"] = round(
            float(np.mean([np.isin(*pair).mean() for pair in zip(exact[1], answer[1], strict=True)])), 4
        )
        row |= speed(index, queries)
        for name in ("ms of one query", "ms of a query among all"):
            row[f"times exact, {name[6:]}"] = round(found.get("exact", row)[name] / row[name], 1)
        found[backend] = row
        del index
    return found


def check(exact: tuple[np.ndarray, np.ndarray], answer: tuple[np.ndarray, np.ndarray]) -> None:
    """Neighbours that both found are at the same distance, to the bit."""
    for row, (true, ids) in enumerate(zip(exact[1], answer[1], strict=True)):
        _, mine, its = np.intersect1d(ids, true, return_indices=True)
        np.testing.assert_array_equal(answer[0][row][mine], exact[0][row][its])


def main() -> None:
    """Measure, print, and write what the documentation quotes."""
    parser = argument_parser(__doc__)
    parser.add_argument("--references", type=int, default=1_000_000)
    args = parser.parse_args()
    n, n_queries = (5000, 50) if args.quick else (args.references, 1000)
    with fixed_threads(1):
        found = figures(encoded(), n, n_queries)
    title = f"{n} references of {WIDTH} numbers, {n_queries} queries, {K} neighbours, CPU time of one thread"
    for backend, row in found.items():
        print(backend, row)
    if args.out:
        write_json(args.out, {"title": title, "environment": environment(threads=1), "backends": found})


if __name__ == "__main__":
    main()
