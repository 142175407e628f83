"""An index that grew and shrank answers as a new one does, to the bit; its ids; what it refuses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skseqmetric import DTWMetric, Metric, SequenceIndex, Sequences, SyncGRUMetric, check_sequences, merge_neighbors
from tests.fake_bars import FakeBar
from tests.fake_metrics import MeanMetric, brute_neighbors, random_sequences
from tests.small_models import fitted

METRICS = [
    "RandomConvolutionMetric",
    "SyncGRUMetric",
    "SyncGRUMetric coupled",
    "SyncGRUMetric aligned",
    "NRNMMetric aligned",
    "CrossModalTripletEmbedder",
    "MetricEnsemble",
    "MetricEnsemble default",
    "DTWMetric",
]
EMBEDDED = "RandomConvolutionMetric"


@pytest.fixture(scope="module")
def X() -> list[np.ndarray]:
    """Sequences of which some are equal, so that distances tie."""
    return random_sequences(np.random.default_rng(0), 60, copies=12)


@pytest.fixture(scope="module")
def queries(X: list[np.ndarray]) -> list[np.ndarray]:
    return [*random_sequences(np.random.default_rng(1), 4), X[3], X[-1]]


def index_of(metric: Any, X: list[np.ndarray], ids: Any = None, **options: Any) -> SequenceIndex:
    return SequenceIndex(metric, **options).add(X, ids)


def assert_same(left: SequenceIndex, right: SequenceIndex, queries: list[np.ndarray], k: int = 7) -> None:
    """Both have the same ids, and give the same bits."""
    np.testing.assert_array_equal(left.ids, right.ids)
    for mine, its in zip(left.search(queries, k), right.search(queries, k), strict=True):
        assert mine.dtype == its.dtype
        assert mine.tobytes() == its.tobytes()
    radius = float(np.median(left.search(queries, k)[0]))
    for mine, its in zip(left.search_radius(queries, radius), right.search_radius(queries, radius), strict=True):
        assert [part.tobytes() for part in mine] == [part.tobytes() for part in its]


# ------------------------------------------------------------------ growing and shrinking


@pytest.mark.parametrize("name", METRICS)
def test_a_search_finds_the_nearest_of_all(name: str, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric = fitted(name)
    index, table = index_of(metric, X), metric.pairwise_distances(queries, X)
    distances, ids = index.search(queries, 9)
    expected = brute_neighbors(table, 9)
    np.testing.assert_array_equal(ids, expected[1])
    assert distances.tobytes() == expected[0].tobytes()
    radius = float(np.sort(table[0])[20])
    for query, found in enumerate(zip(*index.search_radius(queries, radius), strict=True)):
        order = brute_neighbors(table[query : query + 1], len(X))[1][0]
        inside = order[table[query, order] <= radius]
        np.testing.assert_array_equal(found[1], inside)
        np.testing.assert_array_equal(found[0], table[query, inside])


@pytest.mark.parametrize("name", METRICS)
def test_adding_and_removing_equals_a_new_index(name: str, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric, grown = fitted(name), SequenceIndex(fitted(name))
    for start, stop in ((0, 1), (1, 2), (2, 3), (3, 30), (30, 31), (31, 60)):
        grown.add(X[start:stop])
    assert_same(grown, index_of(metric, X), queries)
    grown.remove(range(1, 60, 4)).remove([0])
    kept = [i for i in range(60) if i and i % 4 != 1]
    assert_same(grown, index_of(metric, [X[i] for i in kept], kept), queries)
    grown.add(X[:2])
    assert_same(grown, index_of(metric, [*(X[i] for i in kept), *X[:2]], [*kept, 60, 61]), queries)


@pytest.mark.parametrize("name", ["SyncGRUMetric coupled", "SyncGRUMetric aligned", "MetricEnsemble default"])
def test_a_shortlist_by_embedding_grows_and_shrinks(name: str, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric, grown = fitted(name), index_of(fitted(name), X[:40], n_candidates=15)
    assert 0 < grown.recall(queries, 5) <= 1
    grown.add(X[40:]).remove(range(10, 20))
    kept = [*range(10), *range(20, 60)]
    assert_same(grown, index_of(metric, [X[i] for i in kept], kept, n_candidates=15), queries, k=5)
    assert grown.set_params(n_candidates=50).recall(queries, 5) == 1
    assert grown.backend_ == "exact"


def test_a_user_s_metric_is_searched(queries: list[np.ndarray], X: list[np.ndarray]) -> None:
    metric = MeanMetric(euclidean=False).fit(X)
    grown = index_of(metric, X[:50]).add(X[50:]).remove([5])
    kept = [i for i in range(60) if i != 5]
    assert_same(grown, index_of(metric, [X[i] for i in kept], kept), queries)


class LastStep(Metric):
    """A metric that prepares `Sequences`, or what cannot grow."""

    def __init__(self, *, grows: bool = True) -> None:
        self.grows = grows

    def fit(self, X: Any, y: Any = None) -> LastStep:
        check_sequences(X, estimator=self)
        return self

    def _prepare(self, sequences: Sequences) -> Any:
        last = np.cumsum(sequences.lengths) - 1
        found = Sequences(sequences.values[last], np.ones_like(last))
        return found if self.grows else _Fixed(found)

    def _tile(self, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
        return np.linalg.norm(left.values[rows, np.newaxis] - right.values[columns], axis=2)

    def _rows(self, left: Any, rows: np.ndarray, right: Any, columns: np.ndarray) -> np.ndarray:
        return np.linalg.norm(left.values[rows] - right.values[columns], axis=1)

    def _embeddings(self, prepared: Any) -> None:
        return None

    def _nearest(self, queries: Any, references: Any, k: int, **options: Any) -> Any:
        return self._nearest_by_pairs(queries, references, k, **options)


class _Fixed:
    def __init__(self, sequences: Sequences) -> None:
        self.lengths = sequences.lengths

    def __len__(self) -> int:
        return len(self.lengths)


def test_prepared_sequences_may_be_sequences(X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric = LastStep().fit(X)
    kept = list(range(3, 60))
    assert_same(index_of(metric, X[:50]).add(X[50:]).remove(range(3)), index_of(metric, X[3:], kept), queries)
    with pytest.raises(ValueError, match=r"_prepare returns _Fixed.*joined\(other\) and taken\(rows\)"):
        index_of(LastStep(grows=False).fit(X), X)


def test_a_frozen_metric_survives_a_clone(X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric = fitted(EMBEDDED)
    index = SequenceIndex(FrozenEstimator(metric))
    assert_same(clone(index).add(X), index_of(metric, X), queries)
    assert len(index) == 0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda index: pickle.loads(pickle.dumps(index))])
def test_a_copy_grows_by_itself(copied: Any, X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric = fitted(EMBEDDED)
    index = index_of(metric, X[:20]).add(X[20:25])
    other = copied(index)
    index.add(X[25:40])
    other.add(X[40:])
    assert_same(index, index_of(metric, X[:40]), queries)
    assert_same(other, index_of(metric, [*X[:25], *X[40:]]), queries)


# ------------------------------------------------------------------ ids


def test_ids_are_never_given_twice(X: list[np.ndarray]) -> None:
    index = index_of(fitted(EMBEDDED), X[:3], [7, 3, 5]).add(X[:2])
    assert index.ids.tolist() == [7, 3, 5, 8, 9]
    index.remove([9, 3]).add(X[:1])
    assert index.ids.tolist() == [7, 5, 8, 10]
    index.remove(index.ids).add(X[:1])
    assert index.ids.tolist() == [11]
    assert len(index) == 1
    assert 11 in index
    assert 7 not in index
    assert "text" not in index


def test_ids_may_be_text(X: list[np.ndarray]) -> None:
    index = index_of(fitted(EMBEDDED), X[:3], np.array(["b", "a", "long name"]))
    assert index.search([X[1]], 1)[1].tolist() == [["a"]]
    assert index.remove(["a"]).add([X[1]], ["a"]).ids.tolist() == ["b", "long name", "a"]
    assert "b" in index
    with pytest.raises(ValueError, match="the ids of this index are text: pass"):
        index.add(X[:1])
    with pytest.raises(ValueError, match="are text, and ids has whole numbers"):
        index.add(X[:1], [1])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([4, 2], "the id 2 is in the index already"),
        ([9, 9], "the id 9 comes twice"),
        ([9], r"shape \(1,\): it must have shape \(2,\)"),
        ([[9, 8]], "shape"),
        ([0.5, 1.0], "whole numbers"),
        ([True, False], "whole numbers"),
        (["a", "b"], "are whole numbers, and ids has text, such as 'a'"),
        ([10**30, 1], r"ids\[0\] is 10{30}"),
        (["a", None], r"ids\[1\] is None"),
        (np.array([1, 2**63], dtype=np.uint64), "64 bits"),
    ],
)
def test_ids_that_are_refused_change_nothing(ids: Any, message: str, X: list[np.ndarray]) -> None:
    index = index_of(fitted(EMBEDDED), X[:3])
    with pytest.raises(ValueError, match=message):
        index.add(X[:2], ids)
    assert index.ids.tolist() == [0, 1, 2]


def test_only_known_ids_are_removed(X: list[np.ndarray]) -> None:
    index = index_of(fitted(EMBEDDED), X[:4], [3, 9, 1, 4])
    with pytest.raises(ValueError, match="the id 5 is not in the index, nor 1 more of ids: nothing was removed"):
        index.remove([3, 5, 6])
    with pytest.raises(ValueError, match="the id 3 comes twice"):
        index.remove([3, 3])
    assert index.remove([]).ids.tolist() == [3, 9, 1, 4]
    assert index.remove([9, 4]).ids.tolist() == [3, 1]


# ------------------------------------------------------------------ what is refused


def test_what_does_not_fit_is_refused(X: list[np.ndarray]) -> None:
    index = index_of(fitted(EMBEDDED), X[:3])
    for call, message in (
        (lambda: index.search(X, 4), "has 3 references, and 4 were asked for"),
        (lambda: index.search(X, 0), "k=0"),
        (lambda: index.search(X, 1.5), "k=1.5"),
        (lambda: index.search_radius(X, -1.0), "radius=-1.0"),
        (lambda: index.search_radius(X, np.nan), "radius=nan"),
        (lambda: index.add([np.zeros((2, 3))]), "channels"),
        (lambda: SequenceIndex(fitted(EMBEDDED)).search(X, 1), "has 0 references"),
        (lambda: SequenceIndex(fitted("DTWMetric"), n_candidates=5).add(X).search(X, 2), "no embedding"),
        (lambda: SequenceIndex(fitted(EMBEDDED), n_candidates=2).add(X).search(X, 3), "n_candidates=2 is less"),
        (lambda: SequenceIndex(fitted(EMBEDDED), backend="tree").add(X), "'backend' parameter"),
        (lambda: SequenceIndex("dtw").add(X), "'metric' parameter"),
        (lambda: SequenceIndex(fitted("SequenceKNeighborsClassifier")).add(X), "'metric' parameter"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(NotFittedError):
        SequenceIndex(SyncGRUMetric()).add(X)
    assert len(index) == 3


def test_long_work_shows_bars(X: list[np.ndarray], queries: list[np.ndarray], shown: list[FakeBar]) -> None:
    index = index_of(fitted("SyncGRUMetric coupled"), X, verbose=1)
    index.search(queries, 3)
    assert shown
    assert all(bar.text.startswith("SequenceIndex") for bar in shown)


# ------------------------------------------------------------------ shards


def test_shards_merge_to_the_answer_of_one_index(X: list[np.ndarray], queries: list[np.ndarray]) -> None:
    metric = fitted("DTWMetric")
    shards = [index_of(metric, X[i::3], np.arange(60)[i::3]) for i in range(3)]
    merged = merge_neighbors([shard.search(queries, 8) for shard in shards])
    whole = index_of(metric, X).search(queries, 8)
    for mine, its in zip(merged, whole, strict=True):
        assert mine.tobytes() == its.tobytes()


def test_small_shards_have_fewer_neighbors() -> None:
    results = [([[0.5, 2.0]], [["b", "x"]]), ([[0.5]], [["a"]]), (np.zeros((1, 0)), np.zeros((1, 0)))]
    distances, ids = merge_neighbors(results, 9)
    assert distances.tolist() == [[0.5, 0.5, 2.0]]
    assert ids.tolist() == [["a", "b", "x"]]
    assert merge_neighbors(results)[1].tolist() == [["a", "b"]]


@pytest.mark.parametrize(
    ("results", "options", "message"),
    [
        ([], {}, "results is empty"),
        ([([[1.0]], [[1, 2]])], {}, "both must be"),
        ([([[np.nan]], [[1]])], {}, "NaN"),
        ([([[1.0]], [[0.5]])], {}, "integers or text"),
        ([([[1.0]], [[1]]), ([[1.0]], [["a"]])], {}, "one kind"),
        ([([[1.0]], [[1]]), ([[1.0], [2.0]], [[2], [3]])], {}, "same queries"),
        ([([[1.0]], [[1]]), ([[2.0]], [[1]])], {}, "the id 1 comes twice for query 0"),
        ([([[1.0]], [[1]])], {"n_neighbors": 0}, "n_neighbors=0"),
    ],
)
def test_results_that_do_not_fit_are_refused(results: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merge_neighbors(results, **options)


def test_the_same_metric_may_be_in_many_indexes(X: list[np.ndarray]) -> None:
    metric = DTWMetric().fit(X)
    assert SequenceIndex(metric).metric is metric
