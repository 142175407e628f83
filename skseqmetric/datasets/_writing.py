"""Ragged sequences are written to .npz files: each split stacked along time, with lengths and labels."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from skseqmetric._files import replacing
from skseqmetric._input import as_array, joined_labels, label_array, positional
from skseqmetric.datasets._npz import LONGEST_DIRECTORY, is_plain
from skseqmetric.datasets._reading import key_of

_ENTRY = 76  # bytes of an array in the directory of the archive, beside its name


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
    _check_directory(arrays)
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


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


def _check_directory(keys: Collection[str]) -> None:
    if sum(_ENTRY + len(key.encode()) for key in keys) > LONGEST_DIRECTORY:
        raise ValueError(f"{len(keys)} arrays are too many for one file: write some splits to another.")


def _can_be_named(split: str) -> bool:
    """Whether the arrays of a split will have names that can be read."""
    return is_plain(key_of(split, "lengths.npy")) and not any("\ud800" <= character <= "\udfff" for character in split)


def _pack_split(split: str, X: Any, y: Any) -> dict[str, np.ndarray]:
    if not isinstance(split, str) or not _can_be_named(split):
        raise ValueError(f"{split!r} cannot be the name of a split: pass a word such as 'train'.")
    found = positional(X, f"X of split {split!r}", "Pass a list of arrays (T_i, C), or an array (n, T, C).")
    items = [as_array(x, f"split {split!r}, sequence {i}") for i, x in enumerate(found)]
    _check_items(items, split)
    lengths = np.array([len(x) for x in items], dtype=np.int64)
    packed = {key_of(split, "values"): np.concatenate(items), key_of(split, "lengths"): lengths}
    if y is not None:
        packed[key_of(split, "labels")] = _pack_labels(y, lengths, split)
    return packed


def _check_items(items: list[np.ndarray], split: str) -> None:
    if not items:
        raise ValueError(f"split {split!r} is empty: at least one sequence is needed.")
    for i, x in enumerate(items):
        where = f"split {split!r}, sequence {i}"
        if x.ndim != 2 or 0 in x.shape or x.dtype.kind not in "biuf":
            raise ValueError(
                f"{where} must be numbers (steps, channels) with at least one channel and at least one step, got shape "
                f"{x.shape}, dtype {x.dtype}."
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
