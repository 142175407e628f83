"""Containers of other libraries through the one door, and what is accepted with a warning because it looks wrong."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from skseqmetric import (
    EchoStateTransformer,
    SequenceKNeighborsClassifier,
    check_sequences,
    from_concatenated,
    to_long,
    to_padded,
)
from skseqmetric.exceptions import SuspiciousShapeWarning

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(t, 2)) for t in (4, 6, 3)]


def assert_same(actual: Any, expected: Any) -> None:
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(a), e, strict=True)


class Rows:
    """A data set in the form of Hugging Face: columns by an Arrow table."""

    def __init__(self, table: Any) -> None:
        self.table, self.column_names = table, table.column_names

    def with_format(self, kind: str) -> Rows:
        assert kind == "arrow"
        return self

    def __getitem__(self, rows: slice) -> Any:
        return self.table[rows]

    def __len__(self) -> int:
        return self.table.num_rows


COLUMNS = {"a": [x[:, 0].tolist() for x in X], "b": [x[:, 1].tolist() for x in X]}
NAMED = {
    "nested frame of Series": lambda: pd.DataFrame({"a": [pd.Series(c) for c in COLUMNS["a"]], "b": COLUMNS["b"]}),
    "pandas with Arrow lists": lambda: pa.table(COLUMNS).to_pandas(types_mapper=pd.ArrowDtype),
    "polars lists": lambda: pl.DataFrame(COLUMNS),
    "pyarrow lists": lambda: pa.table(COLUMNS),
    "Hugging Face": lambda: Rows(pa.table(COLUMNS)),
    "frames of polars": lambda: [pl.DataFrame(x, schema=["a", "b"]) for x in X],
    "tables of pyarrow": lambda: [pa.table({"a": x[:, 0], "b": x[:, 1]}) for x in X],
    "DataArrays": lambda: [xr.DataArray(x.T, dims=["channel", "time"], coords={"channel": ["a", "b"]}) for x in X],
    "DataArray": lambda: padded_array(),
    "DataArray, turned": lambda: padded_array().transpose("time", "channel", "case"),
    "DataArray, unsorted": lambda: padded_array().isel(time=[3, 1, 0, 2, 5, 4]),
    "Dataset": lambda: padded_array().to_dataset(dim="channel"),
}
UNNAMED = {
    "one column of (T, C) lists": lambda: pl.DataFrame({"x": [x.tolist() for x in X]}),
    "nested tensor": lambda: torch.nested.nested_tensor([torch.from_numpy(x) for x in X], layout=torch.jagged),
    "concatenated": lambda: from_concatenated(np.concatenate(X), [len(x) for x in X]),
}


def padded_array() -> Any:
    coords = {"case": ["u", "v", "w"], "time": np.arange(6) / 10, "channel": ["a", "b"]}
    return xr.DataArray(to_padded(X), dims=["case", "time", "channel"], coords=coords)


@pytest.mark.parametrize("name", [*NAMED, *UNNAMED])
def test_a_container_is_its_list_of_sequences(name: str) -> None:
    sequences = check_sequences({**NAMED, **UNNAMED}[name]())
    assert_same(sequences.to_list(), X)
    assert sequences.channel_names == (("a", "b") if name in NAMED else None)
    expected = EchoStateTransformer(3, random_state=0).fit_transform(X)
    np.testing.assert_array_equal(
        EchoStateTransformer(3, random_state=0).fit_transform({**NAMED, **UNNAMED}[name]()), expected
    )


@pytest.mark.parametrize("name", ["nested frame of Series", "polars lists", "DataArray"])
def test_a_container_becomes_a_long_table(name: str) -> None:
    table = to_long(NAMED[name]())
    assert table.columns.tolist() == ["case", "time", "a", "b"]
    np.testing.assert_array_equal(table[["a", "b"]].to_numpy(), np.concatenate(X))


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "pandas"])
def test_wide_tables_of_all_libraries_are_one(kind: str) -> None:
    table = RNG.normal(size=(6, 4))
    frame = {
        "polars": lambda t: pl.DataFrame(t, schema=list("abcd")),
        "pyarrow": lambda t: pa.table({name: t[:, c] for c, name in enumerate("abcd")}),
        "pandas": lambda t: pd.DataFrame(t, columns=list("abcd")),
    }[kind]
    model = SequenceKNeighborsClassifier("dtw", n_neighbors=1).fit(frame(table), [0, 1] * 3)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.n_features_in_ == 4
    assert model.predict(frame(table)).tolist() == [0, 1] * 3
    with pytest.raises(ValueError, match=r"feature names should match|unseen at fit time"):
        model.predict(pl.DataFrame(table, schema=list("abce")))
    with pytest.raises(ValueError, match=r"feature"):
        model.predict(pl.DataFrame(table[:, :3], schema=list("abc")))


@settings(max_examples=25)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.sampled_from(["float32", "float64", "int8"]))
def test_concatenated_sequences_come_back(lengths: list[int], dtype: str) -> None:
    items = [RNG.uniform(0, 9, size=(t, 2)).astype(dtype) for t in lengths]
    found = from_concatenated(np.concatenate(items), lengths)
    assert_same(found, items)
    assert_same(from_concatenated(np.concatenate(items)[:, 0], lengths), [x[:, :1] for x in items])
    named = from_concatenated(pd.DataFrame(np.concatenate(items), columns=["u", "v"]), pd.Series(lengths))
    assert check_sequences(named).channel_names == ("u", "v")


@pytest.mark.parametrize(
    ("values", "lengths", "message"),
    [
        (np.ones((5, 2)), [2, 2], "lengths sum to 4, but values has 5 steps"),
        (np.ones((5, 2)), [5, 0], r"lengths\[1\] is 0: every sequence needs at least one step"),
        (np.ones((5, 2)), [2.0, 3.0], "lengths must be integers, got .*float64"),
        (np.ones((5, 2)), [], "lengths must be integers"),
        (np.ones((5, 2, 1)), [5], r"values has shape \(5, 2, 1\), but must be \(steps, channels\)"),
        (np.array([["a"]]), [1], "values has dtype <U1: encode text"),
    ],
)
def test_concatenated_sequences_that_do_not_fit_are_refused(values: Any, lengths: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_concatenated(values, lengths)


ARRAY = np.ones((2, 3, 4))
BAD = {
    "unknown dimensions": (xr.DataArray(ARRAY, dims=["u", "v", "w"]), "do not say which is which: rename them"),
    "no time": (xr.DataArray(ARRAY[0], dims=["case", "channel"]), "it needs case and time"),
    "one sequence": (xr.DataArray(ARRAY[0], dims=["time", "channel"]), r"One sequence alone is passed as \[X\]"),
    "a time twice": (xr.DataArray(ARRAY, dims=["case", "time", "channel"], coords={"time": [1, 1, 2]}), "time 1 twice"),
    "channels twice": (
        xr.Dataset({"a": (("case", "time", "channel"), ARRAY)}),
        r"pass one variable of it, as X\[name\]",
    ),
    "text in lists": (pl.DataFrame({"a": [["x"]]}), "row 0 of X, column 'a', has dtype"),
    "missing steps": (pa.table({"a": [[1.0, None]]}), "sequence 0, step 1, channel 0 is NaN"),
    "no steps": (pl.DataFrame({"a": [[1.0], []]}), "sequence 1 has zero steps"),
    "no series": (pl.DataFrame({"a": [[1.0], None]}), "row 1 of X holds None in column 'a'"),
    "long, polars": (pl.DataFrame({"case": [1], "time": [1], "x": [1.0]}), r"from_long\(X, case='case', time='time'\)"),
    "long, pyarrow": (pa.table({"id": [1], "timestamp": [1]}), r"from_long\(X, case='id', time='timestamp'\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_container_that_says_too_little_is_refused(name: str) -> None:
    container, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        check_sequences(container)


# ------------------------------------------------------------------------------------------- suspicious shapes

LABELS = ["a", "b"]
SUSPICIOUS = {
    "a recording as a frame": (pd.DataFrame(np.ones((500, 3))), r"frame of 500 rows and 3 columns.*from_long.*\[X\]"),
    "a recording of polars": (pl.DataFrame(np.ones((500, 3))), "frame of 500 rows and 3 columns"),
    "channels first": (
        [np.full((3, 50), 0.5)] * 2,
        r"3 step\(s\) each and 50 channels.*from_channels_f",
    ),
    "channels first, array": (np.full((4, 6, 100), 0.5), r"6 step\(s\) each and 100 channels"),
    "time first": (np.ones((10_001, 3)), r"more than 10000 of them have 5 steps or fewer.*\[X\].*from_concatenated"),
    "time first, array": (np.ones((10_001, 5, 2)), "more than 10000 of them have 5 steps or fewer"),
}


@pytest.mark.parametrize("name", SUSPICIOUS)
def test_a_suspicious_shape_warns_with_its_remedy(name: str) -> None:
    container, message = SUSPICIOUS[name]
    with pytest.warns(SuspiciousShapeWarning, match=message):
        check_sequences(container)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuspiciousShapeWarning)
        check_sequences(container)


def test_large_input_that_an_estimator_reads_where_it_lies_is_looked_at_too() -> None:
    X = np.full((1100, 20, 50), 0.5, dtype=np.float32)
    with pytest.warns(SuspiciousShapeWarning, match=r"20 step\(s\) each and 50 channels"):
        EchoStateTransformer(4, random_state=0).fit(X)
    X[:] = 1
    EchoStateTransformer(4, random_state=0).fit(X)  # symbols


@pytest.mark.parametrize(
    "form",
    [
        np.ones((500, 3)),  # a table of arrays, as of UCR
        pd.DataFrame(np.ones((149, 3))),
        pd.DataFrame(np.ones((5000, 21))),
        [np.full((2, 7), 0.5)] * 3,
        [np.full((8, 8), 0.5)] * 3,
        [np.eye(20)[:6]] * 3,  # one-hot codes of words
        np.ones((10_000, 5)),
        np.ones((10_001, 6)),
    ],
)
def test_a_usual_shape_does_not_warn(form: Any) -> None:
    check_sequences(form)


def test_one_sequence_at_prediction_warns() -> None:
    model = SequenceKNeighborsClassifier("dtw", n_neighbors=1).fit([np.zeros((5, 1)), np.ones((6, 1))], LABELS)
    with pytest.warns(SuspiciousShapeWarning, match=r"X of shape \(7, 1\) is read as 7 sequences of one step.*\[X\]"):
        assert len(model.predict(np.zeros((7, 1)))) == 7
    assert len(model.predict([np.zeros((7, 1))])) == len(model.predict(np.zeros((1, 1)))) == 1
    table = SequenceKNeighborsClassifier("dtw", n_neighbors=1).fit(np.array([[0.0], [1.0]]), LABELS)
    assert len(table.predict(np.zeros((7, 1)))) == 7  # it was fitted to such a table


def test_a_warning_at_fit_is_not_repeated_by_what_the_estimator_holds() -> None:
    with pytest.warns(SuspiciousShapeWarning) as caught:
        SequenceKNeighborsClassifier("dtw", n_neighbors=1).fit(np.full((4, 3, 60), 0.5), LABELS * 2)
    assert len(caught) == 1
