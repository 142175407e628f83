"""A sum of large content that is computed about as fast as memory is read, to find damage.

The bytes are rows of 512 words. The sum is the SHA-256 of the sums of all rows and of all columns, modulo 2^64. Every
change of one word changes both, and whatever moves rows or columns changes their order. It is no proof against forgers,
who would write the sum of their own content in any case.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

_WORDS = 512
_ROW = 8 * _WORDS
_CHUNK = 64 * _ROW  # which the caches hold while it is read twice


class Sums:
    """The sum of content that comes in parts, wherever it is cut."""

    def __init__(self) -> None:
        self._rows, self._columns = hashlib.sha256(), np.zeros(_WORDS, dtype="<u8")
        self._left, self._size = b"", 0

    def update(self, part: Any) -> None:
        """Add bytes."""
        data = np.frombuffer(part, dtype=np.uint8)
        self._size += len(data)
        if self._left:
            missing = _ROW - len(self._left)
            self._left, data = self._left + data[:missing].tobytes(), data[missing:]
            if len(self._left) < _ROW:
                return
            self._add(np.frombuffer(self._left, dtype="<u8"))
        whole = len(data) // _ROW * _ROW
        for start in range(0, whole, _CHUNK):
            self._add(data[start : min(start + _CHUNK, whole)].view("<u8"))
        self._left = data[whole:].tobytes()

    def _add(self, words: np.ndarray) -> None:
        rows = words.reshape(-1, _WORDS)
        self._columns += rows.sum(axis=0, dtype="<u8")
        self._rows.update(rows.sum(axis=1, dtype="<u8").data)

    def hexdigest(self) -> str:
        """Return the sum as 64 digits."""
        whole = self._rows.copy()
        whole.update(self._columns.tobytes() + self._left + self._size.to_bytes(8, "little"))
        return whole.hexdigest()
