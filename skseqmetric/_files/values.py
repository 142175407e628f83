"""Values of Python and NumPy as JSON and arrays, and back: all that a model keeps, and nothing that could run."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np

from skseqmetric._files.refused import DamagedFile, NotStorable, damaged
from skseqmetric._files.tensors import storable

_LONG = 16
"""Entries from which a list of numbers, of text or of equal rows is stored as arrays or by column."""

_DEEPEST = 32
"""Most levels of lists and dictionaries inside each other."""

_LEAVES = {type(None), bool, int, float, str}
_DATES: dict[str, type] = {"date": datetime.date, "datetime": datetime.datetime}
_KIND = "$"


class Writer:
    """Turns values into JSON, and collects the arrays that it refers to by name. One array has one name.

    `foreign` says what stands for an object of another kind: a "kind", and a value "of" it; or None.
    """

    def __init__(self, foreign: Callable[[Any, str], dict[str, Any] | None] = lambda value, place: None) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._foreign = foreign
        self._known: dict[tuple[int, str], tuple[Any, str]] = {}

    def tree(self, value: Any, place: str, depth: int = 0) -> Any:
        """Return the JSON of a value. `place` names it in messages, and its array in the file.

        Raises
        ------
        NotStorable
            The value is or holds an object of another kind, or itself.
        """
        if depth > _DEEPEST:
            raise NotStorable(place, f"nested more than {_DEEPEST} levels deep")
        if value is None or type(value) in (bool, str, int):
            return value
        write = _WRITERS.get(type(value))
        if write is None and isinstance(value, np.ndarray | np.generic):
            write = Writer._array if isinstance(value, np.ndarray) else Writer._scalar
        if write is not None:
            return write(self, value, place, depth)
        found = self._foreign(value, place)
        if found is None:
            raise NotStorable(place, f"an object of type {type(value).__module__}.{type(value).__qualname__}")
        return {_KIND: found["kind"], "of": self.tree(found["of"], place, depth + 1)}

    # ------------------------------------------------------------------ plain values
    def _float(self, value: float, place: str, depth: int) -> Any:
        return value if isfinite(value) else {_KIND: "float", "of": value.hex()}

    def _bytes(self, value: bytes, place: str, depth: int) -> Any:
        return {_KIND: "bytes", "of": value.hex()}

    def _date(self, value: datetime.date, place: str, depth: int) -> Any:
        kind = next(name for name, cls in _DATES.items() if type(value) is cls)
        return {_KIND: kind, "of": value.isoformat()}

    def _list(self, value: list[Any], place: str, depth: int) -> Any:
        if len(value) >= _LONG:
            kinds = set(map(type, value))
            for wanted, compress in _COMPRESSIONS.items():
                if kinds == {wanted}:
                    found = compress(self, value, place, depth)
                    if found is not None:
                        return found
        return [self.tree(item, f"{place}[{i}]", depth + 1) for i, item in enumerate(value)]

    def _tuple(self, value: tuple[Any, ...], place: str, depth: int) -> Any:
        return {_KIND: "tuple", "of": self._list(list(value), place, depth)}

    def _dict(self, value: dict[Any, Any], place: str, depth: int) -> Any:
        if all(type(key) is str for key in value) and _KIND not in value:
            return {key: self.tree(item, f"{place}.{key}", depth + 1) for key, item in value.items()}
        keys = self.tree(list(value), f"the keys of {place}", depth + 1)
        items = [self.tree(item, f"{place}[{key!r}]", depth + 1) for key, item in value.items()]
        return {_KIND: "dict", "keys": keys, "items": items}

    # ------------------------------------------------------------------ long lists
    def _numbers(self, value: list[Any], place: str, depth: int) -> Any:
        dtype = {int: np.int64, float: np.float64, bool: np.bool_}[type(value[0])]
        try:
            array: np.ndarray = np.array(value, dtype=dtype)
        except OverflowError:
            return None
        finite = bool(np.isfinite(array).all())
        return {_KIND: "numbers", "of": self._stored(array, place)} if finite else None

    def _texts(self, value: list[str], place: str, depth: int) -> Any:
        encoded = [text.encode("utf-8", "surrogatepass") for text in value]
        joined = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        lengths = np.array([len(text) for text in encoded], dtype=np.int64)
        return {
            _KIND: "texts",
            "of": self._stored(joined, place),
            "lengths": self._stored(lengths, f"{place} lengths"),
        }

    def _rows(self, value: list[dict[Any, Any]], place: str, depth: int) -> Any:
        keys = list(value[0])
        if any(list(row) != keys for row in value) or not all(type(key) is str for key in keys):
            return None
        columns = [self._list([row[key] for row in value], f"{place}[*][{key!r}]", depth + 1) for key in keys]
        return {_KIND: "rows", "keys": keys, "of": columns, "length": len(value)}

    # ------------------------------------------------------------------ NumPy
    def _scalar(self, value: np.generic, place: str, depth: int) -> Any:
        return {_KIND: "scalar", "of": self._array(np.array(value).reshape(1), place, depth)}

    def _array(self, value: np.ndarray, place: str, depth: int) -> Any:
        if type(value) not in (np.ndarray, np.memmap):
            raise NotStorable(place, f"an array of type {type(value).__name__}")
        kind, dtype, shape = value.dtype.kind, value.dtype.str, list(value.shape)
        if kind == "O":
            items = self._list(value.ravel().tolist(), place, depth + 1)
            return {_KIND: "objects", "of": items, "shape": shape}
        if kind == "U":
            texts = value.ravel().tolist()
            if roomy(len(texts), value.dtype.itemsize, sum(map(len, texts))):
                raise NotStorable(place, "text of very unequal lengths: an array of dtype object takes less memory")
            return {_KIND: "text", "of": self._list(texts, place, depth), "dtype": dtype, "shape": shape}
        if kind == "S":
            raw = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            return {_KIND: "letters", "of": self._stored(raw, place), "dtype": dtype, "shape": shape}
        if kind in "mM":
            raw = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<"), copy=False)).view(np.int64)
            return {_KIND: "times", "of": self._stored(raw, place), "dtype": value.dtype.newbyteorder("<").str}
        if not storable(value.dtype):
            raise NotStorable(place, f"an array of dtype {value.dtype}")
        return self._number_array(value, place)

    def _number_array(self, value: np.ndarray, place: str) -> Any:
        if value.dtype.kind == "f" and value.size and not (np.isfinite(value.min()) and np.isfinite(value.max())):
            raise NotStorable(place, "an array with NaN or infinity")
        if value.dtype.newbyteorder("<").str != value.dtype.str:
            native = self._stored(value.astype(value.dtype.newbyteorder("<")), place)
            return {_KIND: "array", "of": native, "dtype": value.dtype.str}
        turned = value.flags.f_contiguous and not value.flags.c_contiguous
        if turned:
            return {_KIND: "turned", "of": self._stored(value, place, turned=True)}
        return {_KIND: "array", "of": self._stored(value, place)}

    def _stored(self, array: np.ndarray, place: str, *, turned: bool = False) -> str:
        """Return the name under which an array is stored."""
        key = (id(array), str(turned))
        if key in self._known:
            return self._known[key][1]
        short = name = place.encode("ascii", "replace").decode()[:200]
        number = 1
        while name in self.arrays:
            number += 1
            name = f"{short} {number}"
        self.arrays[name] = array.T if turned else array
        self._known[key] = (array, name)  # keeps the array, so that no other gets its id
        return name


_WRITERS: dict[type, Callable[..., Any]] = {
    float: Writer._float,
    bytes: Writer._bytes,
    list: Writer._list,
    tuple: Writer._tuple,
    dict: Writer._dict,
    datetime.date: Writer._date,
    datetime.datetime: Writer._date,
}
_COMPRESSIONS: dict[type, Callable[..., Any]] = {
    int: Writer._numbers,
    float: Writer._numbers,
    bool: Writer._numbers,
    str: Writer._texts,
    dict: Writer._rows,
}


class Reader:
    """Turns JSON and arrays back into values. Every array must be used.

    `foreign` makes objects of further kinds from their values. It makes nothing that computes.
    """

    def __init__(self, arrays: dict[str, np.ndarray], foreign: dict[str, Callable[[Any], Any]] | None = None) -> None:
        self._arrays, self._used, self._foreign = arrays, set[str](), foreign or {}

    def value(self, tree: Any, depth: int = 0) -> Any:
        """Return the value of a tree.

        Raises
        ------
        DamagedFile
            `Writer` does not make such a tree.
        """
        if depth > _DEEPEST + 1:
            damaged(f"its values are nested more than {_DEEPEST} levels deep")
        if type(tree) is list:
            return [item if type(item) in _LEAVES else self.value(item, depth + 1) for item in tree]
        if type(tree) is not dict:
            return tree
        kind = tree.get(_KIND, self)
        if kind is self:
            return {key: item if type(item) in _LEAVES else self.value(item, depth + 1) for key, item in tree.items()}
        keys, read = _READERS.get(str(kind), _OTHER)
        if tree.keys() != keys and not (kind == "array" and tree.keys() == _FOREIGN_ARRAY):
            damaged(f"its value of the kind {str(kind)[:40]!r} has the wrong parts")
        try:
            return read(self, tree, depth)
        except DamagedFile:
            raise
        except (ValueError, TypeError, OverflowError, KeyError, AttributeError, MemoryError) as error:
            damaged(f"its value of the kind {kind!r} is damaged: {str(error)[:200]}")

    def check_all_used(self) -> None:
        """Refuse arrays that no value refers to."""
        left = set(self._arrays) - self._used
        if left:
            damaged(f"its array {min(left)[:80]!r} belongs to nothing")

    def _other(self, tree: Any, depth: int) -> Any:
        make = self._foreign.get(str(tree[_KIND]))
        if make is None:
            damaged(f"it has a value of the unknown kind {str(tree[_KIND])[:40]!r}")
        return make(self.value(tree["of"], depth + 1))

    def _float(self, tree: Any, depth: int) -> float:
        return float.fromhex(tree["of"])

    def _bytes(self, tree: Any, depth: int) -> bytes:
        return bytes.fromhex(tree["of"])

    def _date(self, tree: Any, depth: int) -> Any:
        return _DATES[tree[_KIND]].fromisoformat(tree["of"])  # type: ignore[attr-defined]

    def _tuple(self, tree: Any, depth: int) -> tuple[Any, ...]:
        return tuple(self._listed(tree["of"], depth))

    def _listed(self, tree: Any, depth: int) -> list[Any]:
        found = self.value(tree, depth + 1)
        return found if type(found) is list else damaged("it has something else in place of a list")

    def _dict(self, tree: Any, depth: int) -> dict[Any, Any]:
        keys, items = self._listed(tree["keys"], depth), self._listed(tree["items"], depth)
        found = dict(zip(keys, items, strict=True))
        return found if len(found) == len(keys) else damaged("a key occurs twice")

    def _numbers(self, tree: Any, depth: int) -> list[Any]:
        return self._flat(tree["of"], "bif").tolist()

    def _texts(self, tree: Any, depth: int) -> list[str]:
        joined, lengths = self._flat(tree["of"], "u"), self._flat(tree["lengths"], "i")
        if joined.itemsize != 1 or (len(lengths) and lengths.min() < 0) or sum(lengths.tolist()) != len(joined):
            damaged("the lengths of its text are wrong")
        data, stops = joined.tobytes(), np.cumsum(lengths).tolist()
        starts = [0, *stops[:-1]]
        return [data[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, stops, strict=True)]

    def _rows(self, tree: Any, depth: int) -> list[dict[str, Any]]:
        keys, length = tree["keys"], tree["length"]
        columns = [self._listed(column, depth) for column in tree["of"]]
        if not all(type(key) is str for key in keys) or type(length) is not int or len(set(keys)) < len(keys):
            damaged("its rows have no names")
        if (
            any(len(column) != length for column in columns)
            or len(columns) != len(keys)
            or (not keys and length > _LONG)
        ):
            damaged("its rows have columns of unequal lengths")
        return [dict(zip(keys, row, strict=True)) for row in (zip(*columns, strict=True) if keys else [()] * length)]

    def _scalar(self, tree: Any, depth: int) -> Any:
        found = self.value(tree["of"], depth + 1)
        if not isinstance(found, np.ndarray) or found.shape != (1,) or found.dtype.kind == "O":
            damaged("one of its numbers is none")
        return found[0]

    def _array(self, tree: Any, depth: int) -> np.ndarray:
        array = self._named(tree["of"])
        if "dtype" not in tree:
            return array
        dtype = np.dtype(str(tree["dtype"]))
        if dtype.newbyteorder("<") != array.dtype:
            damaged("an array has another dtype than it should")
        return array.astype(dtype)

    def _turned(self, tree: Any, depth: int) -> np.ndarray:
        return self._named(tree["of"]).T

    def _objects(self, tree: Any, depth: int) -> np.ndarray:
        items, shape = self._listed(tree["of"], depth), _shape(tree["shape"])
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):  # one by one, because an item may be a tuple
            array[i] = item
        return array.reshape(shape)

    def _text(self, tree: Any, depth: int) -> np.ndarray:
        items, dtype = self._listed(tree["of"], depth), np.dtype(str(tree["dtype"]))
        too_short = dtype.itemsize // 4 < max(map(len, items), default=0)
        if dtype.kind != "U" or too_short or roomy(len(items), dtype.itemsize, sum(map(len, items))):
            damaged("an array of text has another dtype than it should")
        return np.array(items, dtype=dtype).reshape(_shape(tree["shape"]))

    def _letters(self, tree: Any, depth: int) -> np.ndarray:
        dtype, raw = np.dtype(str(tree["dtype"])), self._flat(tree["of"], "u")
        if dtype.kind != "S" or not dtype.itemsize:
            damaged("an array of letters has another dtype than it should")
        return raw.view(dtype).reshape(_shape(tree["shape"]))

    def _times(self, tree: Any, depth: int) -> np.ndarray:
        dtype, array = np.dtype(str(tree["dtype"])), self._named(tree["of"])
        if dtype.kind not in "mM" or array.dtype != np.int64:
            damaged("an array of times has another dtype than it should")
        return array.view(dtype)

    def _flat(self, name: Any, kinds: str) -> np.ndarray:
        array = self._named(name)
        if array.ndim != 1 or array.dtype.kind not in kinds:
            damaged("an array is not of the kind that it should be")
        return array

    def _named(self, name: Any) -> np.ndarray:
        if type(name) is not str or name not in self._arrays:
            damaged(f"it has no array {str(name)[:80]!r}")
        self._used.add(name)
        return self._arrays[name]


def roomy(n_items: int, itemsize: int, n_letters: int) -> bool:
    """Whether an array of text takes far more memory than its text: one long text makes all others long."""
    return n_items * itemsize > 64 * n_letters + (1 << 20)


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        damaged("the shape of an array is no list of numbers")
    return tuple(shape)


_OTHER: tuple[set[str], Any] = ({_KIND, "of"}, Reader._other)
_FOREIGN_ARRAY = {_KIND, "of", "dtype"}
_READERS: dict[str, tuple[set[str], Any]] = {
    "float": ({_KIND, "of"}, Reader._float),
    "bytes": ({_KIND, "of"}, Reader._bytes),
    "date": ({_KIND, "of"}, Reader._date),
    "datetime": ({_KIND, "of"}, Reader._date),
    "tuple": ({_KIND, "of"}, Reader._tuple),
    "dict": ({_KIND, "keys", "items"}, Reader._dict),
    "numbers": ({_KIND, "of"}, Reader._numbers),
    "texts": ({_KIND, "of", "lengths"}, Reader._texts),
    "rows": ({_KIND, "keys", "of", "length"}, Reader._rows),
    "scalar": ({_KIND, "of"}, Reader._scalar),
    "array": ({_KIND, "of"}, Reader._array),
    "turned": ({_KIND, "of"}, Reader._turned),
    "objects": ({_KIND, "of", "shape"}, Reader._objects),
    "text": ({_KIND, "of", "dtype", "shape"}, Reader._text),
    "letters": ({_KIND, "of", "dtype", "shape"}, Reader._letters),
    "times": ({_KIND, "of", "dtype"}, Reader._times),
}
