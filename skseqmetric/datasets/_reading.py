"""Sequences are read from .npz files, each split stacked along time, and from folders of one recording a file."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from itertools import chain, pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skseqmetric.datasets._folders import Naming, is_many, read_folder
from skseqmetric.datasets._npy import Header, Unreadable
from skseqmetric.datasets._npz import Archive, all_shown, open_archive

Split = tuple[list[np.ndarray], Any]
_VIEW = 144  # bytes of the array object that every sequence is, beside its numbers
_PARTS = ("values", "lengths", "labels")


def read_sequences(
    path: str | os.PathLike[str],
    *,
    channels: Sequence[str] | None = None,
    time: str | None = None,
    label: Naming = None,
    group: Naming = None,
    header: bool | None = None,
    max_bytes: int | None = 2**32,
    verbose: int = 0,
) -> Any:
    """Read sequences of unequal length: a folder or a pattern of CSV and Parquet files, or one .npz file.

    In a folder, every file is one recording. Rows are steps, and columns are channels. Files of CSV end in .csv, .tsv
    or .txt, and are text in UTF-8 with commas, semicolons, tabs or bars between cells. The first line may name the
    columns. Empty cells, and such as "NA" and "nan", are missing values and become NaN. A first column without a name
    that counts the rows is left out. Files of Parquet end in .parquet or .pq; pyarrow or polars reads them.

    For every split S (such as "train" and "test") an .npz file holds:

    - `S_values` (sum of lengths, C): all sequences stacked along time;
    - `S_lengths` (n,) int: steps of every sequence;
    - `S_labels`, optional: (n,), one label a sequence, or (sum of lengths,), one label a step.

    The keys `values`, `lengths` and `labels` belong to a split without a name, "". Other keys are ignored.

    Parameters
    ----------
    path : path-like
        A folder, which is searched with all folders in it; a pattern such as ``"data/*/*.csv"``; or an .npz file, which
        is read without pickle, so that it cannot run code. Hidden files are left out.
    channels : list of str, default=None
        Columns that are channels, in this order. None: all columns of the first file but `time`. Not for .npz files,
        like the next four parameters.
    time : str, default=None
        Column of time stamps: numbers, or dates of ISO 8601. The rows of a file are sorted by them. None: rows are in
        order.
    label : str, pattern or callable, default=None
        What makes the label of a file. A regular expression with the group ``(?P<label>...)`` is searched in the path
        below the folder, with "/" between its parts. A callable maps the `pathlib.Path` of a file to its label.
    group : str, pattern or callable, default=None
        The same for groups, such as the subject, with ``(?P<group>...)``.
    header : bool, default=None
        Whether the first line of files of CSV names the columns. None: if none of its cells is a number.
    max_bytes : int or None, default=2**32
        Most bytes that the data may take in memory, 4 GiB by default: those of the arrays, and 144 for every sequence
        of values and of labels. A file that says it needs more is refused before anything is unpacked, and a file that
        says less than the truth is damaged. None: no limit.
    verbose : int, default=0
        1 shows a progress bar for a folder that takes longer than half a second.

    Returns
    -------
    data : Bunch, or dict of {split: (X, y)}
        Of a folder, what `skseqmetric.from_long` returns: X, y, groups, times, feature_names, and case_ids, which are
        the paths of the files below the folder, in their order. Values of CSV are float64.

        Of an .npz file, splits in the order of the file. X: list of n ndarrays (T_i, C) of the dtype in the file. y:
        ndarray (n,); for step-wise labels a list of n ndarrays (T_i,); None if the file has no labels.

    Raises
    ------
    ValueError
        There is no file to read. A file of CSV or Parquet has a cell that is no number, rows of different lengths,
        other columns than the first file, a time twice, or a name without a label; the message names file and line.

        The .npz file is damaged in any way: cut off, altered, with a wrong checksum, or with names that are double or
        lead to other folders. A key is missing (it is named). Values are not real numbers, or have no channels.
        Lengths, values and labels do not agree. The data need more than `max_bytes`, or more memory than there is.
    ImportError
        There is a file of Parquet, and neither pyarrow nor polars is installed.
    FileNotFoundError, PermissionError
        There is no such file, or the system does not let it be read.

    See Also
    --------
    write_sequences : Writes .npz files.
    skseqmetric.from_long : For one table of all recordings.

    Notes
    -----
    If every sequence of an .npz file has one step, labels are read as one label a sequence.

    Sizes are judged by the directory of the archive and by the headers of its arrays. Then the arrays are unpacked
    piece by piece, each into memory of its own, so that the peak is the size of the data. Files of CSV are converted by
    65,536 rows at a time.

    Examples
    --------
    >>> import tempfile, os
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skseqmetric.datasets import read_sequences, write_sequences
    >>> X, y = [np.zeros((5, 2)), np.ones((8, 2))], np.array(["walk", "run"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "steps.npz")
    ...     write_sequences(path, {"train": (X, y)})
    ...     X_read, y_read = read_sequences(path)["train"]
    >>> [x.shape for x in X_read], y_read.tolist()
    ([(5, 2), (8, 2)], ['walk', 'run'])

    One file for each recording, with the label in its name:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for x, name in zip(X, ["walk_1", "run_1"]):
    ...         path = os.path.join(folder, f"{name}.csv")
    ...         pd.DataFrame(x, columns=["left", "right"]).to_csv(path, index=False)
    ...     data = read_sequences(folder, label="(?P<label>[a-z]+)_")
    >>> [x.shape for x in data.X], data.y.tolist(), data.feature_names
    ([(8, 2), (5, 2)], ['run', 'walk'], ['left', 'right'])
    """
    limit = _checked_limit(max_bytes)
    options = {"channels": channels, "time": time, "label": label, "group": group, "header": header}
    if is_many(path):
        return read_folder(path, max_bytes=limit, verbose=verbose, **options)  # type: ignore[arg-type]
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{given[0]} is for folders and patterns of files, and {os.fspath(path)} is neither.")
    return _read_archive(path, limit)


def _read_archive(path: str | os.PathLike[str], limit: int | None) -> dict[str, Split]:
    with open_archive(path) as archive:
        splits = _split_names(archive.members)
        keys = [key_of(split, part) for split in splits for part in _PARTS]
        n_bytes = sum(archive.n_bytes(key) for key in keys if key in archive.members)
        _check_size(n_bytes, limit)
        promises = [_promise(archive, split) for split in splits]
        _check_size(n_bytes + sum(promise.n_bytes_of_views for promise in promises), limit)
        return {promise.split: _read_split(archive, promise) for promise in promises}


def key_of(split: str, part: str) -> str:
    """Name of the array that holds a part of a split."""
    return f"{split}_{part}" if split else part


# ------------------------------------------------------------------------------------------------ headers


class _Promise(NamedTuple):
    """What the headers say of a split."""

    split: str
    values: Header
    lengths: Header
    labels: Header | None

    @property
    def stepwise(self) -> bool:
        return self.labels is not None and self.labels.shape != self.lengths.shape

    @property
    def n_bytes_of_views(self) -> int:
        return _VIEW * self.lengths.shape[0] * (2 if self.stepwise else 1)


def _split_names(keys: Collection[str]) -> list[str]:
    """Splits in the order of the file; there must be at least one."""
    parts = _PARTS[:2]
    splits = [key[: -len(part)].removesuffix("_") for key in keys for part in parts if _ends(key, part)]
    if not splits:
        raise Unreadable(f" has no key that ends in _values and _lengths; it has {all_shown(keys)}.")
    missing = [key_of(s, part) for s in dict.fromkeys(splits) for part in parts if key_of(s, part) not in keys]
    if missing:
        raise Unreadable(f" misses {', '.join(missing[:10])}; it has {all_shown(keys)}.")
    return list(dict.fromkeys(splits))


def _ends(key: str, part: str) -> bool:
    return key == part or key.endswith(f"_{part}")


def _promise(archive: Archive, split: str) -> _Promise:
    values, lengths = (archive.header(key_of(split, part)) for part in _PARTS[:2])
    key = key_of(split, "labels")
    promise = _Promise(split, values, lengths, archive.header(key) if key in archive.members else None)
    _check_numbers(promise)
    _check_labels(promise)
    return promise


def _check_numbers(promise: _Promise) -> None:
    values, lengths = promise.values, promise.lengths
    keys = [key_of(promise.split, part) for part in _PARTS]
    if len(values.shape) != 2 or len(lengths.shape) != 1 or lengths.dtype.kind not in "iu":
        raise Unreadable(
            f": {keys[0]} must be (steps, channels) and {keys[1]} 1-D int, got shapes {values.shape} and "
            f"{lengths.shape}, {lengths.dtype}."
        )
    if values.dtype.kind not in "biuf":
        raise Unreadable(f": {keys[0]} must be real numbers, got {values.dtype}. Text belongs to labels.")
    if values.shape[1] == 0:
        raise Unreadable(f": {keys[0]} has no channels, shape {values.shape}. Write at least one.")
    if not 1 <= lengths.shape[0] <= values.shape[0]:
        raise Unreadable(
            f": {keys[1]} has {lengths.shape[0]} sequences for the {values.shape[0]} rows of {keys[0]}. Write at least "
            "one sequence, and at least one step of each."
        )


def _check_labels(promise: _Promise) -> None:
    labels, n, n_steps = promise.labels, promise.lengths.shape[0], promise.values.shape[0]
    if labels is None:
        return
    key = key_of(promise.split, "labels")
    if labels.shape not in ((n,), (n_steps,)):
        raise Unreadable(
            f": {key} has shape {labels.shape}; expected ({n},), one label a sequence, or ({n_steps},), one a step."
        )
    if labels.dtype.kind not in "biufUSMm" or labels.dtype.itemsize == 0:
        raise Unreadable(f": {key} must be numbers, text or dates, got {labels.dtype}.")


# ------------------------------------------------------------------------------------------------- limits


def _checked_limit(max_bytes: Any) -> int | None:
    if max_bytes is None:
        return None
    if isinstance(max_bytes, (bool, np.bool_)) or not isinstance(max_bytes, Integral) or max_bytes < 1:
        raise ValueError(f"max_bytes must be a positive int, or None for no limit, got {max_bytes!r}.")
    return int(max_bytes)


def _check_size(n_bytes: int, max_bytes: int | None) -> None:
    if max_bytes is not None and n_bytes > max_bytes:
        raise Unreadable(
            f" would unpack to {n_bytes} bytes, more than max_bytes={max_bytes}. If you trust it, pass a larger "
            "max_bytes, or None."
        )


# ------------------------------------------------------------------------------------------------ content


def _read_split(archive: Archive, promise: _Promise) -> Split:
    split = promise.split
    keys = [key_of(split, part) for part in _PARTS]
    ends = _ends_of_sequences(archive.array(keys[1], promise.lengths), promise.values.shape[0], keys)
    X = _cut(archive.array(keys[0], promise.values), ends)
    if promise.labels is None:
        return X, None
    labels = archive.array(keys[2], promise.labels)
    return X, _cut(labels, ends) if promise.stepwise else labels


def _ends_of_sequences(lengths: np.ndarray, n_steps: int, keys: list[str]) -> np.ndarray:
    """Return the row after the last of every sequence."""
    least, longest = int(lengths.min()), int(lengths.max())
    found = f"the longest is {longest}"
    if longest <= n_steps:  # so that a sum that wraps around is negative at first
        ends = np.cumsum(lengths, dtype=np.int64)
        if least >= 1 and ends.min() >= 0 and ends[-1] == n_steps:
            return ends
        found = f"the sum is {ends[-1]}"
    raise Unreadable(
        f": {keys[1]} must be positive and sum to the {n_steps} rows of {keys[0]}; {found}, the least {least}."
    )


def _cut(rows: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    return [rows[start:end] for start, end in pairwise(chain([0], ends))]
