"""Neighbours along a graph (`algorithm="hnsw"`): few are missed, distances are exact, and the graph grows."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from skseqmetric import (
    DTWMetric,
    RandomConvolutionMetric,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    SyncGRUMetric,
    load,
)
from tests.fake_metrics import MeanMetric
from tests.hostile_files import Content
from tests.small_neighbors import ESTIMATORS

N = 1300

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.repeat(rng.normal(size=(N // 10, 3, 2)), 10, axis=0) + 0.5 * rng.normal(size=(N, 3, 2))


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.arange(N) // 10 % 4


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(40, 3, 2))


@pytest.fixture(scope="module")
def metric(X: np.ndarray) -> FrozenEstimator:
    return FrozenEstimator(RandomConvolutionMetric(168, n_components=6, random_state=0).fit(X[:200]))


def linked(metric: Any, X: np.ndarray, y: np.ndarray, **options: Any) -> SequenceKNeighborsClassifier:
    return SequenceKNeighborsClassifier(metric, algorithm="hnsw", **options).fit(X, y)


def assert_same(left: Any, right: Any) -> None:
    for mine, its in zip(left, right, strict=True):
        assert mine.dtype == its.dtype
        assert mine.tobytes() == its.tobytes()


def assert_found(model: Any, X: np.ndarray, queries: np.ndarray) -> None:
    """Distances are those of the metric to the bit, sorted by (distance, index), and few neighbours are missed."""
    distances, indices = model.kneighbors(queries, 10)
    table = model.metric_.pairwise_distances(queries, X)
    assert distances.tobytes() == np.take_along_axis(table, indices, axis=1).tobytes()
    assert (np.lexsort((indices, distances), axis=1) == np.arange(10)).all()
    assert model.rerank_recall(queries, 10) > 0.95


def test_neighbors_are_found_along_the_graph(metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray) -> None:
    model, exact = linked(metric, X, y), SequenceKNeighborsClassifier(metric).fit(X, y)
    assert model.n_candidates_ == 64
    assert_found(model, X, queries)
    assert (model.predict(queries) == exact.predict(queries)).mean() > 0.9
    radius = float(model.kneighbors(queries)[0].mean())
    for mine, its in zip(model.radius_neighbors(queries, radius), exact.radius_neighbors(queries, radius), strict=True):
        assert [part.tobytes() for part in mine] == [part.tobytes() for part in its]


def test_a_narrow_shortlist_misses_some(metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray) -> None:
    model = linked(metric, X, y, n_candidates=10)
    narrow = model.rerank_recall(queries, 10)
    assert narrow < 1
    assert model.set_params(n_candidates=200).rerank_recall(queries, 10) > narrow


def test_a_sequence_is_no_neighbor_of_itself(metric: Any, X: np.ndarray, y: np.ndarray) -> None:
    doubled = np.concatenate([X, X[:3]])
    model = linked(metric, doubled, [*y, *y[:3]])
    distances, indices = model.kneighbors(None, 3)
    assert (indices != np.arange(len(doubled))[:, np.newaxis]).all()
    assert indices[:3, 0].tolist() == [N, N + 1, N + 2]
    assert (distances[-3:, 0] == 0).all()
    assert model.rerank_recall(None, 3) > 0.95


def test_wide_shortlists_are_those_of_the_exact_search(
    metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray
) -> None:
    X = X.copy()
    X[100:140] = X[100]  # more ties than neighbours
    model, exact = linked(metric, X, y, n_candidates=N), SequenceKNeighborsClassifier(metric).fit(X, y)
    assert_same(model.kneighbors([X[100], *queries], 10), exact.kneighbors([X[100], *queries], 10))


def test_coupled_distances_decide_on_the_shortlist(X: np.ndarray, y: np.ndarray, queries: np.ndarray) -> None:
    small: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "n_units": 4, "n_filters": 4, "random_state": 0}
    coupled = FrozenEstimator(SyncGRUMetric(**small, coupling="alignment").fit(X[:40], y[:40]))
    model = linked(coupled, X, y, n_candidates=60)
    distances, indices = model.kneighbors(queries[:5], 3)
    table = coupled.estimator.pairwise_distances(queries[:5], X)
    assert distances.tobytes() == np.take_along_axis(table, indices, axis=1).tobytes()
    grown = linked(coupled, X[:1200], y[:1200], n_candidates=N).partial_fit(X[1200:], y[1200:])
    exact = SequenceKNeighborsClassifier(coupled).fit(X, y)
    assert_same(grown.kneighbors(queries[:5], 3), exact.kneighbors(queries[:5], 3))


class WideMean(MeanMetric):
    """Means in float64, which float32 would round."""

    _is_euclidean = True

    def _embeddings(self, prepared: Any) -> np.ndarray:
        return super()._embeddings(prepared).astype(np.float64) + 1e-12


def test_embeddings_in_float64_are_not_rounded(X: np.ndarray, y: np.ndarray, queries: np.ndarray) -> None:
    metric = FrozenEstimator(WideMean(euclidean=False).fit(X))
    assert_found(linked(metric, X, y), X, queries)


# ------------------------------------------------------------------ growing


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_graph_grows(cls: Any, metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray) -> None:
    grown = cls(metric, algorithm="hnsw").fit(X[:900], y[:900])
    assert grown.n_candidates_ is None  # few sequences are searched exactly
    assert grown.rerank_recall(queries) == 1
    for start, stop in ((900, 1100), (1100, 1101), (1101, N)):
        grown.partial_fit(X[start:stop], y[start:stop])
    assert grown.n_candidates_ == 64
    assert_found(grown, X, queries)
    whole = cls(metric, algorithm="hnsw", n_candidates=N).fit(X, y)
    assert_same(grown.set_params(n_candidates=N).kneighbors(queries), whole.kneighbors(queries))


def test_a_new_fit_makes_a_new_graph(metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray) -> None:
    model = linked(metric, X, y).fit(X[100:], y[100:])
    assert_found(model, X[100:], queries)
    assert model.set_params(algorithm="exact").fit(X, y).n_candidates_ is None
    assert model.set_params(algorithm="hnsw").rerank_recall(queries) == 1  # without a graph the search is exact


def test_copies_grow_by_themselves(metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray) -> None:
    model = linked(metric, X[:1100], y[:1100], n_candidates=N)
    other = copy.copy(model)
    before = model.kneighbors(queries)
    model.partial_fit(X[1100:1200], y[1100:1200])
    assert_same(other.kneighbors(queries), before)
    other.partial_fit(X[1200:], y[1200:])
    both = np.concatenate([X[:1100], X[1200:]])
    assert_same(other.kneighbors(queries), SequenceKNeighborsRegressor(metric).fit(both, y[:1200]).kneighbors(queries))
    assert_same(
        model.kneighbors(queries), SequenceKNeighborsRegressor(metric).fit(X[:1200], y[:1200]).kneighbors(queries)
    )


def test_a_refused_addition_changes_nothing(
    metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = linked(metric, X[:1100], y[:1100], n_candidates=N)
    before = model.kneighbors(queries)
    with pytest.raises(ValueError, match="n_candidates=3 is less"):
        model.set_params(n_candidates=3).partial_fit(X[1100:], y[1100:])
    model.set_params(n_candidates=N)
    with monkeypatch.context() as broken:
        broken.setattr(type(model), "_is_shortlisted", property())  # fails after the graph has grown
        with pytest.raises(AttributeError):
            model.partial_fit(X[1100:], y[1100:])
    assert_same(model.kneighbors(queries), before)
    assert_same(model.partial_fit(X[1200:], y[1200:]).kneighbors(queries, 1), model.kneighbors(queries, 1))
    assert_found(model, np.concatenate([X[:1100], X[1200:]]), queries)


# ------------------------------------------------------------------ copies and files


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_answer_with_the_same_bits(
    copied: Any, metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray
) -> None:
    model = linked(metric, X, y)
    other = copied(model)
    assert_same(other.kneighbors(queries), model.kneighbors(queries))
    assert_found(other.partial_fit(X[:50] + 0.1, y[:50]), np.concatenate([X, X[:50] + 0.1]), queries)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_file_keeps_the_graph(
    cls: Any, metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray, tmp_path: Path
) -> None:
    model = cls(metric, algorithm="hnsw").fit(X[:1200], y[:1200]).partial_fit(X[1200:], y[1200:])
    model.save(tmp_path / "model.skm")
    loaded = load(tmp_path / "model.skm")
    assert_same(loaded.kneighbors(queries), model.kneighbors(queries))
    loaded.save(tmp_path / "again.skm")
    assert (tmp_path / "again.skm").read_bytes() == (tmp_path / "model.skm").read_bytes()
    assert_found(loaded.partial_fit(X[:50] + 0.1, y[:50]), np.concatenate([X, X[:50] + 0.1]), queries)


def test_a_changed_graph_is_refused(metric: Any, X: np.ndarray, y: np.ndarray, tmp_path: Path) -> None:
    linked(metric, X, y).save(tmp_path / "good.skm")
    for array, value, message in (("numbers", 5000, "does not know"), ("links", 1 << 30, "lead out")):
        content = Content(tmp_path / "good.skm")
        entry = next(entry for name, entry in content.header.items() if name.endswith(array))
        start, stop = entry["data_offsets"]
        dtype = np.dtype(np.int64 if array == "numbers" else np.int32)
        np.frombuffer(content.data, dtype, (stop - start) // dtype.itemsize, start)[-1] = value
        (tmp_path / "bad.skm").write_bytes(content.written())
        with pytest.raises(ValueError, match=f"no model file that can be read: .*{message}"):
            load(tmp_path / "bad.skm")


# ------------------------------------------------------------------ with scikit-learn and joblib


def test_the_algorithm_is_a_parameter_of_a_search(metric: Any, X: np.ndarray, y: np.ndarray) -> None:
    grid = {"algorithm": ["exact", "rerank", "hnsw"], "n_candidates": [None, N]}
    search = GridSearchCV(SequenceKNeighborsClassifier(metric), grid, cv=3, error_score="raise").fit(X, y)
    exact, *others = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(others, exact, atol=0.02)
    assert clone(search.best_estimator_).algorithm == search.best_params_["algorithm"]


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_jobs_answer_as_one(backend: str, metric: Any, X: np.ndarray, y: np.ndarray, queries: np.ndarray) -> None:
    model = linked(metric, X, y)
    expected = model.kneighbors(queries)
    with joblib.parallel_config(backend, n_jobs=2):
        assert_same(model.kneighbors(queries), expected)


# ------------------------------------------------------------------ what is refused


def test_what_is_missing_is_named(metric: Any, X: np.ndarray, y: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r'DTWMetric has no embedding.*: use algorithm="exact"'):
        linked(DTWMetric(), X[:30], y[:30])
    with pytest.raises(ValueError, match="n_candidates=4 is less than the 5 neighbours"):
        linked(metric, X[:30], y[:30], n_candidates=4)
    model = linked(metric, X, y)
    with pytest.raises(ValueError, match=f"n_neighbors = {N + 1}, n_samples_fit = {N}"):
        model.kneighbors(X[:2], N + 1)
    pickled = pickle.dumps(model)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r'algorithm="hnsw" needs faiss: pip install "skseqmetric\[ann\]", or use'):
        SequenceNeighborsTransformer(metric, algorithm="hnsw").fit(X[:30])
    with pytest.raises(ImportError, match='algorithm="hnsw" needs faiss'):
        pickle.loads(pickled)
