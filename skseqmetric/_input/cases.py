"""Which rows of a table belong to which case: ids, their order, and what is one for each case."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from numbers import Number
from typing import Any

import numpy as np

from skseqmetric._input.arrays import is_missing
from skseqmetric._input.labels import label_array


@dataclass(frozen=True)
class Cases:
    """The cases of N rows, in the order of their first rows.

    Parameters
    ----------
    codes : ndarray (N,) int64
        Number of the case of each row, 0 <= codes < n.
    ids : ndarray (n,)
        Ids of the cases.
    """

    codes: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Rows of each case, (n,)."""
        return np.bincount(self.codes, minlength=len(self))

    @cached_property
    def first(self) -> np.ndarray:
        """First row of each case, (n,)."""
        rows = np.empty(len(self), dtype=np.int64)
        rows[self.codes[::-1]] = np.arange(len(self.codes))[::-1]
        return rows

    def place(self, row: int) -> str:
        """Say where a row is, for messages."""
        return f"row {row} (case {self.name(self.codes[row])})"

    def name(self, code: int) -> str:
        """Return the id of a case as messages show it."""
        found = self.ids[code]
        return repr(found.item() if isinstance(found, np.generic) else found)

    def sorted_rows(self, stamps: np.ndarray | None, name: str) -> np.ndarray:
        """Return the rows (N,) case after case, each sorted by time. A time that a case has twice is refused."""
        if stamps is None:
            return np.argsort(self.codes, kind="stable")
        order = np.lexsort((stamps.view(np.int64) if stamps.dtype.kind in "mM" else stamps, self.codes))
        codes, times = self.codes[order], stamps[order]
        twice = (codes[1:] == codes[:-1]) & (times[1:] == times[:-1])
        if twice.any():
            k = int(np.argmax(twice))
            raise ValueError(
                f"case {self.name(codes[k])} has the {name} {times[k]} twice, in rows {order[k]} and {order[k + 1]}: "
                "keep one row for each case and time, or take the mean of both."
            )
        return order

    def one_each(self, values: np.ndarray, missing: np.ndarray, role: str, remedy: str) -> np.ndarray:
        """Return the value (n,) that all rows of each case share.

        Raises
        ------
        ValueError
            A value is missing, or a case has two. The message names case and row.
        """
        self.check_given(missing, role)
        codes, _ = codes_of(values, role)
        differs = codes != codes[self.first][self.codes]
        if differs.any():
            row = int(np.argmax(differs))
            first = int(self.first[self.codes[row]])
            raise ValueError(
                f"case {self.name(self.codes[row])} has two values of {role}, {_shown(values[first])} in row {first} "
                f"and {_shown(values[row])} in row {row}: {remedy}"
            )
        return labels_of(values[self.first], role)

    def check_given(self, missing: np.ndarray, role: str) -> None:
        """Refuse rows without a value."""
        if missing.any():
            raise ValueError(
                f"{role} is missing in {self.place(int(np.argmax(missing)))}: give it in every row, or remove the "
                "rows of cases without one."
            )


def labels_of(values: np.ndarray, role: str) -> np.ndarray:
    """Return labels of one kind as an array of numbers, text or datetimes."""
    return label_array(values.tolist() if values.dtype.kind == "O" else values, role)


def cases_of_ids(columns: list[tuple[np.ndarray, np.ndarray, Any]]) -> Cases:
    """Return the cases of rows, of one or several columns: their values, which are missing, and their name.

    Raises
    ------
    ValueError
        An id is missing, or the ids of a column are of different kinds. The message names the row.
    """
    for values, missing, name in columns:
        if missing.any():
            row = int(np.argmax(missing))
            raise ValueError(f"case {name!r} is missing in row {row}, {values[row]!r}: give every row a case.")
    found = [codes_of(values, f"case {name!r}") for values, _, name in columns]
    if len(found) == 1:
        return Cases(*found[0])
    joint = np.zeros(len(found[0][0]), dtype=np.int64)
    for codes, distinct in found:  # new numbers after each column, so that products stay small
        joint, _ = codes_of(joint * len(distinct) + codes, "case")
    whole = Cases(joint, np.empty(int(joint.max()) + 1, dtype=object))
    for k, row in enumerate(whole.first.tolist()):
        whole.ids[k] = tuple(distinct[codes[row : row + 1]].tolist()[0] for codes, distinct in found)
    return whole


def codes_of(values: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the number (N,) of each value among the distinct ones, and those in the order of their first rows."""
    if values.dtype.kind == "O":
        _check_kinds(values, name)
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))  # most tables hold runs of one value
    runs = values[starts]
    if values.dtype.kind == "O":
        distinct, codes = _distinct_objects(runs)
    else:
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            raise ValueError(f"{name} is infinite in row {int(np.argmin(np.isfinite(values)))}: give another value.")
        distinct, codes = _distinct(runs)
    return np.repeat(codes, np.diff(np.append(starts, len(values)))), distinct


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ordered, first, codes = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return ordered[np.argsort(first)], rank[codes]


def _distinct_objects(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    items = values.tolist()
    numbers: dict[Any, int] = {}
    codes = np.fromiter((numbers.setdefault(item, len(numbers)) for item in items), np.int64, len(items))
    if isinstance(items[0], str):
        return np.array(list(numbers)), codes
    distinct = np.empty(len(numbers), dtype=object)
    for k, item in enumerate(numbers):  # one by one because an item may be a tuple
        distinct[k] = item
    return distinct, codes


def _check_kinds(values: np.ndarray, name: str) -> None:
    """Refuse what is no id. Ids of different kinds are refused too, because 1 and True are one key."""
    items = values.tolist()
    kinds = {kind: _kind(kind) for kind in set(map(type, items))}
    for kind in kinds:
        if kind.__hash__ is None:
            row = next(i for i, item in enumerate(items) if type(item) is kind)
            raise ValueError(f"{name} is a {kind.__name__} in row {row}: pass text or numbers.")
    if len(set(kinds.values())) > 1:
        first = kinds[type(items[0])]
        row = next(i for i, item in enumerate(items) if kinds[type(item)] != first)
        raise ValueError(
            f"{name} is {first} in row 0, {_shown(items[0])}, and {kinds[type(items[row])]} in row {row}, "
            f"{_shown(items[row])}: choose one kind."
        )


def _kind(kind: type) -> str:
    for base, name in ((str, "text"), ((bool, np.bool_), "a truth value"), (Number, "a number")):
        if issubclass(kind, base):
            return name
    return f"a {kind.__name__}"


def _shown(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    return "nothing" if is_missing(value) else repr(value)[:60]
