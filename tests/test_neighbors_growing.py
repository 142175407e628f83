"""Neighbours up to a distance, references that are added, and searches in jobs."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.frozen import FrozenEstimator

from skseqmetric import (
    DTWMetric,
    MetricEnsemble,
    RandomConvolutionMetric,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    SyncGRUMetric,
    load,
)
from tests.fake_metrics import MeanMetric, mean_tile
from tests.small_neighbors import ESTIMATORS, labelled_sequences

NETWORK = {"n_units": 3, "max_epochs": 1, "random_state": 0}
KINDS = {
    "dtw": lambda: DTWMetric(window=3),
    "random convolution": lambda: RandomConvolutionMetric(84, random_state=0),
    "network": lambda: SyncGRUMetric(coupling=None, **NETWORK),
    "matched": lambda: SyncGRUMetric(coupling="alignment", **NETWORK),
    "coupled": lambda: SyncGRUMetric(coupling="symmetric", **NETWORK),
    "ensemble": lambda: MetricEnsemble([("dtw", "dtw"), ("means", RandomConvolutionMetric(84, random_state=0))]),
}


@pytest.fixture
def data(rng):
    return labelled_sequences(rng)


def fitted_metric(kind, X, y):
    return FrozenEstimator(KINDS[kind]().fit(X, y))


# ------------------------------------------------------------------------------------------------------- in a radius


@pytest.mark.parametrize("kind", KINDS)
def test_radius_neighbors_are_those_of_all_distances(kind, data):
    X, y, Q = data
    model = SequenceNeighborsTransformer(fitted_metric(kind, X, y)).fit(X)
    for given, distances in ((Q, model.metric_.pairwise_distances(Q, X)), (None, model.metric_.pairwise_distances(X))):
        radius = float(np.quantile(distances, 0.3))
        near = distances <= radius
        if given is None:
            np.fill_diagonal(near, False)
        found, indices = model.radius_neighbors(given, radius)
        assert found.dtype == indices.dtype == object
        assert indices.shape == (len(distances),)
        for row, (d, i) in enumerate(zip(found, indices, strict=True)):
            np.testing.assert_array_equal(i, np.flatnonzero(near[row]))
            np.testing.assert_allclose(d, distances[row][near[row]], rtol=1e-6, atol=1e-6)


def test_radius_neighbors_hold_the_contract_of_scikit_learn(data):
    X, y, Q = data
    model = SequenceKNeighborsClassifier("dtw", radius=0.5).fit(X, y)
    distances, indices = model.radius_neighbors(Q, sort_results=True)
    for d, i, few in zip(distances, indices, model.radius_neighbors(Q, 0.5, return_distance=False), strict=True):
        assert (d.dtype, i.dtype) == (np.float64, np.int64)
        np.testing.assert_array_equal(np.lexsort((i, d)), np.arange(len(d)))
        np.testing.assert_array_equal(np.sort(i), few)
    assert [len(i) for i in model.radius_neighbors([[[1e6, 1e6]]], return_distance=False)] == [0]
    with pytest.raises(ValueError, match="return_distance must be True"):
        model.radius_neighbors(Q, return_distance=False, sort_results=True)
    with pytest.raises(ValueError, match="radius=-1 must be a number >= 0"):
        model.radius_neighbors(Q, -1)
    with pytest.raises(ValueError, match="'radius' parameter"):
        SequenceKNeighborsClassifier("dtw", radius=-1.0).fit(X, y)


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_radius_graph_has_the_edges_of_radius_neighbors(mode, data):
    X, y, Q = data
    model = SequenceKNeighborsClassifier("dtw", radius=0.5).fit(X, y)
    distances, indices = model.radius_neighbors(Q, sort_results=True)
    with config_context():
        graph = model.radius_neighbors_graph(Q, mode=mode, sort_results=True)
    assert graph.shape == (len(Q), len(X))
    np.testing.assert_array_equal(graph.indices, np.concatenate(indices))
    np.testing.assert_array_equal(graph.data, np.concatenate(distances) if mode == "distance" else 1.0)
    with pytest.raises(ValueError, match="mode='edges' is neither"):
        model.radius_neighbors_graph(Q, mode="edges")


# ---------------------------------------------------------------------------------------------- references that come


@pytest.mark.parametrize("kind", KINDS)
def test_added_references_are_found_as_if_they_were_fitted(kind, data, tmp_path):
    X, y, Q = data
    metric = fitted_metric(kind, X, y)
    whole = SequenceKNeighborsClassifier(metric, n_neighbors=3).fit(X, y)
    grown = SequenceKNeighborsClassifier(metric, n_neighbors=3).fit(X[:20], y[:20])
    grown.kneighbors(Q)  # what this search has kept of its references must not be used again
    grown.partial_fit(X[20:21], y[20:21]).partial_fit(X[21:], y[21:])
    assert grown.n_samples_fit_ == len(X)
    grown.save(tmp_path / "grown")
    for model in (grown, load(tmp_path / "grown")):
        for given in (Q, None):
            for found, expected in zip(model.kneighbors(given), whole.kneighbors(given), strict=True):
                np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(model.predict(Q), whole.predict(Q))


def test_new_classes_get_columns(data):
    X, _, Q = data
    y = np.repeat(["b", "d"], 20)
    model = SequenceKNeighborsClassifier("dtw", n_neighbors=4).fit(X, y)
    before = model.predict_proba(Q)
    model.partial_fit(Q[:8], ["a"] * 4 + ["c"] * 4)
    assert model.classes_.tolist() == ["a", "b", "c", "d"]
    expected = SequenceKNeighborsClassifier("dtw", n_neighbors=4).fit([*X, *Q[:8]], [*y, *"aaaacccc"])
    np.testing.assert_array_equal(model.predict_proba(Q), expected.predict_proba(Q))
    declared = SequenceKNeighborsClassifier("dtw", n_neighbors=4).partial_fit(X, y, classes=["a", "b", "d"])
    np.testing.assert_array_equal(declared.predict_proba(Q), np.insert(before, 0, 0.0, axis=1))
    with pytest.raises(ValueError, match="labels of the same type"):
        model.partial_fit(Q[:1], [3])
    assert model.n_samples_fit_ == 48


def test_regressors_and_graphs_grow_too(data):
    X, _, Q = data
    values = np.arange(80.0).reshape(40, 2)
    model = SequenceKNeighborsRegressor("dtw").partial_fit(X[:30], values[:30]).partial_fit(X[30:], values[30:])
    np.testing.assert_array_equal(model.predict(Q), SequenceKNeighborsRegressor("dtw").fit(X, values).predict(Q))
    with pytest.raises(ValueError, match=r"y has shape \(40,\), and that of the first fit was \(40, 2\)"):
        model.partial_fit(X, values[:, 0])
    graph = SequenceNeighborsTransformer("dtw").partial_fit(X[:30]).partial_fit(X[30:])
    assert (graph.transform(Q) != SequenceNeighborsTransformer("dtw").fit(X).transform(Q)).nnz == 0
    assert len(graph.get_feature_names_out()) == 40


class Sealed:
    """Prepared means that nobody can join."""

    def __init__(self, means):
        self.embeddings, self.lengths = means.embeddings, means.lengths

    def __len__(self):
        return len(self.lengths)


class SealedMetric(MeanMetric):
    """A metric whose prepared sequences cannot be joined."""

    def _prepare(self, sequences):
        return Sealed(super()._prepare(sequences))


def test_what_cannot_grow_says_so_and_is_searched_in_one_job(data):
    X, y, Q = data
    model = SequenceKNeighborsClassifier(SealedMetric(), n_jobs=2).fit(X, y)
    assert len(model.kneighbors(Q)[0]) == len(Q)
    with pytest.raises(ValueError, match=r"SealedMetric._prepare returns Sealed, .* methods joined\(other\)"):
        model.partial_fit(X, y)
    assert model.n_samples_fit_ == len(model._references) == 40


# --------------------------------------------------------------------------------------------------------------- jobs


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_find_the_same_bits(kind, data):
    X, y, Q = data
    one = SequenceNeighborsTransformer(fitted_metric(kind, X, y)).fit(X)
    three = SequenceNeighborsTransformer(one.metric, n_jobs=3).fit(X)
    for given in (Q, None):
        for found, expected in zip(three.kneighbors(given), one.kneighbors(given), strict=True):
            np.testing.assert_array_equal(found, expected)
        for found, expected in zip(three.radius_neighbors(given, 2.0), one.radius_neighbors(given, 2.0), strict=True):
            np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_functions_are_called_by_the_backend_that_is_chosen(cls, data):
    X, y, Q = data
    y = np.arange(len(X)) if cls is SequenceKNeighborsRegressor else y
    one, three = (cls(mean_tile, n_jobs=n).fit(X, y) for n in (None, 3))
    with joblib.parallel_config("threading"):
        np.testing.assert_array_equal(three.kneighbors(Q)[0], one.kneighbors(Q)[0])
