"""The Euclidean top-k and its parts: against brute force, under ties, in narrow memory, on any number of threads."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skseqmetric._ops import topk
from skseqmetric._ops.topk import euclidean_rows, euclidean_tile, euclidean_topk, merge_topk
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


def test_a_few_references_far_from_the_rest_are_told_apart(rng):
    """Rounding of a product grows with its own reference, however near the others are."""
    for _ in range(40):
        query, near = 0.03 * gaussian(rng, 1, 8), 1e-3 * gaussian(rng, 2000, 8)
        rays = gaussian(rng, 100, 8)
        distances = 1 + 3e-8 * rng.uniform(-1, 1, size=(100, 1))
        far = query + distances * rays / np.linalg.norm(rays, axis=1, keepdims=True)
        q, r = tensors(query, np.concatenate([near, far]))
        found = euclidean_topk(q, r, 2005)[1].numpy()
        np.testing.assert_array_equal(found, brute_neighbors(euclidean_tile(q, r).numpy(), 2005)[1])


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


@pytest.mark.slow
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
