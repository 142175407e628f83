"""Ragged sequences are read from .npz files: each split stacked along time, with lengths and labels."""

from __future__ import annotations

import os
from collections.abc import Collection
from itertools import chain, pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skseqmetric.datasets._npy import Header, Unreadable
from skseqmetric.datasets._npz import Archive, all_shown, open_archive

Split = tuple[list[np.ndarray], Any]
_VIEW = 144  # bytes of the array object that every sequence is, beside its numbers
_PARTS = ("values", "lengths", "labels")


def read_sequences(path: str | os.PathLike[str], *, max_bytes: int | None = 2**32) -> dict[str, Split]:
    """Read ragged sequences from an .npz file.

    For every split S (such as "train" and "test") the file holds:

    - `S_values` (sum of lengths, C): all sequences stacked along time;
    - `S_lengths` (n,) int: steps of every sequence;
    - `S_labels`, optional: (n,), one label a sequence, or (sum of lengths,), one label a step.

    The keys `values`, `lengths` and `labels` belong to a split without a name, "". Other keys are ignored.

    Parameters
    ----------
    path : path-like
        The file. It is read without pickle, so that it cannot run code.
    max_bytes : int or None, default=2**32
        Most bytes that the data may take in memory, 4 GiB by default: those of the arrays, and 144 for every sequence
        of values and of labels. A file that says it needs more is refused before anything is unpacked, and a file that
        says less than the truth is damaged. None: no limit.

    Returns
    -------
    dict of {split: (X, y)}
        X: list of n ndarrays (T_i, C) of the dtype in the file. y: ndarray (n,); for step-wise labels a list
        of n ndarrays (T_i,); None if the file has no labels. Splits come in the order of the file.

    Raises
    ------
    ValueError
        The file is not an .npz file, or it is damaged in any way: cut off, altered, with a wrong checksum, or with
        names that are double or lead to other folders. A key is missing (it is named). Values are not real numbers,
        or have no channels. Lengths, values and labels do not agree. The data need more than `max_bytes`, or more
        memory than there is.
    FileNotFoundError, IsADirectoryError, PermissionError
        There is no such file, or the system does not let it be read.

    See Also
    --------
    write_sequences : The inverse.

    Notes
    -----
    If every sequence has one step, labels are read as one label a sequence.

    Sizes are judged by the directory of the archive and by the headers of its arrays. Then the arrays are unpacked
    piece by piece, each into memory of its own, so that the peak is the size of the data.

    Examples
    --------
    >>> import tempfile, os
    >>> import numpy as np
    >>> from skseqmetric.datasets import read_sequences, write_sequences
    >>> X, y = [np.zeros((5, 2)), np.ones((8, 2))], np.array(["walk", "run"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "steps.npz")
    ...     write_sequences(path, {"train": (X, y)})
    ...     X_read, y_read = read_sequences(path)["train"]
    >>> [x.shape for x in X_read], y_read.tolist()
    ([(5, 2), (8, 2)], ['walk', 'run'])
    """
    limit = _checked_limit(max_bytes)
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
