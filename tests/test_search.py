"""Top-k and the neighbour search, against brute force, under ties, duplicates and tiny tiles."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_metrics import TILE_SHAPES, MeanMetric, brute_neighbors, mean_tile, random_sequences
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context

from skseqmetric import DTWMetric
from skseqmetric._ops import topk
from skseqmetric._ops.topk import euclidean_rows, euclidean_tile, euclidean_topk, merge_topk
from skseqmetric._search import CallableMetric, k_nearest, recall_at_k
from skseqmetric._validation import check_sequences

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def tensors(*arrays):
    return [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]


# ------------------------------------------------------------------------------------------------- Euclidean distance


@pytest.mark.parametrize("width", [1, 2, 3, 7, 64, 97])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_direct_distances(rng, width, dtype, monkeypatch):
    a, b = rng.normal(size=(9, width)).astype(dtype), rng.normal(size=(11, width)).astype(dtype)
    tile = euclidean_tile(*tensors(a, b)).numpy()
    exact = [
        [math.sqrt(math.fsum((float(x) - float(y)) ** 2 for x, y in zip(p, q, strict=True))) for q in b] for p in a
    ]
    np.testing.assert_allclose(tile, exact, rtol=1e-15 * (3 + width.bit_length()))
    np.testing.assert_array_equal(euclidean_tile(*tensors(b, a)).numpy().T, tile)
    i, j = np.divmod(np.arange(99), 11)
    np.testing.assert_array_equal(euclidean_rows(*tensors(a[i], b[j])).numpy(), tile[i, j])
    assert not euclidean_tile(*tensors(a, a)).diagonal().any()
    monkeypatch.setattr(topk, "_CACHE", 1)
    np.testing.assert_array_equal(euclidean_tile(*tensors(a, b)).numpy(), tile)


def test_direct_distances_do_not_cancel():
    a = np.array([[1e8, 1.0]], dtype=np.float64)
    assert euclidean_rows(*tensors(a, a + [[0.0, 1e-7]])).item() == pytest.approx(1e-7, rel=1e-8)


# ------------------------------------------------------------------------------------------------------- running top-k


@given(data=st.data())
def test_streamed_selection_is_the_sorted_whole(data):
    n_rows, n, k = (data.draw(st.integers(1, limit)) for limit in (4, 40, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    distances = rng.integers(0, data.draw(st.sampled_from([1, 3, 1000])), size=(n_rows, n)).astype(float)
    distances[rng.random((n_rows, n)) < 0.1] = np.inf
    best_d = best_i = None
    for columns in np.array_split(rng.permutation(n), data.draw(st.integers(1, 5))):
        if len(columns):
            tile = torch.from_numpy(distances[:, columns])
            best_d, best_i = merge_topk(best_d, best_i, tile, torch.from_numpy(columns), k)
    expected = brute_neighbors(distances, k)
    np.testing.assert_array_equal(best_d.numpy(), expected[0])
    np.testing.assert_array_equal(best_i.numpy(), expected[1])


def test_merge_takes_an_index_per_entry():
    d, i = merge_topk(None, None, torch.tensor([[2.0, 1.0, 1.0]]), torch.tensor([[4, 9, 7]]), 2)
    assert (d.tolist(), i.tolist()) == ([[1.0, 1.0]], [[7, 9]])


# ----------------------------------------------------------------------------------------------------- Euclidean top-k


def gaussian(rng, n, width):
    return rng.normal(size=(n, width))


def grid(rng, n, width):
    return np.round(rng.normal(size=(n, width)))


def duplicated(rng, n, width):
    return rng.normal(size=(1 + n // 40, width))[rng.integers(0, 1 + n // 40, size=n)]


def constant(rng, n, width):
    return np.full((n, width), 3.0)


def far_away(rng, n, width):
    return 1e4 + rng.normal(size=(n, width))


def tight_clusters(rng, n, width):
    centers = 10 * np.random.default_rng(5).normal(size=(4, width))
    return centers[rng.integers(0, 4, size=n)] + 1e-5 * rng.normal(size=(n, width))


def minute(rng, n, width):
    return 1e-25 * rng.normal(size=(n, width))


def enormous(rng, n, width):
    return 1e25 * rng.normal(size=(n, width))


KINDS = [gaussian, grid, duplicated, constant, far_away, tight_clusters, minute, enormous]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("memory", [1, 2**25], ids=["small tiles", "one tile"])
def test_topk_is_brute_force(rng, kind, memory):
    for n, m, width, k in [(3, 2, 1, 1), (70, 700, 5, 3), (300, 1500, 8, 30), (20, 90, 3, 89), (40, 640, 16, 1)]:
        q, r = (kind(rng, size, width).astype(np.float32) for size in (n, m))
        exclude = rng.integers(-1, m, size=n) if k % 2 else None
        distances = euclidean_tile(*tensors(q, r)).numpy().copy()
        if exclude is not None:
            distances[np.arange(n)[exclude >= 0], exclude[exclude >= 0]] = np.inf
        found = euclidean_topk(
            *tensors(q, r), k, exclude=None if exclude is None else torch.from_numpy(exclude), memory=memory
        )
        expected = brute_neighbors(distances, k)
        np.testing.assert_array_equal(found[1].numpy(), expected[1])
        np.testing.assert_array_equal(found[0].numpy(), expected[0])


def test_topk_of_float64_tells_apart_what_float32_cannot(rng):
    r = 1.0 + 1e-9 * rng.normal(size=(800, 4))
    found = euclidean_topk(*tensors(r[:50], r), 5)[1].numpy()
    np.testing.assert_array_equal(found, brute_neighbors(euclidean_tile(*tensors(r[:50], r)).numpy(), 5)[1])


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_topk_does_not_trust_shortened_float32(rng, precision):
    q, r = tensors(gaussian(rng, 50, 8), gaussian(rng, 900, 8))
    expected = euclidean_topk(q, r, 4)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        assert topk._product_dtypes(topk._pose(q, r, 4, torch.full((50,), -1), 2**20)) == (torch.float64,)
        assert all(map(torch.equal, euclidean_topk(q, r, 4), expected))
    finally:
        torch.set_float32_matmul_precision(before)


def test_coarse_products_are_settled_in_float64(rng, monkeypatch):
    q, r = tensors(*(tight_clusters(rng, n, 6).astype(np.float32) for n in (600, 900)))
    searched = []
    by_product, inside = topk._search_by_product, topk._search_inside

    def watch(problem, dtype, result):
        searched.append((dtype, int(result.in_doubt.sum())))
        return by_product(problem, dtype, result)

    monkeypatch.setattr(topk, "_search_by_product", watch)
    monkeypatch.setattr(topk, "_search_inside", lambda *a: (searched.append("inside"), inside(*a)))
    euclidean_topk(q, r, 3)
    assert [dtype for dtype, _ in searched] == [torch.float32, torch.float64]
    assert searched[1][1] > 600 - topk._QUERY_BLOCK  # float32 was given up after its first block


def test_topk_result_is_the_same_for_every_thread_count(rng, threads):
    q, r = tensors(gaussian(rng, 1500, 7).astype(np.float32), duplicated(rng, 800, 7).astype(np.float32))
    distances, indices = euclidean_topk(q, r, 6)
    expected = brute_neighbors(euclidean_tile(q, r).numpy(), 6)
    np.testing.assert_array_equal(indices.numpy(), expected[1])
    np.testing.assert_array_equal(distances.numpy(), expected[0])


def test_topk_names_the_row_that_is_not_finite(rng):
    q, r = tensors(gaussian(rng, 5, 3), gaussian(rng, 8, 3))
    r[6, 1] = torch.nan
    with pytest.raises(ValueError, match="embedding of reference 6 is not finite"):
        euclidean_topk(q, r, 2)
    with pytest.raises(ValueError, match="embedding of query 1 is not finite"):
        euclidean_topk(r[5:], q, 2)


@pytest.mark.parametrize(("k", "exclude", "most"), [(0, None, 8), (9, None, 8), (8, 3, 7)])
def test_topk_counts(rng, k, exclude, most):
    q, r = tensors(gaussian(rng, 5, 3), gaussian(rng, 8, 3))
    with pytest.raises(ValueError, match=f"k={k} neighbours.*between 1 and {most}"):
        euclidean_topk(q, r, k, exclude=None if exclude is None else torch.full((5,), exclude))


@pytest.mark.cuda
def test_topk_on_cuda_gives_the_order_of_the_cpu_and_its_distances_but_for_the_root(rng):
    q, r = tensors(gaussian(rng, 500, 24).astype(np.float32), duplicated(rng, 3000, 24).astype(np.float32))
    expected = euclidean_topk(q, r, 9)
    found = euclidean_topk(q.cuda(), r.cuda(), 9)
    assert torch.equal(found[1].cpu(), expected[1])
    torch.testing.assert_close(found[0].cpu(), expected[0], rtol=2**-52, atol=0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
def test_topk_of_20000_by_20000_stays_under_a_gigabyte():
    code = """
import re, torch
from skseqmetric._ops.topk import euclidean_topk
def peak():  # KiB, of this program alone
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
generator = torch.Generator().manual_seed(0)
q, r = (torch.randn(20_000, 96, generator=generator) for _ in range(2))
euclidean_topk(q[:300], r[:300], 5)
before = peak()
euclidean_topk(q, r, 5)
print((peak() - before) / 1024)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert 0 < float(run.stdout) < 512  # MiB


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
    by_embedding = euclidean_tile(*tensors(r.embeddings, r.embeddings)).numpy()
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
