"""An index over workers of Dask answers as one index, to the bit, also after workers were lost; or it says why not."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skseqmetric import SequenceIndex, ShardedIndex, load
from tests.fake_metrics import random_sequences
from tests.small_models import fitted

distributed = pytest.importorskip("distributed")

METRICS = ["RandomConvolutionMetric", "SyncGRUMetric aligned", "MetricEnsemble default", "DTWMetric"]
N, PARTS = 60, 4
QUIET: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 60}


@pytest.fixture(scope="module")
def X() -> list[np.ndarray]:
    """Sequences of which some are equal, so that distances tie."""
    return random_sequences(np.random.default_rng(0), N, copies=12)


@pytest.fixture(scope="module")
def queries(X: list[np.ndarray]) -> list[np.ndarray]:
    return [*random_sequences(np.random.default_rng(1), 4), X[3], X[-1]]


@pytest.fixture
def client() -> Iterator[Any]:
    """Two workers in this process."""
    with (
        distributed.LocalCluster(n_workers=2, processes=False, **QUIET) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def parts_of(metric: Any, X: list[np.ndarray], **options: Any) -> Callable[[int], SequenceIndex]:
    """Every fourth sequence from one on. Ids are the places of all."""

    def build(part: int) -> SequenceIndex:
        return SequenceIndex(metric, **options).add(X[part::PARTS], ids=range(part, N, PARTS))

    return build


def bits(found: Any) -> list[Any]:
    """What a search found, to be compared."""
    return [[part.dtype.str, part.shape, part.tobytes()] for side in found for part in side]


def lose_one(client: Any) -> None:
    """Close a worker that holds a shard, which is then gone."""
    holder = next(address for holders in client.who_has().values() for address in holders)
    client.sync(next(worker for worker in client.cluster.workers.values() if worker.address == holder).close)


@pytest.mark.parametrize("name", METRICS)
def test_shards_are_searched_as_one_index(
    name: str, client: Any, X: list[np.ndarray], queries: list[np.ndarray]
) -> None:
    metric = fitted(name)
    whole, sharded = SequenceIndex(metric).add(X), ShardedIndex(parts_of(metric, X), client).add(range(PARTS))
    radius = float(np.median(whole.search(queries, 20)[0]))
    for lost in range(2):
        if lost:
            lose_one(client)
        assert len(sharded) == N
        for k in (1, 7, 20, N):  # a shard has 15
            assert bits(sharded.search(queries, k)) == bits(whole.search(queries, k))
        assert bits(sharded.search_radius(queries, radius)) == bits(whole.search_radius(queries, radius))
        assert bits(sharded.search_radius(queries, 0)) == bits(whole.search_radius(queries, 0))


def test_shortlists_of_shards(client: Any, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric = fitted("SyncGRUMetric aligned")
    found = ShardedIndex(parts_of(metric, X, n_candidates=15), client).add(range(PARTS)).search(queries, 5)
    assert bits(found) == bits(SequenceIndex(metric).add(X).search(queries, 5))
    with pytest.raises(ValueError, match="n_candidates=3 is less than the 5 neighbours"):
        ShardedIndex(parts_of(metric, X, n_candidates=3), client).add(range(PARTS)).search(queries, 5)


def test_sources_come_and_go(client: Any, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric = fitted("DTWMetric")
    build = parts_of(metric, X)
    sharded = ShardedIndex(lambda part: SequenceIndex(metric) if part == "none" else build(part), client)
    sharded.add([]).add([0, 3]).add(["none"]).add([1]).remove([3])
    assert sharded.sources == [0, "none", 1]
    rows = sorted([*range(0, N, PARTS), *range(1, N, PARTS)])
    whole = SequenceIndex(metric).add([X[row] for row in rows], rows)
    assert bits(sharded.search(queries, 9)) == bits(whole.search(queries, 9))
    assert sharded.client.gather(sharded.client.submit(len, sharded.remove([0, 1]).sources)) == 1
    with pytest.raises(ValueError, match="the index has 0 references, and 5 were asked for"):
        sharded.search(queries)


def test_ids_that_are_text(client: Any, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric = fitted("RandomConvolutionMetric")
    names = np.array([f"{row:03}" for row in range(N)], dtype=object)

    def build(part: int) -> SequenceIndex:
        return SequenceIndex(metric).add(X[part::PARTS], ids=None if part == 3 else names[part::PARTS])

    sharded = ShardedIndex(build, client).add(range(3))
    kept = [row for row in range(N) if row % PARTS < 3]
    whole = SequenceIndex(metric).add([X[row] for row in kept], names[kept])
    np.testing.assert_array_equal(sharded.search(queries, 9)[1], whole.search(queries, 9)[1])
    near = float(whole.search(queries, 9)[0].max())
    for mine, its in zip(sharded.search_radius(queries, near)[1], whole.search_radius(queries, near)[1], strict=True):
        np.testing.assert_array_equal(mine, its)
    with pytest.raises(ValueError, match="some shards have integers as ids and others text"):
        sharded.add([3])
    assert sharded.sources == [0, 1, 2]


def test_what_is_wrong_is_said(client: Any, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    build = parts_of(fitted("RandomConvolutionMetric"), X)
    sharded = ShardedIndex(build, client).add([0])
    for sources in ([0], [1, 2, 1]):
        with pytest.raises(ValueError, match=r"the source [01] is in the index already"):
            sharded.add(sources)
    with pytest.raises(TypeError, match=r"client is None: pass a distributed\.Client"):
        ShardedIndex(build, None)
    with pytest.raises(TypeError, match=r"build is 'parts': pass a function of a source"):
        ShardedIndex("parts", client)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the source 7 is not in the index"):
        sharded.remove([0, 7])
    with pytest.raises(ValueError, match="build returned list for 'a'"):
        ShardedIndex(lambda source: [source], client).add(["a"])
    with pytest.raises(TypeError, match="slice indices"):  # of the function itself
        sharded.add([1, "text"])
    for k in (0, 1.5):
        with pytest.raises(ValueError, match=f"k={k} must be an integer >= 1"):
            sharded.search(queries, k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="radius=-1 must be a finite number"):
        sharded.search_radius(queries, -1)
    with pytest.raises(ValueError, match=r"X has 1 channel\(s\)"):
        sharded.search([np.zeros((4, 1))])
    doubled = ShardedIndex(lambda source: build(0), client).add(["first", "second"])
    for search in (lambda: doubled.search(queries), lambda: doubled.search_radius(queries, 1e9)):
        with pytest.raises(ValueError, match=r"the id \d+ comes twice for query 0"):
            search()
    assert sharded.sources == [0]


@pytest.mark.parametrize("changed", [list(range(1, N + 1)), [str(name) for name in range(N)], list(range(5))])
def test_a_source_that_changed_is_no_shard(
    changed: list[Any], client: Any, X: list[np.ndarray], queries: list[np.ndarray], tmp_path: Path
) -> None:
    metric, source = fitted("RandomConvolutionMetric"), tmp_path / "ids.json"

    def build(path: Path) -> SequenceIndex:
        ids = json.loads(path.read_text())
        return SequenceIndex(metric).add(X[: len(ids)], ids)

    source.write_text(json.dumps(list(range(N))))
    sharded = ShardedIndex(build, client).add([source])
    sharded.search(queries)
    source.write_text(json.dumps(changed))
    lose_one(client)
    for search in (lambda: sharded.search(queries), lambda: sharded.search_radius(queries, 1.0)):
        with pytest.raises(
            ValueError, match=r"the shard of .*ids\.json.* was lost, and its source has changed meanwhile"
        ):
            search()
    sharded.remove([source]).add([source])
    assert sharded.search(queries)[1].tolist() == build(source).search(queries)[1].tolist()


def test_without_workers_time_runs_out(client: Any, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    sharded = ShardedIndex(parts_of(fitted("RandomConvolutionMetric"), X), client, timeout=10).add(range(PARTS))
    lose_one(client)
    sharded.search(queries)
    lose_one(client)
    sharded.timeout = 0.2
    with pytest.raises(TimeoutError, match=r"4 of 4 shards did not answer in 0\.2 s, and there are 0 workers"):
        sharded.search(queries)


def test_dask_knows_how_large_a_shard_is(client: Any, X: list[np.ndarray]) -> None:
    metric = fitted("RandomConvolutionMetric")
    sharded = ShardedIndex(lambda n: SequenceIndex(metric).add(X * n), client)
    scheduler, known = client.cluster.scheduler, []
    for n in (1, 50):
        sharded.add([n])
        known.append(max(task.nbytes for task in scheduler.tasks.values() if task.nbytes > 0))
    embeddings = 49 * N * 4 * metric.transform(X).shape[1]
    assert embeddings <= known[1] - known[0] <= embeddings + 49 * N * 24


# ------------------------------------------------------------------ processes that are killed


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers that are processes, each with a nanny that starts another one after its death."""
    folder = str(tmp_path_factory.mktemp("workers"))
    with (
        distributed.LocalCluster(n_workers=2, local_directory=folder, **QUIET) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def kill_one(client: Any) -> None:
    """Kill a worker by SIGKILL."""
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(900)  # each worker imports torch
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as POSIX has them")
def test_workers_killed_amid_searches_change_no_answer(
    processes: Any, X: list[np.ndarray], queries: list[np.ndarray], tmp_path: Path
) -> None:
    metric = fitted("DTWMetric")
    paths = [tmp_path / f"{part}.skm" for part in range(PARTS)]
    for part, path in enumerate(paths):
        parts_of(metric, X)(part).save(path)

    def build(path: Path) -> SequenceIndex:
        with open(tmp_path / "built", "a") as told:
            told.write(f"{path.name}\n")
        return load(path)

    sharded, many = ShardedIndex(build, processes).add(paths), queries * 10
    expected = bits(SequenceIndex(metric).add(X).search(many, 9))
    answers: list[Any] = []
    stop = threading.Event()

    def searching() -> None:
        while not stop.is_set():
            answers.append(bits(sharded.search(many, 9)))

    thread = threading.Thread(target=searching)
    thread.start()
    try:
        for _ in range(2):
            processes.wait_for_workers(2, timeout=240)
            n_answers = len(answers)
            kill_one(processes)
            end = time.monotonic() + 120
            while len(answers) < n_answers + 3 and thread.is_alive() and time.monotonic() < end:
                time.sleep(0.05)
    finally:
        stop.set()
        thread.join(240)
    assert not thread.is_alive()
    assert len(answers) >= 6
    assert all(answer == expected for answer in answers)
    assert len((tmp_path / "built").read_text().splitlines()) > PARTS  # what was lost was loaded again


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as POSIX has them")
def test_a_shard_that_kills_its_workers_is_an_error(
    processes: Any, X: list[np.ndarray], queries: list[np.ndarray]
) -> None:
    build = parts_of(fitted("RandomConvolutionMetric"), X)

    def deadly(part: int) -> SequenceIndex:
        if part == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return build(part)

    sharded = ShardedIndex(deadly, processes).add(range(3))
    processes.cluster.scheduler.allowed_failures = 0
    with pytest.raises(distributed.KilledWorker, match=r"Attempted to run task 'built-.* on 1 different workers"):
        sharded.add([3])
    assert sharded.sources == [0, 1, 2]
    processes.cluster.scheduler.allowed_failures = 3
    rows = [row for row in range(N) if row % PARTS < 3]
    assert bits(sharded.search(queries, 9)) == bits(
        SequenceIndex(fitted("RandomConvolutionMetric")).add([X[row] for row in rows], rows).search(queries, 9)
    )
