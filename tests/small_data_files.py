"""Good data files, and ways to damage them."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def good_arrays() -> Arrays:
    """Two splits and one without a name: labels of text, of every step, and none."""
    rng = np.random.default_rng(0)
    lengths = np.array([3, 1, 4, 2])
    return {
        "train_values": rng.normal(size=(10, 2)),
        "train_lengths": lengths,
        "train_labels": np.array(["one", "two", "é", "one"]),
        "tést_values": rng.integers(-9, 9, size=(10, 3)).astype(np.int16),
        "tést_lengths": lengths.astype(np.uint8),
        "tést_labels": rng.integers(0, 2, size=10).astype(bool),
        "values": rng.normal(size=(500, 1)).astype(np.float32),
        "lengths": np.full(100, 5),
    }


def good_file(*, compressed: bool = True) -> bytes:
    """The bytes of a file of `good_arrays`."""
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **good_arrays())
    return file.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    """The unpacked members of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(contents: dict[str, bytes] | list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive with right checksums, whatever it holds."""
    file = io.BytesIO()
    pairs = contents.items() if isinstance(contents, dict) else contents
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return file.getvalue()


def npy(array: Any) -> bytes:
    """The bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_of(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """A .npy file with any header."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def edited(key: str, content: bytes) -> bytes:
    """A good archive in which one array is another."""
    return archive_of({**members(good_file()), f"{key}.npy": content})


# ---------------------------------------------------------------------------------------------- mutations


def _flip(data: bytearray, rng: np.random.Generator) -> bytes:
    for place in rng.integers(0, 8 * len(data), size=rng.integers(1, 9)).tolist():
        data[place // 8] ^= 1 << (place % 8)
    return bytes(data)


def _truncate(data: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(data[: rng.integers(0, len(data))])


def _overwrite(data: bytearray, rng: np.random.Generator) -> bytes:
    start, size = int(rng.integers(0, len(data))), int(rng.integers(1, 200))
    size = min(size, len(data) - start)
    data[start : start + size] = [bytes(size), b"\xff" * size, rng.bytes(size)][rng.integers(3)]
    return bytes(data)


def _shift(data: bytearray, rng: np.random.Generator) -> bytes:
    """Leave bytes out, or put some in."""
    start, size = int(rng.integers(0, len(data))), int(rng.integers(1, 50))
    data[start : start + size * int(rng.integers(2))] = rng.bytes(size * int(rng.integers(2)))
    return bytes(data)


def _swap(data: bytearray, rng: np.random.Generator) -> bytes:
    """Two blocks change places."""
    size = int(rng.integers(1, len(data) // 3))
    first = int(rng.integers(0, len(data) - 2 * size))
    second = int(rng.integers(first + size, len(data) - size + 1))
    data[first : first + size], data[second : second + size] = (
        data[second : second + size],
        data[first : first + size],
    )
    return bytes(data)


def _edit_field(data: bytearray, rng: np.random.Generator) -> bytes:
    """Another number in one of the headers of the archive."""
    marks = [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"]
    mark = marks[rng.integers(3)]
    places = [match.start() for match in re.finditer(mark, data)]
    place = places[rng.integers(len(places))] + int(rng.integers(4, {1: 44, 3: 28, 5: 20}[mark[2]]))
    width = int(rng.choice([1, 2, 4]))
    number = int(rng.choice([0, 1, 2**31, 2**32 - 1, int(rng.integers(2**32))])) % 2 ** (8 * width)
    data[place : place + width] = number.to_bytes(width, "little")
    return bytes(data)


def _swap_members(data: bytearray, rng: np.random.Generator) -> bytes:
    """Two arrays change their names; all checksums are right."""
    contents = members(bytes(data))
    names = list(contents)
    first, second = rng.choice(names, size=2, replace=False).tolist()
    return archive_of({**contents, first: contents[second], second: contents[first]})


WORDS = [
    (b"<f8", b"<f4"),
    (b"<i8", b"<u8"),
    (b"'<", b"'>"),
    (b"|b1", b"|O "),
    (b"<f8", b"|V8"),
    (b"<U3", b"<U9"),
    (b"<i8", b"M8 "),
    (b"False", b"True "),
    (b"(10,", b"(99,"),
    (b"(10, ", b"(1, "),
    (b"(100,)", b"(-99,)"),
    (b"{", b"("),
]


def _edit_npy(data: bytearray, rng: np.random.Generator) -> bytes:
    """A byte or a word of a .npy header is another; all checksums are right."""
    contents = members(bytes(data))
    name = list(contents)[rng.integers(len(contents))]
    content = contents[name]
    found = [(old, new) for old, new in WORDS if old in content[:128]]
    if found and rng.integers(2):
        old, new = found[rng.integers(len(found))]
        content = content[:128].replace(old, new, 1) + content[128:]
    else:
        place = int(rng.integers(0, 128))
        content = content[:place] + rng.bytes(1) + content[place + 1 :]
    return archive_of({**contents, name: content})


MUTATIONS: dict[str, Callable[[bytearray, np.random.Generator], bytes]] = {
    "bits flipped": _flip,
    "cut off": _truncate,
    "overwritten": _overwrite,
    "shifted": _shift,
    "blocks swapped": _swap,
    "fields edited": _edit_field,
    "members swapped": _swap_members,
    "headers edited": _edit_npy,
}
REWRITTEN = ("members swapped", "headers edited")  # whole archives with other content
