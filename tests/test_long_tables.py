"""Long tables: what `from_long` reads and refuses, the way back, and thousands of tables with something wrong."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, cross_val_score

from skseqmetric import EchoStateClassifier, SequenceKNeighborsClassifier, check_sequences, from_long, to_long
from tests.small_tables import BACKENDS, FAULTS, HARMLESS, ONLY_PANDAS, ROLES, Truth, made


def assert_same(actual: Any, expected: Any) -> None:
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(a), e, strict=True)


def assert_true(data: Any, truth: Truth) -> None:
    assert_same(data.X, truth.X)
    assert_same(data.times, truth.times)
    assert data.y.tolist() == truth.y
    assert data.groups.tolist() == truth.groups
    assert data.case_ids.tolist() == truth.ids
    assert data.feature_names == ["x", "y"]


# --------------------------------------------------------------------------------------- fuzzed containers


def fuzz(n: int, seed: int) -> dict[str, int]:
    """Read n tables, some of them with a fault. Return how many were read and refused."""
    rng = np.random.default_rng(seed)
    counts = {"read": 0, "refused": 0}
    for k in range(n):
        table, truth = made(rng)
        fault = list(FAULTS)[rng.integers(len(FAULTS))] if rng.random() < 0.6 else None
        backend = list(BACKENDS)[k % len(BACKENDS)] if fault not in ONLY_PANDAS else "pandas"
        if fault is None:
            for change in rng.permutation(np.array(HARMLESS, dtype=object))[: rng.integers(4)]:
                table = change(table, rng)
        else:
            table = FAULTS[fault][0](table, rng)
        if "index" in backend and not {"case", "time"} <= set(table):
            backend = "pandas"
        frame = BACKENDS[backend](table)
        try:
            data = from_long(frame, **ROLES)
        except Exception as error:
            assert type(error) is ValueError, (k, backend, fault, error)  # noqa: PT017
            assert fault is not None, (k, backend, error)  # noqa: PT017
            assert re.search(FAULTS[fault][1], str(error)), (k, backend, fault, error)  # noqa: PT017
            counts["refused"] += 1
        else:
            assert fault is None, (k, backend, fault)
            assert_true(data, truth)
            counts["read"] += 1
    return counts


@pytest.mark.parametrize(("n", "seed"), [(100, 0), pytest.param(2000, 1, marks=pytest.mark.long)])
def test_a_table_is_read_rightly_or_refused_by_name(n: int, seed: int) -> None:
    counts = fuzz(n, seed)
    assert min(counts.values()) > n // 4


# ------------------------------------------------------------------------------------------- round trips


@st.composite
def sequences(draw: Any) -> tuple[list[np.ndarray], list[str]]:
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    n_channels, seed = draw(st.integers(1, 3)), draw(st.integers(0, 999))
    rng, dtype = np.random.default_rng(seed), draw(st.sampled_from(["float64", "float32", "int16", "bool"]))
    X = [rng.uniform(0, 99, (t, n_channels)).astype(dtype) for t in lengths]
    if dtype.startswith("float"):
        X[0][0, 0] = np.nan
    return X, rng.choice(["a", "b"], size=len(X)).tolist()


@settings(max_examples=30)
@given(sequences(), st.sampled_from(["pandas", "polars", "pyarrow"]), st.booleans())
def test_the_way_back_is_exact(given_data: Any, backend: str, per_step: bool) -> None:
    X, y = given_data
    labels = [np.repeat(label, len(x)) for label, x in zip(y, X, strict=True)] if per_step else np.array(y)
    table = to_long(X, labels, np.arange(len(X)), backend=backend)
    per = "step" if per_step else "case"
    data = from_long(table, case="case", time="time", label="label", group="group", label_per=per)
    assert_same(data.X, X)
    assert_same(data.y, labels)
    assert_same(data.times, [np.arange(len(x)) for x in X])
    again = from_long(to_long(**data, backend=backend), **ROLES, label_per=per)
    for key in ("X", "times", "y"):
        assert_same(again[key], data[key])
    assert again.feature_names == data.feature_names == [f"channel_{c}" for c in range(X[0].shape[1])]
    assert again.case_ids.tolist() == again.groups.tolist() == list(range(len(X)))


def test_ids_of_several_columns_come_back() -> None:
    table = pd.DataFrame({"s": ["a", "a", "b"], "trial": [1, 2, 1], "x": [1.0, 2.0, 3.0]})
    data = from_long(table, case=["s", "trial"])
    assert data.case_ids.tolist() == [("a", 1), ("a", 2), ("b", 1)]
    back = to_long(**data)
    assert back.columns.tolist() == ["case_0", "case_1", "time", "x"]
    assert_same(from_long(back, case=["case_0", "case_1"], time="time").X, data.X)


def test_an_index_of_two_levels_is_the_same_everywhere() -> None:
    table, truth = made(np.random.default_rng(3))
    panel = table.fillna(0.0).set_index(["case", "time"])[["x", "y"]]
    assert_same(check_sequences(panel).to_list(), [np.nan_to_num(x) for x in truth.X])
    assert_same(from_long(panel, case="case", time="time").X, check_sequences(panel).to_list())
    zoned = panel.tz_localize("UTC", level=1) if truth.times[0].dtype.kind == "M" else panel
    assert_same(check_sequences(zoned).to_list(), check_sequences(panel).to_list())
    assert_same(to_long(panel).iloc[:, 2:].to_numpy(), panel.to_numpy())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feature_names": ["a"]}, "feature_names has 1 names, but X has 2 channels"),
        ({"feature_names": ["time", "b"]}, "channel 0 has the name 'time' of another column"),
        ({"feature_names": [0, "b"]}, "channel 0 has the name 0, which is no text"),
        ({"case_ids": ["a", "a"]}, "case_ids holds 1 different ids for 2 sequences"),
        ({"times": [[0], [0]]}, r"times\[0\] has shape \(1,\), but sequence 0 has 2 steps"),
        ({"y": [[0], [0]]}, r"y\[0\] has shape \(1,\), but sequence 0 has 2 steps"),
        ({"y": ["a"]}, "y has labels of 1 sequences, but X has 2"),
        ({"groups": [1]}, "groups has shape"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_long([np.ones((2, 2)), np.ones((3, 2))], **arguments)


# ------------------------------------------------------------------------------------------------ details


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": "x"}, r"channels must be a list of columns, got 'x': pass \['x'\]"),
        ({"channels": []}, "must name at least one column"),
        ({"channels": ["x", "x"]}, "none twice"),
        ({"channels": ["label"]}, "column 'label' is the label and a channel too"),
        ({"channels": ["z"]}, "channels='z' is no column of the table, whose columns are"),
        ({"label_per": "row"}, 'label_per must be "case" or "step"'),
        ({"case": []}, "case is empty"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_long(made(np.random.default_rng(0))[0], **{**ROLES, **arguments})


@pytest.mark.parametrize("frame", [{"case": [1]}, np.eye(2), "a", None, [[1, 2]]])
def test_what_is_no_frame_is_refused(frame: Any) -> None:
    with pytest.raises(ValueError, match=r"the table is .*Pass a data frame of pandas, polars, pyarrow"):
        from_long(frame, case="case")


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="the table has two columns of one name"):
        from_long(pd.DataFrame([[1, 2.0, 3.0]], columns=["case", "x", "x"]), case="case")


def test_times_and_dtypes_are_kept() -> None:
    table = pd.DataFrame(
        {
            "case": [1, 1],
            "time": pd.to_datetime(["2026-10-25 02:30+02:00", "2026-10-25 02:30+01:00"], utc=True).tz_convert(
                "Europe/Berlin"
            ),
            "a": np.array([1, 2], dtype=np.float32),
        }
    )
    data = from_long(table, case="case", time="time")  # one time of day, twice in the night when clocks go back
    assert np.diff(data.times[0]).tolist() == [pd.Timedelta(1, "h").to_pytimedelta()]
    assert data.X[0].dtype == np.float32
    periods = table.assign(time=pd.period_range("2026", periods=2))
    assert from_long(periods, case="case", time="time").times[0].dtype.kind == "M"
    assert from_long(table.assign(b=[1, 2]).drop(columns="time"), case="case").X[0].dtype == np.float64


def test_labels_of_steps_are_sorted_with_their_steps() -> None:
    table = pl.DataFrame({"c": [1, 2, 1], "t": [1, 0, 0], "x": [2.0, 5.0, 1.0], "l": ["b", "z", "a"]})
    data = from_long(table, case="c", time="t", label="l", label_per="step")
    assert [y.tolist() for y in data.y] == [["a", "b"], ["z"]]


# ------------------------------------------------------------------------------------- names of channels


def activity(n: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    X = [np.cumsum(rng.normal(k % 2, 1, size=(20 + k, 2)), axis=0) for k in range(n)]
    return to_long(X, np.arange(n) % 2, np.arange(n) // 4, feature_names=["east", "north"])


def test_channels_are_compared_after_a_fit_of_a_long_table() -> None:
    table = activity()
    data = from_long(table, **ROLES)
    model = SequenceKNeighborsClassifier("dtw", n_neighbors=1)
    assert cross_val_score(model, data.X, data.y, groups=data.groups, cv=GroupKFold(3)).shape == (3,)
    model.fit(data.X, data.y)
    assert model.channel_names_in_.tolist() == ["east", "north"]
    turned = from_long(table, **{**ROLES, "channels": ["north", "east"]})
    with pytest.raises(ValueError, match="in another order"):
        model.predict(turned.X)
    with pytest.raises(ValueError, match="in another order"):
        EchoStateClassifier(3, random_state=0).fit(data.X, data.y).predict(turned.X[:1])


def test_names_are_pickled_and_end_with_every_computation() -> None:
    x = from_long(activity(2), **ROLES).X[0]
    assert pickle.loads(pickle.dumps(x)).columns == ("east", "north")
    for other in (x[:, ::-1], x[3:], x + 1, np.concatenate([x, x]), x.copy()):
        assert not hasattr(other, "columns")
        assert pickle.loads(pickle.dumps(other)).tolist() == other.tolist()
