"""Long tables of known content, and what may be wrong with them: harmless changes, and faults that must be named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

BACKENDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda table: table,
    "pandas with an index": lambda table: table.set_index(["case", "time"]),
    "polars": lambda table: pl.DataFrame({name: series_of(table[name]) for name in table}),
    "polars, lazy": lambda table: pl.LazyFrame({name: series_of(table[name]) for name in table}),
    "pyarrow": lambda table: pa.table({name: pa.array(series_of(table[name])) for name in table}),
}
ROLES = {"case": "case", "time": "time", "label": "label", "group": "group"}


def series_of(column: pd.Series) -> Any:
    """What other libraries take of a column of pandas: numbers and datetimes as they are, the rest as a list."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return [None if stamp is pd.NaT else stamp.to_pydatetime() for stamp in column]
    return column.to_numpy() if column.dtype.kind in "biufM" else column.tolist()


@dataclass
class Truth:
    """What `from_long` must find."""

    X: list[np.ndarray]
    y: list[str]
    groups: list[int]
    times: list[np.ndarray]
    ids: list[Any]


def made(rng: np.random.Generator) -> tuple[pd.DataFrame, Truth]:
    """A table of two to five cases in order, and what it holds. Values are float64, some of them missing."""
    n = int(rng.integers(2, 6))
    ids = [f"case {k}" for k in rng.permutation(9)[:n]] if rng.random() < 0.5 else rng.permutation(9)[:n].tolist()
    lengths = rng.integers(1, 7, size=n)
    X = [rng.normal(size=(t, 2)) for t in lengths]
    X[0][0, rng.integers(2)] = np.nan
    steps = [np.sort(rng.choice(50, size=t, replace=False)) for t in lengths]
    start = np.datetime64("2026-03-29T00:00", "us")  # the night when clocks change
    times = [start + s * np.timedelta64(600, "s") for s in steps] if rng.random() < 0.5 else [s / 4 for s in steps]
    y, groups = rng.choice(["walk", "rest"], size=n).tolist(), rng.integers(3, size=n).tolist()
    table = pd.DataFrame(np.concatenate(X), columns=["x", "y"])
    table.insert(0, "case", np.repeat(np.array(ids), lengths))
    table.insert(1, "time", np.concatenate(times))
    table["label"], table["group"] = np.repeat(y, lengths), np.repeat(groups, lengths)
    return table, Truth(X, y, groups, times, ids)


# ---------------------------------------------------------------------------------------------- harmless


def shuffled(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Rows in any order, but the first row of each case in the order of the cases."""
    order = rng.permutation(len(table))
    first = table["case"].drop_duplicates().index
    rest = [row for row in order if row not in set(first)]
    return table.iloc[[*first, *rest]].reset_index(drop=True)


def in_a_zone(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    if table["time"].dtype.kind != "M":
        return table
    zone = ["Europe/Berlin", "America/New_York", "UTC"][rng.integers(3)]
    return table.assign(time=table["time"].dt.tz_localize("UTC").dt.tz_convert(zone))


def in_mixed_zones(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Moments of several zones in a column of objects."""
    if table["time"].dtype.kind != "M" or isinstance(table["time"].dtype, pd.DatetimeTZDtype):
        return table
    zones = rng.choice(["Europe/Berlin", "Asia/Tokyo", "UTC"], size=len(table))
    moments = [stamp.tz_localize("UTC").tz_convert(zone) for stamp, zone in zip(table["time"], zones, strict=True)]
    return table.assign(time=pd.Series(moments, dtype=object))


def as_objects(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Numbers in a column of objects, and None for those that are missing."""
    return table.assign(x=pd.Series([None if np.isnan(v) else v for v in table["x"]], dtype=object))


def nullable(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(y=table["y"].astype("Float64"))


def categorical(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(label=pd.Categorical(table["label"], categories=["rest", "walk", "never"]))


HARMLESS = [shuffled, in_a_zone, in_mixed_zones, as_objects, nullable, categorical]

# ------------------------------------------------------------------------------------------------ faults


def with_cell(name: str, value: Any) -> Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]:
    def change(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        column = table[name].astype(object)
        column.iloc[int(rng.integers(len(table)))] = value
        return table.assign(**{name: column})

    return change


def repeated(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    row = int(rng.integers(len(table)))
    return pd.concat([table, table.iloc[[row]]], ignore_index=True)


def relabelled(name: str, value: Any) -> Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]:
    """One row of a case with two rows or more has another label."""

    def change(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        row = table.index[-1]
        twin = table.loc[[row]].assign(time=table["time"].max() + (table["time"].max() - table["time"].min()))
        twin[name] = value
        if twin["time"].iloc[0] == table["time"].iloc[-1]:
            twin["case"] = table["case"].iloc[0]
            twin["time"] = table["time"].max() + (1.0 if table["time"].dtype.kind == "f" else pd.Timedelta(1, "D"))
        return pd.concat([table, twin], ignore_index=True)

    return change


FAULTS: dict[str, tuple[Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame], str]] = {
    "a time twice": (repeated, r"case .* has the time 'time' .* twice, in rows \d+ and \d+: keep one"),
    "a missing id": (with_cell("case", None), r"case 'case' is missing in row \d+, .*: give every row a case"),
    "a missing time": (with_cell("time", None), r"time 'time' is missing in row \d+ \(case .*\): give every row"),
    "a missing label": (with_cell("label", None), r"label 'label' is missing in row \d+ \(case .*\): give it"),
    "a missing group": (with_cell("group", None), r"group 'group' is missing in row \d+ \(case .*\): give it"),
    "two labels": (
        relabelled("label", "other"),
        r"case .* has two values of label 'label', .* in row \d+: give it one",
    ),
    "two groups": (relabelled("group", 77), r"case .* has two values of group 'group', .* in row \d+: a case belongs"),
    "an infinite value": (with_cell("x", np.inf), r"column 'x' is infinite in row \d+ \(case .*\): make it NaN"),
    "text stamps": (
        lambda t, rng: t.assign(time=t["time"].astype(str)),
        r"time 'time' holds text in row 0 \(case .*\), .*: convert it first",
    ),
    "a column of text": (
        lambda t, rng: t.assign(note="hello"),
        r"column 'note' of the table holds .*, which is no channel: encode it as numbers, or name the channels",
    ),
    "truth values as stamps": (
        lambda t, rng: t.assign(time=True),
        r"time 'time' holds a truth value in row 0 .*: convert it first",
    ),
    "no rows": (lambda t, rng: t.iloc[:0], "the table has no rows: at least one sequence"),
    "no channels": (lambda t, rng: t[["case", "time", "label", "group"]], "the table has no column left for channels"),
    "no column of cases": (lambda t, rng: t.rename(columns={"case": "id"}), "case='case' is no column of the table"),
    "row numbers": (lambda t, rng: t.assign(**{"Unnamed: 0": np.arange(len(t))}), "looks like the row numbers"),
    "cells of lists": (lambda t, rng: t.assign(x=[[1.0, 2.0]] * len(t)), "column 'x' of the table .* no channel"),
    "ids of two kinds": (lambda t, rng: odd_id(t), r"case 'case' is .* in row 0, .* in row \d+, .*: choose one kind"),
    "zones beside none": (
        lambda t, rng: half_in_zones(t),
        r"time 'time' holds a datetime with.* in row 0 .* without a time zone in row \d+ .*give all stamps one kind",
    ),
}
ONLY_PANDAS = {"ids of two kinds", "zones beside none"}
"""Faults that a column of another library cannot have."""


def odd_id(table: pd.DataFrame) -> pd.DataFrame:
    column = table["case"].astype(object)
    column.iloc[-1] = (1, 2)
    return table.assign(case=column)


def half_in_zones(table: pd.DataFrame) -> pd.DataFrame:
    moments = [pd.Timestamp(2026, 1, 1 + k % 28, k // 28) for k in range(len(table))]
    moments[0] = moments[0].tz_localize("UTC")
    return table.assign(time=pd.Series(moments, dtype=object))
