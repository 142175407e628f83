"""Distances of tslearn by their names: its own numbers, its parameters, and what does not suit them."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tslearn.metrics
from tslearn.metrics import cdist_sax
from tslearn.piecewise import SymbolicAggregateApproximation

from skseqmetric import DTWMetric, SequenceKNeighborsClassifier
from tests.small_neighbors import ESTIMATORS

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(t, 2)) for t in (12, 15, 11, 14, 13, 12)]
Y = [0, 1] * 3


def one_minus(function: Callable[..., float], x: np.ndarray, y: np.ndarray, **params: Any) -> float:
    return 1 - function(x, y, **params)


def sax(x: np.ndarray, y: np.ndarray, n_segments: int, alphabet_size_avg: int = 4) -> float:
    """By tslearn's matrix of distances between symbols, which are those of each sequence alone."""
    maker = SymbolicAggregateApproximation(n_segments, alphabet_size_avg)
    symbols = [maker.fit_transform(s[np.newaxis]) for s in (x, y)]
    with np.errstate(invalid="ignore"):  # tslearn fills an array of integers with NaN first
        return float(cdist_sax(symbols[0], maker.breakpoints_avg_, max(len(x), len(y)), symbols[1])[0, 0])


CASES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "dtw with a slope": ("dtw", {"global_constraint": "itakura", "itakura_max_slope": 3.0}, tslearn.metrics.dtw),
    "softdtw": ("softdtw", {"gamma": 0.1}, tslearn.metrics.soft_dtw),
    "gak": ("gak", {"sigma": 2.0}, partial(one_minus, tslearn.metrics.gak)),
    "lcss": ("lcss", {"eps": 0.5}, partial(one_minus, tslearn.metrics.lcss)),
    "frechet": ("frechet", {}, tslearn.metrics.frechet),
    "ctw": ("ctw", {"max_iter": 5}, tslearn.metrics.ctw),
    "sax": ("sax", {"n_segments": 4}, sax),
}


@pytest.mark.slow  # tslearn compiles its distances
@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_tslearn(name: str) -> None:
    metric, params, function = CASES[name]
    for estimator in ESTIMATORS:
        model = estimator(metric, metric_params=params, n_neighbors=2).fit(X, Y)
        distances, indices = pickle.loads(pickle.dumps(model)).kneighbors(X)
        expected = [[function(x, X[i], **params) for i in row] for x, row in zip(X, indices, strict=True)]
        np.testing.assert_allclose(distances, expected, rtol=1e-12, atol=1e-12)
        whole = [[function(x, z, **params) for z in X] for x in X]
        np.testing.assert_allclose(distances, np.sort(whole, axis=1)[:, :2], rtol=1e-9, atol=1e-9)


def test_parameters_of_named_metrics_are_set() -> None:
    model = SequenceKNeighborsClassifier("dtw", metric_params={"window": 2}, n_neighbors=1).fit(X, Y)
    assert isinstance(model.metric_, DTWMetric)
    assert model.metric_.radius_ == 2
    learned = SequenceKNeighborsClassifier(metric_params={"n_features": 168}, n_neighbors=1).fit(X, Y)
    assert learned.metric_.n_features == 168
    assert learned.metric_.random_state == 0


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_further_arguments_of_a_function(estimator: Any) -> None:
    def weighted(x: np.ndarray, y: np.ndarray, weight: float = 1.0) -> float:
        return weight * abs(float(x.mean() - y.mean()))

    plain = estimator(weighted, n_neighbors=2).fit(X, Y).kneighbors(X)[0]
    doubled = estimator(weighted, metric_params={"weight": 2.0}, n_neighbors=2).fit(X, Y).kneighbors(X)[0]
    np.testing.assert_array_equal(doubled, 2 * plain)


@pytest.mark.parametrize(
    ("metric", "params", "message"),
    [
        ("softdtw", {"gama": 1}, "metric_params has 'gama', but metric='softdtw' takes gamma, global_constraint"),
        ("dtw", {"windw": 1}, "metric_params has 'windw', but metric='dtw' takes engine, .*window"),
        ("sax", {"bins": 1}, "metric_params has 'bins', but metric='sax' takes alphabet_size_avg, n_segments, scale"),
        ("sax", {"n_segments": 12}, "a sequence has 11 steps, fewer than the n_segments=12"),
        ("ensemble", {"colour": 1}, "do not suit metric='ensemble': .*unexpected keyword argument 'colour'"),
        (DTWMetric(), {"window": 1}, "are for names and functions: set them on the metric itself"),
        ("softdwt", {}, "metric='softdwt' is not known. Known names: .*'softdtw'"),
    ],
)
def test_parameters_that_do_not_suit_are_refused(metric: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceKNeighborsClassifier(metric, metric_params=params, n_neighbors=1).fit(X, Y)


def test_a_model_of_a_function_says_how_it_is_kept(tmp_path: Path) -> None:
    model = SequenceKNeighborsClassifier("sax", metric_params={"n_segments": 2}, n_neighbors=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"metric_.*by the function TslearnDistance\('sax', n_segments=2\).*by pickle"):
        model.save(tmp_path / "model.skm")
    assert pickle.loads(pickle.dumps(model)).predict(X).tolist() == model.predict(X).tolist()


def test_a_missing_tslearn_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tslearn.metrics", None)
    with pytest.raises(ImportError, match=r"metric='gak' needs tslearn: pip install"):
        SequenceKNeighborsClassifier("gak", n_neighbors=1).fit(X, Y)
