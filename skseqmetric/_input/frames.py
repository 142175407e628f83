"""Data frames of pandas, polars and pyarrow: their columns, and panels whose index has two levels."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from skseqmetric._input.arrays import as_array, kind_of, real_numbers
from skseqmetric._input.cases import cases_of_ids
from skseqmetric._input.stamps import check_stamps

Names = tuple[Any, ...] | None
"""Names of channels, or of the columns of a table; None without names."""


def is_frame(x: Any) -> bool:
    """Whether x is a DataFrame of pandas or polars, or a Table of pyarrow."""
    return hasattr(x, "columns") and hasattr(x, "shape")


def column_names(x: Any) -> Names:
    """Return the names of the columns of a frame. None for anything else, and for the default names 0, 1, 2, ..."""
    if not is_frame(x):
        return None
    names = tuple(getattr(x, "column_names", x.columns))
    return None if names == tuple(range(len(names))) else names


def shared_names(items: Iterable[Any]) -> Names:
    """Return the names of the channels of all sequences.

    Raises
    ------
    ValueError
        Two sequences have different names.

    Warns
    -----
    UserWarning
        Some sequences have names and others have none.
    """
    items = list(items)
    if {type(x) for x in items} <= {np.ndarray, list}:
        return None
    found = [column_names(x) for x in items]
    named = [i for i, names in enumerate(found) if names is not None]
    if not named:
        return None
    first = named[0]
    for i in named:
        if found[i] != found[first]:
            raise ValueError(f"sequence {i} differs from sequence {first}: {_difference(found[i], found[first], 'x')}")
    if len(named) < len(items):
        i = found.index(None)
        warnings.warn(f"sequence {i} has no channel names, but sequence {first} has.", UserWarning, stacklevel=4)
    return found[first]


def compare_names(estimator: Any, names: Names, fitted: Names, kind: str) -> None:
    """Compare names with those of the fit: an error if they differ, scikit-learn's warning if one side has none."""
    if names == fitted:
        return
    me = type(estimator).__name__
    if names is None:
        warnings.warn(f"X does not have valid {kind} names, but {me} was fitted with {kind} names", stacklevel=4)
    elif fitted is None and set(names) != set(range(len(names))):
        warnings.warn(f"X has {kind} names, but {me} was fitted without {kind} names", stacklevel=4)
    else:
        given, expected = names, tuple(range(len(names))) if fitted is None else fitted
        source = "columns of the data of `fit`" if fitted is None else f"estimator.{kind}_names_in_"
        raise ValueError(
            f"The {kind} names should match those that were passed during fit of {me}: "
            f"{_difference(given, expected, source)}"
        )


def _difference(names: Any, expected: Any, source: str) -> str:
    """Say how names differ from the expected ones, and what to do."""
    unknown = [name for name in names if name not in expected]
    missing = [name for name in expected if name not in names]
    if not unknown and not missing:
        remedy = "x[list(first.columns)]" if source == "x" else f"x[{source}]"
        return f"the columns are {list(names)}, in another order than {list(expected)}. Reorder them: {remedy}."
    parts = [f"unknown {unknown}" * bool(unknown), f"missing {missing}" * bool(missing)]
    return f"{', '.join(filter(None, parts))}. Give every frame the columns {list(expected)}."


def check_step_names(estimator: Any, step: Any) -> None:
    """Compare the names in the index of one step, a pandas Series, with the channels of the fit."""
    index = tuple(getattr(step, "index", ())) if hasattr(step, "iloc") else ()
    fitted = getattr(estimator, "channel_names_in_", None)
    if fitted is not None and index and all(isinstance(name, str) for name in index):
        compare_names(estimator, index, tuple(fitted), "channel")


def steps_of(estimator: Any, steps: Any) -> Any:
    """Return an iterable of steps. The rows of a frame are steps, and its columns are compared with the fit."""
    if is_frame(steps):
        fitted = getattr(estimator, "channel_names_in_", None)
        compare_names(estimator, column_names(steps), None if fitted is None else tuple(fitted), "channel")
        return frame_array(steps, "steps")
    if isinstance(steps, (str, bytes, Mapping, Set)) or not hasattr(steps, "__iter__"):
        raise ValueError(f"steps is {kind_of(steps)}: pass an iterable of steps, arrays of shape (C,).")
    return steps


def as_names(names: Names) -> np.ndarray:
    """Return names as an array of objects (C,), one by one because a name may be a tuple."""
    array = np.empty(len(names or ()), dtype=object)
    for k, name in enumerate(names or ()):
        array[k] = name
    return array


def frame_array(x: Any, name: str) -> np.ndarray:
    """Return the values of a frame, (rows, columns). Cells that hold whole series are refused."""
    array = as_array(x, name)
    if array.dtype.kind != "O" or not array.size:
        return array
    if hasattr(array.flat[0], "__len__") and not isinstance(array.flat[0], (str, bytes, dict)):
        raise ValueError(
            f"{name} is a frame whose cells hold whole series (a nested frame). Pass a list of (T_i, C) arrays, one a "
            f"row: [numpy.column_stack(list(row)) for row in {name}.to_numpy()]."
        )
    if hasattr(x, "dtypes") and hasattr(x, "convert_dtypes"):  # pandas: nullable columns, whose missing value is NaN
        return array if _holds_text(array) else x.to_numpy(dtype=np.float64, na_value=np.nan)
    return array


def _holds_text(array: np.ndarray) -> bool:
    return not all(isinstance(item, (int, float, np.number, np.bool_)) or _is_na(item) for item in array.flat)


def _is_na(item: Any) -> bool:
    return type(item).__name__ == "NAType"


# ------------------------------------------------------------------------------------------------ panels


def is_panel(x: Any) -> bool:
    """Whether x is a frame or a Series of pandas whose index has several levels."""
    return getattr(getattr(x, "index", None), "nlevels", 1) > 1


def cases_of(panel: Any) -> tuple[list[np.ndarray], Names]:
    """Return one array (T_i, C) a case from a frame with the index (case, time), and the names of the channels.

    Cases are in the order of their first row. The rows of a case are sorted by time.

    Raises
    ------
    ValueError
        The index has more than two levels or a missing value, a case has a time twice, or times cannot be sorted.
    """
    index = panel.index
    if index.nlevels != 2:
        raise ValueError(
            f"The index of X has {index.nlevels} levels: pass a frame with the index (case, time), or pass "
            "from_long(X.reset_index(), case=[...], time=...).X."
        )
    ids, times = index.get_level_values(0), index.get_level_values(1)
    cases = cases_of_ids([(ids.to_numpy(), np.asarray(ids.isna()), ids.name or "level 0")])
    name = f"time {times.name!r}" if times.name else "time (level 1 of the index)"
    stamps = check_stamps(_moments(times), np.asarray(times.isna()), name, cases.place)
    frame = panel if hasattr(panel, "columns") else panel.to_frame(name=panel.name or 0)
    rows = cases.sorted_rows(stamps, name)
    values = real_numbers(frame_array(frame, "X"), "X")[rows]
    return np.split(values, np.cumsum(cases.lengths)[:-1]), column_names(frame)


def _moments(times: Any) -> np.ndarray:
    """Return a level of an index: periods by their starts, and stamps with a time zone in UTC."""
    if hasattr(times, "to_timestamp"):
        times = times.to_timestamp()
    if getattr(times, "tz", None) is not None:
        times = times.tz_convert("UTC").tz_localize(None)
    return times.to_numpy()


# ------------------------------------------------------------------------------------------- long tables

_CASES = {
    "case",
    "case_id",
    "caseid",
    "id",
    "instance",
    "recording",
    "sequence_id",
    "series_id",
    "subject",
    "unique_id",
}
_TIMES = {"time", "timestamp", "timepoint", "time_index", "date", "datetime", "ds", "t"}


def refuse_long(frame: Any) -> None:
    """Refuse a frame with columns for case and time, which is no table of one sequence a row."""
    names = list(getattr(frame, "column_names", frame.columns))
    cases = [name for name in names if str(name).lower() in _CASES]
    times = [name for name in names if str(name).lower() in _TIMES]
    if cases and times:
        raise ValueError(
            f"X has the columns {cases[0]!r} and {times[0]!r}, so it is a long table, one row for each case and time: "
            f"pass from_long(X, case={cases[0]!r}, time={times[0]!r}).X."
        )
