"""Model files: an uncompressed zip of arrays, `arrays.safetensors`, and their description, `schema.json`.

The arrays come first and begin at a page of the file, so that they are used where they are. Everything else that the
zip format allows is refused: other members, names, methods and places, comments, and bytes that belong to nothing.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from mmap import ACCESS_COPY, mmap
from struct import Struct
from typing import Any

import numpy as np

from skseqmetric._files import tensors
from skseqmetric._files.atomic import replacing
from skseqmetric._files.refused import damaged
from skseqmetric._files.texts import LARGEST, parsed, written

ARRAYS, SCHEMA = "arrays.safetensors", "schema.json"

PAGE = 4096
"""Where the arrays begin. In front of them are the header of the zip and zeros."""

_SUM = b'{"sha256":"'  # the description begins with its own sum, computed with zeros in its place
_ZEROS = b"0" * 64
_LARGE = 1 << 31  # bytes from which a member has sizes of 64 bits
_EXTENDED = 20  # bytes that these take in front of a member

_END = Struct("<4s4H2LH")
_END64 = Struct("<4sQ2H2L4Q")
_LOCATOR = Struct("<4sLQL")
_ENTRY = Struct("<4s6H3L5H2L")
_LOCAL = Struct("<4s5H3L2H")
_MOST_TAIL = 2 * PAGE  # bytes of directory and end
_NARROW = 0xFFFFFFFF  # in place of a number that takes 64 bits
_SMALL = 1 << 17  # bytes up to which a file is read, and not mapped


def write_archive(path: str | os.PathLike[str], schema: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a model file in the place of `path`, in one step. The description gets the sums of both parts.

    Raises
    ------
    NotStorable
        The description would be too large to be read again.
    """
    large = sum(array.nbytes for array in arrays.values()) + len(arrays) * PAGE >= _LARGE
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        entry = _member(ARRAYS)
        used = _LOCAL.size + len(ARRAYS) + large * _EXTENDED
        # a field that no reader knows moves the arrays to the next page
        entry.extra = Struct("<2H").pack(0xD935, PAGE - used - 4) + bytes(PAGE - used - 4)
        with archive.open(entry, "w", force_zip64=large) as member:
            digest = tensors.write(member, arrays)
        text = written({"sha256": _ZEROS.decode(), "arrays_sum": digest, **schema})
        archive.writestr(_member(SCHEMA), text.replace(_ZEROS, sha256(text).hexdigest().encode(), 1))


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)  # of 1980: equal models are equal files
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    return member


def read_archive(path: str | os.PathLike[str], *, mapped: bool = True) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the description and the arrays of a model file, both checked against their sums.

    With `mapped`, the arrays of a large file are pages of it. What is written to them stays in this process.

    Raises
    ------
    DamagedFile
        This is no such file. Nothing is unpacked, and no memory is taken for what it declares.
    """
    # a pipe would wait for its writer
    if not stat.S_ISREG(os.stat(path).st_mode):
        damaged("it is no regular file")
    content = _content(path, mapped)
    (start, stop), (first, last) = _places(content)
    if last - first > LARGEST:
        damaged(f"its description has {last - first} bytes")
    schema = _schema(content[first:last].tobytes())
    return schema, tensors.read(content[start:stop], schema["arrays_sum"])


def _content(path: str | os.PathLike[str], mapped: bool) -> np.ndarray:
    """Return the bytes of a file. To read a small one costs less than its pages."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if mapped and size > _SMALL:
            return np.frombuffer(mmap(file.fileno(), size, access=ACCESS_COPY), dtype=np.uint8)
        # at an address that is a multiple of 64, as the arrays in the file are
        room = np.empty(size + tensors.ALIGNMENT, dtype=np.uint8)
        shift = -room.ctypes.data % tensors.ALIGNMENT
        content = room[shift : shift + size]
        if file.readinto(content.data) != size:
            damaged("it became shorter while it was read")
    return content


def _schema(text: bytes) -> dict[str, Any]:
    """Return the description, checked against the sum that it begins with."""
    begin, end = len(_SUM), len(_SUM) + len(_ZEROS)
    if not text.startswith(_SUM) or sha256(text[:begin] + _ZEROS + text[end:]).hexdigest().encode() != text[begin:end]:
        damaged("its description is not the one that was saved: its SHA-256 sum is another")
    schema = parsed(text)
    if not isinstance(schema, dict) or not isinstance(schema.get("arrays_sum"), str):
        damaged("its description has no sum of the arrays")
    return schema


# ------------------------------------------------------------------ the zip


def _places(content: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return where arrays and description begin and end. Every byte of the file belongs to something."""
    directory, end = _directory(content[-_MOST_TAIL:].tobytes(), len(content))
    entries = _entries(content[directory:end].tobytes())
    if [name for name, _, _ in entries] != [ARRAYS, SCHEMA]:
        damaged(f"it holds {[name[:40] for name, _, _ in entries]}, and not {ARRAYS} and {SCHEMA}")
    (_, zero, n_arrays), (_, between, n_schema) = entries
    begins = [_data(content, place, name) for name, place, _ in entries]
    ends = begins[0] + n_arrays, begins[1] + n_schema
    if zero != 0 or begins[0] != PAGE or ends != (between, directory):
        damaged("its parts do not follow one another")
    return (begins[0], ends[0]), (begins[1], ends[1])


def _directory(tail: bytes, size: int) -> tuple[int, int]:
    """Return where the directory of a file begins and ends, from its last bytes."""
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06":
        damaged("it does not end as a model file does: it is cut off, or something else")
    _, disk, first, here, count, length, offset, comment = _END.unpack(tail[-_END.size :])
    end = size - _END.size
    wide = tail[-_END.size - _LOCATOR.size - _END64.size : -_END.size]
    if wide[_END64.size :][:4] == b"PK\x06\x07":
        _, _, _, _, disk, first, here, count, length, offset = _END64.unpack(wide[: _END64.size])
        end -= len(wide)
    if (disk, first, here, count, comment) != (0, 0, 2, 2, 0) or offset + length != end or end - offset > _MOST_TAIL:
        damaged("its directory is not that of a model file")
    if size - offset > len(tail):
        damaged("its directory is too large")
    return offset, end


def _entries(directory: bytes) -> list[tuple[str, int, int]]:
    """Return the name, the place and the size of every member."""
    found, at = [], 0
    while at < len(directory):
        if len(directory) - at < _ENTRY.size or directory[at : at + 4] != b"PK\x01\x02":
            damaged("its directory is damaged")
        fields = _ENTRY.unpack_from(directory, at)
        flags, method, packed, size, lengths, offset = (
            fields[3],
            fields[4],
            fields[8],
            fields[9],
            fields[10:13],
            fields[16],
        )
        at += _ENTRY.size
        name, extra = directory[at : at + lengths[0]], directory[at + lengths[0] : at + lengths[0] + lengths[1]]
        at += sum(lengths)
        if at > len(directory):
            damaged("its directory is damaged")
        size, packed, offset = _widened(extra, [size, packed, offset])
        if flags & ~0x800 or method != zipfile.ZIP_STORED or packed != size or lengths[2]:
            damaged(f"its member {name[:40]!r} is packed, encrypted or commented")
        found.append((name.decode("ascii", "replace"), offset, size))
    return found


def _widened(extra: bytes, values: list[int]) -> list[int]:
    """Return numbers of 32 bits, and those of 64 bits where an extra field holds them."""
    if _NARROW not in values:
        return values
    wide = iter(())
    while len(extra) >= 4:
        kind, length = Struct("<2H").unpack(extra[:4])
        if kind == 1:
            field = extra[4 : 4 + length]
            wide = iter(Struct(f"<{len(field) // 8}Q").unpack(field[: len(field) // 8 * 8]))
        extra = extra[4 + length :]
    return [next(wide, value) if value == _NARROW else value for value in values]


def _data(content: np.ndarray, place: int, name: str) -> int:
    """Return where the data of a member begins, from the header in front of them."""
    header = content[place : place + _LOCAL.size + len(name)].tobytes()
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        damaged("a header in it is damaged")
    n_name, n_extra = _LOCAL.unpack_from(header)[9:]
    if n_name != len(name) or header[_LOCAL.size :] != name.encode():
        damaged("its directory and its headers name other members")
    return place + _LOCAL.size + n_name + n_extra
