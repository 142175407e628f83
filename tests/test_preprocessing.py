"""Transformers of sequences on text-book cases: lines, sines, moments, windows that cover, votes, and Pipelines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skseqmetric import (
    RandomConvolutionTransformer,
    SequenceCropper,
    SequenceFeatures,
    SequenceImputer,
    SequenceResampler,
    SequenceScaler,
    SequenceWindower,
    windows_to_cases,
)

NAN = np.nan


def column(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=float)[:, None]


def sine(frequency: float, rate: float, seconds: float = 8.0) -> np.ndarray:
    return column(np.sin(2 * np.pi * frequency * np.arange(0, seconds, 1 / rate)))


# --------------------------------------------------------------------------------------------------------- gaps


def with_gaps(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lengths = np.array([7, 1, 12, 3, 5])
    values = rng.normal(size=(lengths.sum(), 3))
    values[rng.random(values.shape) < 0.6] = NAN
    values[7], values[20:23, 1] = NAN, NAN
    return values, lengths, rng.exponential(size=len(values)).cumsum()


def split(values: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    return np.split(values, np.cumsum(lengths)[:-1])


@pytest.mark.parametrize("timed", [False, True])
def test_gaps_are_filled_as_numpy_interpolates(timed: bool) -> None:
    values, lengths, times = with_gaps(np.random.default_rng(0))
    clock = times if timed else np.arange(len(values), dtype=float)
    X = split(np.column_stack([times, values]) if timed else values, lengths)
    imputer = SequenceImputer(time_channel=0 if timed else None, keep_time=False)
    filled, start = np.concatenate(imputer.fit_transform(X)), 0
    for length in lengths:
        rows = slice(start, start + length)
        for c in range(3):
            seen = ~np.isnan(values[rows, c])
            expected = np.full(length, np.nanmean(values[:, c]))
            if seen.any():
                expected = np.interp(clock[rows], clock[rows][seen], values[rows, c][seen])
            np.testing.assert_allclose(filled[rows, c], expected, rtol=1e-12)
        start += length
    kept = ~np.isnan(values)
    assert np.array_equal(filled[kept], values[kept])


def test_the_time_since_the_last_value_is_counted_step_by_step() -> None:
    values, lengths, times = with_gaps(np.random.default_rng(1))
    X = split(np.column_stack([times, values]), lengths)
    imputed = SequenceImputer("mask", time_channel=0, keep_time=False).fit_transform(X)
    found, start = np.concatenate(imputed)[:, 6:], 0
    for length in lengths:
        for c in range(3):
            last = times[start]
            for t in range(start, start + length):
                last = last if np.isnan(values[t, c]) else times[t]
                assert found[t, c] == times[t] - last
        start += length


def test_masks_follow_the_filled_channels() -> None:
    found = SequenceImputer("mask").fit_transform([column([NAN, 2, NAN, NAN, 5])])
    assert found[0].tolist() == [[2, 0, 0], [2, 1, 0], [3, 0, 1], [4, 0, 2], [5, 1, 0]]


def test_means_are_of_observed_values_and_never_overflow() -> None:
    large = 1.5e308
    x = np.array([[1, NAN, large, 0], [NAN, NAN, large, 0], [3, NAN, NAN, 0.0]])
    assert SequenceImputer().fit([x]).fill_values_.tolist() == [2, 0, large, 0]


def test_a_line_is_exact_at_irregular_times() -> None:
    times = np.array([0, 0.1, 0.5, 2, 2.5, 7])
    x = np.column_stack([times, 3 * times - 1])
    gaps = x.copy()
    gaps[[1, 3, 4], 1] = NAN
    imputer = SequenceImputer(time_channel=0)
    np.testing.assert_allclose(imputer.fit_transform([gaps])[0], x, rtol=1e-13)
    steps = SequenceImputer().fit_transform([gaps[:, 1:]])[0]
    assert not np.allclose(steps, x[:, 1:])


def test_a_channel_without_values_gets_its_training_mean() -> None:
    imputer = SequenceImputer().fit([column([1, NAN, 3]), column([8.0])])
    assert imputer.fill_values_.tolist() == [4.0]
    assert imputer.transform([column([NAN, NAN])])[0].tolist() == [[4], [4]]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["t", "a", "b"]),
        ({"keep_time": False}, ["a", "b"]),
        ({"strategy": "mask", "keep_time": False}, ["a", "b", "a_observed", "b_observed", "a_gap", "b_gap"]),
        ({"strategy": "mask"}, ["t", "a", "b", "a_observed", "b_observed", "a_gap", "b_gap"]),
    ],
)
def test_channels_have_names_in_and_out(options: dict[str, Any], names: list[str]) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"t": [0.0, 1.0, 3.0], "a": [1.0, NAN, 4.0], "b": [NAN, 2.0, NAN]})
    imputer = SequenceImputer(**options, time_channel="t").set_output(transform="pandas")
    found = imputer.fit_transform([frame])[0]
    assert imputer.get_feature_names_out().tolist() == names == found.columns.tolist()
    assert found["a"].tolist() == [1, 2, 4]
    if "a_gap" in names:
        assert found["a_gap"].tolist() == [0, 1, 0]
        assert found["b_observed"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[0.0, 1], [0, 2]], "sequence 1, step 1 is 0, after 0"),
        ([[0.0, 1], [NAN, 2]], "sequence 1, step 1 is missing"),
        ([[NAN, 1], [1, 2]], "sequence 1, step 0 is missing"),
    ],
)
def test_wrong_time_stamps_are_named(x: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceImputer(time_channel=0).fit_transform([np.array([[5.0, 1.0], [6.0, 2.0]]), np.array(x)])


@pytest.mark.parametrize(
    ("channel", "message"), [(7, "not among the 2 channels"), ("t", "have no names: pass its number")]
)
def test_a_wrong_channel_of_times_is_named(channel: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceImputer(time_channel=channel).fit([np.ones((3, 2))])
    with pytest.raises(ValueError, match="time stamps alone"):
        SequenceImputer(time_channel=0).fit([np.ones((3, 1))])


# --------------------------------------------------------------------------------------------------- resampling


@pytest.mark.parametrize(("rate", "new"), [(100, 40), (100, 25), (40, 100), (50, 30)])
def test_a_sine_keeps_its_frequency_and_amplitude(rate: float, new: float) -> None:
    x = SequenceResampler(rate=new, input_rate=rate).fit_transform([sine(3, rate)])[0]
    expected = sine(3, new)[: len(x)]
    inner = slice(len(x) // 8, -len(x) // 8)
    np.testing.assert_allclose(x[inner], expected[inner], atol=2e-3)
    power = np.abs(np.fft.rfft(x[:, 0]))
    assert np.argmax(power) * new / len(x) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("frequency", [25, 28, 45])
def test_a_sine_above_half_the_new_rate_vanishes(frequency: float) -> None:
    x = SequenceResampler(rate=40, input_rate=100).fit_transform([sine(frequency, 100)])[0]
    assert np.abs(x[10:-10]).max() < 2e-3
    assert np.abs(sine(frequency, 100)[::5]).max() > 0.5  # every fifth step alone would show another sine


@pytest.mark.parametrize("times", [np.arange(41) / 10, np.sort(np.random.default_rng(0).uniform(0, 4, 41))])
@pytest.mark.parametrize("rate", [3.7, 10, 25])
def test_a_line_stays_one_at_any_rate(times: np.ndarray, rate: float) -> None:
    x = SequenceResampler(rate=rate, time_channel=1).fit_transform([np.column_stack([2 * times + 5, times])])[0]
    grid = times[0] + np.arange(len(x)) / rate
    assert grid[-1] <= times[-1] + 1e-9 < grid[-1] + 1 / rate
    np.testing.assert_allclose(x[:, 0], 2 * grid + 5, rtol=1e-9)


@pytest.mark.parametrize("start", [0.0, 1.7e9])
def test_no_step_is_lost_at_the_end(start: float) -> None:
    for rate in (10, 30, 100, 1000):
        times = start + np.arange(rate * 3) / rate
        x = SequenceResampler(rate=rate, time_channel=0).fit_transform([np.column_stack([times, times - start])])[0]
        np.testing.assert_allclose(x[:, 0], np.arange(rate * 3) / rate, atol=1e-6)


def test_irregular_times_are_filtered_too() -> None:
    rng = np.random.default_rng(0)
    times = (np.arange(4000) + rng.uniform(-0.4, 0.4, 4000)) / 200
    slow, fast = np.sin(2 * np.pi * 0.5 * times), np.sin(2 * np.pi * 8 * times)
    x = SequenceResampler(rate=5, time_channel=0).fit_transform([np.column_stack([times, slow, fast])])[0]
    grid = times[0] + np.arange(len(x)) / 5
    np.testing.assert_allclose(x[10:-10, 0], np.sin(2 * np.pi * 0.5 * grid)[10:-10], atol=2e-3)
    assert np.abs(x[10:-10, 1]).max() < 5e-3


def test_recordings_of_different_rates_become_equal() -> None:
    X = [np.column_stack([t, np.cos(t)]) for t in (np.arange(0, 20, 0.04), np.arange(0, 20, 0.1))]
    first, second = SequenceResampler(rate=10, time_channel=0).fit_transform(X)
    assert len(first) == len(second) == 200
    np.testing.assert_allclose(first[10:-10], second[10:-10], atol=2e-3)


@pytest.mark.parametrize("length", [1, 2, 5, 30, 101])
@pytest.mark.parametrize("n_steps", [1, 2, 30, 64])
def test_a_number_of_steps_runs_from_the_first_step_to_the_last(length: int, n_steps: int) -> None:
    line = column(np.linspace(-1, 3, length)).astype(np.float32)
    x = SequenceResampler(n_steps).fit_transform([line])[0]
    assert x.shape == (n_steps, 1)
    assert x.dtype == np.float32
    expected = [line.mean()] if n_steps == 1 else np.linspace(line[0, 0], line[-1, 0], n_steps)
    np.testing.assert_allclose(x[:, 0], expected, atol=1e-5)


def test_the_median_length_is_learned() -> None:
    resampler = SequenceResampler().fit([np.ones((n, 2)) for n in (3, 8, 9)])
    assert [x.shape for x in resampler.transform([np.ones((100, 2))])] == [(8, 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 5}, "needs the times"),
        ({"rate": 5, "n_steps": 7, "input_rate": 2}, "contradict"),
        ({"input_rate": 2}, "leave it out"),
        ({"rate": 5000, "input_rate": 1}, "same unit"),
    ],
)
def test_rates_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceResampler(**options).fit_transform([np.ones((9, 2))])


# ------------------------------------------------------------------------------------------------------ scaling


@pytest.fixture
def walks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [100 + rng.normal(size=(n, 2)).cumsum(axis=0) * [1, 50] for n in (30, 8, 50)]


@pytest.mark.parametrize("scope", ["training", "sequence"])
@pytest.mark.parametrize("method", ["standard", "robust", "minmax"])
def test_scaled_channels_have_the_moments_of_their_method(method: str, scope: str, walks: list[np.ndarray]) -> None:
    scaled = SequenceScaler(method, scope=scope).fit_transform(walks)
    for x in [np.concatenate(scaled)] if scope == "training" else scaled:
        if method == "standard":
            np.testing.assert_allclose([x.mean(0), x.std(0)], [[0, 0], [1, 1]], atol=1e-12)
        elif method == "minmax":
            np.testing.assert_allclose([x.min(0), x.max(0)], [[0, 0], [1, 1]], atol=1e-12)
        else:
            quartiles = np.quantile(x, (0.25, 0.5, 0.75), axis=0)
            np.testing.assert_allclose([quartiles[1], quartiles[2] - quartiles[0]], [[0, 0], [1, 1]], atol=1e-12)


@pytest.mark.parametrize("method", ["standard", "robust", "minmax"])
def test_new_sequences_are_scaled_as_the_training(method: str, walks: list[np.ndarray]) -> None:
    scaler = SequenceScaler(method).fit(walks)
    x = scaler.transform([walks[0].astype(np.float32)])[0]
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, (walks[0] - scaler.center_) / scaler.scale_, rtol=1e-4, atol=1e-4)


def test_a_constant_channel_becomes_zero() -> None:
    for scope in ("training", "sequence"):
        scaled = SequenceScaler(scope=scope).fit_transform([np.full((5, 1), 0.1)])[0]
        np.testing.assert_allclose(scaled, 0, atol=1e-15)


# ----------------------------------------------------------------------------------------------------- cropping


def test_a_movement_is_found_between_idle_ends() -> None:
    x = np.concatenate([np.zeros(50), np.sin(np.arange(30.0)), np.zeros(40)])[:, None] + 9.8
    cropped = SequenceCropper(threshold=0.01, smoothing=1).fit([x])
    kept = cropped.transform([x])[0]
    assert np.array_equal(kept, x[50 : 50 + len(kept)])
    assert 29 <= len(kept) <= 31
    with_margin = cropped.set_params(margin=5).transform([x])[0]
    assert np.array_equal(with_margin, x[45 : 55 + len(kept)])
    assert np.array_equal(cropped.set_params(margin=0).transform([x[::-1]])[0], kept[::-1])


def test_the_liveliest_steps_are_kept() -> None:
    x = np.concatenate([np.zeros(20), np.sin(np.arange(10.0)), np.zeros(30), 5 * np.sin(np.arange(10.0))])[:, None]
    kept = SequenceCropper(length=10, smoothing=1).fit_transform([x])[0]
    assert np.abs(kept).max() > 4


def test_fixed_parts_are_those_of_a_slice() -> None:
    X = [column(np.arange(9)), column(np.arange(5))]
    assert [x.ravel().tolist() for x in SequenceCropper(2, stop=6).fit_transform(X)] == [[2, 3, 4, 5], [2, 3, 4]]
    assert np.array_equal(SequenceCropper(threshold=0.5).fit_transform([np.ones((6, 2))])[0], np.ones((6, 2)))
    with pytest.raises(ValueError, match=r"sequence 1 has 5 steps.*remove it"):
        SequenceCropper(5).fit_transform(X)
    with pytest.raises(ValueError, match="nothing would be kept"):
        SequenceCropper(5, stop=5).fit(X)


# ------------------------------------------------------------------------------------------------------ windows


@pytest.mark.parametrize("width", [1, 4, 7])
@pytest.mark.parametrize("stride", [1, 3, 4])
@pytest.mark.parametrize("length", [1, 3, 4, 7, 10, 23])
def test_windows_cover_every_step_and_no_other(length: int, width: int, stride: int) -> None:
    stride = min(stride, width)
    x = column(np.arange(length))
    full = [s for s in range(0, length, stride) if s + width <= length]
    if full:
        dropped = SequenceWindower(width, stride=stride, partial="drop").fit([x]).transform_with_targets([x])
        assert dropped.starts.tolist() == full
    for partial in ("shift", "keep"):
        windows = SequenceWindower(width, stride=stride, partial=partial).fit([x]).transform_with_targets([x])
        steps = [part.ravel().astype(int).tolist() for part in windows.X]
        assert set(np.concatenate(windows.X).ravel().tolist()) == set(range(length))
        assert all(part == list(range(part[0], part[-1] + 1)) for part in steps)
        assert windows.starts.tolist() == [part[0] for part in steps]
        assert windows.starts.tolist()[: len(full)] == full
        assert len(steps) <= len(full) + 1
        if partial == "shift" and length >= width:
            assert {len(part) for part in steps} == {width}


def test_targets_follow_their_windows() -> None:
    X = [column(np.arange(10)), column(np.arange(100, 104))]
    windower = SequenceWindower(4, stride=3, partial="keep").fit(X)
    steps = [np.array(list("aaabbbbbbb")), np.array(list("bbaa"))]
    windows = windower.transform_with_targets(X, steps, groups=["p", "q"], case_ids=[5, 3])
    assert windows.starts.tolist() == [0, 3, 6, 0]
    assert windows.case_ids.tolist() == [5, 5, 5, 3]
    assert windows.groups.tolist() == ["p", "p", "p", "q"]
    assert windows.y.tolist() == ["a", "b", "b", "a"]  # of two equally frequent labels the first
    assert [x[0, 0] for x in windows.X] == [0, 3, 6, 100]
    for x, same in zip(windows.X, windower.transform(X), strict=True):
        assert np.array_equal(x, same)
    assert windower.transform_with_targets(X, [1.5, 2.5]).y.tolist() == [1.5, 1.5, 1.5, 2.5]
    assert windower.transform_with_targets(X).y is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": [1]}, "there are 2 sequences"),
        ({"y": [[1, 2], [1, 2]]}, r"y\[0\] has 2 labels, but sequence 0 has 6 steps"),
        ({"groups": [1, 2, 3]}, "groups has shape"),
        ({"case_ids": ["a", None]}, r"case_ids\[1\] is None"),
    ],
)
def test_wrong_targets_of_windows_are_named(options: dict[str, Any], message: str) -> None:
    X = [np.ones((6, 1))] * 2
    with pytest.raises(ValueError, match=message):
        SequenceWindower(3).fit(X).transform_with_targets(X, **options)


def test_windows_keep_gaps_and_need_a_window() -> None:
    assert np.isnan(SequenceWindower(2).fit_transform([column([1, NAN, 3])])[0]).tolist() == [[False], [True]]
    with pytest.raises(ValueError, match="the longest has 3 steps"):
        SequenceWindower(4, partial="drop").fit([np.ones((3, 1))])


def test_answers_are_voted_back() -> None:
    ids = ["b", "a", "b", "a", "a", "b"]
    voted = windows_to_cases([1, 2, 1, 3, 3, 2], ids)
    assert (voted.case_ids.tolist(), voted.answers.tolist()) == (["b", "a"], [1, 3])
    mean = windows_to_cases([[1, 0], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1]], ids, how="mean")
    np.testing.assert_allclose(mean.answers, [[1 / 3, 2 / 3], [0, 1]])
    with pytest.raises(ValueError, match='need how="mean"'):
        windows_to_cases(np.ones((6, 2)), ids)
    with pytest.raises(ValueError, match="neither"):
        windows_to_cases([1], [1], how="median")


# ----------------------------------------------------------------------------------------------------- features


def test_statistics_of_known_channels() -> None:
    t = np.arange(200.0)
    X = [np.column_stack([3 * t + 1, np.sin(2 * np.pi * t / 20), np.full(200, 5.0)])]
    features = SequenceFeatures().fit(X)
    found = dict(zip(features.get_feature_names_out(), features.transform(X)[0], strict=True))
    expected = {
        "x0_slope": 3,
        "x0_mean": 299.5,
        "x0_first": 1,
        "x0_last": 598,
        "x0_median": 299.5,
        "x0_lower_quartile": 150.25,
        "x0_mean_absolute_change": 3,
        "x0_zero_crossings": 1 / 199,
        "x0_skewness": 0,
        "x1_std": np.sqrt(0.5),
        "x1_energy": 0.5,
        "x1_dominant_frequency": 0.05,
        "x1_spectral_entropy": 0,
        "x1_kurtosis": 1.5,
        "x1_max": 1,
        "x2_energy": 25,
        "x2_autocorrelation": 0,
        "x2_dominant_frequency": 0,
        "x2_kurtosis": 0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert found["x1_autocorrelation"] == pytest.approx(np.cos(2 * np.pi / 20), abs=0.01)
    assert len(found) == 3 * len(features.statistics_) == 54


def test_white_noise_has_an_even_spectrum() -> None:
    noise = np.random.default_rng(0).normal(size=(4000, 1))
    assert SequenceFeatures(["spectral_entropy"]).fit_transform([noise])[0, 0] > 0.9


@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_sequences_have_all_statistics(length: int) -> None:
    found = SequenceFeatures().fit_transform([np.arange(2.0 * length).reshape(length, 2)])
    assert found.shape == (1, 36)


@pytest.mark.parametrize(
    ("statistics", "message"), [(["mode"], "has 'mode'"), ([], "is empty"), (["mean", "mean"], "twice")]
)
def test_unknown_statistics_are_named(statistics: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceFeatures(statistics).fit([np.ones((3, 1))])


def test_a_statistic_that_overflows_is_named() -> None:
    with pytest.raises(ValueError, match="'energy' of sequence 1, channel 0 is not finite"):
        SequenceFeatures(["mean", "energy"]).fit_transform([np.ones((2, 1)), np.full((2, 1), 1e200)])


# ---------------------------------------------------------------------------------------------------- pipelines


def test_a_table_stays_one_and_names_its_columns() -> None:
    table = np.arange(12.0).reshape(2, 6)
    assert SequenceScaler().fit_transform(table).shape == (2, 6)
    resampled = SequenceResampler(3).fit(table)
    assert resampled.transform(table).shape == (2, 3)
    assert resampled.get_feature_names_out().tolist() == ["step0", "step1", "step2"]
    assert isinstance(SequenceCropper(threshold=0.1).fit_transform(table), list)
    with pytest.raises(ValueError, match="number of channels"):
        SequenceScaler().fit([np.ones((2, 2))]).get_feature_names_out(["a"])


def test_names_pass_through_a_pipeline_of_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame(np.random.default_rng(i).normal(size=(9 + i, 2)), columns=["a", "b"]) for i in range(4)]
    steps = make_pipeline(SequenceImputer(), SequenceResampler(8), SequenceScaler(), SequenceFeatures(["mean"]))
    found = steps.set_output(transform="pandas").fit_transform(frames)
    assert found.columns.tolist() == ["a_mean", "b_mean"] == steps.get_feature_names_out().tolist()
    with pytest.raises(ValueError, match="names"):
        steps.transform([frame[["b", "a"]] for frame in frames])


def test_a_search_over_the_parameters_of_all_steps() -> None:
    rng = np.random.default_rng(0)
    X, y = [], np.arange(24) % 2
    for label in y:
        x = np.sin((0.2 + 0.4 * label) * np.arange(rng.integers(30, 60)) + rng.uniform(0, 6))[:, None]
        X.append(np.where(rng.random(x.shape) < 0.3, NAN, x))
    model = make_pipeline(
        SequenceImputer(),
        SequenceCropper(),
        SequenceScaler(),
        SequenceResampler(),
        SequenceFeatures(),
        StandardScaler(),
        LogisticRegression(),
    )
    grid = {
        "sequenceimputer__strategy": ["interpolate", "mask"],
        "sequenceresampler__n_steps": ["median", 20],
    }
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.9


def test_windows_of_a_person_stay_on_one_side() -> None:
    rng = np.random.default_rng(0)
    y, people = np.tile(["slow", "fast"], 6), np.repeat(np.arange(6), 2)
    X = [np.sin((0.1 if label == "slow" else 0.5) * np.arange(rng.integers(150, 200)))[:, None] for label in y]
    windows = SequenceWindower(50, stride=25).fit(X).transform_with_targets(X, y, groups=people)
    model = make_pipeline(RandomConvolutionTransformer(84, random_state=0), LogisticRegression())
    answers = np.empty(len(windows.y), dtype=object)
    for train, test in GroupKFold(3).split(windows.y, groups=windows.groups):
        assert not set(windows.groups[train]) & set(windows.groups[test])
        fitted = clone(model).fit([windows.X[i] for i in train], windows.y[train])
        answers[test] = fitted.predict([windows.X[i] for i in test])
    voted = windows_to_cases(answers, windows.case_ids)
    assert voted.answers.tolist() == y[voted.case_ids].tolist()


@pytest.mark.slow
def test_a_pipeline_answers_the_same_in_a_fresh_process(tmp_path: Path) -> None:
    X = [np.column_stack([np.arange(40) / (10 + 5 * i), np.sin(np.arange(40) * (i + 1) / 4)]) for i in range(6)]
    X[0][3, 1] = NAN
    steps = SequenceImputer(time_channel=0), SequenceResampler(rate=10, time_channel=0), SequenceFeatures()
    model = make_pipeline(*steps, StandardScaler(), LogisticRegression()).fit(X, [0, 1] * 3)
    joblib.dump((model, X), tmp_path / "model.joblib")
    script = "import joblib; model, X = joblib.load('model.joblib'); print(model.decision_function(X).tolist())"
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == model.decision_function(X).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "transformer",
    [
        SequenceImputer("mask"),
        SequenceResampler(5),
        SequenceScaler("robust", scope="sequence"),
        SequenceCropper(threshold=0.3),
        SequenceWindower(3),
    ],
    ids=lambda t: type(t).__name__,
)
def test_sequences_do_not_depend_on_their_neighbours_or_blocks(
    transformer: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)).astype(dtype) for n in (3, 9, 4, 12)]
    fitted = clone(transformer).fit(X)
    whole = fitted.transform(X)
    monkeypatch.setattr("skseqmetric._estimators.preprocessing.blocks.MOST_VALUES", 7)
    single = [part for x in X for part in fitted.transform([x])]
    for found in (single, fitted.transform(X)):
        assert len(found) == len(whole)
        for a, b in zip(found, whole, strict=True):
            assert a.dtype == dtype
            assert np.array_equal(a, b)
