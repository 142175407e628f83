"""Checks of what is passed with the sequences: labels, numbers to predict, pairs, weights."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d


def check_labels(y: Any, n: int, *, estimator: Any = None, min_classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Class labels of n sequences, encoded.

    Parameters
    ----------
    y : array-like (n,) or (n, 1)
        Labels of any kind scikit-learn accepts.
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
        y is None, is not one label a sequence, does not have length n, is continuous or not finite, or has too few
        classes.
    """
    _refuse_none(y, estimator)
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
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
        The array is padded with `ignore_label` after the end of each sequence.
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
        labels are continuous, not finite, or of too few classes.
    """
    _refuse_none(y, None)
    _check_parts(y, len(lengths), "labels")
    padded = isinstance(y, np.ndarray) and y.ndim == 2
    parts = enumerate(zip(y, lengths.tolist(), strict=True))
    labels = np.concatenate([_labels_of(i, part, n, padded, ignore_label) for i, (part, n) in parts])
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    given = np.ones(len(labels), dtype=bool) if ignore_label is None else labels != ignore_label
    if not given.any():
        raise ValueError(f"y holds no label other than ignore_label={ignore_label!r}.")
    check_classification_targets(labels[given])
    encoded = np.full(len(labels), -1, dtype=np.int64)
    classes, encoded[given] = _encoded(labels[given], min_classes)
    return classes, encoded


def _encoded(labels: np.ndarray, min_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct labels, and the index of each label among them."""
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < min_classes:
        count = "one class" if len(classes) == 1 else f"{len(classes)} classes"
        names = ", ".join(repr(c) for c in classes.tolist())
        raise ValueError(f"y holds only {count}, {names}: at least {min_classes} classes are needed.")
    return classes, codes.astype(np.int64)


def _labels_of(i: int, labels: Any, n_steps: int, padded: bool, ignore_label: Any) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"y[{i}] has {labels.ndim} dimensions: pass one label a step, shape ({n_steps},).")
    if padded and len(labels) > n_steps and ignore_label is not None and (labels[n_steps:] == ignore_label).all():
        return labels[:n_steps]
    if len(labels) != n_steps:
        hint = ". An array y must be padded with ignore_label, which must be given." if padded else "."
        raise ValueError(f"y[{i}] has {len(labels)} labels, but sequence {i} has {n_steps} steps{hint}")
    return labels


def check_real_targets(y: Any, n: int, *, estimator: Any = None) -> tuple[np.ndarray, bool]:
    """Numbers to predict, one row a sequence.

    Parameters
    ----------
    y : array-like (n,) or (n, K)
        One number a sequence, or K.
    n : int
        Number of sequences.
    estimator : estimator, default=None
        Named in messages.

    Returns
    -------
    values : ndarray (n, K) float64
        A new array.
    one_column : bool
        Whether y was (n,); predictions then have this shape too.

    Raises
    ------
    ValueError
        y is None, has another number of rows than n or another shape, or is not numeric, complex, or not finite (the
        first such row is named).
    """
    _refuse_none(y, estimator)
    hint = ", one row a sequence; targets of every step need target='step'"
    values = _table(y, n, "y", f"X has {n} sequences", hint)
    return values.reshape(n, -1), values.ndim == 1


def check_step_targets(y: Any, lengths: np.ndarray, *, estimator: Any = None) -> tuple[np.ndarray, bool]:
    """Numbers to predict at every step of n sequences.

    Parameters
    ----------
    y : list of n array-likes (T_i,) or (T_i, K); or array (n, T) or (n, T, K) for sequences of one length
        One number a step, or K.
    lengths : ndarray (n,)
        Steps T_i of the sequences.
    estimator : estimator, default=None
        Named in messages.

    Returns
    -------
    values : ndarray (sum of lengths, K) float64
        Sequence after sequence; a new array.
    one_column : bool
        Whether the parts of y were (T_i,); predictions then have this shape too.

    Raises
    ------
    ValueError
        y is None or does not have n parts, or the part of a sequence (which is named) is not (T_i,) or (T_i, K), has
        another K than the first part, or is not numeric, complex or not finite.
    """
    _refuse_none(y, estimator)
    _check_parts(y, len(lengths), "targets")
    parts: list[np.ndarray] = []
    for i, (part, n_steps) in enumerate(zip(y, lengths.tolist(), strict=True)):
        parts.append(_table(part, n_steps, f"y[{i}]", f"sequence {i} has {n_steps} steps", ", one row a step"))
        if parts[i].shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"y[{i}] has shape {parts[i].shape} and y[0] has {parts[0].shape}: every step needs the same number of "
                "targets."
            )
    values = np.concatenate(parts)
    return values.reshape(len(values), -1), values.ndim == 1


def _check_parts(y: Any, n: int, what: str) -> None:
    """Refuse y unless it has one part for each of n sequences; `what` is for messages."""
    if not hasattr(y, "__len__") or len(y) != n:
        n_parts = f"{what} of {len(y)} sequences" if hasattr(y, "__len__") else f"one value, {y!r}"
        raise ValueError(f"y has {n_parts}, but X has {n} sequences.")


def _table(y: Any, n: int, name: str, expected: str, hint: str) -> np.ndarray:
    """Finite numbers (n,) or (n, K) in a new float64 array; `name`, `expected` and `hint` are for messages."""
    try:
        values = np.asarray(y)
        if values.dtype.kind not in "biufO":
            raise ValueError(f"dtype {values.dtype}")
        values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of real numbers ({error}): pass ({n},) or ({n}, K){hint}.") from error
    if values.ndim not in (1, 2) or 0 in values.shape[1:]:
        raise ValueError(f"{name} has shape {values.shape}: pass ({n},) or ({n}, K){hint}.")
    if len(values) != n:
        raise ValueError(f"{name} has {len(values)} rows, but {expected}: pass ({n},) or ({n}, K){hint}.")
    if not np.isfinite(values).all():
        place = tuple(np.argwhere(~np.isfinite(values))[0].tolist())
        what = "NaN" if np.isnan(values[place]) else "infinity or a value too large for dtype('float64')"
        raise ValueError(f"Input y contains {what}: {name}[{', '.join(map(str, place))}] is {values[place]}.")
    return values


def _refuse_none(y: Any, estimator: Any) -> None:
    if y is None:
        name = "The estimator" if estimator is None else f"This {type(estimator).__name__} estimator"
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")


def check_pairs(pairs: Any, same: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of sequences that are known to be the same or different.

    Parameters
    ----------
    pairs : array-like (P, 2) of int
        Indices of sequences, 0 <= index < n.
    same : array-like (P,)
        +1 or True: the same; -1 or False: different.
    n : int
        Number of sequences.

    Returns
    -------
    pairs : ndarray (P, 2) int64
    same : ndarray (P,) int64
        +1 and -1.

    Raises
    ------
    ValueError
        The shape is wrong, an index is out of range, a `same` is neither +1 nor -1 (row and value are named), the
        lengths differ, there is no pair, a sequence differs from itself, or all pairs are of one kind.
    """
    pairs = check_pair_indices(pairs, n)
    signs = _check_same(same, len(pairs))
    contradiction = (pairs[:, 0] == pairs[:, 1]) & (signs == -1)
    if contradiction.any():
        row = int(np.argmax(contradiction))
        raise ValueError(f"pairs[{row}] says that sequence {pairs[row, 0]} differs from itself: remove it.")
    if (signs == signs[0]).all():
        missing = "-1 (different)" if signs[0] == 1 else "+1 (the same)"
        raise ValueError(f"same holds only {signs[0]:+d}: at least one pair with {missing} is needed.")
    return pairs, signs


def _check_same(same: Any, n_pairs: int) -> np.ndarray:
    array = np.asarray(same)
    if array.shape != (n_pairs,):
        raise ValueError(f"same has shape {array.shape}, but there are {n_pairs} pairs: pass one number a pair.")
    signs = np.where(array, 1, -1) if array.dtype.kind == "b" else array
    wrong = ~np.isin(signs, (1, -1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"same[{row}] is {array[row]}, but must be +1 (the same), -1 (different) or a bool.")
    return signs.astype(np.int64)


def check_pair_indices(pairs: Any, n: int) -> np.ndarray:
    """Pairs of indices, (P, 2) int64 with 0 <= index < n and P >= 1.

    Raises
    ------
    ValueError
        There is no pair, shape or dtype are wrong, or an index is out of range (its row and value are named).
    """
    array = np.asarray(pairs)
    if array.size == 0:
        raise ValueError("pairs is empty: at least one pair is needed.")
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"pairs has shape {array.shape}, but must be (n_pairs, 2): two indices a row.")
    if array.dtype.kind not in "iu":
        raise ValueError(f"pairs must hold integer indices of sequences, got dtype {array.dtype}.")
    wrong = (array < 0) | (array >= n)
    if wrong.any():
        row, column = divmod(int(np.argmax(wrong)), 2)
        raise ValueError(
            f"pairs[{row}] holds index {array[row, column]}, out of range for {n} sequences (0 to {n - 1})."
        )
    return array.astype(np.int64)


def check_weights(sample_weight: Any, n: int) -> np.ndarray:
    """Weights of n sequences, (n,) float64: None gives ones, a number is repeated.

    Raises
    ------
    ValueError
        The length is not n, a weight is negative, NaN or infinite, or all weights are zero.
    """
    if sample_weight is None or isinstance(sample_weight, numbers.Number):
        sample_weight = np.full(n, 1.0 if sample_weight is None else sample_weight)
    weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, copy=True, input_name="sample_weight")
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got {weights.ndim}D array.")
    if weights.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}!")
    if (weights < 0).any():
        i = int(np.argmax(weights < 0))
        raise ValueError(f"Negative values in data passed to `sample_weight`: sample_weight[{i}] is {weights[i]:g}.")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights
