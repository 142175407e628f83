"""The search for neighbours by any metric: beside brute force, within its memory, with a shortlist."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skseqmetric import DTWMetric, SequenceKNeighborsClassifier, SequenceNeighborsTransformer, SyncGRUMetric
from tests.fake_metrics import TILE_SHAPES, MeanMetric, brute_neighbors, mean_tile, random_sequences

SMALL = {"n_units": 5, "n_filters": None, "max_epochs": 1, "min_batches": 2, "random_state": 0}
METRICS = {
    "euclidean": MeanMetric(),
    "pairwise": MeanMetric(euclidean=False),
    "callable": mean_tile,
    "dtw": DTWMetric(window=2),
    "embedded": SyncGRUMetric(**SMALL, coupling=None),
}


@pytest.fixture(params=METRICS)
def metric(request):
    return METRICS[request.param]


def search_among(X, metric, **options):
    """A fitted search among X, whose classes do not matter."""
    return SequenceKNeighborsClassifier(metric, **options).fit(X, np.arange(len(X)) % 2)


def assert_neighbors(found, expected):
    """The same neighbours at the same distances, to the bit."""
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[0].dtype == np.float64
    assert found[1].dtype == np.int64


@pytest.mark.parametrize("working_memory", [1e-9, 3e-3, 1024])
def test_search_is_brute_force_under_ties_and_duplicates(rng, metric, working_memory):
    references = random_sequences(rng, 37, longest=6, copies=9, grid=0.5)
    queries = [*references[:4], *random_sequences(rng, 13, longest=6, grid=0.5)]
    model = search_among(references, metric)
    distances = model.metric_.pairwise_distances(queries, references)
    for k in (1, 5, 37):
        with config_context(working_memory=working_memory):
            found = model.kneighbors(queries, k)
        assert_neighbors(found, brute_neighbors(distances, k))


@pytest.mark.parametrize("working_memory", [1e-9, 1024])
def test_self_is_left_out_by_index(rng, metric, working_memory):
    X = random_sequences(rng, 24, longest=5, copies=12, grid=0.5)
    model = search_among(X, metric)
    distances = model.metric_.pairwise_distances(X)
    for k in (1, 7, 23):
        with config_context(working_memory=working_memory):
            found = model.kneighbors(n_neighbors=k)
        assert_neighbors(found, brute_neighbors(distances, k, leave_out_self=True))


def test_queries_may_come_in_any_order(rng, metric):
    references, queries = random_sequences(rng, 20), random_sequences(rng, 15)
    model = search_among(references, metric, n_neighbors=4)
    p = rng.permutation(15)
    permuted = model.kneighbors([queries[i] for i in p])
    for a, b in zip(model.kneighbors(queries), permuted, strict=True):
        np.testing.assert_array_equal(a[p], b)


def test_tiles_keep_within_the_working_memory(rng):
    model = search_among(random_sequences(rng, 90), MeanMetric(euclidean=False))
    queries = random_sequences(rng, 80)
    TILE_SHAPES.clear()
    with config_context(working_memory=0.05):
        model.kneighbors(queries, 3)
    assert sum(rows * columns for rows, columns in TILE_SHAPES) == 90 * 80
    assert max(rows * columns for rows, columns in TILE_SHAPES) * 64 <= 0.05 * 2**20


# --------------------------------------------------------------------------------------------------------- shortlists


@pytest.mark.parametrize("working_memory", [1e-9, 1024])
@pytest.mark.parametrize("leave_out_self", [False, True])
def test_rerank_is_exact_within_its_shortlist(rng, working_memory, leave_out_self):
    X = random_sequences(rng, 60, copies=10)
    queries = None if leave_out_self else X
    options = {"n_neighbors": 5, "algorithm": "rerank"}
    model = search_among(X, MeanMetric(euclidean=False), **options, n_candidates=12)
    by_embedding = MeanMetric().fit(X).pairwise_distances(X)
    shortlist = brute_neighbors(by_embedding, 12, leave_out_self=leave_out_self)[1]
    allowed = np.full((60, 60), np.inf)
    np.put_along_axis(allowed, shortlist, np.take_along_axis(model.metric_.pairwise_distances(X), shortlist, 1), 1)
    with config_context(working_memory=working_memory):
        found = model.kneighbors(queries)
    assert_neighbors(found, brute_neighbors(allowed, 5))
    exact = search_among(X, MeanMetric(euclidean=False), n_neighbors=5).kneighbors(queries)
    assert 0 < np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact[1], found[1], strict=True)]) < 1
    whole = search_among(X, MeanMetric(euclidean=False), **options, n_candidates=60).kneighbors(queries)
    assert_neighbors(whole, exact)


def test_pairs_of_a_shortlist_keep_within_the_working_memory(rng):
    n_pairs = []

    class Counting(MeanMetric):
        def _rows(self, left, rows, right, columns):
            n_pairs.append(len(rows))
            return super()._rows(left, rows, right, columns)

    options = {"n_neighbors": 3, "algorithm": "rerank", "n_candidates": 20}
    model = search_among(random_sequences(rng, 90), Counting(euclidean=False), **options)
    queries = random_sequences(rng, 80)
    with config_context(working_memory=0.05):
        model.kneighbors(queries)
    assert sum(n_pairs) == 80 * 20
    assert max(n_pairs) * 64 <= 0.05 * 2**20


@pytest.mark.parametrize("name", ["euclidean", "embedded"])
def test_rerank_of_a_euclidean_metric_is_exact(rng, name):
    X, others = random_sequences(rng, 30, copies=6, grid=0.5), random_sequences(rng, 9, grid=0.5)
    exact = search_among(X, METRICS[name], n_neighbors=3)
    rerank = search_among(X, FrozenEstimator(exact.metric_), n_neighbors=3, algorithm="rerank", n_candidates=3)
    for queries in (others, None):
        assert_neighbors(rerank.kneighbors(queries), exact.kneighbors(queries))
    assert rerank.rerank_recall(others) == 1.0


def test_coupled_distances_among_all_candidates_are_the_exact_ones(rng):
    X = random_sequences(rng, 30, copies=6)
    exact = search_among(X, SyncGRUMetric(**SMALL, coupling="symmetric"), n_neighbors=3)
    rerank = search_among(X, FrozenEstimator(exact.metric_), n_neighbors=3, algorithm="rerank", n_candidates=30)
    for queries in (X, None):
        (d, i), (expected, nearest) = rerank.kneighbors(queries), exact.kneighbors(queries)
        np.testing.assert_array_equal(i, nearest)
        np.testing.assert_allclose(d, expected, rtol=1e-5, atol=1e-7)


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("algorithm", ["exact", "rerank"])
def test_a_distance_that_is_nan_names_its_pair(rng, algorithm):
    class Broken(MeanMetric):
        def _rows(self, left, rows, right, columns):
            return np.where((rows == 6) & (columns == 2), np.nan, super()._rows(left, rows, right, columns))

    X = random_sequences(rng, 9)
    model = search_among(X, Broken(euclidean=False), n_neighbors=3, algorithm=algorithm, n_candidates=9)
    with pytest.raises(ValueError, match=r"sequence 6 .*sequence 2 .*is nan"):
        model.kneighbors(X)


def test_a_shortlist_needs_an_embedding_whenever_it_is_asked_for(rng):
    model = search_among(random_sequences(rng, 5), mean_tile, n_neighbors=2)
    with pytest.raises(ValueError, match=r'CallableMetric has none: use algorithm="exact"'):
        model.rerank_recall()


def test_callable_of_wrong_shape_is_refused(rng):
    model = search_among(random_sequences(rng, 5), lambda Q, R: np.zeros((len(Q), min(len(R), 4))), n_neighbors=2)
    with pytest.raises(ValueError, match=r"given 3 and 5 sequences and returned .*shape \(3, 4\).*shape \(3, 5\)"):
        model.kneighbors(random_sequences(rng, 3))


def test_callable_gets_sequences_in_bounded_tiles(rng):
    calls = []

    def distance(Q, R):
        calls.append((len(Q), len(R)))
        assert all(x.ndim == 2 and x.shape[1] == 2 for x in [*Q, *R])
        return mean_tile(Q, R)

    X = random_sequences(rng, 700, longest=3)
    model = SequenceNeighborsTransformer(distance, n_neighbors=2).fit(X)
    for memory, most in ((1024, 2**16), (0.01, 0.01 * 2**20 / 64)):
        calls.clear()
        with config_context(working_memory=memory):
            found = model.kneighbors(X[:300])
        assert sum(a * b for a, b in calls) == 300 * 700
        assert max(a * b for a, b in calls) <= most
        assert_neighbors(found, brute_neighbors(mean_tile(X[:300], X), 2))
    pairs = clone(model).fit(X[:20]).metric_.pair_distance(X[:20], X[19::-1])
    np.testing.assert_array_equal(pairs, mean_tile(X[:20], X[19::-1]).diagonal())
