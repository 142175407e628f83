"""Labels, numbers, pairs and weights beside the sequences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

from skseqmetric._input import (
    check_labels,
    check_pair_indices,
    check_pairs,
    check_real_targets,
    check_step_targets,
    check_weights,
)

NAN = np.nan

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
def test_labels_are_encoded_in_sorted_order(y):
    classes, encoded = check_labels(y, 3)
    assert encoded.tolist() == [1, 0, 1]
    assert encoded.dtype == np.int64
    assert classes[encoded].tolist() == list(y)


BAD_LABELS = {
    "none": (None, "requires y to be passed, but the target y is None"),
    "length": ([0, 1], "y has 2 labels, but X has 3 sequences"),
    "one class": (["a"] * 3, r"y holds only one class, 'a': at least 2 classes are needed"),
    "nan": ([0, NAN, 1], "Input y contains NaN"),
    "continuous": ([0.1, 0.2, 0.3], "continuous"),
    "complex": ([1j, 2j, 3j], "Complex data not supported"),
    "2-D": (np.ones((3, 2)), r"y should be a 1d array, got an array of shape \(3, 2\)"),
    "objects": (np.array([0, "a", None], dtype=object), "nknown label type|Cannot"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_bad_labels_are_refused(name):
    y, message = BAD_LABELS[name]
    with pytest.raises(ValueError, match=message):
        check_labels(y, 3)


def test_labels_name_the_estimator_and_the_least_number_of_classes():
    with pytest.raises(ValueError, match="This KNeighborsClassifier estimator requires y"):
        check_labels(None, 3, estimator=KNeighborsClassifier())
    with pytest.raises(ValueError, match="only 2 classes, 0, 1: at least 3 classes"):
        check_labels([0, 1, 1], 3, min_classes=3)
    classes, _ = check_labels([7, 7, 7], 3, min_classes=1)
    assert classes.tolist() == [7]


# ------------------------------------------------------------------------------------------------ pairs


@pytest.mark.parametrize("same", [[1, -1, 1], [True, False, True], np.array([1.0, -1.0, 1.0])])
def test_pairs_come_back_as_integers(same):
    pairs, signs = check_pairs([[0, 1], [1, 2], [2, 2]], same, 3)
    assert pairs.tolist() == [[0, 1], [1, 2], [2, 2]]
    assert signs.tolist() == [1, -1, 1]
    assert pairs.dtype == signs.dtype == np.int64


PAIRS = [[0, 1], [1, 2]]
BAD_PAIRS = {
    "empty": ([], [], "pairs is empty"),
    "shape": ([0, 1], [1, -1], r"pairs has shape \(2,\), but must be \(n_pairs, 2\)"),
    "triples": ([[0, 1, 2]], [1], r"pairs has shape \(1, 3\)"),
    "float": ([[0.0, 1.0]], [1], "integer indices of sequences, got dtype float64"),
    "too large": ([[0, 1], [1, 3]], [1, -1], r"pairs\[1\] holds index 3, out of range for 3 sequences"),
    "negative": ([[0, 1], [-1, 2]], [1, -1], r"pairs\[1\] holds index -1, out of range"),
    "length": (PAIRS, [1], r"same has shape \(1,\), but there are 2 pairs"),
    "column": (PAIRS, [[1], [-1]], r"same has shape \(2, 1\)"),
    "zero": (PAIRS, [1, 0], r"same\[1\] is 0, but must be \+1 \(the same\), -1 \(different\)"),
    "nan": (PAIRS, [NAN, 1], r"same\[0\] is nan"),
    "text": (PAIRS, ["yes", "no"], r"same\[0\] is yes"),
    "contradiction": ([[0, 1], [2, 2]], [1, -1], r"pairs\[1\] says that sequence 2 differs from itself"),
    "only same": (PAIRS, [1, 1], r"same holds only \+1: at least one pair with -1 \(different\)"),
    "only different": (PAIRS, [-1, -1], r"same holds only -1: at least one pair with \+1 \(the same\)"),
}


@pytest.mark.parametrize("name", BAD_PAIRS)
def test_bad_pairs_are_refused(name):
    pairs, same, message = BAD_PAIRS[name]
    with pytest.raises(ValueError, match=message):
        check_pairs(pairs, same, 3)


def test_one_kind_of_pairs_is_enough_where_asked():
    assert check_pairs(PAIRS, [1, 1], 3, both_kinds=False)[1].tolist() == [1, 1]
    np.testing.assert_array_equal(check_pair_indices(PAIRS, 3), PAIRS)


# ---------------------------------------------------------------------------------------------- weights


def test_weights_are_floats_of_the_right_number():
    assert check_weights(None, 2).tolist() == [1, 1]
    assert check_weights(3, 2).tolist() == [3, 3]
    given = np.array([0, 2])
    weights = check_weights(given, 2)
    assert weights.tolist() == [0, 2]
    assert weights.dtype == np.float64
    floats = np.array([0.5, 2])
    assert not np.shares_memory(check_weights(floats, 2), floats)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], r"sample_weight\.shape == \(3,\), expected \(2,\)"),
        ([[1, 2]], "must be 1D array or scalar"),
        ([1, -1], r"Negative values in data passed to `sample_weight`: sample_weight\[1\] is -1"),
        ([1, NAN], "Input sample_weight contains NaN"),
        ([1, np.inf], "Input sample_weight contains infinity"),
        (NAN, "Input sample_weight contains NaN"),
        ([0, 0], "at least one non-zero"),
        (["a", "b"], "could not convert string to float"),
    ],
)
def test_bad_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        check_weights(weights, 2)


# ----------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("y", "expected", "one_column"),
    [
        ([1, 2, 3], [[1], [2], [3]], True),
        (np.array([True, False, True]), [[1], [0], [1]], True),
        (pd.Series([0.5, 1, 2], index=[7, 8, 9]), [[0.5], [1], [2]], True),
        ([[1], [2], [3]], [[1], [2], [3]], False),
        (np.arange(6, dtype=np.float32).reshape(3, 2), [[0, 1], [2, 3], [4, 5]], False),
        (pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}), [[1, 4], [2, 5], [3, 6]], False),
        (np.array([1, 2.5, 3], dtype=object), [[1], [2.5], [3]], True),
    ],
)
def test_numbers_of_sequences_are_rows(y, expected, one_column):
    values, flag = check_real_targets(y, 3)
    assert values.tolist() == expected
    assert values.dtype == np.float64
    assert flag is one_column
    assert not np.shares_memory(values, np.asarray(y))


BAD_NUMBERS = {
    "none": (None, "requires y to be passed, but the target y is None"),
    "length": ([1, 2], r"y has 2 rows, but X has 3 sequences: pass \(3,\) or \(3, K\), one row a sequence"),
    "one number": (5.0, r"y has shape \(\): pass \(3,\)"),
    "3-D": (np.zeros((3, 4, 2)), r"y has shape \(3, 4, 2\).*targets of every step are for target='step'"),
    "ragged": ([[1, 2], [1], [1]], r"y is not an array of real numbers .*are for target='step'"),
    "no column": (np.zeros((3, 0)), r"y has shape \(3, 0\)"),
    "text": (["a", "b", "c"], r"not an array of real numbers \(dtype <U1\)"),
    "digits": (["1", "2", "3"], r"not an array of real numbers \(dtype <U1\)"),
    "objects": (np.array([1, "b", None], dtype=object), "not an array of real numbers"),
    "complex": ([1j, 2, 3], r"not an array of real numbers \(dtype complex128\)"),
    "nan": ([0, NAN, 1], r"Input y contains NaN: y\[1\] is nan"),
    "infinity": ([[0, 1], [2, 3], [4, np.inf]], r"contains infinity or a value too large for .*: y\[2, 1\] is inf"),
}


@pytest.mark.parametrize("name", BAD_NUMBERS)
def test_bad_numbers_of_sequences_are_refused(name):
    y, message = BAD_NUMBERS[name]
    with pytest.raises(ValueError, match=message):
        check_real_targets(y, 3)


LENGTHS = np.array([2, 1, 3])


@pytest.mark.parametrize(
    ("y", "expected", "one_column"),
    [
        ([[1, 2], [3], [4, 5, 6]], [[1], [2], [3], [4], [5], [6]], True),
        (pd.Series([[1, 2], [3], [4, 5, 6]], index=[7, 8, 9]), [[1], [2], [3], [4], [5], [6]], True),
        ([np.eye(2), np.zeros((1, 2)), np.ones((3, 2))], [[1, 0], [0, 1], [0, 0], [1, 1], [1, 1], [1, 1]], False),
        ([np.ones((n, 1), dtype=np.float32) for n in LENGTHS], [[1]] * 6, False),
    ],
)
def test_numbers_of_steps_are_rows(y, expected, one_column):
    values, flag = check_step_targets(y, LENGTHS)
    assert values.tolist() == expected
    assert values.dtype == np.float64
    assert flag is one_column


@pytest.mark.parametrize("n_targets", [1, 3])
def test_one_array_holds_the_numbers_of_sequences_of_one_length(n_targets):
    y = np.arange(2 * 4 * n_targets).reshape(2, 4, n_targets)
    values, one_column = check_step_targets(y, np.array([4, 4]))
    assert np.array_equal(values, y.reshape(8, n_targets))
    assert not one_column
    assert check_step_targets(y[..., 0], np.array([4, 4]))[1]


def spoilt(i, part):
    parts = [np.zeros(2), np.zeros(1), np.zeros(3)]
    parts[i] = part
    return parts


BAD_STEPS = {
    "none": (None, "requires y to be passed, but the target y is None"),
    "one number": (3, "y has one value, 3, but X has 3 sequences"),
    "length": ([np.zeros(2)], "y has targets of 1 sequences, but X has 3 sequences"),
    "one a sequence": ([1, 2, 3], r"y\[0\] has shape \(\): pass \(2,\) or \(2, K\), one row a step"),
    "steps": (spoilt(2, np.zeros(2)), r"y\[2\] has 2 rows, but sequence 2 has 3 steps"),
    "columns": (spoilt(1, np.zeros((1, 2))), r"y\[1\] has shape \(1, 2\) and y\[0\] has \(2,\): every step needs"),
    "3-D": (spoilt(1, np.zeros((1, 2, 2))), r"y\[1\] has shape \(1, 2, 2\)"),
    "text": (spoilt(1, np.array(["a"])), r"y\[1\] is not an array of real numbers"),
    "complex": (spoilt(0, np.array([0, 1j])), r"y\[0\] is not an array of real numbers \(dtype complex128\)"),
    "nan": (spoilt(2, np.array([0, NAN, NAN])), r"Input y contains NaN: y\[2\]\[1\] is nan"),
    "infinity": ([np.zeros((2, 2)), [[0, -np.inf]], np.zeros((3, 2))], r"infinity.*: y\[1\]\[0, 1\] is -inf"),
}


@pytest.mark.parametrize("name", BAD_STEPS)
def test_bad_numbers_of_steps_are_refused(name):
    y, message = BAD_STEPS[name]
    with pytest.raises(ValueError, match=message):
        check_step_targets(y, LENGTHS)


def test_numbers_name_the_estimator():
    with pytest.raises(ValueError, match="This KNeighborsClassifier estimator requires y"):
        check_real_targets(None, 3, estimator=KNeighborsClassifier())
    with pytest.raises(ValueError, match="This KNeighborsClassifier estimator requires y"):
        check_step_targets(None, LENGTHS, estimator=KNeighborsClassifier())
