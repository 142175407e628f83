"""What a search in more references than one machine holds is made of: encoding, tasks of Dask, and a vector store.

Everything is processor time on one thread. The store is DuckDB, whose rows are embeddings and which reads all of them
for a query. Its neighbours are checked against those of `SequenceIndex`.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.run_index import WIDTH, VectorMetric, encoded, noisy, seconds
from benchmarks.threads import fixed_threads
from skseqmetric import RandomConvolutionMetric, SequenceIndex, ShardedIndex, SyncGRUMetric
from skseqmetric.datasets import make_shifted_sequences

STEPS, CHANNELS, CLASSES = 128, 6, 10
K = 10


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Median processor seconds of a call."""
    return float(np.median([seconds(call) for _ in range(repeats)]))


def encoding(n: int) -> dict[str, Any]:
    """Sequences that `transform` encodes in a second, of 128 steps and 6 channels."""
    X, y = make_shifted_sequences(n, n_classes=CLASSES, n_channels=CHANNELS, length=(STEPS, STEPS), random_state=0)
    metrics = {
        "RandomConvolutionMetric()": RandomConvolutionMetric(random_state=0),
        "SyncGRUMetric(coupling=None)": SyncGRUMetric(coupling=None, max_updates=4, random_state=0),
    }
    found = {}
    for name, metric in metrics.items():
        metric.fit(X[:200], y[:200])
        taken = median_seconds(lambda metric=metric: metric.transform(X), 3)
        found[name] = {"numbers": metric.transform(X[:1]).shape[1], "sequences/s": round(n / taken)}
    return found


def stored(embeddings: np.ndarray, n: int, folder: Path) -> dict[str, Any]:
    """Seconds of a query in a file of DuckDB with n rows, and bytes on the disk."""
    vectors, path = noisy(embeddings, n, 0)[:, 0], folder / f"{n}.duckdb"
    queries = noisy(embeddings, 10, 10**6)
    rows = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), WIDTH)
    table = pa.table({"recording": np.arange(n), "vector": rows})
    with duckdb.connect(path, config={"threads": 1}) as database:
        database.register("made", table)
        built = seconds(
            lambda: database.execute(
                f"CREATE TABLE embedded AS SELECT recording, vector::FLOAT[{WIDTH}] AS vector FROM made"
            )
        )
        database.execute("CHECKPOINT")
        nearest = (
            f"SELECT recording FROM embedded ORDER BY array_distance(vector, ?::FLOAT[{WIDTH}]), recording LIMIT {K}"
        )

        def search(query: np.ndarray) -> list[int]:
            return [row for (row,) in database.execute(nearest, [query[0].tolist()]).fetchall()]

        found = [search(query) for query in queries]
        taken = float(np.median([seconds(lambda query=query: search(query)) for query in queries]))
    index = SequenceIndex(VectorMetric().fit(queries)).add(vectors[:, np.newaxis])
    same = np.mean([set(mine) == set(its) for mine, its in zip(found, index.search(queries, K)[1], strict=True)])
    return {
        "rows": n,
        "build s": round(built, 2),
        "ms of a query": round(1e3 * taken, 1),
        "bytes a row": round(path.stat().st_size / n),
        "queries with the same neighbours": float(same),
    }


def tasks(sizes: list[int], repeats: int, folder: Path) -> dict[str, Any]:
    """Milliseconds that a search of one query costs the process of client and scheduler, by the number of shards."""
    from distributed import Client, LocalCluster

    X, _ = make_shifted_sequences(10, random_state=0)
    metric = RandomConvolutionMetric(84, random_state=0).fit(X)
    settings: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    found = {}
    with (
        LocalCluster(**settings, silence_logs=logging.ERROR, local_directory=str(folder)) as cluster,
        Client(cluster) as client,
    ):
        sharded = ShardedIndex(lambda start: SequenceIndex(metric).add(X, range(start, start + len(X))), client)
        for n in sizes:
            sharded.add(range(len(X) * len(sharded.sources), len(X) * n, len(X)))
            begin = time.perf_counter()
            cpu = median_seconds(lambda: sharded.search(X[:1], K), repeats)
            found[str(n)] = {
                "processor ms": round(1e3 * cpu, 1),
                "ms": round(1e3 * (time.perf_counter() - begin) / repeats, 1),
            }
    return found


def figures(*, quick: bool) -> dict[str, Any]:
    """Everything that is measured."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        found: dict[str, Any] = {
            "encoding": encoding(200 if quick else 2000),
            "searches in shards": tasks([2, 8] if quick else [2, 16, 64], 3 if quick else 25, folder),
        }
        embeddings = encoded()
        found["DuckDB"] = [stored(embeddings, n, folder) for n in ([1000] if quick else [100_000, 1_000_000])]
    return found


def main() -> None:
    """Measure, print, and write what the documentation quotes."""
    args = argument_parser(__doc__).parse_args()
    with fixed_threads(1):
        found = figures(quick=args.quick)
    for name, part in found.items():
        print(name, part)
    if args.out:
        write_json(args.out, {"environment": environment(threads=1), **found})


if __name__ == "__main__":
    main()
