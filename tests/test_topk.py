"""Direct Euclidean distances, the running top-k, and the search where references lie, with the bits of the CPU."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from skseqmetric import SequenceIndex, SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric._ops import device_search, topk, twins
from skseqmetric._ops.references import References
from skseqmetric._ops.topk import euclidean_chosen, euclidean_pairs, euclidean_rows, euclidean_tile, merge_topk
from tests.every_estimator import SMALL
from tests.fake_metrics import brute_neighbors, random_sequences
from tests.test_references import KINDS, gaussian, tensors

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


# ------------------------------------------------------------------------------- the search where references lie

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
MEMORY = 2**25


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return request.param


def rough(root: Tensor) -> Tensor:
    """A root as a device might round it: off by a unit in the last place."""
    return torch.nextafter(root, torch.zeros_like(root))


@pytest.fixture
def rough_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every root of a search be rounded in another way than those of its answer."""
    squared_chosen, squared_pairs = topk.squared_chosen, topk.squared_pairs
    monkeypatch.setattr("skseqmetric._ops.exact_search.euclidean_chosen", lambda *a: rough(squared_chosen(*a).sqrt()))
    monkeypatch.setattr("skseqmetric._ops.exact_search.euclidean_pairs", lambda *a: rough(squared_pairs(*a).sqrt()))


def assert_same(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.device.type == "cpu"
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_nearest_have_the_bits_of_the_cpu(rng, kind, dtype, device):
    for n, m, width, k in [(40, 700, 5, 3), (9, 90, 3, 89), (20, 640, 16, 1)]:
        q, r = tensors(kind(rng, n, width).astype(dtype), kind(rng, m, width).astype(dtype))
        exclude = torch.from_numpy(rng.integers(-1, m, size=n)) if k % 2 else None
        expected = References.of(r).search(q, k, exclude=exclude)
        excluded = None if exclude is None else exclude.to(device)
        on_device = References.of(r.to(device))
        found = device_search.nearest_by_squares(on_device, q.to(device), k, exclude=excluded, memory=MEMORY)
        assert_same(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_in_a_radius_have_the_bits_of_the_cpu(rng, kind, device):
    q, r = tensors(*(kind(rng, n, 5).astype(np.float32) for n in (60, 500)))
    distances = topk.euclidean_tile(q, r)
    on_device = References.of(r.to(device))
    for radius in (0.0, float(distances[3, 5]), float(distances.median()), np.inf):
        found = device_search.within_by_squares(on_device, q.to(device), radius, memory=MEMORY)
        assert_same(found, References.of(r).within(q, radius))


@pytest.mark.usefixtures("rough_roots")
@pytest.mark.parametrize("kind", KINDS)
def test_roots_that_a_device_rounds_change_nothing(rng, kind, monkeypatch):
    q, r = tensors(*(kind(rng, n, 4).astype(np.float32) for n in (30, 400)))
    references, exact = References.of(r), topk.euclidean_tile(q, r)
    found = device_search.nearest_by_squares(references, q, 5, memory=MEMORY)
    assert_same(found, topk.smallest_pairs(exact, torch.arange(400).expand(30, -1), 5))
    radius = float(exact[2, 7])
    inside = exact <= radius
    starts, distances, columns = device_search.within_by_squares(references, q, radius, memory=MEMORY)
    assert torch.equal(columns, torch.nonzero(inside)[:, 1])
    assert torch.equal(distances, exact[inside])
    assert torch.equal(starts[1:], inside.sum(1).cumsum(0))


@pytest.mark.parametrize("n", [7, 300])
def test_roots_that_fall_together_are_in_the_order_of_their_indices(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 and 1 + 2^-52 have the same root. A device that tells them apart finds the references with 1 only."""
    r = torch.tensor([[1.0, 2.0**-26], [1.0, 0.0]], dtype=torch.float64).repeat_interleave(n, 0)
    monkeypatch.setattr("skseqmetric._ops.exact_search.euclidean_chosen", topk.squared_chosen)
    monkeypatch.setattr("skseqmetric._ops.exact_search.euclidean_pairs", topk.squared_pairs)
    references, queries = References.of(r), torch.zeros(2, 2, dtype=torch.float64)
    assert references.search(queries, 4)[1].tolist() == [[n, n + 1, n + 2, n + 3]] * 2
    for exclude, wanted in ((None, [0, 1, 2, 3]), (torch.tensor([1, 1]), [0, 2, 3, 4])):
        distances, indices = device_search.nearest_by_squares(references, queries, 4, exclude=exclude, memory=MEMORY)
        assert indices.tolist() == [wanted] * 2
        assert distances.tolist() == [[1.0] * 4] * 2


def test_distances_of_candidates_and_of_pairs(rng, device):
    q, r = tensors(*(gaussian(rng, n, 7).astype(np.float32) for n in (20, 90)))
    references = References.of(r.to(device))
    rows = torch.from_numpy(rng.integers(0, 90, size=(20, 4)))
    exact = topk.euclidean_tile(q, r)
    assert torch.equal(device_search.chosen(references, q.to(device), rows), exact.gather(1, rows))
    at = torch.arange(20)
    assert torch.equal(device_search.pairs(references, q.to(device), at, rows[:, 0]), exact[at, rows[:, 0]])


def test_squares_have_the_same_bits_everywhere(rng, device):
    q, r = tensors(*(gaussian(rng, n, 37) for n in (50, 50)))
    rows = torch.from_numpy(rng.integers(0, 50, size=(50, 50)))
    there = topk.squared_chosen(*(t.to(device) for t in (q, r, rows)))
    assert torch.equal(there.cpu(), topk.squared_chosen(q, r, rows))


def test_too_many_neighbours_are_refused(rng):
    references = References.of(torch.from_numpy(rng.normal(size=(5, 2))))
    with pytest.raises(ValueError, match="k=6 neighbours were asked for, but between 1 and 5 can be given"):
        device_search.nearest_by_squares(references, references.rows, 6, memory=MEMORY)


# ------------------------------------------------------------------------------------------------- models and indices


def test_an_array_finds_its_twin_while_it_lives():
    tensor = torch.arange(6.0).view(3, 2)
    array = twins.with_twin(tensor)
    assert twins.on_device(array, tensor.device) is tensor
    assert np.array_equal(array, tensor.numpy())
    assert not np.shares_memory(array, tensor.numpy())
    assert np.shares_memory(twins.on_device(array[:2], tensor.device).numpy(), array)  # another array, without a twin
    known = len(twins._twins)
    del array
    gc.collect()
    assert len(twins._twins) == known - 1


@pytest.fixture(scope="module")
def data() -> tuple[list[np.ndarray], np.ndarray]:
    """Sequences of which some are equal, so that distances tie."""
    return random_sequences(np.random.default_rng(0), 60, copies=20), np.arange(60) % 3


@pytest.fixture(scope="module")
def embedding(data) -> SyncGRUMetric:
    return SyncGRUMetric(**{**SMALL, "coupling": None}).fit(*data)


def answers_of(metric, X, y):
    """What neighbours and an index find: plainly, after growth and shrinkage, within a radius, and of a shortlist."""
    knn = SequenceKNeighborsClassifier(FrozenEstimator(metric), n_neighbors=4).fit(X[:50], y[:50])
    index = SequenceIndex(metric).add(X[:20]).add(X[20:50]).remove([3, 30])
    short = SequenceIndex(metric, n_candidates=9).add(X[:50])
    radius = float(np.median(index.search(X, 5)[0]))
    lists = [*index.search_radius(X, radius), *knn.radius_neighbors(X, radius)]
    return [*knn.kneighbors(X), *knn.kneighbors(), *index.search(X, 5), *short.search(X, 5)], lists


def assert_answers(found, expected):
    for a, b in zip(found[0], expected[0], strict=True):
        np.testing.assert_array_equal(a, b)
    for ours, theirs in zip(found[1], expected[1], strict=True):
        assert [part.tobytes() for part in ours] == [part.tobytes() for part in theirs]


@pytest.fixture(scope="module")
def expected(embedding, data):
    return answers_of(embedding, *data)


@pytest.mark.usefixtures("rough_roots")
def test_a_model_on_a_device_answers_as_on_the_cpu(embedding, data, expected, monkeypatch):
    searched, nearest = [], device_search.nearest_by_squares
    monkeypatch.setattr(device_search, "nearest", lambda r, *a, **k: (searched.append(r.rows), nearest(r, *a, **k))[1])
    monkeypatch.setattr(device_search, "within", device_search.within_by_squares)
    monkeypatch.setattr("skseqmetric._tensors.device_embeddings.KEPT_ON", ("cpu",))
    left = []
    monkeypatch.setattr(twins, "with_twin", lambda t, make=twins.with_twin: (left.append(t), make(t))[1])
    monkeypatch.setattr("skseqmetric._tensors.device_embeddings.with_twin", twins.with_twin)
    assert_answers(answers_of(embedding, *data), expected)
    # the references are what the network has left there
    assert {rows.data_ptr() for rows in searched} & {tensor.data_ptr() for tensor in left}


@pytest.mark.parametrize("device", DEVICES)
def test_searches_run_where_the_model_is(data, device, monkeypatch):
    """Embeddings of a GPU have other bits in other batches: those that are searched are compared."""
    metric = SyncGRUMetric(**{**SMALL, "coupling": None}, device=device).fit(*data)
    nearest, calls = device_search.nearest, []

    def watched(references, queries, k, *, exclude=None, memory):
        assert {references.rows.device.type, queries.device.type} == {device}
        found = nearest(references, queries, k, exclude=exclude, memory=memory)
        there = References.of(references.rows.cpu()), queries.cpu(), k, None if exclude is None else exclude.cpu()
        assert_same(found, there[0].search(*there[1:3], exclude=there[3]))
        calls.append(k)
        return found

    monkeypatch.setattr(device_search, "nearest", watched)
    answers_of(metric, *data)
    assert calls
