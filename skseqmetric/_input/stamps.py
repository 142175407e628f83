"""Time stamps of a table: numbers, datetimes or times since a start, all of one kind, and none missing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from skseqmetric._input.arrays import real_numbers

Place = Callable[[int], str]
"""Says where a row is, for messages."""

_CONVERT = "convert it first, as by pandas.to_datetime or polars.Series.str.to_datetime"


def check_stamps(values: np.ndarray, missing: np.ndarray, name: str, place: Place) -> np.ndarray:
    """Return time stamps (N,) that can be sorted: numbers, datetime64 or timedelta64.

    Datetimes with time zones are moments, and are given in UTC.

    Raises
    ------
    ValueError
        A stamp is missing or infinite, or the stamps are text, truth values or of several kinds. The message names the
        row.
    """
    if missing.any():
        raise ValueError(f"{name} is missing in {place(int(np.argmax(missing)))}: give every row a time, or remove it.")
    if values.dtype.kind not in "iufmM":
        values = _of_objects(values.astype(object), name, place)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} is infinite in {place(int(np.argmin(np.isfinite(values))))}: remove the row.")
    return values


def _of_objects(values: np.ndarray, name: str, place: Place) -> np.ndarray:
    """Return datetimes or timedeltas of Python, or numbers, as NumPy has them."""
    kinds = [_kind(stamp) for stamp in values.tolist()]
    if len(set(kinds)) > 1:
        other = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
        raise ValueError(
            f"{name} holds {kinds[0]} in {place(0)} and {kinds[other]} in {place(other)}: give all stamps one kind, "
            "and all or none of them a time zone."
        )
    if kinds[0] == "a number":
        return real_numbers(values, name)
    if kinds[0] in ("a datetime with a time zone", "a datetime without a time zone"):
        return np.array([_in_utc(stamp) for stamp in values.tolist()])
    if kinds[0] == "a date":
        return np.array(values.tolist(), dtype="datetime64[D]")
    if kinds[0] == "a timedelta":
        return np.array([np.timedelta64(stamp) for stamp in values.tolist()])
    if kinds[0] == "a Period":
        return np.array([np.datetime64(stamp.start_time, "ns") for stamp in values.tolist()])
    raise ValueError(f"{name} holds {kinds[0]} in {place(0)}, {str(values[0])[:40]!r}: {_CONVERT}.")


def _kind(stamp: Any) -> str:
    if isinstance(stamp, datetime):
        return "a datetime without a time zone" if stamp.tzinfo is None else "a datetime with a time zone"
    if isinstance(stamp, date):
        return "a date"
    if isinstance(stamp, (timedelta, np.timedelta64)):
        return "a timedelta"
    if isinstance(stamp, np.datetime64):
        return "a datetime without a time zone"
    return _kind_of_other(stamp)


def _kind_of_other(stamp: Any) -> str:
    if isinstance(stamp, (bool, np.bool_)):
        return "a truth value"
    if isinstance(stamp, (str, bytes)):
        return "text"
    try:
        return "a number" if float(stamp) == float(stamp) else "NaN"
    except (TypeError, ValueError, OverflowError):
        return f"a {type(stamp).__name__}"


def _in_utc(stamp: Any) -> np.datetime64:
    if isinstance(stamp, np.datetime64):
        return stamp
    if hasattr(stamp, "to_datetime64"):  # of pandas: UTC already, and in its own unit
        return stamp.to_datetime64()
    if stamp.tzinfo is not None:
        stamp = stamp.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(stamp, "us")
