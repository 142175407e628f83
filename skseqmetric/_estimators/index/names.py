"""The ids of references: whole numbers or text, each once."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._input import as_array, positional
from skseqmetric._metrics.indexing.columns import Column, Consecutive

_RANGE = np.iinfo(np.int64)


def checked_ids(ids: Any, n: int | None, *, texts: bool | None) -> np.ndarray:
    """Return ids (n,) as int64, or as text of dtype object.

    `n` is the number that there must be, if it is known. `texts` says whether those of the index are text; None: it has
    none yet.

    Raises
    ------
    ValueError
        There is another number of ids, one comes twice, or they are not of one kind.
    """
    found = as_array(positional(ids, "ids"), "ids")
    if found.ndim != 1 or (n is not None and len(found) != n):
        wanted = "one dimension" if n is None else f"shape ({n},), one for each sequence"
        raise ValueError(f"ids has shape {found.shape}: it must have {wanted}.")
    if not len(found):
        return found.astype(object if texts else np.int64)
    names = _texts(found) if found.dtype.kind in "OUT" else _numbers(found)
    if texts is not None and texts != (names.dtype == object):
        kinds = ("text", "whole numbers") if texts else ("whole numbers", "text")
        raise ValueError(f"the ids of this index are {kinds[0]}, and ids has {kinds[1]}, such as {names[0]!r}.")
    _refuse_double(names)
    return names


def _numbers(found: np.ndarray) -> np.ndarray:
    if found.dtype.kind not in "iu" or (found.dtype.kind == "u" and found.max() > _RANGE.max):
        raise ValueError(f"ids has dtype {found.dtype}: ids must be whole numbers of 64 bits, or text.")
    return found.astype(np.int64)


def _texts(found: np.ndarray) -> np.ndarray:
    items = found.tolist()
    kinds = {type(item) for item in items}
    if kinds == {int} and all(_RANGE.min <= item <= _RANGE.max for item in items):
        return np.array(items, dtype=np.int64)
    if kinds != {str}:
        place = next(i for i, item in enumerate(items) if type(item) is not str)
        raise ValueError(f"ids[{place}] is {items[place]!r}: ids must be whole numbers of 64 bits, or text.")
    names = np.empty(len(items), dtype=object)
    names[:] = items
    return names


def _refuse_double(names: np.ndarray) -> None:
    if _grows(names):
        return
    ordered = np.sort(names)
    double = ordered[1:] == ordered[:-1]
    if double.any():
        raise ValueError(f"the id {ordered[:-1][double].tolist()[0]!r} comes twice in ids.")


class Places:
    """The numbers of references by their ids. Numbers grow in the order of addition.

    While ids grow in this order too, they are searched for among the ids themselves. Else a dictionary holds them.
    """

    def __init__(self, names: Column, numbers: Column) -> None:
        self._known: dict[Any, int] | None = None
        if not _are_growing(names, len(names)):
            self._known = dict(zip(names.array.tolist(), numbers.array.tolist(), strict=True))

    def rows(self, given: np.ndarray, names: Column, numbers: Column) -> np.ndarray:
        """Return the rows of ids in an index with these names and numbers, and -1 for ids that it does not have."""
        if self._known is None:
            return names.rows(given)
        known = np.array([self._known.get(name, -1) for name in given.tolist()], dtype=np.int64)
        return np.where(known < 0, -1, numbers.rows(known))

    def with_names(self, names: Column, numbers: Column, n_new: int) -> None:
        """Keep the last `n_new` of all names."""
        if self._known is None:
            if _are_growing(names, n_new + 1):
                return
            self._known, n_new = {}, len(names)
        new = np.arange(len(names) - n_new, len(names))
        self._known.update(zip(names.at(new).tolist(), numbers.at(new).tolist(), strict=True))

    def without(self, given: np.ndarray) -> None:
        """Forget ids that it has."""
        for name in given.tolist() if self._known is not None else ():
            del self._known[name]  # type: ignore[union-attr]


def _are_growing(names: Column, n_last: int) -> bool:
    """Whether the last names are numbers that grow."""
    return isinstance(names, Consecutive) or _grows(names.array[max(0, len(names) - n_last) :])


def _grows(names: np.ndarray) -> bool:
    return names.dtype != object and bool((names[1:] > names[:-1]).all())
