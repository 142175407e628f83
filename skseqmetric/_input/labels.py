"""Checks of class labels: of sequences, of steps, of images, and of groups."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from skseqmetric._input.arrays import as_array, is_missing, positional

_PLAIN = {bool, int, float, str, np.int64, np.float64, np.str_, np.bool_}
_ONE_EACH = "Pass a list or an array of labels."


def label_array(labels: Any, name: str, *, ignored: Any = None) -> np.ndarray:
    """Return labels as an array. They are all strings, or all numbers, or all of one other type.

    `ignored` is a label that may be of another type than the rest.

    Raises
    ------
    ValueError
        `labels` is no list or array, a label is missing (None or NaN among objects), or labels are of different kinds.
        The message names the position.
    """
    if type(labels) is np.ndarray and labels.ndim and labels.dtype.kind in "biufUSmM":
        return labels
    found = labels if type(labels) is list else positional(labels, name, _ONE_EACH)
    if isinstance(found, list):
        kinds = set(map(type, found))
        if len(kinds) == 1 and kinds <= _PLAIN and (array := np.asarray(found)).dtype.kind != "O":
            return array
        found = _as_objects(found) if _has_text_and_others(kinds) else as_array(found, name)
    if found.dtype.kind in "Vc":
        raise ValueError(f"{name} has dtype {found.dtype}, but labels are strings or real numbers." + _complex(found))
    if found.dtype.kind != "O":
        return found
    return _of_one_kind(found, name, ignored)


def _complex(found: np.ndarray) -> str:
    return " Complex data not supported." if found.dtype.kind == "c" else ""


def _has_text_and_others(kinds: set[type]) -> bool:
    """Whether NumPy would turn numbers, or None, to text."""
    text = [issubclass(kind, str) for kind in kinds]
    return any(text) and not all(text)


def _as_objects(labels: list[Any]) -> np.ndarray:
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def _of_one_kind(array: np.ndarray, name: str, ignored: Any) -> np.ndarray:
    """Return labels that are objects, and numbers among them as numbers."""
    first: tuple[str, str] | None = None
    for i, label in enumerate(array.ravel().tolist()):
        if ignored is not None and _equal(label, ignored):
            continue
        place = f"{name}[{', '.join(map(str, np.unravel_index(i, array.shape)))}]"
        if is_missing(label):
            raise ValueError(f"{place} is {label!r}: every label must be given. Leave out what has no label.")
        kind = _kind_of_label(label)
        if first is not None and kind != first[0]:
            raise ValueError(
                f"{place} is {label!r}, a {kind}, but {first[1]} is a {first[0]}: labels must be of one type, such as "
                "all strings or all numbers."
            )
        if kind not in ("string", "number") and not _is_sortable(label):
            raise ValueError(f"{place} is a {kind}, which cannot be sorted or hashed: labels are strings or numbers.")
        first = first or (kind, place)
    if first is None or first[0] != "number" or ignored is not None:
        return array
    numeric = np.array(array.tolist())
    if numeric.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds numbers that are no real numbers of 64 bits: encode them first.")
    return numeric


def _is_sortable(label: Any) -> bool:
    try:
        return bool(label <= label) and isinstance(hash(label), int)
    except (TypeError, ValueError):
        return False


def _kind_of_label(label: Any) -> str:
    if isinstance(label, str):
        return "string"
    return "number" if isinstance(label, (numbers.Number, np.bool_)) else type(label).__name__


def _equal(label: Any, other: Any) -> bool:
    return not isinstance(label, np.ndarray) and bool(label == other)


def one_label_each(labels: Any, n: int, name: str, what: str) -> np.ndarray:
    """Return n labels (n,), without a missing one. `what` names the n things in messages."""
    array = label_array(labels, name)
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}, but there are {n} {what}: give each of them one class.")
    refuse_missing(array, lambda i: f"{name}[{i}]", name)
    return array


def refuse_missing(labels: np.ndarray, place: Callable[[int], str], name: str = "y") -> None:
    """Refuse NaN, NaT and infinity among labels (n,), and say where the first is; `place` names its position."""
    if labels.dtype.kind not in "fmM":
        return
    bad = ~np.isfinite(labels)
    if bad.any():
        i = int(np.argmax(bad))
        what = "infinity or a value too large" if labels.dtype.kind == "f" and np.isinf(labels[i]) else "NaN"
        raise ValueError(
            f"Input {name} contains {what}: {place(i)} is {labels[i]}, but every label must be given. Leave out what "
            "has no label."
        )


def _row_and_step(k: int, lengths: np.ndarray) -> tuple[int, int]:
    """Return which step of which sequence the k-th of all steps is."""
    ends = np.cumsum(lengths)
    row = int(np.searchsorted(ends, k, side="right"))
    return row, k - int(ends[row] - lengths[row])


def check_labels(y: Any, n: int, *, estimator: Any = None, min_classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Class labels of n sequences, encoded.

    Parameters
    ----------
    y : array-like (n,) or (n, 1)
        Labels: all strings, or all numbers.
    n : int
        Number of sequences.
    estimator : estimator, default=None
        Named in messages.
    min_classes : int, default=2
        Least number of classes.

    Returns
    -------
    classes : ndarray (n_classes,)
        Sorted distinct labels.
    encoded : ndarray (n,) int64
        `classes[encoded]` equals y.

    Raises
    ------
    ValueError
        y is None, is not one label a sequence, does not have length n, has missing or masked labels or labels of
        different types, is continuous or not finite, or has too few classes.
    """
    refuse_none(y, estimator)
    y = column_or_1d(label_array(y, "y"), warn=True)
    refuse_missing(y, lambda i: f"y[{i}]")
    check_classification_targets(y)
    if len(y) != n:
        raise ValueError(f"y has {len(y)} labels, but X has {n} sequences: pass one label a sequence.")
    return _encoded(y, min_classes)


def check_step_labels(
    y: Any, lengths: np.ndarray, *, ignore_label: Any = None, min_classes: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """A class label for every step of n sequences, encoded.

    Parameters
    ----------
    y : list of n array-likes (T_i,), or array (n, T)
        The array is padded with `ignore_label` after the end of each sequence. Containers are read by position.
    lengths : ndarray (n,)
        Steps T_i of the sequences.
    ignore_label : object, default=None
        The label of steps that have none.
    min_classes : int, default=2
        Least number of classes.

    Returns
    -------
    classes : ndarray (n_classes,)
        Sorted distinct labels.
    encoded : ndarray (sum of lengths,) int64
        Sequence after sequence; -1 for steps without a label.

    Raises
    ------
    ValueError
        y is None or does not have n parts, a sequence (which is named) has more or fewer labels than steps, or the
        labels are missing, masked, of different types, continuous, not finite, or of too few classes.
    """
    refuse_none(y, None)
    y = check_parts(y, len(lengths), "labels")
    padded = isinstance(y, np.ndarray) and y.ndim == 2
    parts = enumerate(zip(y, lengths.tolist(), strict=True))
    labels = joined_labels([_labels_of(i, part, n, padded, ignore_label) for i, (part, n) in parts], ignore_label)
    refuse_missing(labels, lambda k: "y[{}][{}]".format(*_row_and_step(k, lengths)))
    given = np.ones(len(labels), dtype=bool) if ignore_label is None else labels != ignore_label
    if not given.any():
        raise ValueError(f"y holds no label other than ignore_label={ignore_label!r}.")
    known = labels[given]
    if known.dtype.kind == "O":
        known = np.array(known.tolist())
    check_classification_targets(known)
    encoded = np.full(len(labels), -1, dtype=np.int64)
    classes, encoded[given] = _encoded(known, min_classes)
    return classes, encoded


def joined_labels(parts: list[np.ndarray], ignored: Any = None, name: str = "y") -> np.ndarray:
    """Concatenate the labels of all sequences, without a conversion of numbers to text."""
    kinds = {part.dtype.kind in "US" for part in parts if part.dtype.kind != "O"}
    if len(kinds) == 1 and all(part.dtype.kind != "O" for part in parts):
        return np.concatenate(parts)
    every = np.concatenate([part.astype(object) for part in parts])
    starts = np.cumsum([0, *map(len, parts)])
    first: tuple[str, str] | None = None
    for i, label in enumerate(every.tolist()):
        if ignored is not None and _equal(label, ignored):
            continue
        kind, row = _kind_of_label(label), int(np.searchsorted(starts, i, side="right")) - 1
        place = f"{name}[{row}][{i - starts[row]}]"
        if first is not None and kind != first[0]:
            raise ValueError(
                f"{place} is {label!r}, a {kind}, but {first[1]} is a {first[0]}: labels must be of one type, such as "
                "all strings or all numbers."
            )
        first = first or (kind, place)
    return every


def _encoded(labels: np.ndarray, min_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct labels, and the index of each label among them."""
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < min_classes:
        count = "one class" if len(classes) == 1 else f"{len(classes)} classes"
        names = ", ".join(repr(c) for c in classes.tolist())
        raise ValueError(f"y holds only {count}, {names}: at least {min_classes} classes are needed.")
    return classes, codes.astype(np.int64)


def _labels_of(i: int, labels: Any, n_steps: int, padded: bool, ignore_label: Any) -> np.ndarray:
    if isinstance(labels, (numbers.Number, np.generic, str, bytes)):
        raise ValueError(f"y[{i}] has 0 dimensions: pass one label a step, shape ({n_steps},).")
    labels = label_array(labels, f"y[{i}]", ignored=ignore_label)
    if labels.ndim != 1:
        raise ValueError(f"y[{i}] has {labels.ndim} dimensions: pass one label a step, shape ({n_steps},).")
    if padded and len(labels) > n_steps and ignore_label is not None and (labels[n_steps:] == ignore_label).all():
        return labels[:n_steps]
    if len(labels) != n_steps:
        hint = ". An array y must be padded with ignore_label, which must be given." if padded else "."
        raise ValueError(f"y[{i}] has {len(labels)} labels, but sequence {i} has {n_steps} steps{hint}")
    return labels


def check_parts(y: Any, n: int, what: str) -> list[Any] | np.ndarray:
    """Return y by position. Refuse it unless it has one part for each of n sequences; `what` is for messages."""
    if isinstance(y, (numbers.Number, np.generic)):
        raise ValueError(f"y has one value, {y!r}, but X has {n} sequences.")
    y = positional(y, "y", f"Pass {what} of every step: a list with one array for each sequence.")
    if len(y) != n:
        raise ValueError(f"y has {what} of {len(y)} sequences, but X has {n} sequences.")
    return y


def refuse_none(y: Any, estimator: Any) -> None:
    if y is None:
        name = "The estimator" if estimator is None else f"This {type(estimator).__name__} estimator"
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")


def are_numbers(y: Any) -> bool:
    """Return whether targets of whole sequences are numbers to predict: several columns, or floats that are not whole.

    All others are class labels. What is no array of either is left to the check of labels.
    """
    try:
        array = label_array(y, "y")
    except ValueError:
        return False
    if array.dtype.kind not in "biuf":
        return False
    if array.ndim > 1 and array.shape[1:] != (1,):
        return True
    finite = array[np.isfinite(array)]
    return bool((finite != np.floor(finite)).any())


def check_classes(classes: Any) -> np.ndarray:
    """Sorted distinct labels (K,) that `partial_fit` was told in advance.

    Raises
    ------
    ValueError
        There is none, they have another shape, or they are missing, masked, not finite or of different types.
    """
    array = label_array(classes, "classes")
    if array.ndim != 1 or not len(array):
        raise ValueError(f"classes has shape {array.shape}: pass all labels, shape (K,).")
    refuse_missing(array, lambda i: f"classes[{i}]", "classes")
    return np.unique(array)


def check_groups(groups: Any, n: int) -> np.ndarray:
    """Numbers (n,) of the groups of n sequences, from 0.

    Raises
    ------
    ValueError
        There is not one group for each sequence, or groups are missing, masked, not finite or of different types.
    """
    array = label_array(groups, "groups")
    if array.ndim != 1:
        raise ValueError(f"groups has shape {array.shape}: pass one group for each of {n} sequences, shape ({n},).")
    if len(array) != n:
        raise ValueError(f"groups has {len(array)} entries, X has {n} sequences.")
    refuse_missing(array, lambda i: f"groups[{i}]", "groups")
    try:
        return np.unique(array, return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(f"groups cannot be sorted: {error}. Pass strings or numbers.") from error
