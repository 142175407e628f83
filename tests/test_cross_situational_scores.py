"""Decoding and errors of the cross-situational task against plain loops, and its baseline by hand and by figures."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Bunch

from skseqmetric.datasets import (
    KeywordMemory,
    decode_meanings,
    exact_error,
    make_cross_situational,
    rate_meanings,
    valid_error,
)


@pytest.fixture(scope="module")
def task() -> Bunch:
    return make_cross_situational(4, random_state=0)


# ---------------------------------------------------------------------------------------------- decoding


def slow_decoding(outputs: np.ndarray, n_objects: int, threshold: float) -> list[list[list[int]]]:
    decoded = []
    for row in outputs:
        fields, start = [], 0
        for k in (n_objects, 3, 4) * 2:
            powers = [math.exp(o) for o in row[start : start + k]]
            p = [power / sum(powers) for power in powers]
            fields.append(p.index(max(p)) if max(p) >= threshold / k else -1)
            start += k
        decoded.append([fields[:3], fields[3:]])
    return decoded


@pytest.mark.parametrize("n_objects", [2, 4, 50])
@pytest.mark.parametrize("threshold", [0.0, 1.3, 1.9])
def test_decoding_is_that_of_plain_loops(rng: np.random.Generator, n_objects: int, threshold: float) -> None:
    outputs = rng.normal(scale=0.5, size=(60, 2 * (n_objects + 7)))
    decoded = decode_meanings(outputs, n_objects, threshold)
    assert decoded.dtype == np.int64
    assert decoded.tolist() == slow_decoding(outputs, n_objects, threshold)
    assert ((decoded == -1).any() and (decoded >= 0).any()) == (threshold > 0)
    assert decode_meanings(outputs.astype(np.float32), n_objects, threshold).shape == (60, 2, 3)


def test_default_threshold() -> None:
    # an output above K - 1 equal ones by d has p = e^d / (e^d + K - 1), which is 1.3 / K where e^d is as below
    for group, (column, k) in enumerate([(0, 50), (50, 3), (53, 4)]):
        margin = math.log(1.3 * (k - 1) / (k - 1.3))
        outputs = np.zeros((2, 114))
        outputs[:, column] = margin - 1e-9, margin + 1e-9
        assert decode_meanings(outputs, 50)[:, 0, group].tolist() == [-1, 0]


@given(st.integers(0, 999), st.floats(-500, 500))
def test_decoding_ignores_the_level_of_a_group(seed: int, level: float) -> None:
    outputs = np.random.default_rng(seed).normal(size=(5, 22)).round(2)
    shifted = outputs.copy()
    shifted[:, 4:7] += level
    np.testing.assert_array_equal(decode_meanings(outputs, 4), decode_meanings(shifted, 4))


def test_large_outputs_are_decoded() -> None:
    outputs = np.full((1, 22), -1e6)
    outputs[0, [3, 5, 9, 11, 15, 18]] = 1e6
    assert decode_meanings(outputs, 4).tolist() == [[[3, 1, 2], [0, 0, 0]]]


def test_silence_means_none() -> None:
    assert (decode_meanings(np.zeros((3, 22)), 4) == -1).all()
    assert (decode_meanings(np.full((3, 22), 7.0), 4) == -1).all()
    assert (decode_meanings(np.zeros((3, 22)), 4, threshold=1.0) == 0).all()  # as certain as asked is enough


@pytest.mark.parametrize("n_objects", [2, 4, 50])
def test_a_scene_is_valid_for_its_sentence(n_objects: int) -> None:
    made = make_cross_situational(n_objects, n_one_clause=100, n_two_clauses=100, random_state=0)
    part = made.train
    decoded = decode_meanings(part.y, n_objects)
    assert valid_error(part.meanings, decoded) == 0
    shown = part.y.reshape(200, 2, -1).any(axis=2)
    np.testing.assert_array_equal((decoded >= 0).all(axis=2), shown)
    more_shown = (shown[..., np.newaxis] & (part.meanings < 0)).any(axis=(1, 2))
    assert exact_error(part.meanings, decoded) == more_shown.mean()


@pytest.mark.parametrize(
    ("outputs", "n_objects", "threshold", "message"),
    [
        (np.zeros((2, 21)), 4, 1.3, "outputs has 21 columns, but n_objects=4 needs 2 x 11: two slots of 4 objects"),
        (np.zeros(22), 4, 1.3, "Expected 2D array"),
        (np.full((1, 22), np.nan), 4, 1.3, "Input outputs contains NaN"),
        (np.zeros((2, 16)), 1, 1.3, "n_objects=1 must be 2 to 50"),
        (np.zeros((2, 22)), 4, -0.1, "threshold=-0.1 must be finite and >= 0"),
        (np.zeros((2, 22)), 4, math.nan, "threshold=nan must be finite"),
    ],
)
def test_bad_outputs_are_refused(outputs: np.ndarray, n_objects: int, threshold: float, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        decode_meanings(outputs, n_objects, threshold)


# ------------------------------------------------------------------------------------------------ errors

NONE = [-1, -1, -1]


def test_errors_by_hand() -> None:
    meanings = [[[1, 2, -1], NONE], [[1, 2, -1], NONE], [[0, -1, 3], [2, 0, 0]], [[0, -1, 3], [2, 0, 0]]]
    decoded = [
        [[1, 2, -1], NONE],  # exact
        [[1, 2, 0], [3, -1, -1]],  # both say too much
        [[0, -1, 3], [2, 0, -1]],  # a missing colour
        [[0, 1, 3], [2, 1, 0]],  # too much, and a wrong position
    ]
    assert rate_meanings(meanings, decoded).tolist() == [[2, 2], [1, 1], [2, 0], [1, 0]]
    assert valid_error(meanings, decoded) == 0.5
    assert exact_error(meanings, decoded) == 0.75


@given(st.integers(0, 9999))
def test_rates_are_those_of_plain_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    meanings = rng.integers(-1, 2, size=(6, 2, 3))
    decoded = np.where(rng.random((6, 2, 3)) < 0.8, meanings, rng.integers(-1, 2, size=(6, 2, 3)))
    expected = []
    for said, answered in zip(meanings.reshape(12, 3).tolist(), decoded.reshape(12, 3).tolist(), strict=True):
        wrong = any(s not in (-1, a) for s, a in zip(said, answered, strict=True))
        expected.append(0 if wrong else 1 + (said == answered))
    rates = rate_meanings(meanings, decoded)
    assert rates.ravel().tolist() == expected
    assert rates.dtype == np.int64
    assert valid_error(meanings, decoded) == sum(0 in row for row in rates.tolist()) / 6
    assert exact_error(meanings, decoded) == sum(row != [2, 2] for row in rates.tolist()) / 6


@pytest.mark.parametrize("error", [rate_meanings, valid_error, exact_error])
@pytest.mark.parametrize(
    ("meanings", "decoded", "message"),
    [
        (np.zeros((2, 2, 3), int), np.zeros((3, 2, 3), int), "meanings are of 2 sentences, but decoded of 3"),
        (np.zeros((2, 6), int), np.zeros((2, 2, 3), int), "meanings must be (n, 2, 3) integers with n >= 1"),
        (np.zeros((2, 2, 3), int), np.zeros((2, 2, 3)), "decoded must be (n, 2, 3) integers"),
        (np.zeros((0, 2, 3), int), np.zeros((0, 2, 3), int), "meanings must be (n, 2, 3) integers with n >= 1"),
    ],
)
def test_meanings_are_checked(error: Any, meanings: np.ndarray, decoded: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        error(meanings, decoded)


# ---------------------------------------------------------------------------------------------- baseline


def split(*sentences: str) -> list[list[str]]:
    return [f"BEGIN {s} END".split() for s in sentences]


def test_the_memory_by_hand() -> None:
    sentences = split("a cup is red", "this is a cup", "the red cup is on the left and a cup is red", "that is a cup")
    y = np.arange(24.0).reshape(4, 6)
    memory = KeywordMemory().fit(sentences, y)
    assert set(memory.memory_) == {("cup", "red"), ("cup",), ("cup", "left", "red")}
    asked = split("this is the red cup", "the cup on the left is red and this is a cup", "a bowl is red", "a red cup")
    expected = [
        [15, 16, 17, 0, 0, 0],  # of the second slot of the third sentence, the last one with this bag
        [12, 13, 14, 18, 19, 20],
        [0, 0, 0, 0, 0, 0],
        [15, 16, 17, 0, 0, 0],
    ]
    np.testing.assert_array_equal(memory.predict(asked), expected)


def test_a_bag_counts_its_words() -> None:
    memory = KeywordMemory().fit(split("the orange is orange", "this is a orange"), [[1.0, 0], [2, 0]])
    predicted = memory.predict(split("that is the orange", "this is a orange orange"))
    np.testing.assert_array_equal(predicted, [[2, 0], [1, 0]])


def test_a_second_object_that_is_not_mentioned_is_not_remembered(task: Bunch) -> None:
    part = task.train
    memory = KeywordMemory().fit(part.sentences, part.y)
    single = part.meanings[:, 1, 0] < 0
    assert part.y[single, 11:].any()
    assert not memory.predict(part.sentences)[single, 11:].any()
    assert () not in memory.memory_


def test_the_memory_is_an_estimator(task: Bunch) -> None:
    memory = KeywordMemory()
    assert memory.get_params() == {}
    with pytest.raises(NotFittedError):
        memory.predict(task.test.sentences)
    assert memory.fit(task.train.sentences, task.train.y) is memory
    assert memory.n_outputs_ == 22
    assert memory.predict(task.test.sentences).shape == (1000, 22)
    assert not hasattr(clone(memory), "memory_")


def test_the_memory_is_its_own(task: Bunch) -> None:
    y = task.train.y.copy()
    memory = KeywordMemory().fit(task.train.sentences, y)
    recalled = memory.predict(task.test.sentences)
    y[:] = 7
    again = memory.predict(task.test.sentences)
    np.testing.assert_array_equal(again, recalled)
    again[:] = 7
    np.testing.assert_array_equal(memory.predict(task.test.sentences), recalled)


@pytest.mark.parametrize(
    ("n_objects", "valid", "exact"),
    [(4, (0.0, 0.0), (0.447, 0.014)), (20, (0.029, 0.011), (0.454, 0.015)), (50, (0.283, 0.016), (0.567, 0.018))],
)
def test_the_memory_errs_as_published(n_objects: int, valid: tuple[float, float], exact: tuple[float, float]) -> None:
    """Means and standard deviations over 40 seeds; independently measured: 0 | .446, .033 | .46, .279 | .566."""
    errors = []
    for seed in range(4):
        made = make_cross_situational(n_objects, random_state=seed)
        memory = KeywordMemory().fit(made.train.sentences, made.train.y)
        decoded = decode_meanings(memory.predict(made.test.sentences), n_objects)
        errors.append([valid_error(made.test.meanings, decoded), exact_error(made.test.meanings, decoded)])
    for mean, (expected, deviation) in zip(np.mean(errors, axis=0), (valid, exact), strict=True):
        assert abs(mean - expected) <= 4 * deviation / math.sqrt(4)


@pytest.mark.parametrize(
    ("sentences", "y", "message"),
    [
        (split("a cup is red"), np.zeros((2, 4)), "y has shape (2, 4), but 1 sentences need (1, 2 K)"),
        (split("a cup is red"), np.zeros((1, 3)), "y has shape (1, 3), but 1 sentences need (1, 2 K)"),
        (["a cup is red"], np.zeros((1, 4)), "must be a list of words"),
        (split("a cup and a cup and a cup"), np.zeros((1, 4)), "has 3 clauses"),
        (split("a cup is red"), [[np.nan, 0.0]], "Input y contains NaN"),
    ],
)
def test_the_memory_refuses(sentences: Any, y: Any, message: str) -> None:
    memory = KeywordMemory()
    with pytest.raises(ValueError, match=re.escape(message)):
        memory.fit(sentences, y)
    assert not hasattr(memory, "memory_")
