"""Parts of falling sizes, one after the other, so that adding few rows to many copies few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

_FALL = 4  # how much larger a part is than the next one: more parts cost every search, fewer cost every addition


class Place(NamedTuple):
    """A part, and the row at which it begins."""

    part: Any
    start: int


def with_part(parts: tuple[Any, ...], new: Any, join: Callable[[Any, Any], Any]) -> tuple[Any, ...]:
    """Return the parts with a new one, joined with the last of them where those are not much larger."""
    found = [*parts, new]
    while len(found) > 1 and len(found[-2]) < _FALL * len(found[-1]):
        found[-2:] = [join(found[-2], found[-1])]
    return tuple(found)


def places(parts: tuple[Any, ...]) -> Iterator[Place]:
    """Yield every part and where it begins."""
    start = 0
    for part in parts:
        yield Place(part, start)
        start += len(part)


def taken_parts(parts: tuple[Any, ...], rows: np.ndarray, take: Callable[[Any, np.ndarray], Any]) -> tuple[Any, ...]:
    """Return the parts with some of their rows. A part that keeps all of them is not copied."""
    found = []
    for part, start in places(parts):
        first, last = np.searchsorted(rows, [start, start + len(part)])
        own = rows[first:last] - start
        if len(own):
            found.append(part if len(own) == len(part) else take(part, own))
    return tuple(found)
