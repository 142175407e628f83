"""Indexes of faiss: exact distances, few neighbours missed, removed references gone, and readers beside a writer."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from skseqmetric import DTWMetric, RandomConvolutionMetric, SequenceIndex, SyncGRUMetric
from tests.fake_metrics import MeanMetric, random_sequences

BACKENDS = ["hnsw", "ivf"]
N = 1300


@pytest.fixture(scope="module")
def X() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    centers = np.repeat(rng.normal(size=(N // 10, 1, 3)), 10, axis=0)
    return [center + 0.5 * rng.normal(size=(3, 3)) for center in centers]


@pytest.fixture(scope="module")
def queries() -> list[np.ndarray]:
    return random_sequences(np.random.default_rng(1), 40, n_channels=3)


@pytest.fixture(scope="module")
def metric(X: list[np.ndarray]) -> RandomConvolutionMetric:
    return RandomConvolutionMetric(168, n_components=6, random_state=0).fit(X[:200])


def index_of(metric: Any, backend: str, X: list[np.ndarray], **options: Any) -> SequenceIndex:
    pytest.importorskip("faiss")
    return SequenceIndex(metric, backend=backend, **options).add(X)


def check(index: SequenceIndex, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    """Ids are of references that are there, distances are those of the metric, and few neighbours are missed."""
    distances, ids = index.search(queries, 10)
    assert np.isin(ids, index.ids).all()
    assert all(len(set(row)) == 10 for row in ids.tolist())
    table = index.metric.pairwise_distances(queries, [X[i % len(X)] for i in ids.ravel()])
    own = table[np.repeat(np.arange(len(queries)), 10), np.arange(ids.size)]
    assert distances.ravel().tobytes() == own.tobytes()
    assert (np.diff(distances, axis=1) >= 0).all()
    assert index.recall(queries, 10) > 0.95


@pytest.mark.parametrize("backend", BACKENDS)
def test_references_come_and_go(backend: str, metric: Any, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    index = index_of(metric, backend, X[:500])
    assert index.backend_ == "exact"
    index.add(X[500:1100])
    assert index.backend_ == backend
    check(index, X, queries)
    check(index.add(X[1100:]), X, queries)
    check(index.remove(range(50, 250)), X, queries)  # too few for a new shortlist
    check(index.add(X[50:60], range(50, 60)), X, queries)
    check(index.remove(range(250, 449)), X, queries)  # and now they are too many
    assert index.remove(index.ids[:900]).backend_ == "exact"
    check(index, X, queries)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_narrow_search_misses_some(backend: str, metric: Any, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    index = index_of(metric, backend, X, n_candidates=10)
    narrow = index.recall(queries, 10)
    assert narrow < 1
    assert index.set_params(n_candidates=200).recall(queries, 10) > narrow


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_radius_and_few_references_are_exact(
    backend: str, metric: Any, X: list[np.ndarray], queries: list[np.ndarray]
) -> None:
    index, exact = index_of(metric, backend, X), SequenceIndex(metric).add(X)
    radius = float(exact.search(queries, 30)[0].mean())
    for mine, its in zip(index.search_radius(queries, radius), exact.search_radius(queries, radius), strict=True):
        assert [part.tobytes() for part in mine] == [part.tobytes() for part in its]
    few = index_of(metric, backend, X[:900])
    assert few.search(queries, 5)[1].tobytes() == SequenceIndex(metric).add(X[:900]).search(queries, 5)[1].tobytes()


def test_coupled_distances_decide_on_the_shortlist(X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    small: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "n_units": 4, "n_filters": 4, "random_state": 0}
    metric = SyncGRUMetric(**small, coupling="alignment").fit(X[:40], np.arange(40) // 10)
    index = index_of(metric, "hnsw", X, n_candidates=60)
    distances, ids = index.search(queries[:5], 3)
    table = metric.pairwise_distances(queries[:5], X)
    assert distances.tobytes() == np.take_along_axis(table, ids, axis=1).tobytes()
    by_embedding = index.set_params(backend="exact").remove([0]).search(queries[:5], 3)
    index.set_params(n_candidates=None).recall(queries[:5], 3)
    assert (by_embedding[0] >= np.sort(table, axis=1)[:, :3]).all()


def test_auto_is_approximate_for_many_embeddings(
    metric: Any, X: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert index_of(metric, "auto", X).backend_ == "exact"
    monkeypatch.setattr(sys.modules[SequenceIndex.__module__], "_MANY", 1200)
    assert index_of(metric, "auto", X).backend_ == "hnsw"
    assert index_of(DTWMetric().fit(X), "auto", X).backend_ == "exact"


def test_what_is_missing_is_named(metric: Any, X: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="DTWMetric has no embedding"):
        index_of(DTWMetric().fit(X), "hnsw", X[:3])
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r'backend="ivf" needs faiss: pip install "skseqmetric\[ann\]"'):
        SequenceIndex(metric, backend="ivf").add(X[:3])


# ------------------------------------------------------------------ readers beside a writer


class EuclideanMean(MeanMetric):
    """The Euclidean distance of mean steps, which the index computes by itself."""

    _is_euclidean = True


class Watched:
    """An index that one thread changes and others search, and what it must answer after each change."""

    def __init__(self, backend: str, n: int) -> None:
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(2 * n, 1, 3)).astype(np.float32)
        self.queries = rng.normal(size=(20, 1, 3)).astype(np.float32)
        metric = EuclideanMean().fit(self.X)
        distances, ids = SequenceIndex(metric).add(self.X).search(self.queries, 2 * n)
        self.table = np.empty_like(distances)
        np.put_along_axis(self.table, ids, distances, axis=1)
        self.index = index_of(metric, backend, self.X[:n], n_candidates=None)
        self.expected = [self.answer(np.arange(n))]
        self.n_done = self.n_searches = self.n_wrong = 0
        self.errors: list[BaseException] = []
        self.stop = False

    def answer(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        own = self.table[:, ids % len(self.X)]
        order = np.argsort(own, axis=1, kind="stable")[:, :5]
        return np.take_along_axis(own, order, axis=1), ids[order]

    def write(self) -> None:
        rng, ids = np.random.default_rng(1), self.index.ids
        change: Any
        given: tuple[Any, ...]
        while not self.stop:
            if len(self.expected) % 2:
                new = ids.max() + 1 + np.arange(rng.integers(1, 20))
                ids = np.concatenate([ids, new])
                change, given = self.index.add, (self.X[new % len(self.X)], new)
            else:
                gone = rng.choice(ids[:-1], size=rng.integers(1, 20), replace=False)
                ids = ids[~np.isin(ids, gone)]
                change, given = self.index.remove, (gone,)
            self.expected.append(self.answer(ids))
            change(*given)
            self.n_done = len(self.expected) - 1

    def read(self, seed: int, until: int) -> None:
        rng = np.random.default_rng(seed)
        while self.n_searches < until:
            chosen, first = rng.integers(len(self.queries), size=2), self.n_done
            distances, ids = self.index.search(self.queries[chosen], 5)
            possible = self.expected[first : len(self.expected)]
            right = any((d[chosen] == distances).all() and (i[chosen] == ids).all() for d, i in possible)
            self.n_searches += 1
            self.n_wrong += not right

    def guarded(self, work: Any, *args: Any) -> threading.Thread:
        def run() -> None:
            try:
                work(*args)
            except BaseException as error:
                self.errors.append(error)
                self.n_searches = 10**9

        return threading.Thread(target=run)

    def run(self, n_searches: int) -> None:
        readers = [self.guarded(self.read, seed, n_searches) for seed in range(8)]
        writer = self.guarded(self.write)
        for thread in (writer, *readers):
            thread.start()
        for thread in readers:
            thread.join()
        self.stop = True
        writer.join()


def check_readers(backend: str, n: int, n_searches: int) -> None:
    watched = Watched(backend, n)
    watched.run(n_searches)
    assert watched.errors == []
    assert watched.n_searches >= n_searches
    assert watched.n_done > n_searches // 100
    assert watched.n_wrong == 0


def test_readers_see_the_index_before_or_after_a_change() -> None:
    check_readers("exact", 300, 400)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["exact", "hnsw"])
def test_eight_readers_beside_a_writer_are_never_wrong(backend: str) -> None:
    check_readers(backend, 1200, 10_000)


def test_a_wrong_answer_beside_a_writer_would_be_seen() -> None:
    watched = Watched("exact", 100)
    search = watched.index.search
    watched.index.search = lambda X, k: [part[:, ::-1] for part in search(X, k)]
    begin = time.monotonic()
    watched.run(20)
    assert watched.n_wrong >= 20
    assert time.monotonic() - begin < 60
