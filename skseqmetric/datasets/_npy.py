"""One array of the .npy format, of a stream that nobody vouches for."""

from __future__ import annotations

import math
import re
from typing import IO, NamedTuple

import numpy as np

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # bytes; NumPy's own limit
_PIECE = 2**20  # bytes that are unpacked at a time
_LAST_CHARACTER = 0x10FFFF

# The header is the text of a dictionary. It is matched, not evaluated: a text may nest deeply, or be no dictionary.
_ITEM = re.compile(
    r"""\s*(['"])(?P<key>descr|fortran_order|shape)\1\s*:\s*"""
    r"""(?P<value>'[^']*'|"[^"]*"|True|False|\(\s*(?:\d{1,19}L?\s*(?:,\s*|(?=\)))){0,32}\)|\[[^{}]*\])\s*(?:,|$)""",
    re.ASCII,
)
_DESCR = re.compile(r"[<>|=]?[biufcSUmMOV?]\d{0,10}(\[\w+\])?", re.ASCII)


class Unreadable(ValueError):
    """A file is not what it should be; the message goes on after the name of the file."""


class Header(NamedTuple):
    """What a .npy header promises."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran_order: bool
    n_own_bytes: int  # from the start of the file to the first number

    @property
    def n_bytes(self) -> int:
        """Size of the whole file, header and data."""
        return self.n_own_bytes + self.dtype.itemsize * math.prod(self.shape)


def read_header(stream: IO[bytes], key: str) -> Header:
    """Read the header at the start of a stream; at most some kilobytes are unpacked."""
    start = stream.read(8)
    if start[:6] != _MAGIC or start[6:] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise Unreadable(f": {key} is no array of the .npy format, versions 1.0 to 3.0.")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > _LONGEST_HEADER:
        raise Unreadable(f": {key} has a header of {length} bytes; at most {_LONGEST_HEADER} are read.")
    text = stream.read(length)
    if len(text) < length:
        raise Unreadable(f": {key} ends inside its header.")
    return _parse(text.decode("latin-1"), key, 8 + width + length)


def _parse(text: str, key: str, n_own_bytes: int) -> Header:
    inner = text.strip(" \n")
    items, place = {}, 1
    while match := _ITEM.match(inner[:-1], place):
        items[match["key"]] = match["value"]
        place = match.end()
    if inner[:1] + inner[-1:] != "{}" or inner[place:-1].strip() or len(items) != 3:
        raise Unreadable(f": the header of {key} is damaged.")
    if items["fortran_order"] not in ("True", "False") or items["shape"][0] != "(":
        raise Unreadable(f": the header of {key} is damaged.")
    shape = tuple(int(size) for size in re.findall(r"\d+", items["shape"]))
    return Header(_dtype(items["descr"], key), shape, items["fortran_order"] == "True", n_own_bytes)


def _dtype(descr: str, key: str) -> np.dtype:
    if descr[0] == "[":
        raise Unreadable(
            f": {key} is a structured array. Write plain arrays of numbers, and labels of numbers or text."
        )
    if not _DESCR.fullmatch(descr[1:-1]):
        raise Unreadable(f": the header of {key} is damaged: there is no dtype {descr[:40]}.")
    try:
        dtype = np.dtype(descr[1:-1])
    except Exception as error:  # of many kinds
        raise Unreadable(f": the header of {key} is damaged: there is no dtype {descr}.") from error
    if dtype.kind == "O":
        raise Unreadable(
            f": {key} holds Python objects, which are not read (allow_pickle=False). Write numbers or text."
        )
    return dtype


def read_array(stream: IO[bytes], header: Header, key: str) -> np.ndarray:
    """Read the whole of a stream whose header was read; its bytes are held once, and no more than there are."""
    stream.read(header.n_own_bytes)
    data = bytearray()  # grows with what is there, not with what the header promises
    while piece := stream.read(_PIECE):
        data += piece
    if header.n_own_bytes + len(data) != header.n_bytes:
        raise Unreadable(f": {key} is cut off.")
    array = np.frombuffer(data, header.dtype)
    _check_content(array, key)
    return array.reshape(header.shape, order="F" if header.fortran_order else "C")


def _check_content(array: np.ndarray, key: str) -> None:
    """Refuse bytes that no value of the dtype has: reading such values later fails, or is not defined."""
    if array.dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise Unreadable(f": {key} is damaged: a bool is neither 0 nor 1.")
    if array.dtype.kind == "U":
        codes = array.view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if codes.max(initial=0) > _LAST_CHARACTER:
            raise Unreadable(f": {key} is damaged: its text has characters that do not exist.")
