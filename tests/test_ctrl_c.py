"""Ctrl-C during a fit, by real signals: at any moment, once and twice, alone and inside a search."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

import skseqmetric
from skseqmetric import EchoStateClassifier, SequenceKNeighborsClassifier, SyncGRUMetric
from tests.every_estimator import CASES, LABELS, SMALL, Case, X

TRAINED = [pytest.param(case, name, id=f"{case}-{name}") for case in CASES for name in case.fits if case.trained]
ROOT = str(Path(skseqmetric.__file__).parent)


@pytest.fixture(autouse=True)
def keyboard() -> Iterator[None]:
    """Ctrl-C arrives even where the suite was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Presses:
    """Ctrl-C at the given moments. A moment is the entry of a function of the package while the fit hears Ctrl-C."""

    def __init__(self, *moments: int) -> None:
        self.moments, self.seen = moments, 0

    def __enter__(self) -> Presses:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(ROOT):
            return
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            return
        self.seen += 1
        if self.seen in self.moments:
            signal.raise_signal(signal.SIGINT)


def moments_of(fit: Callable[[], Any]) -> int:
    with Presses() as watched:
        fit()
    return watched.seen


def assert_usable(case: Case, model: Any) -> None:
    assert not any(module.training for module in model.module_.modules())
    assert all(np.isfinite(a).all() for a in case.answers(model) if a.dtype.kind == "f")
    assert len(model.history_) == model.n_iter_
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def interrupted(case: Case, name: str, *moments: int, **parameters: Any) -> Any:
    """The estimator after a fit with Ctrl-C at these moments."""
    model = case.make().set_params(**parameters)
    with warnings.catch_warnings(record=True) as said, Presses(*moments) as presses:
        warnings.simplefilter("always")
        getattr(model, name)(case.X, **case.fits[name])
    assert presses.seen >= moments[-1]
    assert [w.category for w in said] == [ConvergenceWarning]
    return model


@pytest.mark.parametrize(("case", "name"), TRAINED)
def test_ctrl_c_at_any_moment_of_a_fit_leaves_a_model_that_works(case: Case, name: str) -> None:
    total = moments_of(lambda: getattr(case.make(), name)(case.X, **case.fits[name]))
    for moment in np.random.default_rng(0).integers(1, total, size=2).tolist():
        assert_usable(case, interrupted(case, name, moment))


@pytest.mark.slow
@pytest.mark.parametrize(("case", "name"), TRAINED)
def test_ctrl_c_at_many_moments(case: Case, name: str) -> None:
    parameters = {"max_epochs": 3} | ({"early_stopping": True, "validation_fraction": 0.5} if name == "fit" else {})

    def fit() -> None:
        getattr(case.make().set_params(**parameters), name)(case.X, **case.fits[name])

    total = moments_of(fit)
    for moment in np.random.default_rng(1).integers(1, total, size=6).tolist():
        assert_usable(case, interrupted(case, name, moment, **parameters))


@pytest.mark.slow
@pytest.mark.parametrize(("case", "name"), TRAINED)
def test_ctrl_c_from_outside_at_many_times(case: Case, name: str) -> None:
    """The signal comes from another thread, wherever the fit is, also inside a kernel."""
    rng = np.random.default_rng(2)
    for delay in rng.uniform(0.005, 0.15, size=3).tolist():
        model = case.make().set_params(max_epochs=10_000, max_updates=None)
        if name == "partial_fit":
            model.set_params(min_batches=10_000)
        threading.Timer(delay, signal.pthread_kill, (threading.get_ident(), signal.SIGINT)).start()
        with pytest.warns(ConvergenceWarning, match="interrupted in epoch"):
            getattr(model, name)(case.X, **case.fits[name])
        assert_usable(case, model)


def test_ctrl_c_in_set_up_learns_from_one_batch_and_keeps_that() -> None:
    case = CASES[0]
    first, later = interrupted(case, "fit", 1), interrupted(case, "fit", 2)
    assert first.n_iter_ == 0
    untrained = type(first.module_)(**first.network_config_)
    assert untrained.state_dict().keys() == first.module_.state_dict().keys()
    assert all(map(np.array_equal, case.answers(first), case.answers(later)))
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(first.transform(X), case.make().fit(X, LABELS).transform(X))


@pytest.mark.parametrize(("case", "name"), TRAINED)
def test_a_second_ctrl_c_raises_at_once_and_keeps_the_weights(case: Case, name: str) -> None:
    class Twice(Callback):
        def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
            if len(net.history) == 1:
                self.weights = {k: p.clone() for k, p in net.module_.network.state_dict().items()}
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)

    twice = Twice()
    model = case.make().set_params(callbacks=[twice])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with pytest.raises(KeyboardInterrupt):
            getattr(model, name)(case.X, **case.fits[name])
    assert_usable(case, model)
    assert all(np.array_equal(p, twice.weights[k]) for k, p in model.module_.state_dict().items())


class Press(Callback):
    """Ctrl-C at the second batch of the process."""

    batches = 0

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        Press.batches += 1
        if Press.batches == 2:
            signal.raise_signal(signal.SIGINT)


KNN = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL, callbacks=[Press()]), n_neighbors=1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "use",
    [
        lambda: GridSearchCV(KNN, {"n_neighbors": [1, 2]}, cv=2).fit(X, LABELS),
        lambda: cross_val_score(KNN, X, LABELS, cv=2),
        lambda: make_pipeline(KNN).fit(X, LABELS),
        lambda: make_pipeline(SyncGRUMetric(**SMALL, callbacks=[Press()])).fit_transform(X, LABELS),
    ],
    ids=["search", "cross-validation", "pipeline", "fit_transform of a pipeline"],
)
def test_whoever_would_go_on_with_half_a_model_is_interrupted(use: Callable[[], Any]) -> None:
    Press.batches = 0
    with pytest.raises(KeyboardInterrupt):
        use()
    assert Press.batches == 2  # nothing was trained any more


@pytest.mark.parametrize("fit", ["fit", "fit_transform"])
def test_a_user_who_calls_the_fit_keeps_what_it_learned(fit: str) -> None:
    Press.batches = 0
    metric = SyncGRUMetric(**SMALL, callbacks=[Press()])
    with pytest.warns(ConvergenceWarning, match="SyncGRUMetric: training was interrupted in epoch 1 of 2"):
        getattr(metric, fit)(X, LABELS)
    assert np.isfinite(metric.transform(X)).all()


def test_neighbours_keep_the_metric_that_was_interrupted() -> None:
    Press.batches = 0
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL, callbacks=[Press()]), n_neighbors=1)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        knn.fit(X, LABELS)
    assert knn.predict(X).shape == LABELS.shape


def test_neighbours_do_not_lose_a_metric_that_has_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while they embed the fitted sequences: one lets them finish, two end it, and so does one in a search."""

    def pressed(times: int) -> None:
        original = SyncGRUMetric._prepare

        def prepare(self: Any, sequences: Any) -> Any:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            return original(self, sequences)

        monkeypatch.setattr(SyncGRUMetric, "_prepare", prepare)

    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL), n_neighbors=1)
    pressed(1)
    with pytest.warns(ConvergenceWarning, match="SequenceKNeighborsClassifier: Ctrl-C came after the last update"):
        knn.fit(X, LABELS)
    monkeypatch.undo()
    before = knn.predict(X)
    pressed(1)
    with pytest.raises(KeyboardInterrupt):
        make_pipeline(knn).fit(X, LABELS)
    monkeypatch.undo()
    pressed(2)
    with pytest.raises(KeyboardInterrupt):
        knn.fit(X, 1 - LABELS)
    monkeypatch.undo()
    assert np.array_equal(knn.predict(X), before)


def test_ctrl_c_after_the_last_update_says_that_the_fit_is_complete() -> None:
    case = CASES[0]
    expected = case.answers(case.make().fit(X, LABELS))
    moments_of(lambda: case.make().fit(X, LABELS))  # buffers that answers left are looked through once more
    total = moments_of(lambda: case.make().fit(X, LABELS))
    model = case.make()
    with (
        pytest.warns(ConvergenceWarning, match="Ctrl-C came after the last update; the fit is complete"),
        Presses(total),
    ):
        model.fit(X, LABELS)
    assert all(map(np.array_equal, case.answers(model), expected))


def test_the_handler_of_the_user_stays_in_charge() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    Press.batches = 0
    metric = SyncGRUMetric(**SMALL, callbacks=[Press()]).fit(X, LABELS)
    assert heard == [signal.SIGINT]
    assert metric.n_iter_ == 2


def test_a_handler_that_raises_ends_the_training_and_undoes_the_set_up() -> None:
    def raising(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, raising)
    Press.batches = 0
    metric = SyncGRUMetric(**SMALL, callbacks=[Press()])
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        metric.fit(X, LABELS)
    assert np.isfinite(metric.transform(X)).all()


def test_a_fit_in_another_thread_does_not_touch_signals() -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(SyncGRUMetric(**SMALL).fit(X, LABELS)))
    thread.start()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    thread.join()
    assert found[0].n_iter_ == 2


def test_what_learns_at_once_is_left_as_it_was_by_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Echo state networks have no weights on the way that would be of use."""
    model = EchoStateClassifier(8, random_state=0).fit(X, LABELS)
    before = model.predict_proba(X)
    original = type(model)._rows

    def pressed(*args: Any) -> Any:
        for i, rows in enumerate(original(*args)):
            yield rows
            if i == 0:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(type(model), "_rows", pressed)
    for fit in (model.fit, model.partial_fit):
        with pytest.raises(KeyboardInterrupt):
            fit(X, LABELS)
        assert np.array_equal(model.predict_proba(X), before)
