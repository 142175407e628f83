"""Every fit of every public estimator is a transaction: it is done, or nothing has happened."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import get_tags
from skorch.callbacks import Callback

from skseqmetric import SyncGRUMetric
from tests.every_estimator import CASES, LABELS, SMALL, Case, X
from tests.test_contract import estimators

FITS = [pytest.param(case, name, id=f"{case}-{name}") for case in CASES for name in case.fits]
TRAINED = [pytest.param(case, name, id=f"{case}-{name}") for case in CASES for name in case.fits if case.trained]


class Refused(RuntimeError):
    """An error that no code of the package raises."""


def changed(x: list[np.ndarray], value: float) -> list[np.ndarray]:
    return [np.where(np.arange(len(a))[:, None] == 1, value, a) if i == 2 else a for i, a in enumerate(x)]


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException, call: int) -> Iterator[None]:
    """Let the making of tensors fail at one of its calls, as if memory ran out or Ctrl-C came there."""
    owner = resolve_name("skseqmetric._tensors.flat:FlatSequences")
    original, calls = getattr(owner, name), iter(range(1, 10_000))

    def failing_call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            raise error
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing_call)
        yield


def attempts(case: Case, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Ways in which this fit is refused or fails."""
    given = case.fits[name]

    def call(model: Any, x: Any = case.X, **others: Any) -> None:
        getattr(model, name)(x, **{**given, **others})

    wrong = np.inf if get_tags(case.make()).input_tags.allow_nan else np.nan
    yield f"{wrong} in X", lambda m: call(m, changed(case.X, wrong))
    yield "no sequences", lambda m: call(m, [])
    yield "unequal channels", lambda m: call(m, [*case.X[:-1], case.X[-1][:, :1]])
    yield "text", lambda m: call(m, "sequences")
    yield "an unknown parameter value", lambda m: with_parameter(m, lambda: call(m))
    if hasattr(case.make(), "scaling") or hasattr(case.make(), "metric"):
        yield "a fill value", lambda m: call(m, changed(case.X, 9.97e36))
    if "y" in given:
        yield "too few targets", lambda m: call(m, y=given["y"][:-1])
        later_parts_need_none = name == "partial_fit" and case.name == "SequenceNeighborsTransformer"
        if get_tags(case.make()).target_tags.required and not later_parts_need_none:
            yield "no targets", lambda m: call(m, y=None)
    if "sample_weight" in given:
        yield "a negative weight", lambda m: call(m, sample_weight=-np.ones(len(case.X)))
    if "images" in given:
        yield "too few images", lambda m: call(m, images=given["images"][1:])
    if "pairs" in given:
        yield "a pair that does not exist", lambda m: call(m, pairs=given["pairs"] + 7)
        yield "pairs of one kind", lambda m: call(m, same=np.ones(len(given["pairs"])))
    if "y" in given and "Convolution" not in case.name:  # the others have no FlatSequences
        for error in (MemoryError("none left"), KeyboardInterrupt()):
            yield f"{type(error).__name__} in set-up", failing_at(monkeypatch, "from_sequences", error, 1, call)


def failing_at(
    monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException, call_number: int, call: Callable[[Any], None]
) -> Callable[[Any], None]:
    def attempt(model: Any) -> None:
        with failing(monkeypatch, name, error, call_number):
            call(model)

    return attempt


def with_parameter(model: Any, fit: Callable[[], None]) -> None:
    name = next(n for n in ("device", "n_neighbors", "window", "weights", "verbose") if n in model.get_params())
    before = getattr(model, name)
    wrong = {"device": "no such device", "n_neighbors": 0, "window": -1, "weights": [1], "verbose": -1}
    model.set_params(**{name: wrong[name]})
    try:
        fit()
    finally:
        model.set_params(**{name: before})


def attributes(model: Any) -> dict[str, Any]:
    """The attributes but parameters; a network and its weights are compared by the answers."""
    return {name: value for name, value in vars(model).items() if name not in model.get_params(deep=False)}


def assert_unchanged(
    case: Case, model: Any, before: dict[str, Any], answers: list[np.ndarray] | None, why: str
) -> None:
    after = attributes(model)
    assert after.keys() == before.keys(), why
    assert all(after[name] is before[name] for name in before), why
    if answers is None:
        with pytest.raises(NotFittedError):
            case.answers(model)
        return
    assert all(map(np.array_equal, case.answers(model), answers)), why
    if case.trained:
        assert not any(module.training for module in model.module_.modules()), why


@pytest.mark.parametrize(("case", "name"), FITS)
def test_a_refused_fit_changes_nothing(case: Case, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = case.make()
    for fitted in (False, True):
        if fitted:
            getattr(model, name)(case.X, **case.fits[name])
        before, answers = attributes(model), case.answers(model) if fitted else None
        for why, attempt in attempts(case, name, monkeypatch):
            with pytest.raises((ValueError, TypeError, MemoryError, KeyboardInterrupt)):
                attempt(model)
            assert_unchanged(case, model, before, answers, why)


class Failing(Callback):
    """A callback of a user that fails after the first update, or at the end of training."""

    def __init__(self, error: BaseException, at_end: bool = False) -> None:
        self.error, self.at_end = error, at_end

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        if not self.at_end:
            raise self.error

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        if self.at_end:
            raise self.error


@pytest.mark.parametrize(("case", "name"), TRAINED)
def test_a_fit_that_fails_in_training_puts_the_weights_back(
    case: Case, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = case.make().set_params(warm_start=True)
    getattr(model, name)(case.X, **case.fits[name])
    before, answers = attributes(model), case.answers(model)
    weights = {key: value.clone() for key, value in model.module_.state_dict().items()}

    def fit(model: Any) -> None:
        getattr(model, name)(case.X, **case.fits[name])

    for error, at_end in ((Refused(), True), (FloatingPointError("of a callback"), False)):
        model.set_params(callbacks=[Failing(error, at_end)])
        with pytest.raises(type(error)):
            fit(model)
        model.set_params(callbacks=None)
        assert_unchanged(case, model, before, answers, repr(error))
    with pytest.raises(MemoryError):
        failing_at(monkeypatch, "padded", MemoryError(), 2, fit)(model)
    assert_unchanged(case, model, before, answers, "memory runs out at the second batch")
    assert all(torch.equal(value, weights[key]) for key, value in model.module_.state_dict().items())


@pytest.mark.parametrize(("case", "name"), [param for param in TRAINED if "partial_fit" in param.id])
def test_a_later_fit_is_not_influenced_by_a_failed_one(case: Case, name: str) -> None:
    """The moments of the optimizer, the random streams and a loss with parameters are put back too."""
    straight, disturbed = case.make(), case.make()
    for model in (straight, disturbed):
        getattr(model, name)(case.X, **case.fits[name])
    disturbed.set_params(callbacks=[Failing(Refused())])
    with pytest.raises(Refused):
        getattr(disturbed, name)(case.X, **case.fits[name])
    disturbed.set_params(callbacks=None)
    for model in (straight, disturbed):
        getattr(model, name)(case.X, **case.fits[name])
    assert all(map(np.array_equal, case.answers(disturbed), case.answers(straight)))
    assert [row["train_loss"] for row in disturbed.history_] == [row["train_loss"] for row in straight.history_]


class ScaledLoss(torch.nn.Module):
    """A loss with a parameter, and a call that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.calls, self.fails_at = torch.nn.Parameter(torch.ones(())), 0, -1

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == self.fails_at:
            raise Refused
        return (self.scale * embeddings.square().sum(1) - labels).square().mean()


def test_a_loss_that_fails_is_put_back_with_its_parameters() -> None:
    metric = SyncGRUMetric(**SMALL, loss=ScaledLoss(), warm_start=True).fit(X, LABELS)
    scale, calls = metric.loss_.scale.item(), metric.loss_.calls
    metric.loss_.fails_at = calls + 3
    with pytest.raises(Refused):
        metric.fit(X, LABELS)
    assert (metric.loss_.scale.item(), metric.loss_.calls) == (scale, calls)
    metric.loss_.fails_at = -1
    assert metric.fit(X, LABELS).loss_.scale.item() != scale


@pytest.mark.parametrize("rate", [1e3, 1e20])
@pytest.mark.parametrize(("case", "name"), [param for param in TRAINED if param.id.endswith("-fit")])
def test_after_a_divergence_answers_are_finite_or_the_fit_is_undone(case: Case, name: str, rate: float) -> None:
    model = case.make().set_params(learning_rate=rate, max_epochs=6)
    undone = False
    try:
        getattr(model, name)(case.X, **case.fits[name])
    except FloatingPointError as error:
        undone = "as it was before" in str(error)
    if undone:
        assert attributes(model) == {}
    else:
        assert all(np.isfinite(a).all() for a in case.answers(model) if a.dtype.kind == "f")


def test_a_threshold_survives_a_refused_fit() -> None:
    metric = SyncGRUMetric(**SMALL).fit(X, LABELS)
    metric.calibrate_threshold(X, [[0, 1], [0, 2]], [-1, 1])
    threshold = metric.threshold_
    with pytest.raises(ValueError, match="is NaN"):
        metric.fit(changed(X, np.nan), LABELS)
    assert metric.threshold_ == threshold


def test_an_interruption_that_a_filter_makes_an_error_keeps_the_weights() -> None:
    """A warning that says that the weights are kept must not undo them."""
    metric = SyncGRUMetric(**SMALL, callbacks=[Failing(KeyboardInterrupt())])
    with pytest.raises(ConvergenceWarning, match="interrupted in epoch 1 of 2"):
        metric.fit(X, LABELS)
    assert np.isfinite(metric.transform(X)).all()


def test_every_public_estimator_and_each_of_its_fits_is_tested_here() -> None:
    assert {type(case.make()) for case in CASES} == set(estimators())
    for case in CASES:
        fits = {
            name for name, _ in inspect.getmembers(type(case.make()), callable) if name.startswith(("fit", "partial"))
        }
        fits = {name for name in fits if hasattr(case.make(), name)}
        assert fits - {"fit_transform", "fit_predict", "fit_reservoir"} <= set(case.fits), case.name
