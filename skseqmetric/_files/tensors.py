"""Arrays in the safetensors format, written without a copy and read in place.

The layout is 8 bytes with the length N of the header, N bytes of JSON, and the bytes of all arrays one after the other.
Every array of 4 KiB or more begins at a multiple of 64 bytes of the file, as memory of the libraries that compute does.
The format allows no gaps, so that arrays of bytes named "padding.0", "padding.1" and so on fill them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from math import prod
from typing import IO, Any

import numpy as np

from skseqmetric._files.refused import NotStorable, damaged
from skseqmetric._files.sums import Sums
from skseqmetric._files.texts import LARGEST, parsed

ALIGNMENT = 64

SMALL = 4096
"""Bytes below which an array is copied, and may begin anywhere."""

_DTYPES = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
_STORED = {name: np.dtype(dtype) for name, dtype in _DTYPES.items()}
_PARTS = {"dtype", "shape", "data_offsets"}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_PADDING = "padding."
_MOST_AXES = 16
_LONGEST_AXIS = 1 << 48


def storable(dtype: np.dtype) -> bool:
    """Whether the format has this dtype."""
    return dtype.newbyteorder("<").str in _NAMES


def write(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> str:
    """Write arrays from a place of a file that is a multiple of 64. Return the sum of what was written."""
    header, filled = _header(arrays)
    digest = Sums()
    for part in chain([len(header).to_bytes(8, "little"), header], _contents(arrays, filled)):
        digest.update(part)
        file.write(part)
    return digest.hexdigest()


def _header(arrays: Mapping[str, np.ndarray]) -> tuple[bytes, list[int]]:
    """Return the header, and the number of bytes of padding in front of every array."""
    entries: dict[str, Any] = {}
    end = 0
    filled: list[int] = []
    for name, array in arrays.items():
        gap = -end % ALIGNMENT if array.nbytes >= SMALL else 0
        if gap:
            entry = {"dtype": "U8", "shape": [gap], "data_offsets": [end, end + gap]}
            entries[f"{_PADDING}{len(filled)}"] = entry
        start, end = end + gap, end + gap + array.nbytes
        entries[name] = {"dtype": _NAMES[array.dtype.str], "shape": list(array.shape), "data_offsets": [start, end]}
        filled.append(gap)
    text = json.dumps(entries, separators=(",", ":")).encode("ascii")
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    if len(text) > LARGEST:
        raise NotStorable("the model", f"too large: it has {len(arrays)} arrays")
    return text, filled


def _contents(arrays: Mapping[str, np.ndarray], filled: list[int]) -> Iterator[Any]:
    for array, gap in zip(arrays.values(), filled, strict=True):
        yield bytes(gap)
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def read(content: np.ndarray, digest: str) -> dict[str, np.ndarray]:
    """Return the arrays of a file as views of its bytes or copies, checked against their sum.

    Raises
    ------
    DamagedFile
        The bytes are others than were written, or they are no such file. No memory is taken for what a header declares.
    """
    found = Sums()
    found.update(content)
    if found.hexdigest() != digest:
        damaged("its arrays are not those that were saved: their sum is another")
    size = int.from_bytes(content[:8].tobytes(), "little")
    if not 8 < 8 + size <= len(content) or size > LARGEST:
        damaged(f"the header of its arrays has {size} bytes")
    entries, data = parsed(content[8 : 8 + size].tobytes().rstrip(b" ")), content[8 + size :]
    if not isinstance(entries, dict):
        damaged("the header of its arrays is no object")
    arrays, end = {}, 0
    for name, entry in entries.items():
        array, end = _array(name, entry, data, end)
        if not name.startswith(_PADDING):
            arrays[name] = array
    if end != len(data):
        damaged(f"its arrays take {end} bytes, but the file has {len(data)}")
    _refuse_infinite(arrays)
    return arrays


def _array(name: str, entry: Any, data: np.ndarray, start: int) -> tuple[np.ndarray, int]:
    """Return the array of one entry, which must begin where the one before ended, and where it ends."""
    if type(entry) is not dict or entry.keys() != _PARTS:
        damaged(f"its array {name[:80]!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = _STORED.get(str(entry["dtype"])), entry["shape"], entry["data_offsets"]
    if dtype is None:
        damaged(f"its array {name[:80]!r} has the unknown dtype {str(entry['dtype'])[:20]!r}")
    if not _whole_numbers(shape) or len(shape) > _MOST_AXES or max(shape, default=0) > _LONGEST_AXIS:
        damaged(f"its array {name[:80]!r} has the shape {str(shape)[:80]}")
    stop = start + prod(shape) * dtype.itemsize
    if not _whole_numbers(offsets) or offsets != [start, stop]:
        damaged(f"its array {name[:80]!r} does not lie where its shape {str(shape)[:80]} puts it")
    if stop > len(data):
        damaged(f"its array {name[:80]!r} goes beyond the end of the file")
    try:
        array: np.ndarray = np.ndarray(shape, dtype, data, start)
    except ValueError:
        damaged(f"its array {name[:80]!r} cannot have the shape {str(shape)[:80]}")
    return (array.copy() if stop - start < SMALL else array), stop


def _whole_numbers(values: Any) -> bool:
    return type(values) is list and set(map(type, values)) <= {int} and min(values, default=0) >= 0


def _refuse_infinite(arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse NaN and infinity, of which no fit leaves one."""
    floats = {name: array for name, array in arrays.items() if array.dtype.kind == "f" and array.size}
    small = [array.ravel() for array in floats.values() if array.nbytes < SMALL]
    with np.errstate(over="ignore", invalid="ignore"):
        # small arrays are looked at together; float64 holds the numbers of the other dtypes
        if (not small or _finite(np.concatenate(small))) and all(
            _finite(array) for array in floats.values() if array.nbytes >= SMALL
        ):
            return
        bad = next(name for name, array in floats.items() if not _finite(array))
    damaged(f"its array {bad[:80]!r} holds NaN or infinity")


def _finite(array: np.ndarray) -> bool:
    # a finite sum has finite parts; one that is not may have overflowed
    return bool(np.isfinite(array.sum()) or (np.isfinite(array.min()) and np.isfinite(array.max())))
