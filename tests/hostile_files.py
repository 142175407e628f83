"""Model files as an attacker writes them: sound as zip files and in their sums, and wrong in what they say."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

ARRAYS, SCHEMA = "arrays.safetensors", "schema.json"
_ZEROS = "0" * 64


class Content:
    """The content of a model file, which may be changed, and written again with right sums."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.schema = json.loads(archive.read(SCHEMA))
            data = archive.read(ARRAYS)
        size = int.from_bytes(data[:8], "little")
        self.header: Any = json.loads(data[8 : 8 + size])
        self.data = bytearray(data[8 + size :])

    @property
    def last(self) -> Any:
        """The outermost estimator."""
        return self.schema["estimators"][-1]

    def array(self, ending: str) -> np.ndarray:
        """A view of an array of float32."""
        entry = next(entry for name, entry in self.header.items() if name.endswith(ending))
        start, stop = entry["data_offsets"]
        return np.frombuffer(self.data, np.float32, (stop - start) // 4, start)

    def arrays_bytes(self) -> bytes:
        header = self.header if isinstance(self.header, bytes) else json.dumps(self.header).encode()
        return len(header).to_bytes(8, "little") + header + bytes(self.data)

    def written(self, *, text: bytes | None = None, members: Callable[..., None] | None = None) -> bytes:
        """The file. `text` is another description, and `members` writes other members."""
        arrays = self.arrays_bytes()
        if text is None:
            self.schema["arrays_sum"] = sum_of(arrays)
            self.schema.pop("sha256", None)
            text = json.dumps({"sha256": _ZEROS, **self.schema}, separators=(",", ":")).encode()
        text = text.replace(_ZEROS.encode(), sha256(text).hexdigest().encode(), 1)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            (members or sound)(archive, arrays, text)
        return file.getvalue()


def sum_of(data: bytes) -> str:
    """The SHA-256 of the sums of rows and of columns of 512 words, and of what is left."""
    whole = np.frombuffer(data[: len(data) // 4096 * 4096], "<u8").reshape(-1, 512)
    parts = [whole.sum(1).tobytes(), whole.sum(0).tobytes(), data[whole.size * 8 :], len(data).to_bytes(8, "little")]
    return sha256(b"".join(parts)).hexdigest()


def sound(archive: zipfile.ZipFile, arrays: bytes, text: bytes, names: tuple[str, str] = (ARRAYS, SCHEMA)) -> None:
    """Write both members as they should be."""
    entry = zipfile.ZipInfo(names[0])
    gap = 4096 - 30 - len(names[0]) - 4
    entry.extra = struct.pack("<2H", 0xD935, gap) + bytes(gap)
    archive.writestr(entry, arrays)
    archive.writestr(zipfile.ZipInfo(names[1]), text)


def mutated(good: bytes, rng: np.random.Generator) -> bytes:
    """A file with flipped bits, changed, missing, doubled or foreign bytes."""
    data, kind = bytearray(good), rng.integers(6)
    at = int(rng.integers(len(data))) if rng.random() < 0.5 else int(len(data) - 1 - rng.integers(min(len(data), 3000)))
    length = int(rng.integers(1, 64))
    if kind == 0:
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        data[at : at + length] = rng.bytes(length)
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        del data[at : at + length]
    elif kind == 4:
        data[at:at] = data[at : at + length]
    else:
        other = int(rng.integers(len(data)))
        data[at : at + length] = data[other : other + length]
    return bytes(data)
