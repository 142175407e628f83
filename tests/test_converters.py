"""Converters: values stay, and the way back gives the same arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skseqmetric import check_sequences, from_channels_first, from_padded, to_padded

NAN = np.nan


@st.composite
def ragged_lists(draw, dtypes=("float32", "float64")):
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=6))
    n_channels, seed = draw(st.integers(1, 4)), draw(st.integers(0, 999))
    dtype, rng = draw(st.sampled_from(dtypes)), np.random.default_rng(seed)
    return [rng.uniform(0, 100, (t, n_channels)).astype(dtype) for t in lengths]


def assert_same(actual, expected):
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e, strict=True)


# ------------------------------------------------------------------------------------- from_channels_first


@given(ragged_lists(("float32", "float64", "int16")))
def test_channels_first_lists_come_back(items):
    turned = [np.ascontiguousarray(x.T) for x in items]
    assert_same(from_channels_first(turned), items)
    assert_same(from_channels_first(tuple(turned)), items)
    assert all(x.flags.c_contiguous for x in from_channels_first(turned))


def test_channels_first_arrays_are_indexed_the_other_way():
    array = np.arange(24).reshape(2, 3, 4)
    turned = from_channels_first(array)
    assert turned.shape == (2, 4, 3)
    assert all(turned[i, t, c] == array[i, c, t] for i in range(2) for t in range(4) for c in range(3))
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(from_channels_first(torch.from_numpy(array)), turned, strict=True)


def test_channels_first_copies():
    array = np.zeros((2, 1, 4))  # one channel: the swapped view would be contiguous already
    assert not np.shares_memory(from_channels_first(array), array)
    assert not np.shares_memory(from_channels_first([array[0]])[0], array)


def test_channels_first_object_arrays_are_lists():
    items = np.empty(2, dtype=object)
    items[:] = [np.ones((3, 7)), np.ones((3, 9))]
    assert [x.shape for x in from_channels_first(items)] == [(7, 3), (9, 3)]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((3, 7)), r"must be \(n, channels, steps\), got an array of shape \(3, 7\)"),
        ([np.ones((3, 7)), np.ones(7)], r"sequence 1 has shape \(7,\), but must be 2-D, \(channels, steps\)"),
        ([np.array([["a"]])], "sequence 0 has dtype <U1, not numbers"),
    ],
)
def test_channels_first_refuses_other_shapes(X, message):
    with pytest.raises(ValueError, match=message):
        from_channels_first(X)


# ---------------------------------------------------------------------------------- to_padded, from_padded


@given(ragged_lists(), st.integers(0, 3))
def test_padding_and_cutting_are_inverse(items, extra):
    longest = max(map(len, items))
    padded = to_padded(items, length=longest + extra)
    assert padded.shape == (len(items), longest + extra, items[0].shape[1])
    assert padded.dtype == items[0].dtype
    for row, x in zip(padded, items, strict=True):
        np.testing.assert_array_equal(row[: len(x)], x)
        assert np.isnan(row[len(x) :]).all()
    assert_same(from_padded(padded), items)
    assert_same(check_sequences(padded).to_list(), items)


@given(ragged_lists(), st.sampled_from([0.0, -1.0, NAN]))
def test_with_lengths_any_filling_is_cut(items, fill):
    padded = to_padded(items, fill=fill)
    lengths = [len(x) for x in items]
    assert_same(from_padded(padded, lengths), items)
    assert_same(from_padded(list(padded), np.array(lengths)), items)


def test_the_filling_fills():
    assert to_padded([[[1.0]], [[2.0], [3.0]]], fill=7)[..., 0].tolist() == [[1, 7], [2, 3]]


@pytest.mark.parametrize(
    "X",
    [
        np.array([[1.0, 2.0, NAN], [1.0, NAN, NAN]]),
        [[1.0, 2.0, NAN], [1.0, NAN]],
        pd.DataFrame([[1.0, 2.0, NAN], [1.0, NAN, NAN]], columns=["a", "b", "c"]),
        torch.tensor([[1.0, 2.0, NAN], [1.0, NAN, NAN]], dtype=torch.float64),
    ],
)
def test_univariate_rows_get_one_channel(X):
    assert_same(from_padded(X), [np.array([[1.0], [2.0]]), np.array([[1.0]])])


def test_only_the_tail_is_cut():
    x = np.array([[NAN, NAN], [1.0, NAN], [NAN, NAN], [NAN, 2.0], [NAN, NAN]])
    assert_same(from_padded(x[np.newaxis]), [x[:4]])


def test_integers_keep_their_dtype():
    padded = np.arange(6, dtype=np.int16).reshape(1, 3, 2)
    assert_same(from_padded(padded), [padded[0]])
    assert_same(from_padded(padded, [2]), [padded[0, :2]])


def test_results_are_copies():
    items = [np.ones((3, 2))]
    assert not np.shares_memory(to_padded(items), items[0])
    padded = np.ones((2, 3, 1))
    assert not any(np.shares_memory(x, padded) for x in from_padded(padded))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: to_padded([np.ones((2, 1)), np.ones((5, 1))], length=4),
            "sequence 1 has 5 steps, more than",
        ),
        (lambda: to_padded([np.full((2, 1), NAN)]), "sequence 0, step 0, channel 0 is NaN"),
        (lambda: from_padded(np.full((2, 3, 1), NAN)), "sequence 0 is NaN at every step"),
        (lambda: from_padded(np.ones((2, 3, 4, 1))), r"sequence 0 has shape \(3, 4, 1\), but must be 2-D"),
        (lambda: from_padded([["a", "b"]]), "sequence 0 has dtype <U1, not numbers"),
        (lambda: from_padded(np.ones((2, 3, 1)), [3]), r"lengths must be 2 integers, got shape \(1,\)"),
        (lambda: from_padded(np.ones((2, 3, 1)), [3.0, 2.0]), "lengths must be 2 integers, .*float64"),
        (lambda: from_padded(np.ones((2, 3, 1)), [3, 4]), r"lengths\[1\] is 4, but sequence 1 has 3 steps"),
        (lambda: from_padded(np.ones((2, 3, 1)), [0, 3]), r"lengths\[0\] is 0, but sequence 0 has 3 steps"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_length_is_an_integer():
    with pytest.raises(TypeError):
        to_padded([np.ones((2, 1))], length=2.5)
