"""Containers with one series in a cell, or with named dimensions: nested frames, columns of lists, tensors, xarray.

Nothing is imported here for them: an object is known by what it has, and its library is there if the object is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._input.arrays import as_array, real_numbers
from skseqmetric._input.frames import Names, is_frame

_CASE = {"case", "cases", "instance", "sample", "recording", "trial", "epoch", "subject", "series", "batch", "n"}
_TIME = {"time", "times", "t", "step", "steps", "timepoint", "timestamp", "date", "frame"}
_CHANNEL = {"channel", "channels", "variable", "feature", "features", "sensor", "band", "dimension", "c"}
_ROLES = {"case": _CASE, "time": _TIME, "channel": _CHANNEL}


def held_sequences(X: Any) -> tuple[Any, Names] | None:
    """Return the list of sequences, or the array (n, T, C), that such a container holds, with the names of channels.

    None for any other object.

    Raises
    ------
    ValueError
        A cell is missing or holds no series, the series of a row have different lengths, or the dimensions have names
        that say nothing. The message names the place.
    """
    if getattr(X, "is_nested", False):
        return list(X.unbind()), None
    if hasattr(X, "with_format") and hasattr(X, "column_names"):  # a data set in the form of Hugging Face
        X = X.with_format("arrow")[:]
    if _has_dimensions(X):
        return _from_dimensions(X)
    if is_frame(X):
        return _from_cells(X)
    return None


# ------------------------------------------------------------------------------------------------ cells


def _from_cells(frame: Any) -> tuple[list[np.ndarray], Names] | None:
    """Return a sequence for each row of a frame whose cells hold series; None if none of its cells does."""
    names = list(getattr(frame, "column_names", frame.columns))
    if not hasattr(frame, "__getitem__"):
        return None
    nested = _nested_columns(frame, names)
    if not any(nested):
        return None
    if not all(nested):
        flat = [name for name, holds in zip(names, nested, strict=True) if not holds]
        series = [name for name, holds in zip(names, nested, strict=True) if holds]
        raise ValueError(
            f"The cells of column {flat[0]!r} of X hold no series, but those of {series[0]!r} do: pass X[{series}]."
        )
    columns = [_cells(frame, name) for name in names]
    items = [_row(i, cells, names) for i, cells in enumerate(zip(*columns, strict=True))]
    named = all(x.ndim == 1 for x in columns[0][:1]) or len(names) > 1
    return items, tuple(names) if named else None


def _nested_columns(frame: Any, names: list[Any]) -> list[bool]:
    """Return of each column whether its first cell that is not missing holds a series."""
    if hasattr(frame, "dtypes") and hasattr(frame, "iloc") and all(d.kind in "biufcmM" for d in frame.dtypes):
        return [False] * len(names)  # at once, because a table may have thousands of columns
    return [_is_series(next(_given(_column(frame, name)), None)) for name in names]


def _column(frame: Any, name: Any) -> Any:
    return frame[name] if not hasattr(frame, "iloc") else frame.iloc[:, list(frame.columns).index(name)]


def _given(column: Any) -> Any:
    return (cell for cell in column if cell is not None)


def _is_series(cell: Any) -> bool:
    cell = cell.as_py() if hasattr(cell, "as_py") else cell  # a scalar of pyarrow
    return hasattr(cell, "__len__") and not isinstance(cell, (str, bytes, dict, tuple))


def _cells(frame: Any, name: Any) -> list[np.ndarray]:
    """Return the series of one column, each (T_i,) or (T_i, C)."""
    found = []
    for i, cell in enumerate(_column(frame, name)):
        cell = cell.as_py() if hasattr(cell, "as_py") else cell
        if not _is_series(cell):
            raise ValueError(f"row {i} of X holds {cell!r:.60} in column {name!r}, and no series: remove the row.")
        found.append(_series(cell, f"row {i} of X, column {name!r},"))
    return found


def _series(cell: Any, place: str) -> np.ndarray:
    array = as_array(cell, place)
    if array.dtype.kind == "O" and array.ndim:
        array = np.array([np.nan if step is None else step for step in array.tolist()]) if array.ndim == 1 else array
    array = real_numbers(array, place)
    if array.ndim not in (1, 2):
        raise ValueError(f"{place} has {array.ndim} dimensions: pass series (T_i,), or (T_i, C) in a single column.")
    return array


def _row(i: int, cells: tuple[np.ndarray, ...], names: list[Any]) -> np.ndarray:
    """Return the sequence (T_i, C) of one row."""
    if len(cells) == 1:
        return cells[0] if cells[0].ndim == 2 else cells[0][:, np.newaxis]
    for name, cell in zip(names, cells, strict=True):
        if cell.ndim != 1 or len(cell) != len(cells[0]):
            raise ValueError(
                f"row {i} of X has {cell.shape} steps in column {name!r} and {cells[0].shape} in {names[0]!r}: the "
                "channels of a sequence need the same steps. Resample them, or pad them with NaN."
            )
    return np.stack(cells, axis=1)


# ------------------------------------------------------------------------------------------ named dimensions


def _has_dimensions(x: Any) -> bool:
    """Whether x is a DataArray or a Dataset of xarray."""
    return hasattr(x, "dims") and hasattr(x, "coords") and hasattr(x, "isel")


def _from_dimensions(X: Any) -> tuple[np.ndarray, Names]:
    """Return the array (n, T, C) of a DataArray or a Dataset, its steps sorted by the coordinate of time."""
    if hasattr(X, "data_vars"):
        X = _joined(X)
    roles = _roles(X)
    if set(roles) not in ({"case", "time"}, {"case", "time", "channel"}):
        raise ValueError(
            f"X has the dimensions {tuple(X.dims)}, taken as {tuple(roles)}: it needs case and time, and may have "
            "channel. One sequence alone is passed as [X]."
        )
    X = _sorted_by_time(X.transpose(*(roles[role] for role in _ROLES if role in roles)), roles["time"])
    array = as_array(X.values, "X")
    return (array if "channel" in roles else array[:, :, np.newaxis]), _coordinate_names(X, roles)


def item_of_dimensions(x: Any) -> tuple[Any, Names]:
    """Return one sequence (T, C) with the names of its channels, from a DataArray; any other object as it is."""
    if not _has_dimensions(x) or hasattr(x, "data_vars") or x.ndim != 2:
        return x, None
    roles = _roles(x)
    if set(roles) != {"time", "channel"}:
        return x, None
    x = _sorted_by_time(x.transpose(roles["time"], roles["channel"]), roles["time"])
    return x.values, _coordinate_names(x, roles)


def _joined(X: Any) -> Any:
    """Make the variables of a Dataset the channels of a DataArray."""
    channel = [dim for dim in X.dims if str(dim).lower() in _CHANNEL]
    if channel:
        raise ValueError(f"X is a Dataset with the dimension {channel[0]!r}: pass one variable of it, as X[name].")
    return X.to_dataarray(dim="channel") if hasattr(X, "to_dataarray") else X.to_array(dim="channel")


def _roles(X: Any) -> dict[str, Any]:
    """Return which dimension is case, time and channel, by their names. One that is left is the one that is missing."""
    roles = {role: dim for dim in X.dims for role, names in _ROLES.items() if str(dim).lower() in names}
    rest = [dim for dim in X.dims if dim not in roles.values()]
    missing = [role for role in _ROLES if role not in roles]
    if len(rest) == 1 and len(X.dims) == 3 and len(missing) == 1:
        roles[missing[0]] = rest.pop()
    if rest:
        raise ValueError(
            f"The dimensions {tuple(X.dims)} of X do not say which is which: rename them to case, time and channel, as "
            f"by X.rename({{{rest[0]!r}: 'time'}})."
        )
    return roles


def _sorted_by_time(X: Any, dim: Any) -> Any:
    """Return X in the order of its coordinate of time, which may not hold a time twice."""
    if dim not in X.coords:
        return X
    stamps = X.coords[dim].values
    order = np.argsort(stamps, kind="stable")
    twice = stamps[order][1:] == stamps[order][:-1]
    if twice.any():
        raise ValueError(f"X has the {dim} {stamps[order][int(np.argmax(twice))]} twice: keep one step for each time.")
    return X if (order[1:] > order[:-1]).all() else X.isel({dim: order})


def _coordinate_names(X: Any, roles: dict[str, Any]) -> Names:
    if "channel" not in roles or roles["channel"] not in X.coords:
        return None
    names = tuple(X.coords[roles["channel"]].values.tolist())
    return None if names == tuple(range(len(names))) else names
