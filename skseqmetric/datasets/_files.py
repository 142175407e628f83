"""Ragged sequences in .npz files: each split stacked along time, with lengths and labels."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from skseqmetric._files import replacing
from skseqmetric._input import as_array, joined_labels, label_array, positional

Split = tuple[list[np.ndarray], Any]


def read_sequences(path: str | os.PathLike[str]) -> dict[str, Split]:
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

    Returns
    -------
    dict of {split: (X, y)}
        X: list of n ndarrays (T_i, C) of the dtype in the file. y: ndarray (n,); for step-wise labels a list
        of n ndarrays (T_i,); None if the file has no labels. Splits come in the order of the file.

    Raises
    ------
    ValueError
        The file is not an .npz file, a key is missing (it is named), or lengths, values and labels do not agree.
    FileNotFoundError
        There is no such file.

    See Also
    --------
    write_sequences : The inverse.

    Notes
    -----
    If every sequence has one step, labels are read as one label a sequence.

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
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path} is not an .npz file.")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            splits = _split_names(arrays.files, path)
            return {split: _read_split(arrays, split, path) for split in splits}


def write_sequences(path: str | os.PathLike[str], splits: Mapping[str, tuple[Any, Any]]) -> None:
    """Write ragged sequences to a compressed .npz file.

    Parameters
    ----------
    path : path-like
        The file, written under exactly this name. It is replaced in one step: even after a crash it holds either the
        old or the new data.
    splits : mapping of {split: (X, y)}
        X: list of n arrays (T_i, C), or array (n, T, C). y: n labels, a list of n arrays (T_i,) with one label a step,
        or None. `read_sequences` returns X and y bit-equal, in this form.

    Raises
    ------
    ValueError
        There is no split, a name is unusable, a sequence is not (T_i, C) of numbers with T_i >= 1, channels differ,
        or labels do not agree with X. The message names split and sequence.

    See Also
    --------
    read_sequences : The inverse; describes the keys.

    Notes
    -----
    Values keep their dtype in native byte order (different dtypes are promoted to one), and may be NaN.

    Examples
    --------
    See :func:`read_sequences`.
    """
    if isinstance(splits, Mapping) and not splits:
        raise ValueError("splits is empty: pass {name: (X, y)}.")
    arrays: dict[str, np.ndarray] = {}
    for split, (X, y) in _checked_splits(splits):
        arrays.update(_pack_split(split, X, y))
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _key(split: str, part: str) -> str:
    return f"{split}_{part}" if split else part


# ------------------------------------------------------------------------------------------------ reading


def _split_names(keys: list[str], path: Any) -> list[str]:
    """Splits in the order of the file; there must be at least one."""
    parts = ("values", "lengths")
    splits = [key[: -len(part)].removesuffix("_") for key in keys for part in parts if _ends(key, part)]
    if not splits:
        raise ValueError(f"{path} has no key that ends in _values and _lengths; it has {sorted(keys)}.")
    missing = [_key(s, part) for s in dict.fromkeys(splits) for part in parts if _key(s, part) not in keys]
    if missing:
        raise ValueError(f"{path} misses {', '.join(missing)}; it has {sorted(keys)}.")
    return list(dict.fromkeys(splits))


def _ends(key: str, part: str) -> bool:
    return key == part or key.endswith(f"_{part}")


def _read_split(arrays: Any, split: str, path: Any) -> Split:
    values, lengths = arrays[_key(split, "values")], arrays[_key(split, "lengths")]
    if values.ndim != 2 or lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: {_key(split, 'values')} must be (steps, channels) and {_key(split, 'lengths')} 1-D "
            f"int, got shapes {values.shape} and {lengths.shape}, {lengths.dtype}."
        )
    if (lengths < 1).any() or lengths.sum() != len(values):
        raise ValueError(
            f"{path}: {_key(split, 'lengths')} must be positive and sum to the {len(values)} rows of "
            f"{_key(split, 'values')}; the sum is {lengths.sum()}, the least {lengths.min(initial=0)}."
        )
    ends = np.cumsum(lengths)[:-1]
    key = _key(split, "labels")
    labels = arrays[key] if key in arrays.files else None
    X = np.split(values, ends)
    if labels is None or labels.shape == lengths.shape:
        return X, labels
    if labels.shape == (len(values),):
        return X, np.split(labels, ends)
    raise ValueError(
        f"{path}: {key} has shape {labels.shape}; expected ({len(lengths)},), one label a sequence, or "
        f"({len(values)},), one a step."
    )


# ------------------------------------------------------------------------------------------------ writing


def _checked_splits(splits: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield names and pairs (X, y)."""
    if not isinstance(splits, Mapping):
        raise ValueError(f"splits is {type(splits).__name__}: pass a mapping {{name: (X, y)}}.")
    for split, pair in splits.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(
                f"split {split!r} is {type(pair).__name__}: pass a pair (X, y), with y=None without labels."
            )
        yield split, (pair[0], pair[1])


def _pack_split(split: str, X: Any, y: Any) -> dict[str, np.ndarray]:
    if not isinstance(split, str) or {"/", "\\", "\0"} & set(split):
        raise ValueError(f"{split!r} cannot be the name of a split: pass a word such as 'train'.")
    found = positional(X, f"X of split {split!r}", "Pass a list of arrays (T_i, C), or an array (n, T, C).")
    items = [as_array(x, f"split {split!r}, sequence {i}") for i, x in enumerate(found)]
    _check_items(items, split)
    lengths = np.array([len(x) for x in items], dtype=np.int64)
    packed = {_key(split, "values"): np.concatenate(items), _key(split, "lengths"): lengths}
    if y is not None:
        packed[_key(split, "labels")] = _pack_labels(y, lengths, split)
    return packed


def _check_items(items: list[np.ndarray], split: str) -> None:
    if not items:
        raise ValueError(f"split {split!r} is empty: at least one sequence is needed.")
    for i, x in enumerate(items):
        where = f"split {split!r}, sequence {i}"
        if x.ndim != 2 or len(x) == 0 or x.dtype.kind not in "biuf":
            raise ValueError(
                f"{where} must be numbers (steps, channels) with at least one step, got shape {x.shape}, "
                f"dtype {x.dtype}."
            )
        if x.shape[1] != items[0].shape[1]:
            raise ValueError(f"{where} has {x.shape[1]} channels, but sequence 0 has {items[0].shape[1]}.")


def _pack_labels(y: Any, lengths: np.ndarray, split: str) -> np.ndarray:
    name = f"y of split {split!r}"
    y = positional(y, name, "Pass a list or an array of labels.")
    if len(y) != len(lengths):
        raise ValueError(f"split {split!r} has {len(lengths)} sequences, but {len(y)} labels.")
    stepwise = np.ndim(y[0]) > 0
    labels = [label_array(own, f"{name}[{i}]") if np.ndim(own) else np.asarray(own) for i, own in enumerate(y)]
    for i, (label, length) in enumerate(zip(labels, lengths.tolist(), strict=True)):
        expected = (length,) if stepwise else ()
        if label.shape != expected:
            raise ValueError(f"split {split!r}, labels of sequence {i} have shape {label.shape}, expected {expected}.")
    packed = joined_labels(labels, name=name) if stepwise else label_array(y, name)
    if packed.dtype.kind == "O" and all(isinstance(label, str) for label in packed):
        packed = packed.astype(np.str_)
    if packed.dtype.kind not in "biufUS":
        raise ValueError(f"split {split!r} has labels of dtype {packed.dtype}: pass numbers or strings.")
    return packed
