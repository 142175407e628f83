"""JSON that is read in bounded memory and time: its size and its number of values are limited."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from skseqmetric._files.refused import NotStorable, damaged

LARGEST = 1 << 22
"""Most bytes of a text: 4 MiB. Long lists and arrays are not in it."""

MOST_VALUES = 1 << 18
"""Most commas, brackets and braces of a text; each stands for at most one value of about 100 bytes."""

_DIGITS = 400  # of a number; the state of a random generator has 39, and Python limits whole numbers to 4300


def written(tree: Any) -> bytes:
    """Return a tree of plain values as JSON.

    Raises
    ------
    NotStorable
        The text would be too large to be read again.
    """
    text = json.dumps(tree, allow_nan=False, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    if len(text) > LARGEST or _marks(text) > MOST_VALUES:
        raise NotStorable("the model", f"too varied: its plain values take {len(text)} bytes of JSON")
    return text


def parsed(text: bytes) -> Any:
    """Return the tree of a JSON text. Every key of an object occurs once, and all numbers are finite.

    Raises
    ------
    DamagedFile
        The text is no such JSON, or it is larger or has more values than `written` makes.
    """
    if len(text) > MOST_VALUES and (len(text) > LARGEST or _marks(text) > MOST_VALUES):
        damaged(f"its description has {len(text)} bytes, or more values than a model has")
    if not text.isascii():
        damaged("its description is not ASCII")
    try:
        # without a search for white space around it
        found, end = _DECODER.scan_once(text.decode("ascii"), 0)
    except StopIteration:
        damaged("its description is no JSON")
    except (ValueError, RecursionError) as error:
        damaged(f"its description is no JSON: {error}")
    return found if end == len(text) else damaged("its description is no JSON: something follows it")


def _marks(text: bytes) -> int:
    return sum(text.count(mark) for mark in (b",", b"[", b"{"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:40]} is infinite")
    return number


_DECODER: Any = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_no_number, parse_int=_whole, parse_float=_finite
)
