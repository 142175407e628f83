"""The parameter `missing`: estimators do with NaN what SequenceImputer does before them, in fit and afterwards."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from benchmarks import run_missing
from skseqmetric import (
    DTWMetric,
    EchoStateClassifier,
    EchoStateTransformer,
    MetricEnsemble,
    RandomConvolutionMetric,
    RandomConvolutionTransformer,
    RecurrentClassifier,
    SequenceImputer,
    SequenceKNeighborsClassifier,
    Sequences,
    SequenceScaler,
    SyncGRUMetric,
    check_sequences,
    load,
)
from skseqmetric.inspection import SynchronizationDisplay, hidden_states
from tests.every_estimator import LABELS, QUICK, SMALL, X

RNG = np.random.default_rng(0)
GAPS = [np.where(RNG.random(x.shape) < 0.4, np.nan, x) for x in X]
GAPS[0][:, 1] = np.nan  # a channel without any value

FILLING = {
    "RandomConvolutionMetric": RandomConvolutionMetric(84, random_state=0),
    "RandomConvolutionTransformer": RandomConvolutionTransformer(84, random_state=0),
    "EchoStateTransformer": EchoStateTransformer(8, random_state=0),
    "DTWMetric": DTWMetric(),
    "SyncGRUMetric": SyncGRUMetric(**SMALL),
    "MetricEnsemble": MetricEnsemble([("dtw", "dtw"), ("gru", SyncGRUMetric(**SMALL, coupling=None))]),
    "neighbours": SequenceKNeighborsClassifier("dtw", n_neighbors=2),
}


def answers(fitted: Any, X: Any) -> np.ndarray:
    name = next(n for n in ("transform", "predict_proba", "pairwise_distances") if hasattr(fitted, n))
    return np.asarray(getattr(fitted, name)(X))


@pytest.mark.parametrize("missing", ["interpolate", "mask"])
@pytest.mark.parametrize("name", FILLING)
def test_an_estimator_fills_as_the_imputer_before_it_does(name: str, missing: str, tmp_path: Path) -> None:
    estimator = clone(FILLING[name]).set_params(missing=missing).fit(GAPS, LABELS)
    imputer = SequenceImputer(missing)
    complete = imputer.fit_transform(GAPS)
    expected = answers(clone(FILLING[name]).fit(complete, LABELS), complete)
    assert np.isfinite(expected).all()
    assert np.array_equal(answers(estimator, GAPS), expected)
    assert np.array_equal(estimator.fill_values_, imputer.fill_values_)
    assert estimator.n_channels_ == 2
    estimator.save(tmp_path / "model.skm")
    for again in (load(tmp_path / "model.skm"), pickle.loads(pickle.dumps(estimator))):
        assert np.array_equal(answers(again, GAPS), expected)
    # what the fit did counts, and not a parameter that was changed
    assert np.array_equal(answers(estimator.set_params(missing="error"), GAPS), expected)


def test_complete_sequences_are_read_as_ever() -> None:
    plain = RandomConvolutionTransformer(84, random_state=0).fit_transform(X)
    filling = RandomConvolutionTransformer(84, random_state=0, missing="interpolate").fit_transform(X)
    assert np.array_equal(plain, filling)


@pytest.mark.parametrize("name", FILLING)
def test_the_default_refuses_and_names_the_remedy(name: str) -> None:
    with pytest.raises(ValueError, match=r'sequence 0, step \d, channel \d is NaN.*SequenceImputer.*"interpolate"'):
        clone(FILLING[name]).fit(GAPS, LABELS)
    fitted = clone(FILLING[name]).fit(X, LABELS)
    assert not hasattr(fitted, "fill_values_")
    with pytest.raises(ValueError, match="is NaN"):
        answers(fitted, GAPS)


def test_infinity_is_refused_by_all() -> None:
    infinite = [np.where(np.isnan(x), np.inf, x) for x in GAPS]
    for estimator in (DTWMetric(missing="interpolate"), SequenceImputer()):
        with pytest.raises(ValueError, match="is infinite"):
            estimator.fit(infinite)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ValueError, match="'missing' parameter"):
        DTWMetric(missing="median").fit(X)


def test_a_refit_forgets_the_means() -> None:
    model = EchoStateTransformer(8, random_state=0, missing="mask").fit(GAPS)
    assert model.set_params(missing="error").fit(X).reservoirs_[0].input.shape[1] == 3
    assert not hasattr(model, "fill_values_")


@pytest.mark.parametrize("missing", ["interpolate", "mask"])
@pytest.mark.parametrize("frozen", [False, True])
def test_neighbours_pass_gaps_to_a_metric_that_fills_them(missing: str, frozen: bool, tmp_path: Path) -> None:
    metric = SyncGRUMetric(**SMALL, coupling=None, missing=missing)
    fitted = clone(metric).fit(GAPS, LABELS)
    model = SequenceKNeighborsClassifier(FrozenEstimator(fitted) if frozen else metric, n_neighbors=2).fit(GAPS, LABELS)
    assert np.array_equal(model.metric_.pairwise_distances(GAPS), fitted.pairwise_distances(GAPS))
    distances, _ = model.kneighbors(GAPS, 1)
    np.testing.assert_allclose(distances, 0, atol=1e-6)
    assert not hasattr(model, "fill_values_")
    model.save(tmp_path / "model.skm")
    assert np.array_equal(load(tmp_path / "model.skm").predict_proba(GAPS), model.predict_proba(GAPS))


def test_pairs_and_single_sequences_are_filled_too() -> None:
    for missing in ("interpolate", "mask"):
        metric = SyncGRUMetric(**SMALL, missing=missing).fit_pairs(GAPS, [[0, 1], [2, 3]], [1, -1])
        matrix = metric.pairwise_distances(GAPS)
        np.testing.assert_allclose(metric.pair_distance([GAPS[1]], [GAPS[4]]), matrix[1, 4], rtol=1e-4)
        np.testing.assert_allclose(metric.score_pairs(GAPS, [[1, 4]]), -matrix[1, 4], rtol=1e-4)
        assert metric.get_metric()(GAPS[1], GAPS[4]) == pytest.approx(matrix[1, 4], rel=1e-4)


@pytest.mark.parametrize("missing", ["interpolate", "mask"])
def test_what_looks_into_a_model_takes_the_gaps_that_the_model_fills(missing: str) -> None:
    model = RecurrentClassifier(4, **QUICK, missing=missing).fit(GAPS, LABELS)
    found = hidden_states(model, GAPS, initial=False)
    assert [int(read[-1]) for read in found.steps] == [len(x) for x in GAPS]
    for own, expected in zip(found.states, model.hidden_states(GAPS), strict=True):
        np.testing.assert_array_equal(own, expected)
    metric = SyncGRUMetric(**SMALL, coupling="symmetric", missing=missing).fit(GAPS, LABELS)
    display = SynchronizationDisplay.from_estimator(metric, GAPS, LABELS, n_pairs=3)
    assert display.same.shape == display.different.shape == (3, 50)
    assert np.isfinite(display.same).all()
    assert np.isfinite(display.different).all()


def test_what_looks_into_a_model_refuses_gaps_that_the_model_refuses() -> None:
    with pytest.raises(ValueError, match="is NaN"):
        hidden_states(RecurrentClassifier(4, **QUICK).fit(X, LABELS), GAPS)
    metric = SyncGRUMetric(**SMALL, coupling="symmetric").fit(X, LABELS)
    with pytest.raises(ValueError, match="is NaN"):
        SynchronizationDisplay.from_estimator(metric, GAPS, LABELS, n_pairs=3)


def test_later_parts_are_filled_by_the_means_of_the_first() -> None:
    model = RandomConvolutionMetric(84, random_state=0, missing="interpolate").partial_fit(GAPS, LABELS)
    means = model.fill_values_
    model.partial_fit([x + 100 for x in GAPS], LABELS)
    assert model.fill_values_ is means


def test_names_and_channels_are_those_of_the_input() -> None:
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame(x, columns=["a", "b"]) for x in GAPS]
    model = EchoStateClassifier(8, random_state=0, missing="mask").fit(frames, LABELS)
    assert model.channel_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="fitted with 2"):
        model.predict([x[:, :1] for x in GAPS])
    masked = check_sequences(frames, estimator=model, reset=False)
    assert masked.channel_names == ("a", "b", "a_observed", "b_observed", "a_gap", "b_gap")
    # sequences with their masks are read as they are
    assert np.array_equal(model.predict_proba(masked), model.predict_proba(frames))


def test_padding_of_an_array_is_no_gap() -> None:
    array = np.full((2, 5, 1), np.nan)
    array[0], array[1, :3, 0] = 1, [2, np.nan, 4]
    imputed = SequenceImputer().fit_transform(array)
    assert [x.ravel().tolist() for x in imputed] == [[1] * 5, [2, 3, 4]]


def test_a_table_keeps_its_gaps_up_to_the_imputer() -> None:
    table = np.array([[1, np.nan, 3], [np.nan, 5, 7.0]])
    assert SequenceImputer().fit_transform(table).tolist() == [[1, 2, 3], [5, 5, 7]]
    with pytest.raises(ValueError, match="is NaN"):
        SequenceScaler().fit(table)


def test_where_masks_or_gaps_make_no_sense(tmp_path: Path) -> None:
    masked = EchoStateClassifier(8, random_state=0, missing="mask", bidirectional=False, target="step")
    masked.fit(GAPS, [np.arange(len(x)) % 2 for x in GAPS])
    with pytest.raises(ValueError, match="needs whole sequences"):
        masked.predict_step(GAPS[1][0])
    with pytest.raises(ValueError, match=r"masks are made.*SequenceImputer"):
        masked.export(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="no token may be missing"):
        RecurrentClassifier(4, **QUICK, tokens=True, missing="mask").fit([["a", "b"], ["b"]], [0, 1])


@pytest.mark.slow
def test_one_command_measures_lines_against_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "missing.json"
    monkeypatch.setattr("sys.argv", ["run_missing", "--quick", "--out", str(out)])
    run_missing.main()
    rows = json.loads(out.read_text())["filled"]
    assert {(row["missing"], row["strategy"]) for row in rows} == {
        (share, strategy) for share in run_missing.SHARES for strategy in run_missing.STRATEGIES
    }
    assert min(row["accuracy"] for row in rows) > 0.5
    assert len(capsys.readouterr().out.split("\n")) >= len(rows)


def test_the_benchmark_removes_the_share_that_it_says() -> None:
    gaps = run_missing.removed([np.ones((5000, 2))], 0.3, np.random.default_rng(0))
    assert np.isnan(gaps[0]).mean() == pytest.approx(0.3, abs=0.02)


def test_sequences_with_gaps_are_filled() -> None:
    gaps = Sequences(np.concatenate(GAPS), np.array([len(x) for x in GAPS]))
    model = DTWMetric(missing="interpolate").fit(gaps)
    assert np.array_equal(model.pairwise_distances(gaps), model.pairwise_distances(GAPS))
