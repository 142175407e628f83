"""Direct Euclidean distances, and the running top-k."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skseqmetric._ops import topk
from skseqmetric._ops.topk import euclidean_chosen, euclidean_pairs, euclidean_rows, euclidean_tile, merge_topk
from tests.fake_metrics import brute_neighbors


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
    chosen = rng.integers(0, 11, size=(9, 4))
    for cache in (topk._CACHE, 1):
        monkeypatch.setattr(topk, "_CACHE", cache)
        np.testing.assert_array_equal(euclidean_tile(*tensors(a, b)).numpy(), tile)
        pairs = euclidean_pairs(*tensors(a, i, b, j)).numpy()
        np.testing.assert_array_equal(pairs, tile[i, j])
        of_choice = euclidean_chosen(*tensors(a, b, chosen)).numpy()
        np.testing.assert_array_equal(of_choice, np.take_along_axis(tile, chosen, 1))


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
