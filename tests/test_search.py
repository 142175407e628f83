"""The search for neighbours by any metric: beside brute force, within its memory, with a shortlist."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import config_context

from skseqmetric import DTWMetric
from skseqmetric._input import check_sequences
from skseqmetric._metrics.search import CallableMetric, k_nearest, recall_at_k
from skseqmetric._ops.topk import euclidean_tile
from tests.fake_metrics import TILE_SHAPES, MeanMetric, brute_neighbors, mean_tile, random_sequences

# --------------------------------------------------------------------------------------------------------- the search


def prepared(metric, *parts):
    metric.fit(parts[0])
    return [metric._prepare(check_sequences(X)) for X in parts]


METRICS = {
    "euclidean": lambda: MeanMetric(),
    "pairwise": lambda: MeanMetric(euclidean=False),
    "callable": lambda: CallableMetric(mean_tile, max_pairs=12),
    "dtw": lambda: DTWMetric(window=2),
}


@pytest.fixture(params=METRICS)
def metric(request):
    return METRICS[request.param]()


@pytest.mark.parametrize("working_memory", [1e-9, 3e-3, 1024])
def test_search_is_brute_force_under_ties_and_duplicates(rng, metric, working_memory):
    references = random_sequences(rng, 37, longest=6, copies=9, grid=0.5)
    queries = [*references[:4], *random_sequences(rng, 13, longest=6, grid=0.5)]
    r, q = prepared(metric, references, queries)
    distances = metric.pairwise_distances(queries, references)
    for k in (1, 5, 37):
        with config_context(working_memory=working_memory):
            found = k_nearest(metric, q, r, k)
        expected = brute_neighbors(distances, k)
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_array_equal(found[0], expected[0])
        assert found[0].dtype == np.float64
        assert found[1].dtype == np.int64


@pytest.mark.parametrize("working_memory", [1e-9, 1024])
def test_self_is_left_out_by_index(rng, metric, working_memory):
    X = random_sequences(rng, 24, longest=5, copies=12, grid=0.5)
    (r,) = prepared(metric, X)
    for k in (1, 7, 23):
        with config_context(working_memory=working_memory):
            found = k_nearest(metric, r, r, k, exclude=np.arange(24))
        expected = brute_neighbors(metric.pairwise_distances(X), k, leave_out_self=True)
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_array_equal(found[0], expected[0])


def test_exclusion_can_concern_some_queries_only(rng, metric):
    X = random_sequences(rng, 9)
    (r,) = prepared(metric, X)
    exclude = np.array([-1, 1, -1, 3, -1, -1, -1, -1, 8])
    _, nearest = k_nearest(metric, r, r, 1, exclude=exclude)
    np.testing.assert_array_equal(nearest[:, 0] == np.arange(9), exclude < 0)


def test_queries_may_come_in_any_order(rng, metric):
    references, queries = random_sequences(rng, 20), random_sequences(rng, 15)
    r, q = prepared(metric, references, queries)
    found = k_nearest(metric, q, r, 4)
    p = rng.permutation(15)
    permuted = k_nearest(metric, metric._prepare(check_sequences([queries[i] for i in p])), r, 4)
    for a, b in zip(found, permuted, strict=True):
        np.testing.assert_array_equal(a[p], b)


def test_tiles_keep_within_the_working_memory(rng):
    metric = MeanMetric(euclidean=False)
    r, q = prepared(metric, random_sequences(rng, 90), random_sequences(rng, 80))
    TILE_SHAPES.clear()
    with config_context(working_memory=0.05):
        k_nearest(metric, q, r, 3)
    assert sum(rows * columns for rows, columns in TILE_SHAPES) == 90 * 80
    assert max(rows * columns for rows, columns in TILE_SHAPES) * 64 <= 0.05 * 2**20


@pytest.mark.parametrize("working_memory", [1e-9, 1024])
@pytest.mark.parametrize("leave_out_self", [False, True])
def test_rerank_is_exact_within_its_shortlist(rng, working_memory, leave_out_self):
    X = random_sequences(rng, 60, copies=10)
    metric = MeanMetric(euclidean=False)
    (r,) = prepared(metric, X)
    exclude = np.arange(60) if leave_out_self else None
    embeddings = torch.from_numpy(r.embeddings)
    by_embedding = euclidean_tile(embeddings, embeddings).numpy()
    shortlist = brute_neighbors(by_embedding, 12, leave_out_self=leave_out_self)[1]
    allowed = np.full((60, 60), np.inf)
    np.put_along_axis(allowed, shortlist, np.take_along_axis(metric.pairwise_distances(X), shortlist, 1), 1)
    with config_context(working_memory=working_memory):
        found = k_nearest(metric, r, r, 5, algorithm="rerank", n_candidates=12, exclude=exclude)
    expected = brute_neighbors(allowed, 5)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])
    exact = k_nearest(metric, r, r, 5, exclude=exclude)
    assert 0 < recall_at_k(exact[1], found[1]) < 1
    everything = 59 if leave_out_self else 60
    whole = k_nearest(metric, r, r, 5, algorithm="rerank", n_candidates=everything, exclude=exclude)
    for a, b in zip(whole, exact, strict=True):
        np.testing.assert_array_equal(a, b)


def test_rerank_of_a_euclidean_metric_is_exact(rng):
    metric = MeanMetric()
    (r,) = prepared(metric, random_sequences(rng, 30))
    for a, b in zip(
        k_nearest(metric, r, r, 3), k_nearest(metric, r, r, 3, algorithm="rerank", n_candidates=3), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_recall():
    exact = np.array([[0, 1, 2], [5, 6, 7]])
    assert recall_at_k(exact, exact[:, ::-1]) == 1.0
    assert recall_at_k(exact, np.array([[0, 9, 2], [0, 1, 2]])) == 2 / 6
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 2\)"):
        recall_at_k(exact, exact[:, :2])


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_neighbors": 11}, "n_neighbors <= n_samples_fit, but n_neighbors = 11, n_samples_fit = 10"),
        ({"n_neighbors": 10, "exclude": np.arange(10)}, "n_neighbors < n_samples_fit, but n_neighbors = 10"),
        ({"n_neighbors": 4, "algorithm": "rerank", "n_candidates": 3}, "n_neighbors = 4, n_candidates = 3"),
        ({"n_neighbors": 4, "algorithm": "rerank", "n_candidates": 11}, "n_candidates = 11, n_samples_fit = 10"),
    ],
)
def test_counts_that_do_not_fit_are_named(rng, options, message):
    metric = MeanMetric(euclidean=False)
    (r,) = prepared(metric, random_sequences(rng, 10))
    with pytest.raises(ValueError, match=message):
        k_nearest(metric, r, r, **options)


def test_rerank_needs_an_embedding(rng):
    metric = CallableMetric(mean_tile)
    (r,) = prepared(metric, random_sequences(rng, 5))
    with pytest.raises(ValueError, match=r'CallableMetric has none: use algorithm="exact"'):
        k_nearest(metric, r, r, 2, algorithm="rerank", n_candidates=3)


@pytest.mark.parametrize("algorithm", ["exact", "rerank"])
def test_a_distance_that_is_nan_names_its_pair(rng, algorithm):
    class Broken(MeanMetric):
        def _rows(self, left, rows, right, columns):
            return np.where((rows == 6) & (columns == 2), np.nan, super()._rows(left, rows, right, columns))

    metric = Broken(euclidean=False)
    (r,) = prepared(metric, random_sequences(rng, 9))
    with pytest.raises(ValueError, match=r"sequence 6 .*sequence 2 .*is nan"):
        k_nearest(metric, r, r, 3, algorithm=algorithm, n_candidates=9)


def test_callable_of_wrong_shape_is_refused(rng):
    metric = CallableMetric(lambda Q, R: np.zeros(len(Q)))
    r, q = prepared(metric, random_sequences(rng, 5), random_sequences(rng, 3))
    with pytest.raises(ValueError, match=r"given 3 and 5 sequences and returned shape \(3,\).*shape \(3, 5\)"):
        k_nearest(metric, q, r, 2)


def test_callable_gets_sequences_in_bounded_tiles(rng):
    calls = []

    def distance(Q, R):
        calls.append((len(Q), len(R)))
        assert all(x.ndim == 2 and x.shape[1] == 2 for x in [*Q, *R])
        return mean_tile(Q, R)

    metric = CallableMetric(distance, max_pairs=20)
    X = random_sequences(rng, 17)
    r, q = prepared(metric, X, X[:6])
    k_nearest(metric, q, r, 2)
    assert sum(a * b for a, b in calls) == 17 * 6
    assert max(a * b for a, b in calls) <= 20
    np.testing.assert_array_equal(metric.pair_distance(X, X[::-1]), mean_tile(X, X[::-1]).diagonal())
