"""The learned metric inside scikit-learn: pipelines, searches, routing, precomputed graphs, displays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.frozen import FrozenEstimator
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.pipeline import make_pipeline

from skseqmetric import (
    DTWMetric,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    SyncGRUMetric,
    datasets,
    inspection,
)

SMALL: dict[str, Any] = {"n_units": 6, "n_filters": 6, "max_epochs": 6, "min_batches": 4, "random_state": 0}
Data = tuple[list[np.ndarray], np.ndarray]


def test_three_ways_to_use_a_learned_distance_classify_alike(ragged: Data) -> None:
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, coupling="symmetric")
    models = [
        make_pipeline(clone(metric), KNeighborsClassifier(1)),
        SequenceKNeighborsClassifier(clone(metric), n_neighbors=1),
        SequenceKNeighborsClassifier(clone(metric), n_neighbors=1, algorithm="rerank", n_candidates=5),
        make_pipeline(
            SequenceNeighborsTransformer(clone(metric), n_neighbors=4),
            KNeighborsClassifier(1, metric="precomputed"),
        ),
    ]
    for model in models:
        assert model.fit(X[:16], y[:16]).score(X[16:], y[16:]) >= 7 / 8


@pytest.mark.slow
def test_grid_search_over_metric_and_neighbours_with_ragged_lists_and_two_jobs(ragged: Data) -> None:
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL, coupling=None))
    # with all 12 sequences of a fold as neighbours every vote is a tie, which the first class wins
    grid = {"metric__n_units": [3, 6], "n_neighbors": [1, 12]}
    alone = GridSearchCV(knn, grid, cv=2).fit(*ragged)
    parallel = GridSearchCV(knn, grid, cv=2, n_jobs=2).fit(*ragged)
    scores = alone.cv_results_["mean_test_score"]
    assert np.array_equal(scores, parallel.cv_results_["mean_test_score"])
    assert scores[[1, 3]].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert scores[[0, 2]].min() > 0.8
    assert alone.best_params_ == {"metric__n_units": (3, 6)[int(scores[2] > scores[0])], "n_neighbors": 1}
    assert alone.best_estimator_.metric_.transform(ragged[0]).shape == (24, 2 * alone.best_params_["metric__n_units"])


def test_cross_validation_with_groups(ragged: Data) -> None:
    X, y = ragged
    model = make_pipeline(SyncGRUMetric(**SMALL, coupling=None), KNeighborsClassifier(1))
    scores = cross_val_score(model, X, y, groups=np.arange(24) // 2, cv=GroupKFold(3))
    assert scores.mean() > 0.8


def test_nothing_is_fitted_on_the_estimator_that_was_passed(ragged: Data) -> None:
    metric = SyncGRUMetric(**SMALL, coupling=None)
    SequenceKNeighborsClassifier(metric).fit(*ragged)
    assert not hasattr(metric, "module_")


def test_a_frozen_metric_is_used_as_it_is(ragged: Data) -> None:
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, coupling="symmetric").fit(X, y)
    before = metric.transform(X)
    knn = SequenceKNeighborsClassifier(FrozenEstimator(metric), n_neighbors=1).fit(X[:12], y[:12])
    assert np.array_equal(metric.transform(X), before)
    expected = y[:12][metric.pairwise_distances(X[12:], X[:12]).argmin(1)]
    assert np.array_equal(knn.predict(X[12:]), expected)


def test_regression_by_a_metric_learned_from_binned_targets(ragged: Data) -> None:
    X, _ = ragged
    y = np.array([x[:, 0].mean() for x in X])
    knn = SequenceKNeighborsRegressor(
        SyncGRUMetric(**SMALL, coupling=None), n_neighbors=3, n_bins=3, weights="distance"
    )
    assert knn.fit(X[:16], y[:16]).score(X[16:], y[16:]) > 0.5


def test_precomputed_consumers_take_the_graph(ragged: Data) -> None:
    X, y = ragged
    metric = FrozenEstimator(SyncGRUMetric(**SMALL, coupling=None).fit(X, y))
    graph = SequenceNeighborsTransformer(metric, n_neighbors=15).fit_transform(X)
    placed = TSNE(metric="precomputed", init="random", perplexity=4, random_state=0).fit_transform(graph)
    assert KNeighborsClassifier(1).fit(placed[::2], y[::2]).score(placed[1::2], y[1::2]) > 0.8
    near = float(np.quantile(graph.data[graph.data > 0], 0.2))
    clusters = DBSCAN(eps=near, min_samples=2, metric="precomputed").fit_predict(graph)
    assert adjusted_rand_score(y[clusters >= 0], clusters[clusters >= 0]) > 0.5
    outlier = [*X[:23], X[23] + 100]
    farther = SequenceNeighborsTransformer(metric, n_neighbors=15).fit_transform(outlier)
    judged = LocalOutlierFactor(n_neighbors=5, metric="precomputed").fit(farther).negative_outlier_factor_
    assert judged.argmin() == 23


def test_pandas_output_names_the_columns(ragged: Data) -> None:
    metric = SyncGRUMetric(**SMALL, coupling=None).set_output(transform="pandas")
    frame = metric.fit_transform(*ragged)
    assert list(frame.columns) == [f"syncgrumetric{i}" for i in range(12)]
    assert len(frame) == 24


def test_sample_weight_and_groups_are_routed_to_the_metric(ragged: Data) -> None:
    X, y = ragged
    weights, groups = np.arange(24) % 3.0, np.arange(24) // 2
    settings = {**SMALL, "early_stopping": True, "validation_fraction": 0.3}
    expected = SyncGRUMetric(**settings, coupling=None).fit(X, y, sample_weight=weights, groups=groups).transform(X)
    with config_context(enable_metadata_routing=True):
        metric = SyncGRUMetric(**settings, coupling=None).set_fit_request(sample_weight=True, groups=True)
        knn = SequenceKNeighborsClassifier(metric).fit(X, y, sample_weight=weights, groups=groups)
        voting = SequenceKNeighborsClassifier(metric, n_neighbors=1).set_score_request(sample_weight=False)
        routed = cross_validate(voting, X, y, cv=2, params={"sample_weight": weights, "groups": groups})
    assert np.array_equal(knn.metric_.transform(X), expected)
    assert routed["test_score"].min() > 0.6
    plain = SequenceKNeighborsClassifier(SyncGRUMetric(**settings, coupling=None))
    assert np.array_equal(plain.fit(X, y, sample_weight=weights, groups=groups).metric_.transform(X), expected)


def test_learned_distance_beats_time_warping_where_noise_channels_hide_the_classes() -> None:
    """The class is in the frequency of one of four channels, at a random phase and under noise."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = []
    for label in y:
        steps = int(rng.integers(30, 50))
        x = rng.normal(size=(steps, 4))
        x[:, 0] += 1.5 * np.sin((2 + 2 * label) * 2 * np.pi * np.arange(steps) / 40 + rng.uniform(0, 6))
        X.append(x)
    settings = {**SMALL, "n_units": 16, "n_filters": 16, "max_epochs": 25}
    learned = SequenceKNeighborsClassifier(SyncGRUMetric(**settings, coupling=None), n_neighbors=1)
    warped = SequenceKNeighborsClassifier(DTWMetric(), n_neighbors=1)
    scores = [model.fit(X[:60], y[:60]).score(X[60:], y[60:]) for model in (learned, warped)]
    assert scores[0] >= 0.9
    assert scores[0] > scores[1] + 0.1


def test_shipped_recordings_are_learned_in_a_few_epochs() -> None:
    train, test = (datasets.load_japanese_vowels(split=s, return_X_y=True) for s in ("train", "test"))
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(16, coupling=None, max_epochs=15, random_state=0), n_neighbors=1)
    assert knn.fit(*train).score(*test) > 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("coupling", "seeds", "bar"), [(None, 3, 0.975), ("symmetric", 1, 0.97)])
def test_defaults_reach_their_accuracy_on_the_shipped_recordings(coupling: str | None, seeds: int, bar: float) -> None:
    train, test = (datasets.load_japanese_vowels(split=s, return_X_y=True) for s in ("train", "test"))
    scores = []
    for seed in range(seeds):
        knn = SequenceKNeighborsClassifier(SyncGRUMetric(coupling=coupling, random_state=seed), n_neighbors=1)
        scores.append(knn.fit(*train).score(*test))
    assert np.mean(scores) >= bar


def test_embedding_display_draws_every_class_once(ragged: Data) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    X, y = ragged
    display = inspection.EmbeddingDisplay.from_estimator(SyncGRUMetric(**SMALL, coupling=None).fit(X, y), X, y)
    assert display.points.shape == (24, 2)
    assert display.ax_.get_legend_handles_labels()[1] == ["0", "1", "2"]
    assert sorted(text.get_text() for text in display.ax_.texts) == ["0", "1", "2"]
    pyplot.close(display.figure_)


def test_synchronization_display_shows_closer_pairs_of_one_class(ragged: Data) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, coupling="symmetric").fit(X, y)
    axes = pyplot.subplots()[1]
    display = inspection.SynchronizationDisplay.from_estimator(metric, X, y, n_pairs=40, ax=axes)
    assert display.same.shape == display.different.shape == (40, 50)
    assert np.median(display.same[:, -1]) < np.median(display.different[:, -1])
    assert display.ax_ is axes
    assert len(axes.lines) == 2
    pyplot.close(display.figure_)
