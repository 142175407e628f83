"""Progress bars: who shows them, what they say, and that they change nothing."""

from __future__ import annotations

import inspect
import multiprocessing
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skseqmetric
from skseqmetric import (
    DTWMetric,
    MetricEnsemble,
    RandomConvolutionMetric,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
)
from tests.every_estimator import CASES, LABELS, SMALL, Case, X
from tests.fake_bars import FakeBar

SMALL_GRU: dict[str, Any] = {**SMALL, "coupling": None}


def fitted(case: Case, **params: Any) -> Any:
    method = "fit" if "fit" in case.fits else next(iter(case.fits))
    return getattr(case.make().set_params(**params), method)(case.X, **case.fits[method])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_estimator_shows_long_work_where_it_is_verbose_and_answers_the_same(
    case: Case, shown: list[FakeBar]
) -> None:
    quiet = case.answers(fitted(case))
    assert shown == []
    model = fitted(case, verbose=1)
    of_fit = len(shown)
    answers = case.answers(model)
    for before, after in zip(quiet, answers, strict=True):
        np.testing.assert_array_equal(before, after)
    assert len(shown) > of_fit, "answers show no bar"
    assert all(bar.text.startswith(type(model).__name__) for bar in shown)
    complete = [bar for bar in shown if bar.total]
    assert all(bar.n == bar.total for bar in complete if "training" not in bar.text)
    if case.trained:
        training = next(bar for bar in shown[:of_fit] if bar.text.endswith("training"))
        assert (training.total, training.unit) == (2, "epoch")
        assert "train_loss" in training.figures


def test_all_public_estimators_take_verbose() -> None:
    public = [getattr(skseqmetric, name) for name in skseqmetric.__all__]
    estimators = [cls for cls in public if isinstance(cls, type) and hasattr(cls, "get_params")]
    made = [cls for cls in estimators if cls is not skseqmetric.Metric]
    without = [cls.__name__ for cls in made if "verbose" not in inspect.signature(cls).parameters]
    assert without == []


def test_one_bar_at_a_time_and_the_outermost_verbose_estimator_names_it(shown: list[FakeBar]) -> None:
    metric = SyncGRUMetric(**SMALL, coupling="alignment", verbose=1)
    knn = SequenceKNeighborsClassifier(metric, n_neighbors=1, verbose=1).fit(X, LABELS)
    assert {bar.text.partition("(")[0] for bar in shown} == {"SequenceKNeighborsClassifier"}
    shown.clear()
    knn.kneighbors_graph(X)
    assert [bar.text.partition(": ")[2] for bar in shown] == ["reading", "searching"]
    assert all(bar.n == bar.total for bar in shown)


def test_a_silent_search_shows_the_bars_of_a_verbose_metric(shown: list[FakeBar]) -> None:
    metric = DTWMetric(verbose=1).fit(X)
    SequenceKNeighborsClassifier(FrozenEstimator(metric), n_neighbors=1).fit(X, LABELS)
    assert shown == []
    metric.pairwise_distances(X)
    assert [(bar.text, bar.n) for bar in shown] == [("DTWMetric: pairwise distances", 64)]


def test_bars_of_a_search_say_which_fit_they_belong_to(shown: list[FakeBar]) -> None:
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL_GRU), n_neighbors=1, verbose=1)
    search = GridSearchCV(knn, {"metric__max_epochs": [1, 3]}, cv=2, refit=False)
    search.fit(X, LABELS)
    training = [bar for bar in shown if bar.text.endswith("training")]
    assert [bar.total for bar in training] == [1, 1, 3, 3]
    numbers = [int(bar.text.partition(" fit ")[2].partition(":")[0]) for bar in training]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    scoring = {bar.text.partition(" fit ")[2].partition(":")[0] for bar in shown}
    assert scoring == {str(number) for number in numbers}, "predictions carry the number of their fit"


def test_an_ensemble_names_the_member_and_counts_its_fits(shown: list[FakeBar]) -> None:
    members = [("a", RandomConvolutionMetric(168)), ("b", SyncGRUMetric(**SMALL_GRU))]
    MetricEnsemble(members, verbose=1).fit(X, LABELS)
    training = next(bar.text for bar in shown if bar.text.endswith("training"))
    assert training.endswith(", SyncGRUMetric 2 of 2: training")


def test_an_error_closes_the_bar(shown: list[FakeBar]) -> None:
    def refuse(x: Any, y: Any) -> float:
        if len(x) == 17:
            raise ZeroDivisionError
        return 0.0

    knn = SequenceKNeighborsClassifier(refuse, n_neighbors=1, verbose=1).fit(X, LABELS)
    with pytest.raises(ZeroDivisionError):
        knn.predict(X)
    assert shown[-1].closed
    shown.clear()
    DTWMetric(verbose=1).fit(X).pairwise_distances(X)
    assert len(shown) == 1


def test_short_work_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    DTWMetric(verbose=1).fit(X).pairwise_distances(X)
    assert capsys.readouterr().err == ""


def test_workers_have_a_number_and_a_line_of_their_own(monkeypatch: pytest.MonkeyPatch, shown: list[FakeBar]) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace())
    monkeypatch.setattr(multiprocessing, "current_process", lambda: SimpleNamespace(name="LokyProcess-2"))
    monkeypatch.setattr(multiprocessing, "cpu_count", lambda: 4)
    SyncGRUMetric(**SMALL_GRU, verbose=1).fit(X, LABELS)
    training = next(bar for bar in shown if "training" in bar.text)
    assert " of worker 2: training" in training.text
    assert training.line == 1


def test_a_name_is_short_and_has_what_differs_from_the_defaults(shown: list[FakeBar]) -> None:
    metric = SyncGRUMetric(**SMALL_GRU, device="cpu", verbose=1).fit(X, LABELS)
    name = shown[-1].text.partition(" fit ")[0]
    assert len(name) == 72
    assert name.startswith("SyncGRUMetric(n_units=4, coupling=None")
    assert name.endswith("...")
    DTWMetric(window=2, n_jobs=2, verbose=1).fit(X).pairwise_distances(X)
    assert shown[-1].text == "DTWMetric(window=2): pairwise distances"
    SequenceKNeighborsClassifier(FrozenEstimator(metric), n_neighbors=1, verbose=1).fit(X, LABELS)
    assert shown[-1].text.startswith("SequenceKNeighborsClassifier(FrozenEstimator(SyncGRUMetric(")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_progress_bar_of_scikit_learn_works_around_every_estimator(
    case: Case, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    pytest.importorskip("rich")
    if "fit" not in case.fits:
        pytest.skip("has no fit of labels")
    monkeypatch.setenv("COLUMNS", "200")
    model, given = case.make(), case.fits["fit"]
    pipeline = make_pipeline(clone(model))
    step = pipeline.steps[0][0]
    of_step = {key if key == "y" else f"{step}__{key}": value for key, value in given.items()}
    for whole, arguments in ((model, given), (pipeline, of_step)):
        whole.set_callbacks(callbacks.ProgressBar(max_propagation_depth=None)).fit(case.X, **arguments)
        out = capsys.readouterr().out
        assert f"{type(model).__name__} - fit" in out
        assert "100%" in out
