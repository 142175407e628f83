"""Estimators of neighbours inside scikit-learn: routing, search, copies, threads, refusals."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skseqmetric import (
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
)
from tests.fake_metrics import MeanMetric, SupervisedMean, mean_tile, random_sequences
from tests.small_neighbors import ESTIMATORS, METRICS, labelled_sequences


@pytest.fixture
def data(rng):
    return labelled_sequences(rng)


# ------------------------------------------------------------------------------------------------ scikit-learn's house


def test_fit_parameters_go_straight_through_without_routing(data):
    X, y, _ = data
    weights, groups = np.linspace(0, 1, 40), np.arange(40) // 4
    model = SequenceKNeighborsClassifier(SupervisedMean()).fit(X, y, sample_weight=weights, groups=groups)
    assert model.metric_.sample_weight_ is weights
    assert model.metric_.groups_ is groups
    pipeline = make_pipeline(SequenceKNeighborsClassifier(SupervisedMean()))
    pipeline.fit(X, y, sequencekneighborsclassifier__sample_weight=weights)
    assert pipeline[-1].metric_.sample_weight_ is weights
    with pytest.raises(TypeError, match="sample_weight"):
        SequenceKNeighborsClassifier("dtw").fit(X, y, sample_weight=weights)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_fit_parameters_are_routed_by_request(cls, data):
    X, y, _ = data
    y = np.arange(40) if cls is SequenceKNeighborsRegressor else y
    weights, groups = np.linspace(0, 1, 40), np.arange(40) // 4
    with config_context(enable_metadata_routing=True):
        metric = SupervisedMean().set_fit_request(sample_weight=True, groups=False)
        model = cls(metric).fit(X, y, sample_weight=weights)
        assert model.metric_.sample_weight_ is weights
        assert model.metric_.groups_ is None
        with pytest.raises(TypeError, match="groups"):
            model.fit(X, y, groups=groups)
        if cls is SequenceNeighborsTransformer:
            pipeline = make_pipeline(cls(metric), KNeighborsClassifier(2, metric="precomputed"))
            pipeline.fit(X, y, sample_weight=weights)
            np.testing.assert_array_equal(pipeline[0].metric_.sample_weight_, weights)


def test_groups_reach_splitter_and_metric(data):
    X, y, _ = data
    groups, weights = np.arange(40) // 4, np.linspace(0, 1, 40)
    with config_context(enable_metadata_routing=True):
        metric = SupervisedMean().set_fit_request(sample_weight=True, groups=True)
        model = SequenceKNeighborsClassifier(metric, n_neighbors=1).set_score_request(sample_weight=True)
        params = {"groups": groups, "sample_weight": weights}
        result = cross_validate(
            model, X, y, cv=GroupKFold(4), params=params, return_estimator=True, return_indices=True
        )
    for fitted, train in zip(result["estimator"], result["indices"]["train"], strict=True):
        np.testing.assert_array_equal(fitted.metric_.groups_, groups[train])
        np.testing.assert_array_equal(fitted.metric_.sample_weight_, weights[train])


def test_grid_search_reaches_the_metric(rng):
    # the class is in the length, which the metric sees only if it is not euclidean
    y = np.arange(40) % 2
    X = [rng.normal(size=(3 + 9 * label, 2)) for label in y]
    grid = {"metric__euclidean": [True, False], "n_neighbors": [1, 3]}
    search = GridSearchCV(SequenceKNeighborsClassifier(MeanMetric()), grid, cv=3).fit(X, y)
    assert search.best_params_ == {"metric__euclidean": False, "n_neighbors": 1}
    assert search.best_score_ == 1.0
    assert (search.cv_results_["mean_test_score"][:2] < 0.8).all()
    assert search.best_estimator_.metric_.euclidean is False


@pytest.mark.slow
def test_workers_in_other_processes_give_the_same(data):
    X, y, _ = data
    model = SequenceKNeighborsClassifier(MeanMetric(), n_neighbors=3)
    np.testing.assert_array_equal(cross_val_score(model, X, y, cv=2, n_jobs=2), cross_val_score(model, X, y, cv=2))


def test_read_only_state_is_no_obstacle(data, tmp_path):
    X, y, others = data
    model = SequenceKNeighborsClassifier(MeanMetric()).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    np.testing.assert_array_equal(mapped.kneighbors(others)[0], model.kneighbors(others)[0])


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_pickle_round_trip(cls, metric, data):
    X, y, others = data
    model = cls(metric, n_neighbors=3).fit(X, np.arange(40) if "Regr" in cls.__name__ else y)
    again = pickle.loads(pickle.dumps(model))
    for a, b in zip(again.kneighbors(others), model.kneighbors(others), strict=True):
        np.testing.assert_array_equal(a, b)
    if cls is not SequenceNeighborsTransformer:
        np.testing.assert_array_equal(again.predict(others), model.predict(others))


@pytest.mark.parametrize("algorithm", ["exact", "rerank"])
def test_eight_threads_read_one_estimator(data, rng, algorithm):
    X, y, _ = data
    model = SequenceKNeighborsClassifier(MeanMetric(euclidean=False), algorithm=algorithm, n_candidates=9).fit(X, y)
    sets = [random_sequences(rng, n) for n in range(1, 17)]
    expected = [(model.predict_proba(s), model.kneighbors(s)) for s in sets]
    state = joblib.hash(model)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda s: (model.predict_proba(s), model.kneighbors(s)), sets * 3))
    for (shares, neighbors), (wanted, near) in zip(found, expected * 3, strict=True):
        np.testing.assert_array_equal(shares, wanted)
        np.testing.assert_array_equal(neighbors[0], near[0])
        np.testing.assert_array_equal(neighbors[1], near[1])
    assert joblib.hash(model) == state


def test_transformer_refuses_data_frames_of_sparse_graphs(data):
    transformer = SequenceNeighborsTransformer(MeanMetric(), n_neighbors=2).set_output(transform="pandas")
    with pytest.raises(ValueError, match="sparse"):
        transformer.fit_transform(data[0])


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_unfitted_estimators_say_so(cls, data):
    for method in ("kneighbors", "kneighbors_graph", "rerank_recall"):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(cls(), method)(data[2])


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_wrong_input_after_fit_is_refused(cls, data, rng):
    X, _, _ = data
    model = cls(MeanMetric()).fit(X, np.arange(40) % 2)
    with pytest.raises(ValueError, match="fitted with 2"):
        model.kneighbors(random_sequences(rng, 3, n_channels=1))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_refused_fit_leaves_the_old_model(cls, data, rng):
    class Refusing(SupervisedMean):
        def fit(self, X, y=None, sample_weight=None, groups=None):
            raise ValueError("no fit today")

    X, y, others = data
    y = np.arange(40) if cls is SequenceKNeighborsRegressor else y
    model = cls(SupervisedMean(), n_neighbors=2).fit(X, y)
    answer = "transform" if cls is SequenceNeighborsTransformer else "predict"
    before, state = getattr(model, answer)(others), joblib.hash(vars(model))
    new = random_sequences(rng, 6, n_channels=3), np.arange(6) % 3
    with pytest.raises(ValueError, match="no fit today"):
        model.set_params(metric=Refusing()).fit(*new)
    with pytest.raises(ValueError, match="n_candidates=1 is less"):
        model.set_params(metric=SupervisedMean(), algorithm="rerank", n_candidates=1).fit(*new)
    model.set_params(algorithm="exact", n_candidates=None)
    assert joblib.hash(vars(model)) == state
    after = getattr(model, answer)(others)
    assert (after != before).sum() == 0


def test_table_remembers_its_width(rng):
    model = SequenceKNeighborsClassifier(mean_tile).fit(rng.normal(size=(20, 6)), np.arange(20) % 2)
    assert model.n_features_in_ == 6
    with pytest.raises(ValueError, match="X has 5 features, but SequenceKNeighborsClassifier is expecting 6"):
        model.predict(rng.normal(size=(2, 5)))
