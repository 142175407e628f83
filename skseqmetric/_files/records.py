"""Small classes whose objects are stored by their fields: what each field is, and how big its arrays are to each other.

A kind is written as text, such as "float64 n C", with names of sizes that must agree within one object. Alternatives
are separated by "|".

| text | value |
| --- | --- |
| `none`, `bool`, `int`, `number`, `str`, `dict`, `list`, `plain` | such a value; `plain` is any of them |
| `any` | anything |
| `size C` | a whole number, which is the size C |
| `float32 n C`, `float64`, `floats`, `int32`, `int64`, `labels` | an array of this dtype and shape; `*` is any size |
| `tensor float32 n C` | a tensor |
| `record A,B`, `records A,B` | an object of one of these classes; a list or tuple of them |
| `estimator`, `estimators` | an estimator; a list or dictionary of them |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np

from skseqmetric._files.refused import damaged

Kind = TypeVar("Kind", bound=type)

RECORDS: dict[str, type] = {}
"""The classes by their names, without the underscores in front."""

_FIELDS: dict[type, dict[str, str]] = {}

RECORD = "record"
"""The key under which a dictionary that stands for an object has the name of its class."""


def record(**kinds: str) -> Callable[[Kind], Kind]:
    """Store objects of a class by these fields, which are of these kinds. Other attributes are not stored.

    A method `check_record` of the class raises ValueError if the fields contradict each other.
    """

    def register(cls: Kind) -> Kind:
        RECORDS[cls.__name__.lstrip("_")] = cls
        _FIELDS[cls] = kinds
        return cls

    return register


def is_record(value: Any) -> bool:
    """Whether objects of this class are stored by their fields."""
    return type(value) in _FIELDS


def described(value: Any) -> dict[str, Any]:
    """Return the fields of an object, and the name of its class."""
    found = {name: getattr(value, name) for name in _FIELDS[type(value)] if hasattr(value, name)}
    return {RECORD: type(value).__name__.lstrip("_"), **found}


def made(description: Mapping[str, Any]) -> Any:
    """Return the object of a description, whose values are made already.

    Raises
    ------
    ValueError
        There is no such class, it has no such field, or its fields contradict each other.
    """
    cls = _class_of(description)
    found = {name: value for name, value in description.items() if name != RECORD}
    unknown = set(found) - set(_FIELDS[cls])
    if unknown:
        raise ValueError(f"{cls.__name__} has no field {min(unknown)[:80]!r}.")
    if issubclass(cls, tuple):
        return cls(**found)
    new = cls.__new__(cls)
    new.__dict__.update(_defaults(cls), **found)
    check = getattr(new, "check_record", None)
    if check is not None:
        check()
    return new


@cache
def _defaults(cls: Any) -> dict[str, Any]:
    return {f.name: f.default for f in fields(cls) if f.default is not MISSING} if is_dataclass(cls) else {}


@cache
def _required(cls: Any) -> frozenset[str]:
    """Return the fields that have no default and cannot be None."""
    return frozenset(name for name, kinds in _FIELDS[cls].items() if "none" not in kinds and name not in _defaults(cls))


def _class_of(description: Mapping[str, Any]) -> Any:
    name = description[RECORD]
    if type(name) is not str or name not in RECORDS:
        raise ValueError(f"{str(name)[:80]!r} is no class of skseqmetric that is stored.")
    return RECORDS[name]


# ------------------------------------------------------------------ kinds


class Checker:
    """Checks the values of one object against their kinds. Values are not made yet: objects are descriptions.

    Parameters
    ----------
    place : str
        How messages call the object.
    is_estimator : callable
        Whether a value stands for an estimator.
    """

    def __init__(self, place: str, is_estimator: Callable[[Any], bool]) -> None:
        self.place, self.is_estimator = place, is_estimator
        self.sizes: dict[str, int] = {}

    def check(self, name: str, value: Any, kinds: str) -> None:
        """Raise `DamagedFile` if a value is of none of these kinds."""
        if type(value) in _NESTED:
            self._of_fields(name, value)
        for word, rest in _split(kinds):
            if type(value) in _PLAIN[word] if word in _PLAIN else self._is(word, rest, value):
                return
        damaged(f"{self.place}.{name} is {_brief(value)}, and not {kinds}")

    def _is(self, word: str, rest: tuple[str, ...], value: Any) -> bool:
        """Whether a value is of a kind that is none of `_PLAIN`."""
        if word not in _WORDS:
            return isinstance(value, np.ndarray) and _has_dtype(value, word) and self._fits(value.shape, rest)
        if word == "any":
            return True
        if word == "size":
            return type(value) is int and self._fits((value,), rest)
        if word == "tensor":
            return _names(value) == "Tensor" and self._is(rest[0], rest[1:], value.get("values"))
        if word in ("record", "records"):
            wanted = rest[0].split(",")
            given = [value] if word == "record" else value
            return type(given) in (list, tuple) and all(_names(one) in wanted for one in given)
        if word == "estimator":
            return self.is_estimator(value)
        return type(value) is list and all(map(self.is_estimator, value))

    def _fits(self, shape: tuple[int, ...], names: tuple[str, ...]) -> bool:
        if len(shape) != len(names):
            return False
        found = dict(self.sizes)
        for size, name in zip(shape, names, strict=True):
            if name != "*" and found.setdefault(name, size) != size:
                return False
        self.sizes = found
        return True

    def _of_fields(self, name: str, value: Any) -> None:
        """Check the fields of descriptions that a value is or holds."""
        if type(value) in (list, tuple):
            for i, one in enumerate(value):
                if type(one) in _NESTED:
                    self._of_fields(f"{name}[{i}]", one)
        elif RECORD in value:
            self._fields(name, value)
        else:
            for key, one in value.items():
                if type(one) in _NESTED:
                    self._of_fields(f"{name}[{key!r}]", one)

    def _fields(self, name: str, description: dict[str, Any]) -> None:
        place = f"{self.place}.{name}"
        if description[RECORD] == "Tensor":
            return
        try:
            cls = _class_of(description)
        except ValueError as error:
            damaged(f"{place}: {error}")
        inner, kinds = Checker(place, self.is_estimator), _FIELDS[cls]
        for field, value in description.items():
            if field in kinds:
                inner.check(field, value, kinds[field])
            elif field != RECORD:
                damaged(f"{place} has the unknown field {str(field)[:80]!r}")
        missing = _required(cls) - description.keys()
        if missing:
            damaged(f"{place} has no field {min(missing)!r}")


def check_lengths(lengths: np.ndarray, n_rows: int) -> None:
    """Raise ValueError unless sequences of these lengths (n,) have so many rows in all."""
    if (lengths < 1).any() or (lengths > n_rows).any() or int(lengths.sum()) != n_rows:
        raise ValueError(f"the lengths of sequences do not add up to their {n_rows} rows.")


_PLAIN: dict[str, tuple[type, ...]] = {
    "none": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "number": (int, float, np.float64),
    "str": (str,),
    "dict": (dict,),
    "list": (list, tuple),
    "plain": (type(None), bool, int, float, str, bytes, dict, list, tuple, np.ndarray),
}
_WORDS = {"any", "size", "tensor", "record", "records", "estimator", "estimators"}
_NESTED = {list, tuple, dict}
_KINDS = {"floats": "f", "ints": "i", "labels": "biufUSMmO"}


def _has_dtype(array: np.ndarray, word: str) -> bool:
    return array.dtype.kind in _KINDS[word] if word in _KINDS else array.dtype == _dtype(word)


_dtype = cache(np.dtype)


@cache
def _split(kinds: str) -> list[tuple[str, tuple[str, ...]]]:
    parts = [kind.split() for kind in kinds.split("|")]
    return [(part[0], tuple(part[1:])) for part in parts]


def _names(value: Any) -> Any:
    return value.get(RECORD) if isinstance(value, dict) else None


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    return f"{type(value).__name__} {_names(value) or str(value)[:60]!r}"
