"""`from_long`: a table with one row for each case and time becomes sequences, labels and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skseqmetric._input.cases import Cases, cases_of_ids, labels_of
from skseqmetric._input.columns import Columns
from skseqmetric._input.named_arrays import named
from skseqmetric._input.stamps import check_stamps


def from_long(
    frame: Any,
    *,
    case: Any,
    time: Any = None,
    channels: Sequence[Any] | None = None,
    label: Any = None,
    group: Any = None,
    label_per: str = "case",
) -> Bunch:
    """Turn a long table, one row for each case and time, into sequences, labels and groups.

    Parameters
    ----------
    frame : data frame
        Of pandas, polars, pyarrow, or of another library that narwhals knows. A lazy frame is collected. Rows may be in
        any order. Named levels of the index of a pandas frame count as columns.
    case : column, or list of columns
        What makes a sequence: the id of a recording, or several columns that identify it together, such as
        ``["subject", "trial"]``. Ids are text, numbers or dates.
    time : column, default=None
        Time stamps: numbers, datetimes or times since a start, of one kind. The rows of a case are sorted by them.
        Datetimes with time zones are moments, and are compared in UTC. None: the rows of a case are in order.
    channels : list of columns, default=None
        The channels, in this order. None: all columns that no other parameter names. They must all be numeric.
    label : column, default=None
        What y is made of. None: y is None.
    group : column, default=None
        What groups are made of, such as the subject. It is one for each case. None: groups are None.
    label_per : {"case", "step"}, default="case"
        "case": a label is one for each case. "step": every row has its own.

    Returns
    -------
    data : Bunch
        X : list of n arrays (T_i, C)
            Sequences in the order of the first rows of their cases. Their dtype is NumPy's common one of all channels.
            Missing values are NaN. The arrays know the names of the channels, so that an estimator keeps them as
            `channel_names_in_` and compares them later.
        y : ndarray (n,), list of n arrays (T_i,), or None
            Labels of cases, or of steps.
        groups : ndarray (n,) or None
            Groups of cases.
        times : list of n arrays (T_i,) or None
            Time stamps, increasing. Datetimes are datetime64, in UTC if they had a time zone.
        feature_names : list of C names
            The channels.
        case_ids : ndarray (n,)
            Ids, or tuples of several.

    Raises
    ------
    ValueError
        `frame` is no data frame, has no rows, or has two columns of one name or none of a given name. A case, a time, a
        label or a group is missing. A case has a time twice, two labels or two groups. Stamps are text or of different
        kinds. A channel is not numeric or infinite. The message names column, case and row, and what to do. Rows are
        counted from 0.

    See Also
    --------
    to_long : The way back.
    check_sequences : Takes a pandas frame with the index (case, time) as it is.
    skseqmetric.datasets.read_sequences : Reads a folder with one file for each recording.

    Notes
    -----
    Sorting takes O(N log N) time for N rows. Memory holds the values twice. Values that are missing stay NaN.
    Estimators refuse them by default, and fill them with ``missing="interpolate"``.

    Numbers that are no measurements are channels too if nobody names them otherwise. A column of subjects must be the
    group, or be left out by `channels`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skseqmetric import from_long
    >>> table = pd.DataFrame(
    ...     {
    ...         "recording": ["b", "a", "b", "a", "b"],
    ...         "second": [1.0, 0.5, 0.0, 0.0, 2.0],
    ...         "x": [2.0, 8.0, 1.0, 7.0, 3.0],
    ...         "activity": ["walk", "rest", "walk", "rest", "walk"],
    ...     }
    ... )
    >>> data = from_long(table, case="recording", time="second", label="activity")
    >>> [x.ravel().tolist() for x in data.X], data.y.tolist()
    ([[1.0, 2.0, 3.0], [7.0, 8.0]], ['walk', 'rest'])
    >>> data.case_ids.tolist(), data.feature_names
    (['b', 'a'], ['x'])
    """
    if label_per not in ("case", "step"):
        raise ValueError(f'label_per must be "case" or "step", got {label_per!r}.')
    keys = list(case) if isinstance(case, list) else [case]
    roles = {"time": time, "label": label, "group": group}
    columns = Columns(frame, "the table", [*keys, *roles.values()])
    _check_roles(columns, keys, roles)
    cases = cases_of_ids([(*columns.read(key), key) for key in keys])
    stamps = None if time is None else check_stamps(*columns.read(time), f"time {time!r}", cases.place)
    rows = cases.sorted_rows(stamps, f"time {time!r}")
    taken = [*keys, *(name for name in roles.values() if name is not None)]
    names = columns.other_than(taken) if channels is None else _checked_channels(columns, channels, keys, label, group)
    return bunch_of(
        split(_stacked(columns, names, cases, rows), cases, names),
        _labels(columns, label, label_per, cases, rows),
        _groups(columns, group, cases),
        None if stamps is None else split(stamps[rows], cases),
        names,
        cases.ids,
    )


def bunch_of(
    X: list[np.ndarray], y: Any, groups: Any, times: list[np.ndarray] | None, names: list[Any], ids: np.ndarray
) -> Bunch:
    """Return what readers of tables and of files return."""
    return Bunch(X=X, y=y, groups=groups, times=times, feature_names=names, case_ids=ids)


def split(values: np.ndarray, cases: Cases, names: list[Any] | None = None) -> list[np.ndarray]:
    """Cut rows that are sorted by case into the parts of the cases, which know the names of their columns."""
    return [named(part, names) for part in np.split(values, np.cumsum(cases.lengths)[:-1])]


def _check_roles(columns: Columns, keys: list[Any], roles: dict[str, Any]) -> None:
    if not keys:
        raise ValueError(f"case is empty: name at least one column of {columns.names}.")
    for key in keys:
        columns.check_named(key, "case")
    for role, name in roles.items():
        if name is not None:
            columns.check_named(name, role)


def _checked_channels(columns: Columns, channels: Any, keys: list[Any], label: Any, group: Any) -> list[Any]:
    """Return the names of channels. Columns that say what a case is, or what is to be learned, are refused."""
    if isinstance(channels, (str, bytes)) or not hasattr(channels, "__iter__"):
        raise ValueError(f"channels must be a list of columns, got {channels!r}: pass [{channels!r}].")
    names = list(channels)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"channels={names} must name at least one column, and none twice.")
    for name in names:
        columns.check_named(name, "channels")
    for role, taken in (("case", keys), ("label", [label]), ("group", [group])):
        both = [name for name in names if name in taken]
        if both:
            raise ValueError(f"column {both[0]!r} is the {role} and a channel too: leave it out of channels.")
    return names


def _stacked(columns: Columns, names: list[Any], cases: Cases, rows: np.ndarray) -> np.ndarray:
    """Return the values (N, C) of the channels, the rows sorted."""
    found = [columns.numbers(name) for name in names]
    values = np.empty((len(rows), len(names)), dtype=np.result_type(*found))
    for c, (column, name) in enumerate(zip(found, names, strict=True)):
        if column.dtype.kind == "f" and np.isinf(column).any():
            place = cases.place(int(np.argmax(np.isinf(column))))
            raise ValueError(f"column {name!r} is infinite in {place}: make it NaN if it is missing.")
        values[:, c] = column[rows]
    return values


def _labels(columns: Columns, label: Any, label_per: str, cases: Cases, rows: np.ndarray) -> Any:
    if label is None:
        return None
    values, missing = columns.read(label)
    name = f"label {label!r}"
    if label_per == "case":
        return cases.one_each(values, missing, name, 'give it one label, or pass label_per="step".')
    cases.check_given(missing, name)
    return split(labels_of(values, name)[rows], cases)


def _groups(columns: Columns, group: Any, cases: Cases) -> np.ndarray | None:
    if group is None:
        return None
    return cases.one_each(*columns.read(group), f"group {group!r}", "a case belongs to one group.")
