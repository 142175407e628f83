"""One recording in a Parquet file, read by pyarrow or polars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skseqmetric._input import Columns, check_stamps
from skseqmetric.datasets._csv import MaxBytes, Recording
from skseqmetric.datasets._npy import Unreadable


def read_parquet(path: Path, channels: list[str] | None, time: str | None, left: MaxBytes) -> Recording:
    """Read one recording.

    Raises
    ------
    Unreadable
        It is no Parquet file, or its columns are no numbers.
    ImportError
        Neither pyarrow nor polars is installed.
    """
    columns = Columns(_table(path, left), "the file", () if time is None else (time,))
    for name in [*(channels or ()), *([] if time is None else [time])]:
        if name not in columns.names:
            raise Unreadable(f" has no column {name!r}, but {columns.names!s:.300}.")
    try:
        names = columns.other_than([time]) if channels is None else channels
        found = [columns.numbers(name) for name in names]
        times = None
        if time is not None:
            times = check_stamps(*columns.read(time), f"column {time!r}", lambda row: f"row {row}")
    except ValueError as error:
        raise Unreadable(f": {error}") from error
    values = np.stack(found, axis=1)
    if values.dtype.kind == "f" and np.isinf(values).any():
        row, c = divmod(int(np.argmax(np.isinf(values))), len(names))
        raise Unreadable(f", row {row}: column {names[c]!r} is infinite. Leave the cell empty if it is missing.")
    return Recording(tuple(names), values, times)


def _table(path: Path, left: MaxBytes) -> Any:
    """Return the table of a file, whose size is judged by its directory first."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        return _of_polars(path, left)
    try:
        with parquet.ParquetFile(path) as file:
            _check_size(file.metadata.num_rows * max(1, file.metadata.num_columns), left)
            return file.read()
    except (ValueError, OSError, RuntimeError, NotImplementedError, MemoryError) as error:
        if isinstance(error, Unreadable) or getattr(error, "errno", None) is not None:
            raise
        raise Unreadable(f" is no Parquet file, or it is damaged: {str(error)[:200].strip()}") from error


def _of_polars(path: Path, left: MaxBytes) -> Any:
    try:
        import polars
    except ImportError as error:
        raise ImportError(f"{path} is a Parquet file: install pyarrow or polars to read it.") from error
    try:
        lazy = polars.scan_parquet(path)
        _check_size(lazy.select(polars.len()).collect().item() * max(1, len(lazy.collect_schema())), left)
        return lazy.collect()
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise Unreadable(f" is no Parquet file, or it is damaged: {str(error)[:200].strip()}") from error


def _check_size(n_cells: int, left: MaxBytes) -> None:
    if left is not None and 8 * n_cells > left:
        raise Unreadable(
            f" has {n_cells} cells, so that the data need more than max_bytes. If you trust them, pass a larger "
            "max_bytes, or None."
        )
