"""scikit-learn's callbacks on neighbour estimators: the epochs of a metric below the fit that holds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skseqmetric import (
    NRNMMetric,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    SyncGRUMetric,
)
from tests.fake_metrics import MeanMetric, SupervisedMean, mean_tile

callbacks = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")

SMALL: dict[str, Any] = {"n_units": 4, "n_filters": 4, "max_epochs": 2, "min_batches": 2, "random_state": 0}
Data = tuple[list[np.ndarray], np.ndarray]


class Follower:
    """Follows every estimator below the one that it is set on, and keeps which tasks began and ended where."""

    max_propagation_depth = None

    def __init__(self) -> None:
        self.events: list[str] = []
        self.data: dict[str, Any] = {}

    def setup(self, estimator: Any, context: Any) -> None:
        self.events.append("setup")

    def teardown(self, estimator: Any, context: Any) -> None:
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any = None, y: Any = None) -> None:
        self.events.append(f"begin {path(context)}")
        self.data[path(context)] = y

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        self.events.append(f"end {path(context)}")

    @property
    def ended(self) -> list[str]:
        return [event.removeprefix("end ") for event in self.events if event.startswith("end")]


class Local(Follower):
    """The same, without following estimators below."""

    max_propagation_depth = property()  # type: ignore[assignment]


def path(context: Any) -> str:
    """The tasks from the outermost fit to this one, named by their estimators."""
    above = "" if context.parent is None else f"{path(context.parent)} > "
    return f"{above}{context.estimator_name}.{context.task_name}"


KNN = "SequenceKNeighborsClassifier.fit"
METRIC = "SyncGRUMetric.fit"


def assert_balanced(events: list[str]) -> None:
    """Every task ends as often as it begins, and after what is below it."""
    open_tasks: list[str] = []
    assert (events[0], events[-1]) == ("setup", "teardown")
    for event in events[1:-1]:
        kind, _, task = event.partition(" ")
        if kind == "begin":
            open_tasks.append(task)
        else:
            assert open_tasks.pop() == task
    assert open_tasks == []


def test_epochs_are_reported_below_the_fit_of_the_neighbours(ragged: Data) -> None:
    follower = Follower()
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL)).set_callbacks(follower).fit(*ragged)
    epoch = f"{KNN} > {METRIC} > SyncGRUMetric.epoch"
    assert follower.events == [
        "setup",
        f"begin {KNN}",
        f"begin {KNN} > {METRIC}",
        *[f"begin {epoch}", f"end {epoch}"] * 2,
        f"end {KNN} > {METRIC}",
        f"end {KNN}",
        "teardown",
    ]
    plain = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL)).fit(*ragged)
    np.testing.assert_array_equal(knn.kneighbors(ragged[0])[0], plain.kneighbors(ragged[0])[0])


@pytest.mark.parametrize("metric", [SyncGRUMetric(**SMALL), NRNMMetric(n_units=4, max_epochs=2, min_batches=2)])
@pytest.mark.parametrize(
    "cls", [SequenceKNeighborsClassifier, SequenceKNeighborsRegressor, SequenceNeighborsTransformer]
)
def test_every_estimator_of_neighbours_hands_its_callbacks_on(cls: Any, metric: Any, ragged: Data) -> None:
    follower = Follower()
    model = cls(metric).set_callbacks(follower)
    model.fit_transform(*ragged) if hasattr(model, "fit_transform") else model.fit(*ragged)
    name = type(metric).__name__
    assert_balanced(follower.events)
    assert follower.ended.count(f"{cls.__name__}.fit > {name}.fit > {name}.epoch") == 2
    assert follower.ended[-1] == f"{cls.__name__}.fit"


def test_a_callback_that_does_not_follow_stays_where_it_is_set(ragged: Data) -> None:
    local = Local()
    assert not isinstance(local, callbacks.AutoPropagatedCallback)
    SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL)).set_callbacks(local).fit(*ragged)
    part = f"{KNN} > SequenceKNeighborsClassifier.fit-SyncGRUMetric"
    assert local.events == ["setup", f"begin {KNN}", f"begin {part}", f"end {part}", f"end {KNN}", "teardown"]


@pytest.mark.parametrize("metric", [mean_tile, MeanMetric(), SupervisedMean()])
def test_a_metric_without_callbacks_is_a_task_without_parts(metric: Any, ragged: Data) -> None:
    follower = Follower()  # a warning that the metric does not support callbacks would be an error here
    SequenceKNeighborsClassifier(metric).set_callbacks(follower).fit(*ragged)
    assert_balanced(follower.events)
    assert len(follower.ended) == 2
    assert follower.ended[0].startswith(f"{KNN} > SequenceKNeighborsClassifier.fit-")


def test_a_metric_that_fits_at_once_is_a_task_of_its_own(ragged: Data) -> None:
    follower = Follower()
    SequenceKNeighborsClassifier("dtw").set_callbacks(follower).fit(*ragged)
    assert_balanced(follower.events)
    assert follower.ended == [f"{KNN} > DTWMetric.fit", KNN]


def test_a_frozen_metric_has_no_fit_to_report(ragged: Data) -> None:
    follower = Follower()
    frozen = FrozenEstimator(SyncGRUMetric(**SMALL).fit(*ragged))
    SequenceKNeighborsClassifier(frozen).set_callbacks(follower).fit(*ragged)
    assert follower.events == ["setup", f"begin {KNN}", f"end {KNN}", "teardown"]
    make_pipeline(SequenceKNeighborsClassifier(frozen)).set_callbacks(follower).fit(*ragged)
    assert_balanced(follower.events[4:])


def test_a_regressor_reports_its_own_targets_and_the_metric_those_it_learns(ragged: Data) -> None:
    X, _ = ragged
    y = np.array([x.mean() for x in X])
    follower = Follower()
    SequenceKNeighborsRegressor(SyncGRUMetric(**SMALL), n_bins=3).set_callbacks(follower).fit(X, y)
    whole = "SequenceKNeighborsRegressor.fit"
    np.testing.assert_array_equal(follower.data[whole], y)
    assert set(follower.data[f"{whole} > {METRIC}"]) == {0, 1, 2}


def test_pipelines_and_searches_hand_their_callbacks_through(ragged: Data) -> None:
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL), n_neighbors=1)
    follower = Follower()
    make_pipeline(knn).set_callbacks(follower).fit(*ragged)
    assert_balanced(follower.events)
    below = f"{KNN} > {METRIC} > SyncGRUMetric.epoch"
    assert follower.ended == [
        *[f"Pipeline.fit > {below}"] * 2,
        f"Pipeline.fit > {KNN} > {METRIC}",
        f"Pipeline.fit > {KNN}",
        "Pipeline.fit",
    ]
    for model in (knn, make_pipeline(clone(knn))):
        follower = Follower()
        search = GridSearchCV(model, {}, cv=2, refit=True).set_callbacks(follower).fit(*ragged)
        assert search.best_score_ > 0.3
        assert_balanced(follower.events)
        epochs = [task for task in follower.ended if task.endswith(below)]
        assert len(epochs) == 2 * 3  # two folds and the refit, two epochs each
        assert all(task.startswith("GridSearchCV.fit > ") for task in epochs)
        assert follower.events.count("setup") == 1


def test_the_graph_in_front_of_another_estimator_is_followed_too(ragged: Data) -> None:
    follower = Follower()
    graph = SequenceNeighborsTransformer(SyncGRUMetric(**SMALL), n_neighbors=4)
    make_pipeline(graph, KNeighborsClassifier(1, metric="precomputed")).set_callbacks(Local()).fit(*ragged)
    graph.set_callbacks(follower)
    assert graph.fit_transform(*ragged).shape == (24, 24)
    assert_balanced(follower.events)


def test_a_progress_bar_shows_the_epochs(
    ragged: Data, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL))
    for model, n_bars in ((knn, 2), (make_pipeline(clone(knn)), 3)):
        clone(model).set_callbacks(callbacks.ProgressBar(max_propagation_depth=None)).fit(*ragged)
        shown = capsys.readouterr().out
        assert "SequenceKNeighborsClassifier - fit" in shown
        assert "SyncGRUMetric - fit" in shown
        assert shown.count("100%") == n_bars


def test_a_scoring_monitor_scores_the_neighbours_and_every_epoch_of_a_metric(ragged: Data) -> None:
    X, y = ragged
    monitor = callbacks.ScoringMonitor(scoring="accuracy")
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL), n_neighbors=3).set_callbacks(monitor).fit(X, y)
    assert [row["accuracy"] for row in monitor.get_logs().data] == [knn.score(X, y)]

    def spread(estimator: Any, X: Any, y: Any) -> dict[str, float]:
        return {"spread": float(estimator.transform(X).std())}

    monitor = callbacks.ScoringMonitor(scoring=spread)
    metric = SyncGRUMetric(**SMALL).set_callbacks(monitor)
    fitted = SequenceKNeighborsClassifier(metric, n_neighbors=3).fit(X, y).metric_
    rows = {row["task_name"]: row["spread"] for row in monitor.get_logs().data}
    assert len(monitor.get_logs().data) == 3
    assert rows["epoch"] == rows["fit"] == spread(fitted, X, y)["spread"]


def test_callbacks_of_the_metric_itself_are_called_with_and_without_others(ragged: Data) -> None:
    own, outer = Local(), Follower()
    metric = SyncGRUMetric(**SMALL).set_callbacks(own)
    SequenceKNeighborsClassifier(metric).fit(*ragged)
    epoch = [f"begin {METRIC} > SyncGRUMetric.epoch", f"end {METRIC} > SyncGRUMetric.epoch"]
    assert own.events == ["setup", f"begin {METRIC}", *epoch * 2, f"end {METRIC}", "teardown"]
    own.events.clear()
    SequenceKNeighborsClassifier(metric).set_callbacks(outer).fit(*ragged)
    assert_balanced(own.events)
    assert_balanced(outer.events)
    assert own.ended == [f"{KNN} > {METRIC} > SyncGRUMetric.epoch"] * 2 + [f"{KNN} > {METRIC}"]
    assert outer.ended == [*own.ended, KNN]


def test_nothing_of_a_callback_stays_behind(ragged: Data) -> None:
    own, outer = Local(), Follower()
    metric = SyncGRUMetric(**SMALL).set_callbacks(own)
    knn = SequenceKNeighborsClassifier(metric).set_callbacks(outer).fit(*ragged)
    knn.metric_.partial_fit(*ragged)
    assert outer.events[-1] == "teardown"  # the fitted metric is not followed any longer
    assert own.events.count("teardown") == 2
    plain = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL)).fit(*ragged)
    knn.set_callbacks()
    knn.metric_.set_callbacks()
    assert vars(knn).keys() == vars(plain).keys()
    assert vars(knn.metric_).keys() == vars(plain.metric_).keys()


def test_a_refused_fit_tears_its_callbacks_down_and_keeps_the_old_model(ragged: Data) -> None:
    X, y = ragged
    follower = Follower()
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL), n_neighbors=2).fit(X, y)
    before = knn.kneighbors(X)
    knn.set_callbacks(follower)
    with pytest.raises(ValueError, match="jiter"):
        knn.set_params(metric__augment="jiter").fit(X[:5], [7, 8, 7, 8, 9])
    assert (follower.events[0], follower.events[-1]) == ("setup", "teardown")
    assert follower.ended == []
    for a, b in zip(knn.kneighbors(X), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert knn.classes_.tolist() == [0, 1, 2]
    follower.events.clear()
    knn.set_params(metric__augment=None).fit(X, y)
    assert_balanced(follower.events)
