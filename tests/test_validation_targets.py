"""Labels, numbers, pairs and weights as public estimators take them, and what they say to wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from skseqmetric import DTWMetric, EchoStateClassifier, EchoStateRegressor, SequenceKNeighborsClassifier

NAN = np.nan
LENGTHS = (2, 1, 3)
X = [np.random.default_rng(i).normal(size=(steps, 2)) for i, steps in enumerate(LENGTHS)]


def regressor(target: str = "sequence") -> EchoStateRegressor:
    return EchoStateRegressor(5, target=target, random_state=0)


# ----------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "y",
    [
        ["b", "a", "b"],
        np.array(["b", "a", "b"], dtype=object),
        [2, -1, 2],
        [True, False, True],
        [1.0, 0.0, 1.0],
        pd.Series(["b", "a", "b"], dtype="category", index=[3, 4, 5]),
    ],
)
def test_labels_come_back_and_classes_are_sorted(y: Any) -> None:
    model = SequenceKNeighborsClassifier("dtw", n_neighbors=1).fit(X, y)
    assert model.classes_.tolist() == sorted(set(y))
    assert model.predict(X).tolist() == list(y)


BAD_LABELS = {
    "none": (None, "This SequenceKNeighborsClassifier estimator requires y to be passed, but the target y is None"),
    "length": ([0, 1], "y has 2 labels, but X has 3 sequences"),
    "one class": (["a"] * 3, r"y holds only one class, 'a': at least 2 classes are needed"),
    "nan": ([0, NAN, 1], "Input y contains NaN"),
    "continuous": ([0.1, 0.2, 0.3], "continuous"),
    "complex": ([1j, 2j, 3j], "Complex data not supported"),
    "2-D": (np.ones((3, 2)), r"y should be a 1d array, got an array of shape \(3, 2\)"),
    "objects": (np.array([0, "a", None], dtype=object), r"y\[1\] is 'a', a string, but y\[0\] is a number"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_bad_labels_are_refused(name: str) -> None:
    y, message = BAD_LABELS[name]
    with pytest.raises(ValueError, match=message):
        SequenceKNeighborsClassifier("dtw").fit(X, y)


@pytest.mark.parametrize("form", [list, tuple, lambda parts: pd.Series(parts, index=[7, 8, 9])])
def test_labels_of_steps_are_sorted_and_come_back(form: Any) -> None:
    y = [["b", "b"], ["a"], ["b", "c", "c"]]
    model = EchoStateClassifier(50, target="step", alpha=1e-9, random_state=0).fit(X, form(y))
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert [labels.tolist() for labels in model.predict(X)] == y


def test_an_array_of_step_labels_is_padded_with_the_ignored_one() -> None:
    model = EchoStateClassifier(50, target="step", alpha=1e-9, ignore_label=-1, random_state=0)
    padded = np.array([[5, 5, -1], [4, -1, -1], [5, -1, 6]])
    parts = model.fit(X, [row[:n] for row, n in zip(padded, LENGTHS, strict=True)]).coef_
    np.testing.assert_array_equal(model.fit(X, padded).coef_, parts)
    assert model.classes_.tolist() == [4, 5, 6]


BAD_STEP_LABELS = {
    "none": (None, "requires y to be passed, but the target y is None"),
    "one label": (3, "y has one value, 3, but X has 3 sequences"),
    "length": ([[0, 1]], "y has labels of 1 sequences, but X has 3 sequences"),
    "steps": ([[0, 1], [1], [1, 1]], r"y\[2\] has 2 labels, but sequence 2 has 3 steps\.$"),
    "one a sequence": ([0, 1, 2], r"y\[0\] has 0 dimensions: pass one label a step, shape \(2,\)"),
    "padded with a class": (
        np.zeros((3, 3), int),
        r"y\[0\] has 3 labels.*padded with ignore_label, which must be given",
    ),
    "one class": ([["a", "a"], ["a"], ["a", "-", "a"]], "y holds only one class, 'a': at least 2 classes are needed"),
    "ignored": ([["-", "-"], ["-"], ["-", "-", "-"]], "y holds no label other than ignore_label='-'"),
    "nan": ([[0, 1], [1], [NAN, 1, 0]], "Input y contains NaN"),
    "continuous": ([[0.5, 1], [1], [0.2, 1, 0]], "continuous"),
}


@pytest.mark.parametrize("name", BAD_STEP_LABELS)
def test_bad_labels_of_steps_are_refused(name: str) -> None:
    y, message = BAD_STEP_LABELS[name]
    ignored = "-" if name in ("one class", "ignored") else None
    with pytest.raises(ValueError, match=message):
        EchoStateClassifier(5, target="step", ignore_label=ignored).fit(X, y)


# ------------------------------------------------------------------------------------------------ pairs

PAIRS = [[0, 1], [1, 2]]


@pytest.fixture(scope="module")
def metric() -> DTWMetric:
    return DTWMetric().fit(X)


@pytest.mark.parametrize("same", [[1, -1, 1], [True, False, True], np.array([1.0, -1.0, 1.0])])
def test_signs_of_pairs_may_be_numbers_or_booleans(same: Any) -> None:
    line = [[[0.0]], [[1.0]], [[5.0]]]
    metric = DTWMetric().fit(line).calibrate_threshold(line, [[0, 1], [1, 2], [2, 2]], same)
    assert metric.threshold_ == 2.5


def test_scores_need_no_signs(metric: DTWMetric) -> None:
    scores = metric.score_pairs(X, [*PAIRS, [2, 2]])
    assert scores[2] == 0
    np.testing.assert_array_equal(metric.score_pairs(X, np.array(PAIRS, dtype=np.uint8)), scores[:2])


BAD_PAIRS = {
    "empty": ([], [], "pairs is empty"),
    "shape": ([0, 1], [1, -1], r"pairs has shape \(2,\), but must be \(n_pairs, 2\)"),
    "triples": ([[0, 1, 2]], [1], r"pairs has shape \(1, 3\)"),
    "float": ([[0.0, 1.0]], [1], "integer indices of sequences, got dtype float64"),
    "too large": ([[0, 1], [1, 3]], [1, -1], r"pairs\[1\] holds index 3, out of range for 3 sequences"),
    "negative": ([[0, 1], [-1, 2]], [1, -1], r"pairs\[1\] holds index -1, out of range"),
}
BAD_SIGNS = {
    "length": (PAIRS, [1], r"same has shape \(1,\), but there are 2 pairs"),
    "column": (PAIRS, [[1], [-1]], r"same has shape \(2, 1\)"),
    "zero": (PAIRS, [1, 0], r"same\[1\] is 0, but must be \+1 \(the same\), -1 \(different\)"),
    "nan": (PAIRS, [NAN, 1], r"same\[0\] is nan"),
    "text": (PAIRS, ["yes", "no"], r"same\[0\] is yes"),
    "contradiction": ([[0, 1], [2, 2]], [1, -1], r"pairs\[1\] says that sequence 2 differs from itself"),
    "only same": (PAIRS, [1, 1], r"same holds only \+1: at least one pair with -1 \(different\)"),
    "only different": (PAIRS, [-1, -1], r"same holds only -1: at least one pair with \+1 \(the same\)"),
}


@pytest.mark.parametrize(("pairs", "same", "message"), [*BAD_PAIRS.values(), *BAD_SIGNS.values()])
def test_bad_pairs_are_refused(metric: DTWMetric, pairs: Any, same: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric.calibrate_threshold(X, pairs, same)


@pytest.mark.parametrize(("pairs", "_", "message"), BAD_PAIRS.values())
def test_scores_refuse_bad_pairs_too(metric: DTWMetric, pairs: Any, _: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric.score_pairs(X, pairs)


# ---------------------------------------------------------------------------------------------- weights


def test_weights_are_numbers_of_any_form() -> None:
    y = [1.0, 2.0, 4.0]
    equal = regressor().fit(X, y).coef_
    np.testing.assert_array_equal(regressor().fit(X, y, sample_weight=[1, 1, 1]).coef_, equal)
    weights = np.array([0, 2, 1])
    expected = regressor().fit(X, y, sample_weight=weights).coef_
    for form in (weights.astype(float), weights.tolist(), pd.Series(weights, index=[5, 6, 7])):
        np.testing.assert_array_equal(regressor().fit(X, y, sample_weight=form).coef_, expected)
    assert weights.tolist() == [0, 2, 1]
    same = regressor().fit(X, y, sample_weight=[3, 3, 3]).coef_
    np.testing.assert_array_equal(regressor().fit(X, y, sample_weight=3).coef_, same)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"sample_weight\.shape == \(2,\), expected \(3,\)"),
        ([[1, 2, 3]], "must be 1D array or scalar"),
        ([1, -1, 1], r"Negative values in data passed to `sample_weight`: sample_weight\[1\] is -1"),
        ([1, NAN, 1], "Input sample_weight contains NaN"),
        ([1, np.inf, 1], "Input sample_weight contains infinity"),
        (NAN, "Input sample_weight contains NaN"),
        ([0, 0, 0], "at least one non-zero"),
        (["a", "b", "c"], "could not convert string to float"),
    ],
)
def test_bad_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, [1.0, 2.0, 4.0], sample_weight=weights)


# ----------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("y", "rows", "shape"),
    [
        ([1, 2, 3], [[1], [2], [3]], (3,)),
        (np.array([True, False, True]), [[1], [0], [1]], (3,)),
        (pd.Series([0.5, 1, 2], index=[7, 8, 9]), [[0.5], [1], [2]], (3,)),
        ([[1], [2], [3]], [[1], [2], [3]], (3, 1)),
        (np.arange(6, dtype=np.float32).reshape(3, 2), [[0, 1], [2, 3], [4, 5]], (3, 2)),
        (pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}), [[1, 4], [2, 5], [3, 6]], (3, 2)),
        (np.array([1, 2.5, 3], dtype=object), [[1], [2.5], [3]], (3,)),
    ],
)
def test_numbers_of_sequences_are_rows(y: Any, rows: list[list[float]], shape: tuple[int, ...]) -> None:
    given, before = np.asarray(y), np.array(y)
    predicted = regressor().fit(X, y).predict(X)
    assert predicted.shape == shape
    np.testing.assert_array_equal(predicted.reshape(len(X), -1), regressor().fit(X, np.array(rows, float)).predict(X))
    np.testing.assert_array_equal(given, before)


BAD_NUMBERS = {
    "none": (None, "requires y to be passed, but the target y is None"),
    "length": ([1, 2], r"y has 2 rows, but X has 3 sequences: pass \(3,\) or \(3, K\), one row a sequence"),
    "one number": (5.0, r"y has shape \(\): pass \(3,\)"),
    "3-D": (np.zeros((3, 4, 2)), r"y has shape \(3, 4, 2\).*targets of every step need target='step'"),
    "ragged": ([[1, 2], [1], [1]], r"y is not an array of real numbers .*every step need target='step'"),
    "no column": (np.zeros((3, 0)), r"y has shape \(3, 0\)"),
    "text": (["a", "b", "c"], r"not an array of real numbers \(dtype <U1\)"),
    "digits": (["1", "2", "3"], r"not an array of real numbers \(dtype <U1\)"),
    "objects": (np.array([1, "b", None], dtype=object), "not an array of real numbers"),
    "complex": ([1j, 2, 3], r"not an array of real numbers \(dtype complex128\)"),
    "nan": ([0, NAN, 1], r"Input y contains NaN: y\[1\] is nan"),
    "infinity": ([[0, 1], [2, 3], [4, np.inf]], r"contains infinity or a value too large for .*: y\[2, 1\] is inf"),
}


@pytest.mark.parametrize("name", BAD_NUMBERS)
def test_bad_numbers_of_sequences_are_refused(name: str) -> None:
    y, message = BAD_NUMBERS[name]
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, y)


@pytest.mark.parametrize(
    ("y", "rows", "n_columns"),
    [
        ([[1, 2], [3], [4, 5, 6]], [[1], [2], [3], [4], [5], [6]], None),
        (pd.Series([[1, 2], [3], [4, 5, 6]], index=[7, 8, 9]), [[1], [2], [3], [4], [5], [6]], None),
        ([np.eye(2), np.zeros((1, 2)), np.ones((3, 2))], [[1, 0], [0, 1], [0, 0], [1, 1], [1, 1], [1, 1]], 2),
        ([np.ones((n, 1), dtype=np.float32) for n in LENGTHS], [[1]] * 6, 1),
    ],
)
def test_numbers_of_steps_are_rows(y: Any, rows: list[list[float]], n_columns: int | None) -> None:
    predicted = regressor("step").fit(X, y).predict(X)
    assert [p.shape for p in predicted] == [(n,) if n_columns is None else (n, n_columns) for n in LENGTHS]
    parts = np.split(np.array(rows, dtype=float), np.cumsum(LENGTHS)[:-1])
    expected = regressor("step").fit(X, parts).predict(X)
    np.testing.assert_array_equal(np.concatenate(predicted).reshape(6, -1), np.concatenate(expected))


@pytest.mark.parametrize("columns", [(), (1,), (3,)])
def test_one_array_holds_the_numbers_of_sequences_of_one_length(rng: np.random.Generator, columns: Any) -> None:
    alike, y = rng.normal(size=(2, 4, 2)), rng.normal(size=(2, 4, *columns))
    predicted = regressor("step").fit(alike, y).predict(alike)
    assert [p.shape for p in predicted] == [(4, *columns)] * 2
    np.testing.assert_array_equal(predicted, regressor("step").fit(alike, list(y)).predict(alike))


def spoilt(i: int, part: Any) -> list[Any]:
    parts: list[Any] = [np.zeros(2), np.zeros(1), np.zeros(3)]
    parts[i] = part
    return parts


BAD_STEPS = {
    "none": (None, "requires y to be passed, but the target y is None"),
    "one number": (3, "y has one value, 3, but X has 3 sequences"),
    "length": ([np.zeros(2)], "y has targets of 1 sequences, but X has 3 sequences"),
    "one a sequence": ([1, 2, 3], r"y\[0\] has shape \(\): pass \(2,\) or \(2, K\), one row a step"),
    "steps": (spoilt(2, np.zeros(2)), r"y\[2\] has 2 rows, but sequence 2 has 3 steps"),
    "columns": (
        spoilt(1, np.zeros((1, 2))),
        r"y\[1\] has shape \(1, 2\) and y\[0\] has \(2,\): every step needs the same",
    ),
    "3-D": (spoilt(1, np.zeros((1, 2, 2))), r"y\[1\] has shape \(1, 2, 2\)"),
    "text": (spoilt(1, np.array(["a"])), r"y\[1\] is not an array of real numbers"),
    "complex": (spoilt(0, np.array([0, 1j])), r"y\[0\] is not an array of real numbers \(dtype complex128\)"),
    "nan": (spoilt(2, np.array([0, NAN, NAN])), r"Input y contains NaN: y\[2\]\[1\] is nan"),
    "infinity": ([np.zeros((2, 2)), [[0, -np.inf]], np.zeros((3, 2))], r"infinity.*: y\[1\]\[0, 1\] is -inf"),
}


@pytest.mark.parametrize("name", BAD_STEPS)
def test_bad_numbers_of_steps_are_refused(name: str) -> None:
    y, message = BAD_STEPS[name]
    with pytest.raises(ValueError, match=message):
        regressor("step").fit(X, y)
