"""Results are finite, or an error says which sequence is to blame: extreme values at every door."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skseqmetric import (
    EchoStateClassifier,
    EchoStateRegressor,
    NRNMClassifier,
    NRNMRegressor,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
    SyncGRUMetric,
)
from tests.every_estimator import CASES, LABELS, NUMBERS, QUICK, SMALL, STEPS, Case, X

SCALED = [pytest.param(case, id=str(case)) for case in CASES if case.name != "DTWMetric" and not case.prepares]
FILL = 9.969209968386869e36  # netCDF's mark of a missing float


def with_value(x: list[np.ndarray], value: float, i: int = 2, step: int = 1) -> list[np.ndarray]:
    out = [a.copy() for a in x]
    out[i][step, 1] = value
    return out


def methods_of(fitted: Any) -> dict[str, Any]:
    names = [
        "transform",
        "predict",
        "predict_proba",
        "decision_function",
        "pairwise_distances",
        "kneighbors",
        "hidden_states",
        "predict_prefixes",
        "memory_states",
        "synchronization",
        "alignment",
        "pair_distance",
    ]
    found = {name: getattr(fitted, name) for name in names if hasattr(fitted, name)}
    for name in {"synchronization", "alignment", "pair_distance"} & found.keys():
        found[name] = lambda x, method=found[name]: method(x, x)
    if isinstance(fitted, (NRNMClassifier, NRNMRegressor)) and fitted.target == "sequence":
        del found["predict_prefixes"]
    return found


@pytest.mark.parametrize("value", [-FILL, 1e300])
@pytest.mark.parametrize("case", SCALED)
def test_a_value_too_large_for_float32_is_named_by_every_method(case: Case, value: float) -> None:
    fitted = fitted_once(case)
    bad = with_value(case.X, value)
    for name, method in methods_of(fitted).items():
        with pytest.raises(ValueError, match=r"sequence 2, step 1, channel 1 is .* after scaling.*fill value"):
            method(bad)
        assert method(case.X) is not None, name


def scaling(fitted: Any) -> np.ndarray:
    """The scaling of the channels by an estimator, or by the first metric that it holds."""
    inner = getattr(fitted, "metric_", None) or getattr(fitted, "metrics_", [fitted])[0]
    return inner.scale_


_FITTED: dict[str, Any] = {}


def fitted_once(case: Case) -> Any:
    if case.name not in _FITTED:
        _FITTED[case.name] = case.make().fit(case.X, **case.fits["fit"])
    return _FITTED[case.name]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", SCALED)
def test_a_fill_value_among_the_training_data_is_named(case: Case, dtype: type) -> None:
    """Scaling by its deviation would make all other values equal."""
    bad = with_value([x.astype(dtype) for x in case.X], FILL)
    with pytest.raises(ValueError, match=r"sequence 2, step 1, channel 1 is 9\.96921e\+36"):
        case.make().fit(bad, **case.fits["fit"])


def test_a_rare_event_of_a_large_unit_is_no_fill_value() -> None:
    events = [np.column_stack([x[:, 0], np.where(np.arange(len(x)) == i, 1e20, 0.0)]) for i, x in enumerate(X[:1])]
    events += [np.column_stack([x[:, 0], np.zeros(len(x))]) for x in X[1:]]
    metric = SyncGRUMetric(**SMALL).fit(events, LABELS)
    assert np.isfinite(metric.transform(events)).all()
    assert metric.scale_[1] > 1e18


def test_a_fill_value_without_weight_does_not_count() -> None:
    weights = (np.arange(len(X)) != 2).astype(float)
    SyncGRUMetric(**SMALL).fit(X, LABELS, weights)
    with pytest.raises(ValueError, match="after scaling"):
        SyncGRUMetric(**SMALL).fit(X, LABELS, weights).transform(with_value(X, FILL))


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**660])
@pytest.mark.parametrize("case", SCALED)
def test_the_unit_of_a_channel_does_not_matter(case: Case, unit: float) -> None:
    """Squares of such values overflow or vanish in float64."""
    scaled = [x * [1.0, unit] for x in case.X]
    other = case.make().fit(scaled, **case.fits["fit"])
    np.testing.assert_allclose(scaling(other) / [1.0, unit], scaling(fitted_once(case)), rtol=1e-12)
    assert all(np.isfinite(a).all() for a in replace(case, X=scaled).answers(other) if a.dtype.kind == "f")


@pytest.mark.parametrize("unit", [1e-300, 1e200])
def test_the_unit_of_the_targets_does_not_matter(unit: float) -> None:
    for model in (NRNMRegressor(**SMALL), RecurrentRegressor(4, **QUICK)):
        plain, other = clone(model).fit(X, NUMBERS), clone(model).fit(X, NUMBERS * unit)
        np.testing.assert_allclose(other.y_scale_ / unit, plain.y_scale_, rtol=1e-12)
        assert np.abs(other.predict(X) / unit).max() < 10


def test_a_constant_channel_and_a_constant_target_give_finite_answers() -> None:
    constant = [np.column_stack([x[:, 0], np.full(len(x), 1e12)]) for x in X]
    assert np.isfinite(SyncGRUMetric(**SMALL).fit(constant, LABELS).transform(constant)).all()
    for model in (NRNMRegressor(**SMALL), RecurrentRegressor(4, **QUICK), EchoStateRegressor(8, random_state=0)):
        np.testing.assert_allclose(model.fit(X, np.full(len(X), 7.0)).predict(X), 7.0, atol=1.0)


def test_values_that_overflow_without_scaling_are_named_in_fit() -> None:
    for model in (SyncGRUMetric(**SMALL, scaling=None), EchoStateClassifier(8, scaling=None)):
        with pytest.raises(ValueError, match=r"sequence 2, step 1, channel 1 is 1e\+20, and 1e\+20 after scaling"):
            model.fit(with_value(X, 1e20), LABELS)
        model.fit(with_value(X, 1e6), LABELS)


def test_a_step_of_a_stream_that_is_too_large_is_refused() -> None:
    models = (
        NRNMStepClassifier(**SMALL).fit(X, STEPS),
        RecurrentClassifier(4, target="step", **QUICK).fit(X, STEPS),
        EchoStateClassifier(8, target="step", bidirectional=False, random_state=0).fit(X, STEPS),
    )
    for model in models:
        answer, state = model.predict_step(X[0][0])
        with pytest.raises(ValueError, match=r"channel 1 is .* after scaling"):
            model.predict_step([0.0, FILL], state)
        assert model.predict_step(X[0][1], state)[0] in model.classes_
        assert answer in model.classes_


def test_weights_that_are_not_finite_give_no_answer() -> None:
    """A model may have been changed from outside, or trained to the limit."""
    for case in (case for case in CASES if case.trained):
        fitted = case.make().fit(case.X, **case.fits["fit"])
        with torch.no_grad():
            for p in fitted.module_.parameters():
                p.fill_(float("nan"))
        for name, method in methods_of(fitted).items():
            with pytest.raises(ValueError, match=r"no finite result for sequence \d|distances must be finite"):
                method(case.X)
            assert name
