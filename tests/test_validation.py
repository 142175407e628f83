"""`check_sequences`: every form of input means the same sequences, and every bad input is named."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from skseqmetric import Sequences, check_sequences

NAN = np.nan
DTYPES = ["float16", "float32", "float64", ">f4", ">f8", "longdouble", "int8", "uint16", "int64", "bool"]


def random_ragged(seed, lengths, n_channels, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [rng.uniform(0, 100, (t, n_channels)).astype(dtype) for t in lengths]


@st.composite
def ragged_lists(draw, dtypes=DTYPES):
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=6))
    n_channels = draw(st.integers(1, 4))
    return random_ragged(draw(st.integers(0, 999)), lengths, n_channels, draw(st.sampled_from(dtypes)))


def assert_same_sequences(actual, expected):
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e, strict=False)


def pad(items):
    padded = np.full((len(items), max(map(len, items)), items[0].shape[1]), NAN, items[0].dtype)
    for row, x in zip(padded, items, strict=True):
        row[: len(x)] = x
    return padded


def object_array(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


# ------------------------------------------------------------------------------------ what comes through


@given(ragged_lists())
def test_a_list_comes_back_in_its_order_and_values(items):
    sequences = check_sequences(items)
    assert_same_sequences(sequences.to_list(), items)
    assert_same_sequences(list(sequences), items)
    assert sequences.lengths.tolist() == [len(x) for x in items]
    assert sequences.offsets.tolist() == [sum(len(x) for x in items[:i]) for i in range(len(items))]
    assert sequences.n_channels == items[0].shape[1]
    assert sequences.table_width is None


@given(ragged_lists())
def test_values_are_native_contiguous_floats_that_lose_nothing(items):
    sequences = check_sequences(items)
    small = items[0].dtype.kind == "f" and items[0].dtype.itemsize <= 4
    assert sequences.values.dtype == (np.float32 if small else np.float64)
    assert sequences.values.dtype.isnative
    assert sequences.values.flags.c_contiguous
    assert sequences.values.flags.writeable
    assert sequences.lengths.dtype == np.int64


@given(ragged_lists(["float32", "float64", "int64"]), st.data())
def test_containers_do_not_matter(items, data):
    make = data.draw(
        st.sampled_from(
            [
                tuple,
                object_array,
                lambda xs: pd.Series(xs, index=range(7, 7 + len(xs))),
                lambda xs: [torch.from_numpy(x) for x in xs],
                lambda xs: [pd.DataFrame(x) for x in xs],
                lambda xs: [np.asfortranarray(x) for x in xs],
                lambda xs: [np.repeat(x, 2, axis=0)[::2] for x in xs],
                lambda xs: [x[::-1].copy()[::-1] for x in xs],
                lambda xs: [x.astype(object) for x in xs],
                lambda xs: [x.tolist() for x in xs],
            ]
        )
    )
    assert_same_sequences(check_sequences(make(items)).to_list(), items)


@given(ragged_lists(["float16", "float32", "float64", "longdouble"]))
def test_a_padded_array_is_its_ragged_list(items):
    from_list, from_padded = check_sequences(items), check_sequences(pad(items))
    np.testing.assert_array_equal(from_padded.values, from_list.values, strict=True)
    np.testing.assert_array_equal(from_padded.lengths, from_list.lengths, strict=True)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.sampled_from(DTYPES), st.integers(0, 99))
def test_an_array_is_the_list_of_its_rows(n, steps, n_channels, dtype, seed):
    array = np.random.default_rng(seed).uniform(0, 99, (n, steps, n_channels)).astype(dtype)
    expected = check_sequences(list(array)).values
    backwards = np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]
    for form in (array, np.asfortranarray(array), backwards, array.astype(object), array.tolist()):
        sequences = check_sequences(form)
        np.testing.assert_array_equal(sequences.values, expected)
        assert sequences.lengths.tolist() == [steps] * n


@given(st.integers(1, 5), st.integers(1, 6), st.sampled_from(DTYPES), st.integers(0, 99))
def test_a_table_is_univariate_sequences(n, steps, dtype, seed):
    table = np.random.default_rng(seed).uniform(0, 99, (n, steps)).astype(dtype)
    expected = check_sequences(table[:, :, np.newaxis])
    for form in (table, np.asfortranarray(table), list(table), tuple(table), table.astype(object)):
        sequences = check_sequences(form)
        np.testing.assert_array_equal(sequences.values, expected.values)
        np.testing.assert_array_equal(sequences.lengths, expected.lengths)
        assert sequences.table_width == steps
    assert check_sequences(table).values.dtype == expected.values.dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_data_frame_and_a_tensor_are_tables(dtype):
    table = np.arange(6, dtype=dtype).reshape(2, 3)
    for form in (pd.DataFrame(table), torch.from_numpy(table), table.tolist()):
        sequences = check_sequences(form)
        assert_same_sequences(sequences.to_list(), table[:, :, np.newaxis])
        assert sequences.table_width == 3


def test_nullable_columns_are_numbers():
    frame = pd.DataFrame({"a": pd.array([1, 2], dtype="Int64"), "b": [0.5, 1.5]})
    assert check_sequences(frame).values.ravel().tolist() == [1, 0.5, 2, 1.5]


def test_mixed_dtypes_take_the_one_that_holds_them_all():
    mixed = [np.ones((1, 1), np.float32), np.full((1, 1), 16_777_217, np.int64)]  # not a float32
    assert check_sequences(mixed).values.tolist() == [[1.0], [16_777_217.0]]
    halves = [np.ones((1, 1), np.float16), np.ones((1, 1), np.float32)]
    assert check_sequences(halves).values.dtype == np.float32


def test_large_finite_values_are_finite():
    # their sum overflows, which is what the fast check looks at
    for dtype in (np.float32, np.float64):
        items = [np.full((3, 2), np.finfo(dtype).max, dtype)]
        np.testing.assert_array_equal(check_sequences(items).values, items[0])


def test_a_tail_is_cut_only_where_every_channel_is_nan():
    padded = np.array([[[1.0, 2], [NAN, NAN]], [[3, 4], [5, 6]]])
    assert check_sequences(padded).lengths.tolist() == [1, 2]
    padded[0, 1, 1] = 7
    with pytest.raises(ValueError, match="sequence 0, step 1, channel 0 is NaN"):
        check_sequences(padded)


def test_read_only_memory_maps_pass(tmp_path):
    array = np.random.default_rng(0).standard_normal((4, 5, 2))
    np.save(tmp_path / "x.npy", array)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for form in (mapped, list(mapped)):
        sequences = check_sequences(form)
        assert_same_sequences(sequences.to_list(), array)
        assert type(sequences.values) is np.ndarray
        assert sequences.values.flags.writeable


@given(ragged_lists(["float32", "float64"]), st.sampled_from(["list", "array", "table", "one"]))
def test_input_is_neither_changed_nor_kept(items, form):
    x = {"list": items, "array": pad(items), "table": pad(items)[:, :1, 0], "one": items[:1]}[form]
    arrays = [x] if isinstance(x, np.ndarray) else x
    before = [a.copy() for a in arrays]
    sequences = check_sequences(x)
    assert_same_sequences(arrays, before)
    assert not any(np.shares_memory(sequences.values, a) for a in arrays)
    values = sequences.values.copy()
    for a in arrays:
        a[...] = -1
    np.testing.assert_array_equal(sequences.values, values)


def peak_of(function):
    """Most bytes that are allocated at once while `function` runs."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def nan_tails(array):
    array[::2, -7:] = NAN
    return array


COPIED_ONCE = {
    "list": lambda a: list(a),
    "list of float32": lambda a: list(a.astype("float32")),
    "list of integers": lambda a: list(a.astype("int64")),
    "list in Fortran order": lambda a: [np.asfortranarray(x) for x in a],
    "list of views": lambda a: list(a[:, ::2]),
    "array": lambda a: a,
    "array of float32": lambda a: a.astype("float32"),
    "array of views": lambda a: a[:, :, ::2],
    "array with padding": nan_tails,
    "table": lambda a: a.reshape(len(a), -1),
}


@pytest.mark.parametrize("form", COPIED_ONCE)
def test_data_are_copied_once(rng, form):
    X = COPIED_ONCE[form](rng.uniform(0, 100, (40, 128, 50)))
    size = check_sequences(X).values.nbytes  # the first call also fills caches
    assert size <= peak_of(lambda: check_sequences(X)) < 1.1 * size


def test_sequences_pass_through_and_take_copies_once(rng):
    sequences = check_sequences(list(rng.uniform(0, 100, (40, 128, 50))))
    assert check_sequences(sequences) is sequences
    assert peak_of(lambda: check_sequences(sequences)) < 10_000
    size = sequences.take(range(0, 40, 2)).values.nbytes
    assert size <= peak_of(lambda: sequences.take(range(0, 40, 2))) < 1.1 * size


# ------------------------------------------------------------------------------------------- Sequences


@given(ragged_lists(), st.data())
def test_take_is_indexing(items, data):
    sequences = check_sequences(items)
    n = len(items)
    indices = data.draw(st.lists(st.integers(-n, n - 1), max_size=8))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assert_same_sequences(sequences.take(indices).to_list(), [items[i] for i in indices])
    assert_same_sequences(sequences.take(mask).to_list(), [x for x, m in zip(items, mask, strict=True) if m])
    assert_same_sequences(sequences.take(slice(1, None, 2)).to_list(), items[1::2])
    assert_same_sequences([sequences[i] for i in range(-n, n)], [items[i] for i in range(-n, n)])


def test_take_copies_and_keeps_the_width():
    sequences = check_sequences(np.arange(6.0).reshape(2, 3))
    taken = sequences.take([1])
    assert not np.shares_memory(taken.values, sequences.values)
    assert taken.table_width == 3
    assert len(sequences.take([])) == 0
    with pytest.raises(IndexError):
        sequences.take([2])
    with pytest.raises(IndexError):
        sequences[2]


def test_views_are_views():
    sequences = check_sequences([np.zeros((2, 1)), np.ones((3, 1))])
    assert np.shares_memory(sequences[1], sequences.values)
    assert all(np.shares_memory(x, sequences.values) for x in sequences.to_list())


def test_sequences_pickle():
    sequences = check_sequences(random_ragged(0, [2, 3], 2))
    copy = pickle.loads(pickle.dumps(sequences))
    assert isinstance(copy, Sequences)
    assert_same_sequences(copy.to_list(), sequences.to_list())


# ---------------------------------------------------------------------------------------- what does not

GOOD = np.ones((4, 2))
BAD_INPUTS = {
    "none": (None, r"X is None\. Pass a list of \(T_i, C\) arrays"),
    "dict": ({"a": GOOD}, r"X is of type dict\. Pass a list"),
    "string": ("abc", r"X is of type str\. Pass a list"),
    "number": (3.0, r"X is of type float\. Pass a list"),
    "generator": ((x for x in [GOOD]), r"X is of type generator\. Pass a list"),
    "0-D": (np.array(3.0), r"X has 0 dimension\(s\)"),
    "1-D": (np.arange(3.0), r"1D array of shape \(3,\)\. Reshape your data: .*X\.reshape\(1, -1\)"),
    "1-D list": ([1.0, 2.0], r"1D array of shape \(2,\)\. Reshape your data"),
    "4-D": (np.zeros((2, 3, 4, 5)), r"X has 4 dimension\(s\), shape \(2, 3, 4, 5\)"),
    "empty list": ([], r"X is empty: at least one sequence"),
    "empty object array": (np.empty(0, dtype=object), "X is empty"),
    "no sequences": (np.zeros((0, 3, 2)), r"shape \(0, 3, 2\) is empty, it has zero sequences"),
    "no steps": (np.zeros((2, 0, 2)), r"shape \(2, 0, 2\) is empty, it has zero steps"),
    "no channels": (np.zeros((2, 3, 0)), r"shape \(2, 3, 0\) is empty, it has zero channels"),
    "no rows": (np.zeros((0, 3)), r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1 is required"),
    "no columns": (np.zeros((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
    "zero-length sequence": ([GOOD, GOOD[:0]], r"sequence 1 has zero steps, shape \(0, 2\): remove it"),
    "zero-channel sequence": ([GOOD[:, :0]], r"sequence 0 has zero channels, shape \(4, 0\)"),
    "all-NaN sequence": (np.stack([GOOD, GOOD * NAN]), "sequence 1 is NaN at every step, .*zero steps"),
    "unequal channels": (
        [GOOD, GOOD, np.ones((5, 3))],
        r"sequence 2 has 3 channels, but sequence 0 has 2\. Every sequence must be \(steps, channels\) with "
        r"the same channels\.$",
    ),
    "one transposed": ([np.ones((4, 2)), np.ones((2, 5))], r"\(2, 5\) looks transposed.* pass its \.T"),
    "channels first": ([np.ones((2, 4)), np.ones((2, 5))], r"All have 2 rows .*from_channels_first\(X\)"),
    "ragged 1-D": ([np.ones(3), np.ones(4)], r"1-D arrays of unequal lengths.*reshape\(-1, 1\) for x in X"),
    "ragged lists": ([[1, 2, 3], [1, 2]], r"1-D arrays of unequal lengths"),
    "ragged inside": ([GOOD, [[1, 2], [3]]], "sequence 1, of type list, does not convert to an array"),
    "mixed dimensions": ([GOOD, np.ones(3)], r"sequence 1 is of type ndarray with 1 dimension\(s\)"),
    "3-D sequence": ([np.ones((1, 4, 2))] * 2, r"sequence 0 .* 3 dimension\(s\), shape \(1, 4, 2\)"),
    "none inside": ([GOOD, None], r"sequence 1 is None with 0 dimension\(s\)"),
    "none inside a Series": (pd.Series([GOOD, None], index=[5, 6]), "sequence 1 is None"),
    "complex array": (np.ones((2, 3, 1)) * 1j, "Complex data not supported: X is complex"),
    "complex sequence": ([GOOD, GOOD * 1j], "Complex data not supported: sequence 1 is complex"),
    "complex table": (np.ones((2, 3)) * 1j, "Complex data not supported"),
    "text": (["a", "bc"], "X holds text or objects"),
    "text sequence": ([GOOD, np.array([["a", "b"]])], "sequence 1 has dtype <U1: encode text"),
    "text table": (np.array([["a", "b"]]), "arrays of bytes/strings.*Pass a list"),
    "text in objects": (
        [GOOD, np.array([["a", 1]], dtype=object)],
        "sequence 1 has dtype object .*not a number",
    ),
    "text array": (np.array([[["a"]]]), "X has dtype <U1"),
    "dates": ([np.zeros((2, 2), "datetime64[s]")], r"sequence 0 has dtype datetime64\[s\]"),
    "date table": (np.zeros((2, 2), "datetime64[s]"), r"X has dtype datetime64\[s\]"),
    "huge integers": ([np.array([[10**400]], dtype=object)], "sequence 0 has dtype object"),
    "sparse": (sp.csr_array(GOOD), r"X is sparse, which is not supported: pass X\.toarray\(\)\. Pass a list"),
    "sparse sequence": ([GOOD, sp.csr_array(GOOD)], r"sequence 1 is sparse.*toarray\(\)"),
    "nested and other cells": (
        pd.DataFrame({"a": [pd.Series([1.0])], "b": [1]}),
        r"column 'b' of X .*pass X\[\['a'\]\]",
    ),
    "a nested cell without series": (
        pd.DataFrame({"a": [[1.0, 2.0], None]}),
        "row 1 of X holds None in column 'a', and no series: remove the row",
    ),
    "nested cells of different lengths": (
        pd.DataFrame({"a": [[1.0, 2.0]], "b": [[1.0]]}),
        r"row 0 of X has \(1,\) steps in column 'b' and \(2,\) in 'a'",
    ),
    "a long table": (
        pd.DataFrame({"id": [1, 1], "t": [0, 1], "x": [1.0, 2.0]}),
        r"from_long\(X, case='id', time='t'\)",
    ),
    "text DataFrame": (pd.DataFrame({"a": ["x", "y"]}), "could not convert string to float.*Pass a list of"),
    "dict DataFrame": (pd.DataFrame({"a": [{}]}), "string or a real number.*Pass a list of"),
    "arrays in a 2-D object array": (
        object_array([GOOD, GOOD[:1]])[:, np.newaxis],
        "sequence.*Pass a list of",
    ),
    "masked": (np.ma.masked_equal(GOOD, 1), "X has masked values"),
    "masked sequence": ([GOOD, np.ma.masked_equal(GOOD, 1)], "sequence 1 has masked values"),
    "tensor without data": ([torch.ones(2, 2, device="meta")], "sequence 0, of type Tensor, does not"),
    "too large for float64": ([np.full((1, 1), np.finfo(np.longdouble).max)], "channel 0 is infinite"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_named_with_its_remedy(name):
    bad, message = BAD_INPUTS[name]
    if name == "too large for float64" and np.finfo(np.longdouble).max == np.finfo(np.float64).max:
        pytest.skip("no extended floats on this machine")
    with pytest.raises(ValueError, match=message):
        check_sequences(bad)


def test_a_cell_that_is_no_number_is_scikit_learns_type_error():
    table = np.ones((2, 2), dtype=object)
    table[0, 0] = {}
    with pytest.raises(TypeError, match=r"argument must be .* string.* number"):
        check_sequences(table)


@given(
    ragged_lists(["float32", "float64"]),
    st.sampled_from([(NAN, "NaN"), (np.inf, r"infinite \(inf\)"), (-np.inf, r"infinite \(inf\)")]),
    st.data(),
)
def test_the_first_value_that_is_not_finite_is_named(items, bad, data):
    value, word = bad
    i = data.draw(st.integers(0, len(items) - 1))
    step = data.draw(st.integers(0, len(items[i]) - 1))
    channel = data.draw(st.integers(0, items[i].shape[1] - 1))
    items[i][step, channel] = value
    items[i][step:, channel:] = value  # later ones do not hide the first
    with pytest.raises(ValueError, match=f"^sequence {i}, step {step}, channel {channel} is {word}. Missing"):
        check_sequences(items)


@given(ragged_lists(["float64"]), st.sampled_from([NAN, np.inf]), st.data())
def test_in_a_padded_array_it_is_named_too(items, value, data):
    i = data.draw(st.integers(0, len(items) - 1))
    channel = data.draw(st.integers(0, items[i].shape[1] - 1))
    step = data.draw(st.integers(0, len(items[i]) - 1))
    items = [np.vstack([x, np.ones((1, x.shape[1]))]) for x in items]  # the last step is never all-NaN
    items[i][step, channel] = value
    with pytest.raises(ValueError, match=f"^sequence {i}, step {step}, channel {channel} is "):
        check_sequences(pad(items))


@pytest.mark.parametrize(
    ("X", "where", "hint"),
    [
        ([np.array([[1.0], [NAN], [NAN]])], "step 1, channel 0", True),
        (np.array([[1.0, 2.0, NAN]]), "step 2, channel 0", True),
        ([np.array([[1.0], [NAN], [2.0]])], "step 1, channel 0", False),
        (np.array([[NAN, 1.0]]), "step 0, channel 0", False),
        (np.array([[[1.0], [NAN], [2.0], [NAN]]]), "step 1, channel 0", False),
    ],
)
def test_a_nan_tail_outside_padded_arrays_is_not_guessed(X, where, hint):
    with pytest.raises(ValueError, match=f"sequence 0, {where} is NaN.*impute them or cut") as error:
        check_sequences(X)
    assert ("pass from_padded(X)" in str(error.value)) == hint
