"""One recording in a CSV file: its header is understood, and whatever is no number is named by its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from skseqmetric.datasets._npy import Unreadable

_DELIMITERS = ",;\t|"
_MISSING = {"", "na", "n/a", "nan", "null", "none", "-nan", "<na>"}
_ROWS = 2**16  # that are text at a time
_LONGEST_FIELD = 2**17

MaxBytes = int | None
"""Most bytes of numbers that may still be read; None: no limit."""


class Recording(NamedTuple):
    """What a file holds: the names of its channels, their values (T, C), and its time stamps (T,)."""

    names: tuple[str, ...] | None
    values: np.ndarray
    times: np.ndarray | None


class _Layout(NamedTuple):
    """Which columns of a file are read: of how many, under which names, and where the time stamps are."""

    n_columns: int
    names: tuple[str, ...] | None
    channels: list[int]
    time: int | None


def read_csv(
    path: Path, channels: list[str] | None, time: str | None, header: bool | None, left: MaxBytes
) -> Recording:
    """Read one recording.

    Raises
    ------
    Unreadable
        It is no CSV file of numbers; the reason begins with the line.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _read(file, channels, time, header, left)
    except UnicodeDecodeError as error:
        raise Unreadable(f" is no text in UTF-8: {error}.") from error


def _read(file: IO[str], channels: Any, time: str | None, header: bool | None, left: MaxBytes) -> Recording:
    rows = _rows(file)
    first = next(rows, None)
    if first is None:
        raise Unreadable(" is empty: a recording has at least one line of numbers.")
    names = _header(*first, header)
    body = rows if names is not None else _chain(first, rows)
    second = next(body, None)
    if second is None:
        raise Unreadable(
            f", line {first[0]}: the header is all there is. A recording has at least one line of numbers."
        )
    layout = _layout(names, second, channels, time)
    parts, stamps, n_bytes = [], [], 0
    body = _chain(second, body)
    while chunk := list(islice(body, _ROWS)):
        _check_widths(chunk, layout)
        parts.append(np.stack([_numbers(chunk, c, layout) for c in layout.channels], axis=1))
        stamps += [] if layout.time is None else [_stamps(chunk, layout)]
        n_bytes += parts[-1].nbytes
        if left is not None and n_bytes > left:
            raise Unreadable(
                f", line {chunk[-1][0]}: the data need more than max_bytes. If you trust them, pass a larger "
                "max_bytes, or None."
            )
    kept = None if layout.names is None else tuple(layout.names[c] for c in layout.channels)
    return _without_row_numbers(Recording(kept, np.concatenate(parts), _joined(stamps)))


def _rows(file: IO[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of its line."""
    lines = csv.reader(file, delimiter=_delimiter(file), skipinitialspace=True, strict=True)
    try:
        for row in lines:
            if any(cell.strip() for cell in row):
                yield lines.line_num, row
    except csv.Error as error:
        raise Unreadable(f", line {lines.line_num}: {error}. Quotes and cells must end.") from error


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _delimiter(file: IO[str]) -> str:
    """Return what separates the cells of the first line that is not blank."""
    start = file.tell()
    line = next((text for text in iter(lambda: file.readline(_LONGEST_FIELD), "") if text.strip()), "")
    file.seek(start)
    counts = {delimiter: line.count(delimiter) for delimiter in _DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    if not counts[best] and len(line.split()) > 1 and all(map(_is_number, line.split())):
        raise Unreadable(", line 1: the cells are separated by blanks. Write commas, semicolons or tabs.")
    return best


# ------------------------------------------------------------------------------------------------ header


def _header(line: int, cells: list[str], header: bool | None) -> tuple[str, ...] | None:
    """Return the names of the columns if the first line holds them."""
    cells = [cell.strip() for cell in cells]
    numeric = [_is_number(cell) or _is_stamp(cell) for cell in cells if cell.lower() not in _MISSING]
    if header is None:
        if cells in ([str(c) for c in range(len(cells))], ["", *map(str, range(len(cells) - 1))]):
            raise Unreadable(
                f", line {line}: {','.join(cells)[:60]} may be names or numbers. Say which: header=True or "
                "header=False."
            )
        if any(numeric) and not all(numeric):
            raise Unreadable(
                f", line {line}: {','.join(cells)[:60]} holds names and numbers. Say whether it is a header: "
                "header=True or header=False."
            )
        header = not any(numeric)
    if not header:
        return None
    twice = next((cell for c, cell in enumerate(cells) if cell in cells[:c]), None)
    if twice is not None:
        raise Unreadable(f", line {line}: two columns have the name {twice!r}. Rename one of them.")
    return tuple(cells)


def _layout(
    names: tuple[str, ...] | None, first: tuple[int, list[str]], channels: list[str] | None, time: str | None
) -> _Layout:
    """Find the columns that are wanted."""
    n = len(names) if names is not None else len(first[1])
    if names is None:
        if channels is not None or time is not None:
            raise Unreadable(" has no header, so that channels and time have no names. Write one, or leave them out.")
        return _Layout(n, None, list(range(n)), None)
    for name in [*(channels or ()), *([] if time is None else [time])]:
        if name not in names:
            raise Unreadable(f" has no column {name!r}, but {list(names)!s:.300}.")
    places = (
        [c for c, name in enumerate(names) if name != time] if channels is None else list(map(names.index, channels))
    )
    if not places:
        raise Unreadable(f" has no column for channels, but {list(names)}.")
    return _Layout(n, names, places, None if time is None else names.index(time))


def _without_row_numbers(found: Recording) -> Recording:
    """Leave out a first column without a name that counts the rows: the index of a data frame."""
    if found.names is None or "" not in found.names:
        return found
    counted = np.arange(len(found.values))
    if found.names[0] or len(found.names) < 2 or not np.array_equal(found.values[:, 0], counted):
        raise Unreadable(
            f", line 1: column {found.names.index('')} has no name. Write one, or name the channels by channels=[...]."
        )
    return Recording(found.names[1:], found.values[:, 1:], found.times)


# ------------------------------------------------------------------------------------------------- cells


def _check_widths(chunk: list[tuple[int, list[str]]], layout: _Layout) -> None:
    for line, row in chunk:
        if len(row) != layout.n_columns:
            raise Unreadable(
                f", line {line}: there are {len(row)} cells, but {layout.n_columns} columns. The file may be cut off."
            )


def _numbers(chunk: list[tuple[int, list[str]]], c: int, layout: _Layout) -> np.ndarray:
    """Return one column of numbers; empty cells are NaN."""
    cells = [row[c] for _, row in chunk]
    try:
        values = np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        values = None
    if values is None or any("_" in cell for cell in cells):
        values = np.array([_number(line, row[c], c, layout) for line, row in chunk])
    if np.isinf(values).any():
        line = chunk[int(np.argmax(np.isinf(values)))][0]
        raise Unreadable(f", line {line}: {_column(c, layout)} is infinite. Leave the cell empty if it is missing.")
    return values


def _number(line: int, cell: str, c: int, layout: _Layout) -> float:
    cell = cell.strip()
    if cell.lower() in _MISSING:
        return np.nan
    if not _is_number(cell):
        hint = " Write decimal points, not commas." if re.fullmatch(r"[-+]?\d+,\d+", cell) else ""
        raise Unreadable(f", line {line}: {_column(c, layout)} holds {cell!r:.60}, which is no number.{hint}")
    return float(cell)


def _is_number(cell: str) -> bool:
    """Whether a cell is a number; Python alone also takes 1_000 for one."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _column(c: int, layout: _Layout) -> str:
    return f"column {c}" if layout.names is None else f"column {layout.names[c]!r}"


# ------------------------------------------------------------------------------------------- time stamps


def _stamps(chunk: list[tuple[int, list[str]]], layout: _Layout) -> np.ndarray:
    """Return the time stamps of some rows: numbers, or dates of ISO 8601. Those with an offset are moments in UTC."""
    c: Any = layout.time
    cells = [row[c].strip() for _, row in chunk]
    if all(map(_is_number, cells)):
        return np.array(cells, dtype=np.float64)
    try:
        moments = [datetime.fromisoformat(cell) for cell in cells]
    except ValueError as error:
        wrong = next((k for k, cell in enumerate(cells) if not _is_stamp(cell)), 0)
        raise Unreadable(
            f", line {chunk[wrong][0]}: {_column(c, layout)} holds {cells[wrong]!r:.60}, which is no time. Write "
            "numbers, or dates such as 2026-05-01T08:00:00."
        ) from error
    zoned = [moment.tzinfo is not None for moment in moments]
    if len(set(zoned)) > 1:
        other = zoned.index(not zoned[0])
        raise Unreadable(
            f", line {chunk[other][0]}: {_column(c, layout)} holds {cells[other]!r}, and {cells[0]!r} before. Give all "
            "or none of the stamps an offset."
        )
    if zoned[0]:
        moments = [moment.astimezone(UTC).replace(tzinfo=None) for moment in moments]
    return np.array(moments, dtype="datetime64[us]")


def _is_stamp(cell: str) -> bool:
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return False
    return not cell.isdigit()  # 20260501 is a number first


def _joined(stamps: list[np.ndarray]) -> np.ndarray | None:
    if len({part.dtype for part in stamps}) > 1:
        raise Unreadable(" has time stamps that are numbers, and others that are dates. Choose one form.")
    return np.concatenate(stamps) if stamps else None
