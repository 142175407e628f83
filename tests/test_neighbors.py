"""Estimators of neighbours: scikit-learn's answers, brute force, any metric, shortlists, targets in bins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, KNeighborsTransformer, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skseqmetric import (
    DTWMetric,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
)
from tests.fake_metrics import MeanMetric, SupervisedMean, brute_neighbors, mean_tile, random_sequences
from tests.small_neighbors import ESTIMATORS, METRICS, labelled_sequences


@pytest.fixture(params=METRICS)
def metric(request):
    return METRICS[request.param]


@pytest.fixture
def data(rng):
    return labelled_sequences(rng)


def distances_of(metric, X, others):
    if callable(metric):
        return mean_tile(others, X)
    fitted = (DTWMetric() if isinstance(metric, str) else clone(metric)).fit(X)
    return fitted.pairwise_distances(others, X)


# ------------------------------------------------------------------------------------------- scikit-learn's answers


@pytest.mark.parametrize("weights", ["uniform", "distance", lambda d: np.exp(-d)])
@pytest.mark.parametrize("n_neighbors", [1, 2, 4, 40])
def test_classifier_answers_like_scikit_learn(metric, data, weights, n_neighbors):
    X, y, others = data
    others = [*others, *X[-3:]]  # queries on top of fitted sequences
    mine = SequenceKNeighborsClassifier(metric, n_neighbors=n_neighbors, weights=weights).fit(X, y)
    theirs = KNeighborsClassifier(n_neighbors, weights=weights, metric="precomputed", algorithm="brute")
    theirs.fit(np.zeros((40, 40)), y)
    distances = distances_of(metric, X, others)
    chosen = np.full_like(distances, 1e6)  # hide what is not a neighbour: scikit-learn breaks ties by chance
    nearest = brute_neighbors(distances, n_neighbors)[1]
    np.put_along_axis(chosen, nearest, np.take_along_axis(distances, nearest, 1), 1)
    np.testing.assert_allclose(mine.predict_proba(others), theirs.predict_proba(chosen), rtol=1e-12)
    np.testing.assert_array_equal(mine.predict(others), theirs.predict(chosen))
    np.testing.assert_array_equal(mine.classes_, ["a", "b", "c"])


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("n_outputs", [None, 1, 3])
def test_regressor_answers_like_scikit_learn(metric, data, rng, weights, n_outputs):
    X, _, others = data
    y = rng.normal(size=40 if n_outputs is None else (40, n_outputs))
    mine = SequenceKNeighborsRegressor(metric, n_neighbors=3, weights=weights).fit(X, y)
    distances = distances_of(metric, X, [*others, X[39]])
    chosen = np.full_like(distances, 1e6)
    nearest = brute_neighbors(distances, 3)[1]
    np.put_along_axis(chosen, nearest, np.take_along_axis(distances, nearest, 1), 1)
    theirs = KNeighborsRegressor(3, weights=weights, metric="precomputed").fit(np.zeros((40, 40)), y)
    predicted = mine.predict([*others, X[39]])
    assert predicted.shape == theirs.predict(chosen).shape
    np.testing.assert_allclose(predicted, theirs.predict(chosen), rtol=1e-12)


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_graph_is_that_of_scikit_learn(rng, mode):
    X, others = random_sequences(rng, 30), random_sequences(rng, 7)
    mine = SequenceNeighborsTransformer(MeanMetric(), mode=mode, n_neighbors=4)
    theirs = KNeighborsTransformer(mode=mode, n_neighbors=4, algorithm="brute")
    center = np.concatenate(X).mean(axis=0)
    means, other_means = (np.float32([x.mean(axis=0) - center for x in side]) for side in (X, others))
    pairs = [
        (mine.fit_transform(X), theirs.fit_transform(means)),
        (mine.transform(others), theirs.transform(other_means)),
        (mine.kneighbors_graph(others, mode="distance"), theirs.kneighbors_graph(other_means, mode="distance")),
        (mine.kneighbors_graph(n_neighbors=2), theirs.kneighbors_graph(n_neighbors=2)),
    ]
    for found, expected in pairs:
        assert type(found) is type(expected)
        np.testing.assert_array_equal(found.indptr, expected.indptr)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.data, expected.data, atol=1e-6)
    assert mine.fit_transform(X).nnz == 30 * (5 if mode == "distance" else 4)
    np.testing.assert_array_equal(mine.get_feature_names_out(), [f"sequenceneighborstransformer{i}" for i in range(30)])


def test_fit_transform_is_fit_then_transform(metric, data):
    X, _, _ = data
    transformer = SequenceNeighborsTransformer(metric, n_neighbors=3)
    at_once, apart = transformer.fit_transform(X), transformer.fit(X).transform(X)
    assert (at_once != apart).nnz == 0
    np.testing.assert_array_equal(at_once.indices, apart.indices)


@pytest.mark.parametrize("algorithm", ["exact", "rerank"])
def test_graph_feeds_consumers_of_precomputed_distances(rng, algorithm):
    X = [np.full((steps, 2), level) + 0.1 * rng.normal(size=(steps, 2)) for level in (0, 9) for steps in range(3, 18)]
    y = np.repeat([0, 1], 15)
    graph = SequenceNeighborsTransformer(
        MeanMetric(euclidean=False), n_neighbors=13, algorithm=algorithm, n_candidates=30
    )
    for model in (KNeighborsClassifier(3, metric="precomputed"), LocalOutlierFactor(5, metric="precomputed")):
        make_pipeline(graph, model).fit(X, y)  # an unsorted graph warns, and a warning is an error here
    assert make_pipeline(graph, KNeighborsClassifier(3, metric="precomputed")).fit(X, y).score(X, y) == 1.0
    clusters = make_pipeline(graph, DBSCAN(eps=1.0, metric="precomputed")).fit(X)[-1].labels_
    assert len({*zip(clusters, y, strict=True)}) == 2
    tsne = TSNE(metric="precomputed", init="random", perplexity=4, random_state=0, max_iter=250)
    assert make_pipeline(graph, tsne).fit_transform(X).shape == (30, 2)


@pytest.mark.parametrize("interface", ["spmatrix", "sparray"])
def test_graph_has_the_sparse_interface_of_the_configuration(data, interface):
    transformer = SequenceNeighborsTransformer(MeanMetric(), n_neighbors=2).fit(data[0])
    try:
        context = config_context(sparse_interface=interface)
    except TypeError:
        pytest.skip("scikit-learn before 1.9")
    with context:
        assert type(transformer.transform(data[2])) is (csr_matrix if interface == "spmatrix" else csr_array)


# --------------------------------------------------------------------------------------------------------- neighbours


def test_kneighbors_is_brute_force(metric, data):
    X, y, others = data
    model = SequenceKNeighborsClassifier(metric, n_neighbors=4).fit(X, y)
    distances = distances_of(metric, X, others)
    found, expected = model.kneighbors(others), brute_neighbors(distances, 4)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-13)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(model.kneighbors(others, 2, return_distance=False), expected[1][:, :2])


def test_no_queries_means_everybody_without_himself(metric, data):
    X, y, _ = data
    model = SequenceKNeighborsClassifier(metric, n_neighbors=3, weights="distance").fit(X, y)
    distances, indices = model.kneighbors()
    expected = brute_neighbors(distances_of(metric, X, X), 3, leave_out_self=True)
    np.testing.assert_array_equal(indices, expected[1])
    np.testing.assert_allclose(distances, expected[0], rtol=1e-13)
    assert (distances[-8:, 0] == 0).all()  # a copy stays a neighbour of its original
    assert model.score(None, y) == np.mean(model.predict(None) == y)
    votes = [
        model.classes_ == y[i[d == 0]][0] if (d == 0).sum() == 1 else None
        for d, i in zip(distances, indices, strict=True)
    ]
    for share, only in zip(model.predict_proba(None), votes, strict=True):
        if only is not None:
            np.testing.assert_array_equal(share, only)


def test_tied_votes_go_to_the_first_class():
    X = [np.array([[v]]) for v in (0.0, 1.0, -1.0)]
    model = SequenceKNeighborsClassifier(mean_tile, n_neighbors=2).fit(X[1:], ["z", "b"])
    assert model.predict([X[0]]) == ["b"]
    assert model.set_params(weights="distance").predict([X[0]]) == ["b"]


def test_weights_may_not_all_be_zero_nor_of_another_shape(data):
    X, y, others = data
    model = SequenceKNeighborsClassifier(MeanMetric(), weights=lambda d: np.where(d > 1e-3, 0.0, 1.0)).fit(X, y)
    with pytest.raises(ValueError, match="neighbors of query 0 get zero weight"):
        model.predict(others)
    with pytest.raises(ValueError, match=r"shape \(15,\).*\(15, 5\)"):
        model.set_params(weights=lambda d: d[:, 0]).predict_proba(others)


def test_asking_for_too_many_neighbors(data):
    X, y, others = data
    model = SequenceKNeighborsClassifier(MeanMetric(), n_neighbors=40).fit(X, y)
    assert model.kneighbors(others)[1].shape == (15, 40)
    with pytest.raises(ValueError, match="n_neighbors < n_samples_fit, but n_neighbors = 40, n_samples_fit = 40"):
        model.kneighbors()
    with pytest.raises(ValueError, match="n_neighbors <= n_samples_fit, but n_neighbors = 41"):
        model.kneighbors(others, 41)
    with pytest.raises(ValueError, match=r"n_neighbors > 0\. Got 0"):
        model.kneighbors(others, 0)
    with pytest.raises(TypeError, match="float"):
        model.kneighbors(others, 2.0)


# ------------------------------------------------------------------------------------------------------------- metric


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_metric_is_cloned_and_fitted(cls, data):
    X, y, _ = data
    metric = SupervisedMean(2.0)
    model = cls(metric).fit(X, np.arange(40) if cls is SequenceKNeighborsRegressor else y)
    assert model.metric is metric
    assert not hasattr(metric, "center_")
    assert model.metric_.scale == 2.0
    assert model.n_channels_ == model.metric_.n_channels_ == 2
    assert model.n_samples_fit_ == 40
    assert model.n_candidates_ is None


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_frozen_metric_is_used_as_it_is(cls, data):
    X, y, others = data
    metric = SupervisedMean().fit(others, np.arange(15) % 2)
    model = clone(cls(FrozenEstimator(metric), n_neighbors=2)).fit(X, np.arange(40) if "Regr" in cls.__name__ else y)
    assert model.metric_ is metric
    np.testing.assert_array_equal(metric.center_, SupervisedMean().fit(others, np.arange(15) % 2).center_)
    np.testing.assert_array_equal(
        model.kneighbors(others)[0], brute_neighbors(metric.pairwise_distances(others, X), 2)[0]
    )


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_frozen_metric_must_be_fitted_and_of_these_channels(cls, data, rng):
    X, y, _ = data
    y = np.arange(40) if cls is SequenceKNeighborsRegressor else y
    with pytest.raises(NotFittedError):
        cls(FrozenEstimator(MeanMetric())).fit(X, y)
    other = MeanMetric().fit(random_sequences(rng, 4, n_channels=3))
    with pytest.raises(ValueError, match="MeanMetric was fitted with 3"):
        cls(FrozenEstimator(other)).fit(X, y)


def test_names_and_functions_become_metrics(data):
    X, y, _ = data
    assert isinstance(SequenceKNeighborsClassifier("dtw").fit(X, y).metric_, DTWMetric)
    assert SequenceKNeighborsClassifier(mean_tile).fit(X, y).metric_.get_params() == {"function": mean_tile}
    with pytest.raises(ValueError, match=r"metric='dtv' is not known.*'dtw'"):
        SequenceKNeighborsClassifier("dtv").fit(X, y)
    with pytest.raises(ValueError, match="The 'metric' parameter"):
        SequenceKNeighborsClassifier(7).fit(X, y)
    with pytest.raises(TypeError, match="class"):
        SequenceKNeighborsClassifier(MeanMetric).fit(X, y)


@pytest.mark.parametrize(
    "parameters", [{"n_neighbors": 0}, {"algorithm": "fast"}, {"n_candidates": 0}, {"weights": "none"}]
)
def test_bad_parameters_are_named(data, parameters):
    with pytest.raises(ValueError, match=f"The '{next(iter(parameters))}' parameter"):
        SequenceKNeighborsClassifier(**parameters).fit(data[0], data[1])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        ([1.0] * 39, "39"),
        ([np.nan] * 40, "NaN"),
        (["a"] * 40, "one class|not an array of real numbers"),
    ],
)
@pytest.mark.parametrize("cls", ESTIMATORS[:2])
def test_bad_targets_are_refused(cls, data, y, message):
    with pytest.raises(ValueError, match=message):
        cls(MeanMetric()).fit(data[0], y)


# ------------------------------------------------------------------------------------------------------------- rerank


@pytest.mark.parametrize(
    ("n_neighbors", "n_candidates", "effective"), [(2, None, 20), (7, None, 28), (12, None, 40), (2, 6, 6), (2, 99, 40)]
)
def test_length_of_the_shortlist(data, n_neighbors, n_candidates, effective):
    X, y, others = data
    metric = MeanMetric(euclidean=False)
    options = {"algorithm": "rerank", "n_candidates": n_candidates}
    model = SequenceKNeighborsClassifier(metric, n_neighbors=n_neighbors, **options).fit(X, y)
    assert model.n_candidates_ == effective
    exact = SequenceKNeighborsClassifier(metric, n_neighbors=n_neighbors).fit(X, y)
    assert exact.n_candidates_ is None
    recall = np.mean(
        [
            len(set(a) & set(b)) / n_neighbors
            for a, b in zip(exact.kneighbors(others)[1], model.kneighbors(others)[1], strict=True)
        ]
    )
    assert model.rerank_recall(others) == pytest.approx(recall)
    assert model.rerank_recall() == (1.0 if effective == 40 else pytest.approx(0.8, abs=0.2))
    assert exact.set_params(**options).rerank_recall(others) == model.rerank_recall(others)


def test_transformer_counts_itself_in_its_shortlist(data):
    transformer = SequenceNeighborsTransformer(MeanMetric(), n_neighbors=6, algorithm="rerank")
    assert transformer.fit(data[0]).n_candidates_ == 28
    assert transformer.set_params(mode="connectivity").fit(data[0]).n_candidates_ == 24


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_shortlist_shorter_than_the_neighbors_is_refused(cls, data):
    model = cls(MeanMetric(euclidean=False), n_neighbors=5, algorithm="rerank", n_candidates=4)
    with pytest.raises(ValueError, match=r"n_candidates=4 is less than the [56] neighbours"):
        model.fit(data[0], np.arange(40) % 2)


@pytest.mark.parametrize("metric", ["dtw", mean_tile])
def test_rerank_without_embedding_is_refused_at_fit(data, metric):
    with pytest.raises(ValueError, match=r'has none: use algorithm="exact"'):
        SequenceKNeighborsClassifier(metric, algorithm="rerank").fit(data[0], data[1])


# ---------------------------------------------------------------------------------------------- supervised regression


def bins_of(y, n_bins):
    """The classes that a supervised metric is fitted on."""
    X = [[[float(i)]] for i in range(len(y))]
    return SequenceKNeighborsRegressor(SupervisedMean(), n_bins=n_bins).fit(X, y).metric_.labels_


def test_targets_are_cut_at_their_quantiles():
    y = np.arange(100.0)
    np.testing.assert_array_equal(bins_of(y, 4), np.arange(100) // 25)
    np.testing.assert_array_equal(bins_of(y % 3, 10), np.arange(100) % 3)
    two = bins_of(np.stack([y[:99], -y[:99]], axis=1), 9)
    np.testing.assert_array_equal(two, np.arange(99) // 33)  # both cuts agree: three of nine combinations
    counts = np.bincount(bins_of(np.random.default_rng(0).normal(size=(500, 2)), 16))
    assert len(counts) == 16
    assert bins_of(np.random.default_rng(0).normal(size=(500, 5)), 4).max() == 31


def test_bins_are_for_the_metric_and_not_for_the_prediction(data, rng):
    X, _, others = data
    y = rng.normal(size=40)
    model = SequenceKNeighborsRegressor(SupervisedMean(), n_neighbors=3, n_bins=4).fit(X, y)
    assert np.bincount(model.metric_.labels_).tolist() == [10] * 4
    expected = SequenceKNeighborsRegressor(MeanMetric(), n_neighbors=3).fit(X, y).predict(others)
    np.testing.assert_array_equal(model.predict(others), expected)


def test_tags_follow_the_metric():
    assert get_tags(SequenceNeighborsTransformer(SupervisedMean())).target_tags.required
    assert not get_tags(SequenceNeighborsTransformer()).target_tags.required
    assert not get_tags(SequenceNeighborsTransformer("no such metric")).target_tags.required
    assert get_tags(SequenceKNeighborsRegressor()).target_tags.multi_output
    for cls in ESTIMATORS:
        tags = get_tags(cls())
        assert tags.input_tags.two_d_array
        assert tags.input_tags.three_d_array
