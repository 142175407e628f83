"""The exact Euclidean search: against brute force, under ties, in narrow memory, on any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from skseqmetric._ops import exact_search, single_search
from skseqmetric._ops.references import References
from skseqmetric._ops.topk import euclidean_tile, smallest_pairs
from tests.fake_metrics import brute_neighbors

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def tensors(*arrays):
    return [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]


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
        queries, rows = tensors(q, r)
        excluded = None if exclude is None else torch.from_numpy(exclude)
        found = References.of(rows).search(queries, k, exclude=excluded, memory=memory)
        expected = brute_neighbors(distances, k)
        np.testing.assert_array_equal(found[1].numpy(), expected[1])
        np.testing.assert_array_equal(found[0].numpy(), expected[0])


def test_topk_of_float64_tells_apart_what_float32_cannot(rng):
    r = 1.0 + 1e-9 * rng.normal(size=(800, 4))
    found = References.of(torch.from_numpy(r)).search(torch.from_numpy(r[:50]), 5)[1].numpy()
    np.testing.assert_array_equal(found, brute_neighbors(euclidean_tile(*tensors(r[:50], r)).numpy(), 5)[1])


def test_a_few_references_far_from_the_rest_are_told_apart(rng):
    """Rounding of a product grows with its own reference, however near the others are."""
    for _ in range(40):
        query, near = 0.03 * gaussian(rng, 1, 8), 1e-3 * gaussian(rng, 2000, 8)
        rays = gaussian(rng, 100, 8)
        distances = 1 + 3e-8 * rng.uniform(-1, 1, size=(100, 1))
        far = query + distances * rays / np.linalg.norm(rays, axis=1, keepdims=True)
        q, r = tensors(query, np.concatenate([near, far]))
        found = References.of(r).search(q, 2005)[1].numpy()
        np.testing.assert_array_equal(found, brute_neighbors(euclidean_tile(q, r).numpy(), 2005)[1])


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_topk_does_not_trust_shortened_float32(rng, precision, monkeypatch):
    q, r = tensors(gaussian(rng, 50, 8), gaussian(rng, 900, 8))
    expected = References.of(r).search(q, 4)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(References, "_single_factors", None)
            assert all(map(torch.equal, References.of(r).search(q, 4), expected))
    finally:
        torch.set_float32_matmul_precision(before)


def test_coarse_products_are_settled_in_float64(rng, monkeypatch):
    q, r = tensors(*(tight_clusters(rng, n, 6).astype(np.float32) for n in (600, 900)))
    searched = []
    by_scores, inside = exact_search._search_by_scores, exact_search._search_inside

    def watch(search, scores, kept, rows):
        searched.append((scores.dtype, kept, len(rows)))
        return by_scores(search, scores, kept, rows)

    monkeypatch.setattr(exact_search, "_search_by_scores", watch)
    monkeypatch.setattr(exact_search, "_search_inside", lambda *a: (searched.append("inside"), inside(*a)))
    References.of(r).search(q, 3)
    assert [stage[:2] for stage in searched] == [(torch.float32, 11), (torch.float64, 11)]
    assert searched[1][2] > 600 - exact_search._QUERIES  # float32 was given up after its first block
    searched.clear()
    References.of(r).search(q[:5], 3)
    assert searched == [(torch.float32, 11, 5), (torch.float32, 176, 5), (torch.float64, 11, 5)]


def test_topk_result_is_the_same_for_every_thread_count(rng, threads):
    q, r = tensors(gaussian(rng, 1500, 7).astype(np.float32), duplicated(rng, 800, 7).astype(np.float32))
    distances, indices = References.of(r).search(q, 6)
    expected = brute_neighbors(euclidean_tile(q, r).numpy(), 6)
    np.testing.assert_array_equal(indices.numpy(), expected[1])
    np.testing.assert_array_equal(distances.numpy(), expected[0])


def test_topk_names_the_row_that_is_not_finite(rng):
    q, r = tensors(gaussian(rng, 5, 3), gaussian(rng, 8, 3))
    r[6, 1] = torch.nan
    with pytest.raises(ValueError, match="embedding of reference 6 is not finite"):
        References.of(r).search(q, 2)
    with pytest.raises(ValueError, match="embedding of query 1 is not finite"):
        References.of(q).search(r[5:], 2)


@pytest.mark.parametrize(("k", "exclude", "most"), [(0, None, 8), (9, None, 8), (8, 3, 7)])
def test_topk_counts(rng, k, exclude, most):
    q, r = tensors(gaussian(rng, 5, 3), gaussian(rng, 8, 3))
    with pytest.raises(ValueError, match=f"k={k} neighbours.*between 1 and {most}"):
        References.of(r).search(q, k, exclude=None if exclude is None else torch.full((5,), exclude))


@pytest.mark.cuda
def test_topk_on_cuda_gives_the_order_of_the_cpu_and_its_distances_but_for_the_root(rng):
    q, r = tensors(gaussian(rng, 500, 24).astype(np.float32), duplicated(rng, 3000, 24).astype(np.float32))
    expected = References.of(r).search(q, 9)
    found = References.of(r.cuda()).search(q.cuda(), 9)
    assert torch.equal(found[1].cpu(), expected[1])
    torch.testing.assert_close(found[0].cpu(), expected[0], rtol=2**-52, atol=0)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
def test_topk_of_20000_by_20000_stays_under_a_gigabyte():
    code = """
import re, torch
from skseqmetric._ops.references import References
def peak():  # KiB, of this program alone
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
generator = torch.Generator().manual_seed(0)
q, r = (torch.randn(20_000, 96, generator=generator) for _ in range(2))
References.of(r[:300]).search(q[:300], 5)
before = peak()
References.of(r).search(q, 5)
print((peak() - before) / 1024)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert 0 < float(run.stdout) < 512  # MiB


# -------------------------------------------------------------------------------------------------- prepared references


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_queries_find_what_batches_find(rng, kind, dtype, monkeypatch):
    q, r = tensors(*(kind(rng, n, 12).astype(dtype) for n in (4, 1000)))
    references, rows = References.of(r), torch.arange(4)
    for exclude in (None, rows):
        expected = references.search(q, 7, exclude=exclude)
        for i in range(4):
            found = references.search(q[i : i + 1], 7, exclude=None if exclude is None else exclude[i : i + 1])
            assert all(torch.equal(a[0], b[i]) for a, b in zip(found, expected, strict=True))
    monkeypatch.setattr(single_search, "_FEWEST", 0)  # now by groups, of which the last is not whole
    for most in (2**12, 40, 0):  # few may be compared: what is not settled is left to the search of batches
        monkeypatch.setattr(single_search, "_MOST", most)
        for i in range(4):
            found, expected = references.search(q[i : i + 1], 2), references.search(q, 2)
            assert all(torch.equal(a[0], b[i]) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_single_query_among_many_ties(rng, dtype):
    rows = rng.normal(size=(300, 12)).astype(dtype)[rng.integers(0, 300, size=5000)]
    q, r = tensors(rows[:3] * (1 + 1e-6), rows)
    expected = smallest_pairs(euclidean_tile(q, r), torch.arange(5000).expand(3, -1), 40)
    for i in range(3):
        found = References.of(r).search(q[i : i + 1], 40)
        assert all(torch.equal(a[0], b[i]) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, 1e200])
def test_a_single_query_of_unusual_size(rng, value):
    r = torch.from_numpy(rng.normal(size=(50, 3)))
    query = torch.tensor([[0.0, value, 1.0]], dtype=torch.float64)
    if np.isfinite(value) and value < 1e100:
        expected = euclidean_tile(query, r)[0]
        assert torch.equal(References.of(r).search(query, 3)[0][0], expected.sort().values[:3])
    else:
        with pytest.raises(ValueError, match="embedding of query 0 is not finite, or too large"):
            References.of(r).search(query, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("memory", [1, 2**25], ids=["small tiles", "one tile"])
def test_within_is_brute_force(rng, kind, memory):
    q, r = tensors(*(kind(rng, n, 5).astype(np.float32) for n in (300, 900)))
    distances = euclidean_tile(q, r)
    for radius in (0.0, float(distances[3, 5]), float(distances.median()), 1e200, np.inf):
        starts, found, indices = References.of(r).within(q, radius, memory=memory)
        inside = distances <= radius
        assert torch.equal(starts[1:], inside.sum(1).cumsum(0))
        assert torch.equal(indices, torch.nonzero(inside)[:, 1])
        assert torch.equal(found, distances[inside])


def test_within_of_no_query_and_of_no_neighbour(rng):
    references = References.of(torch.from_numpy(rng.normal(size=(8, 3))))
    assert [part.tolist() for part in references.within(torch.zeros(0, 3), 1.0)] == [[0], [], []]
    assert [part.tolist() for part in references.within(torch.full((2, 3), 9.0), 1.0)] == [[0, 0, 0], [], []]
    with pytest.raises(ValueError, match="embedding of query 1 is not finite"):
        references.within(torch.tensor([[0.0] * 3, [torch.inf] * 3]), 1.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shift", [0.0, 40.0], ids=["near", "drifting"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_references_that_grew_and_shrank_find_what_new_ones_find(rng, kind, shift, dtype):
    parts = [(kind(rng, n, 6) * (1 + shift * i) + shift * i).astype(dtype) for i, n in enumerate((300, 1, 0, 500))]
    first, *others = tensors(*parts)
    q = torch.cat(tensors(*(kind(rng, 40, 6).astype(dtype), parts[3][:40])))
    grown = References.of(first)
    for rows in others:
        grown = grown.appended(rows)
    removed = torch.from_numpy(rng.random(len(grown)) < 0.4)
    for found, rows in ((grown, torch.cat([first, *others])), (grown.without(removed), grown.rows[~removed])):
        assert torch.equal(found.rows, rows)
        anew = References.of(rows)
        assert all(map(torch.equal, found.search(q, 6), anew.search(q, 6)))
        radius = float(anew.search(q, 6)[0].median())
        assert all(map(torch.equal, found.within(q, radius), anew.within(q, radius)))


def test_only_new_rows_are_prepared_while_the_centre_is_near(rng):
    r = torch.from_numpy(rng.normal(size=(400, 4)).astype(np.float32))
    references = References.of(r)
    assert references.factors is references.rows  # no copy of float32
    grown = references.appended(r[:9] + 0.01)
    assert grown.center is references.center
    assert grown.factors is grown.rows
    assert grown.without(torch.arange(409) < 5).center is references.center
    assert grown.appended(r + 9).center is not references.center
    assert references.without(r.norm(dim=1) > 0.8).radius < references.radius / 2
    assert len(references.without(torch.ones(400, dtype=torch.bool))) == 0
    with pytest.raises(ValueError, match="embedding of reference 2 is not finite"):
        references.appended(torch.tensor([[0.0] * 4, [0.0] * 4, [torch.nan] * 4]))


@pytest.mark.cuda
def test_references_on_cuda_find_within_a_radius_what_those_on_the_cpu_find(rng):
    q, r = tensors(gaussian(rng, 500, 24).astype(np.float32), duplicated(rng, 3000, 24).astype(np.float32))
    expected = References.of(r).within(q, 5.0)
    found = References.of(r.cuda()).within(q.cuda(), 5.0)
    assert all(torch.equal(a.cpu(), b) for a, b in zip((found[0], found[2]), (expected[0], expected[2]), strict=True))
    torch.testing.assert_close(found[1].cpu(), expected[1], rtol=2**-52, atol=0)
