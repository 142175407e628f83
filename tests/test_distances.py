"""SequenceDistances and the symmetric graph: values, kernels, and what takes them precomputed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.cluster import HDBSCAN, OPTICS, AgglomerativeClustering, SpectralClustering
from sklearn.manifold import MDS, TSNE
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skseqmetric import DTWMetric, RandomConvolutionMetric, SequenceDistances, SequenceNeighborsTransformer
from skseqmetric.datasets import make_shifted_sequences
from tests.fake_metrics import MeanMetric, random_sequences

CONVOLUTIONS = RandomConvolutionMetric(168, random_state=0)


@pytest.fixture(scope="module")
def waves() -> tuple[list[np.ndarray], np.ndarray]:
    return make_shifted_sequences(45, n_classes=3, random_state=0)


@pytest.mark.parametrize("metric", [MeanMetric(), MeanMetric(euclidean=False), DTWMetric(window=3)])
def test_they_are_all_distances_of_the_metric(metric: Any, rng: np.random.Generator) -> None:
    X, new = random_sequences(rng, 40, longest=6, copies=8), random_sequences(rng, 7, longest=6)
    model = SequenceDistances(metric)
    among = model.fit_transform(X)
    np.testing.assert_array_equal(among, model.metric_.pairwise_distances(X))
    np.testing.assert_array_equal(among, among.T)
    assert not among.diagonal().any()
    np.testing.assert_array_equal(model.transform(new), model.metric_.pairwise_distances(new, X))
    assert model.get_feature_names_out()[-1] == "sequencedistances39"


@pytest.mark.parametrize(("kernel", "power"), [("laplacian", 1), ("rbf", 2)])
def test_a_kernel_is_that_of_its_equation(kernel: str, power: int, rng: np.random.Generator) -> None:
    X, new = random_sequences(rng, 12, longest=6), random_sequences(rng, 5, longest=6)
    distances = MeanMetric().fit(X).pairwise_distances(X)
    model = SequenceDistances(MeanMetric(), kernel=kernel)
    found = model.fit_transform(X)
    off_diagonal = distances[~np.eye(12, dtype=bool)]
    assert model.gamma_ == pytest.approx(1 / np.mean(off_diagonal**power), rel=1e-12)
    np.testing.assert_allclose(found, np.exp(-model.gamma_ * distances**power), rtol=1e-12)
    given = SequenceDistances(MeanMetric(), kernel=kernel, gamma=0.25).fit(X)
    expected = np.exp(-0.25 * MeanMetric().fit(X).pairwise_distances(new, X) ** power)
    np.testing.assert_allclose(given.transform(new), expected, rtol=1e-12)


def test_equal_sequences_have_a_kernel() -> None:
    X = [np.ones((3, 1))] * 4
    model = SequenceDistances(MeanMetric(), kernel="rbf")
    np.testing.assert_array_equal(model.fit_transform(X), np.ones((4, 4)))
    assert model.gamma_ == 1


def test_a_kernel_that_the_fit_did_not_know_is_refused() -> None:
    model = SequenceDistances(MeanMetric()).fit([[[1.0]], [[2.0]]]).set_params(kernel="rbf")
    with pytest.raises(ValueError, match="call fit again"):
        model.transform([[[1.0]]])
    assert model.set_params(kernel=None).transform([[[1.0]]]).tolist() == [[0.0, 1.0]]


def test_what_takes_precomputed_distances_finds_the_classes(waves: Any) -> None:
    X, y = waves
    steps: list[Any] = [
        AgglomerativeClustering(3, metric="precomputed", linkage="average"),
        HDBSCAN(metric="precomputed", copy=True),
        OPTICS(metric="precomputed", min_samples=5, xi=0.2),
        SpectralClustering(3, affinity="precomputed", random_state=0),
    ]
    for step in steps:
        kernel = "rbf" if isinstance(step, SpectralClustering) else None
        found = make_pipeline(SequenceDistances(CONVOLUTIONS, kernel=kernel), step).fit_predict(X, y)
        assert adjusted_rand_score(y, found) > 0.8, step
    distances = SequenceDistances(CONVOLUTIONS).fit_transform(X, y)
    assert silhouette_score(distances, y, metric="precomputed") > 0.3
    places = MDS(metric="precomputed", n_init=1, init="random", random_state=0).fit_transform(distances)
    assert silhouette_score(places, y) > 0.3


def test_a_support_vector_machine_chooses_gamma(waves: Any) -> None:
    X, y = waves
    machine = make_pipeline(SequenceDistances(CONVOLUTIONS, kernel="rbf"), SVC(kernel="precomputed", random_state=0))
    search = GridSearchCV(machine, {"sequencedistances__gamma": [0.1, 1.0]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.8
    assert search.predict(X[:2]).shape == (2,)


# ------------------------------------------------------------------ the graph in both directions


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_a_symmetric_graph_has_every_edge_in_both_directions(mode: str, rng: np.random.Generator) -> None:
    X = random_sequences(rng, 40, longest=6, copies=8)
    settings: dict[str, Any] = {"n_neighbors": 3, "mode": mode}
    one_way = SequenceNeighborsTransformer(MeanMetric(), **settings).fit_transform(X)
    model = SequenceNeighborsTransformer(MeanMetric(), symmetric=True, **settings)
    graph = model.fit_transform(X)
    edges = set(zip(*_edges(one_way), strict=True))
    assert set(zip(*_edges(graph), strict=True)) == edges | {(j, i) for i, j in edges}
    dense = graph.toarray()
    np.testing.assert_array_equal(dense, dense.T)
    distances = MeanMetric().fit(X).pairwise_distances(X) if mode == "distance" else np.ones((40, 40))
    rows, columns = _edges(graph)
    np.testing.assert_array_equal(graph.data, distances[rows, columns])
    for row in range(40):
        part = slice(graph.indptr[row], graph.indptr[row + 1])
        pairs = list(zip(graph.data[part], graph.indices[part], strict=True))
        assert pairs == sorted(pairs)
    # new sequences are no columns, so that there is nothing to mirror
    assert (model.transform(X[:4]) != one_way[:4]).nnz == 0


def test_a_distance_in_two_sizes_has_the_larger_one_in_both_directions() -> None:
    X = [np.full((steps, 1), float(steps)) for steps in (1, 2, 4)]

    def lopsided(x: np.ndarray, y: np.ndarray) -> float:
        return float(abs(len(x) - len(y)) + (len(x) < len(y)) / 2)

    dense = SequenceNeighborsTransformer(lopsided, n_neighbors=2, symmetric=True).fit_transform(X).toarray()
    np.testing.assert_array_equal(dense, dense.T)


def _edges(graph: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of all stored edges, also those of length 0."""
    assert sp.issparse(graph)
    return np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr)), graph.indices


def test_hdbscan_takes_the_symmetric_graph(waves: Any) -> None:
    X, y = waves
    graph = SequenceNeighborsTransformer(CONVOLUTIONS, n_neighbors=20, symmetric=True)
    found = make_pipeline(graph, HDBSCAN(metric="precomputed", copy=True)).fit_predict(X, y)
    assert adjusted_rand_score(y, found) > 0.8
    with pytest.raises(ValueError, match="connected"):
        make_pipeline(graph.set_params(n_neighbors=5), HDBSCAN(metric="precomputed", copy=True)).fit_predict(X, y)


def test_too_few_neighbours_for_a_map_are_named(waves: Any) -> None:
    """The docstring says how many it needs: 3 perplexity + 1."""
    X, y = waves
    reducer = TSNE(perplexity=5, metric="precomputed", init="random", random_state=0, max_iter=250)
    with pytest.raises(ValueError, match="17 neighbors per samples are required, but some samples have only 16"):
        make_pipeline(SequenceNeighborsTransformer(CONVOLUTIONS, n_neighbors=15), reducer).fit_transform(X, y)
    places = make_pipeline(SequenceNeighborsTransformer(CONVOLUTIONS, n_neighbors=16), reducer).fit_transform(X, y)
    assert np.isfinite(places).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
@pytest.mark.filterwarnings("ignore:using precomputed metric:UserWarning")
@pytest.mark.filterwarnings("ignore:precomputed_knn:UserWarning")
def test_umap_takes_the_symmetric_graph_and_the_neighbours(waves: Any) -> None:
    umap = pytest.importorskip("umap")
    X, y = waves
    settings: dict[str, Any] = {"n_neighbors": 10, "random_state": 0, "n_jobs": 1}
    graph = SequenceNeighborsTransformer(CONVOLUTIONS, n_neighbors=10, symmetric=True)
    places = make_pipeline(graph, umap.UMAP(metric="precomputed", **settings)).fit_transform(X, y)
    assert silhouette_score(places, y) > 0.3
    graph.set_params(symmetric=False)
    with pytest.raises(ValueError, match="symmetrical"):
        make_pipeline(graph, umap.UMAP(metric="precomputed", **settings)).fit_transform(X, y)
    distances, rows = graph.fit(X, y).kneighbors(X, 10)
    reducer = umap.UMAP(precomputed_knn=(rows, distances), **settings)
    assert silhouette_score(reducer.fit_transform(graph.metric_.transform(X)), y) > 0.3
