"""What comes beside the sequences: labels, numbers to predict, pairs with constraints, weights."""

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
        Fewest classes that are of use.

    Returns
    -------
    classes : ndarray (n_classes,)
        Sorted distinct labels.
    encoded : ndarray (n,) int64
        `classes[encoded]` equals y.

    Raises
    ------
    ValueError
        y is None, not one label a sequence, not of length n, continuous, not finite, or of too few classes.
    """
    _refuse_none(y, estimator)
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    if len(y) != n:
        raise ValueError(f"y has {len(y)} labels, but X has {n} sequences: pass one label a sequence.")
    classes, encoded = np.unique(y, return_inverse=True)
    if len(classes) < min_classes:
        count = "one class" if len(classes) == 1 else f"{len(classes)} classes"
        names = ", ".join(repr(c) for c in classes.tolist())
        raise ValueError(f"y holds only {count}, {names}: at least {min_classes} classes are needed.")
    return classes, encoded.astype(np.int64)


def check_step_labels(
    y: Any, lengths: np.ndarray, *, ignore_label: Any = None, min_classes: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """A class label for every step of n sequences, encoded.

    Parameters
    ----------
    y : list of n array-likes (T_i,), or array (n, T)
        In one array, what lies behind a sequence's end must be `ignore_label`.
    lengths : ndarray (n,)
        Steps T_i of the sequences.
    ignore_label : object, default=None
        A label that means "none".
    min_classes : int, default=2
        Fewest classes that are of use.

    Returns
    -------
    classes : ndarray (n_classes,)
        Sorted distinct labels.
    encoded : ndarray (sum of lengths,) int64
        Sequence after sequence; -1 for steps without a label.

    Raises
    ------
    ValueError
        y is None or not of n parts, labels and steps of a sequence (which is named) differ in number, labels are not
        finite or continuous, or of too few classes.
    """
    _refuse_none(y, None)
    if len(y) != len(lengths):
        raise ValueError(f"y has labels of {len(y)} sequences, but X has {len(lengths)} sequences.")
    padded = isinstance(y, np.ndarray) and y.ndim == 2
    parts = [_labels_of(i, y[i], int(n), padded, ignore_label) for i, n in enumerate(lengths)]
    labels = np.concatenate(parts)
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    given = np.ones(len(labels), dtype=bool) if ignore_label is None else labels != ignore_label
    if not given.any():
        raise ValueError(f"y holds nothing but ignore_label={ignore_label!r}.")
    check_classification_targets(labels[given])
    classes, codes = np.unique(labels[given], return_inverse=True)
    if len(classes) < min_classes:
        raise ValueError(f"y holds only one class, {classes.tolist()[0]!r}: at least {min_classes} classes are needed.")
    encoded = np.full(len(labels), -1, dtype=np.int64)
    encoded[given] = codes
    return classes, encoded


def _labels_of(i: int, labels: Any, n_steps: int, padded: bool, ignore_label: Any) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"y[{i}] has {labels.ndim} dimensions: pass one label a step, shape ({n_steps},).")
    if padded and len(labels) > n_steps and ignore_label is not None and (labels[n_steps:] == ignore_label).all():
        return labels[:n_steps]
    if len(labels) != n_steps:
        hint = ". An array y is padded with ignore_label, which must be given." if padded else "."
        raise ValueError(f"y[{i}] has {len(labels)} labels, but sequence {i} has {n_steps} steps{hint}")
    return labels


def check_real_targets(y: Any, n: int, *, estimator: Any = None) -> tuple[np.ndarray, bool]:
    """Numbers to be predicted, one row a sequence.

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
        Whether y was (n,), so that predictions are to be so too.

    Raises
    ------
    ValueError
        y is None, of another number of rows than n, of another shape, not numeric, complex, or not finite (the first
        such row is named).
    """
    _refuse_none(y, estimator)
    hint = ", one row a sequence; targets of every step are for target='step'"
    values = _table(y, n, "y", f"X has {n} sequences", hint)
    return values.reshape(n, -1), values.ndim == 1


def check_step_targets(y: Any, lengths: np.ndarray, *, estimator: Any = None) -> tuple[np.ndarray, bool]:
    """Numbers to be predicted at every step of n sequences.

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
        Whether the parts of y were (T_i,), so that predictions are to be so too.

    Raises
    ------
    ValueError
        y is None, not of n parts, or the part of a sequence (which is named) is not (T_i,) or (T_i, K), not alike in
        shape to the first one, not numeric, complex or not finite.
    """
    _refuse_none(y, estimator)
    if not hasattr(y, "__len__") or len(y) != len(lengths):
        n_parts = f"targets of {len(y)} sequences" if hasattr(y, "__len__") else f"one value, {y!r}"
        raise ValueError(f"y has {n_parts}, but X has {len(lengths)} sequences.")
    parts = []
    for i, (part, n_steps) in enumerate(zip(y, lengths.tolist(), strict=True)):
        parts.append(_table(part, n_steps, f"y[{i}]", f"sequence {i} has {n_steps} steps", ", one row a step"))
        if parts[i].shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"y[{i}] has shape {parts[i].shape} and y[0] has {parts[0].shape}: every step needs as many targets."
            )
    values = np.concatenate(parts)
    return values.reshape(len(values), -1), values.ndim == 1


def _table(y: Any, n: int, name: str, expected: str, hint: str) -> np.ndarray:
    """Finite numbers (n,) or (n, K) in a new float64 array; what follows n is for messages."""
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


def check_pairs(pairs: Any, same: Any, n: int, *, both_kinds: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of sequences that are known to be alike or not.

    Parameters
    ----------
    pairs : array-like (P, 2) of int
        Indices of sequences, 0 <= index < n.
    same : array-like (P,)
        +1 or True: the same; -1 or False: different.
    n : int
        Number of sequences.
    both_kinds : bool, default=True
        Whether at least one pair of each kind is needed.

    Returns
    -------
    pairs : ndarray (P, 2) int64
    same : ndarray (P,) int64
        +1 and -1.

    Raises
    ------
    ValueError
        Wrong shape, an index out of range or a `same` other than +1 / -1 (row and value are named), unequal
        lengths, no pair, a sequence said to differ from itself, or (`both_kinds`) pairs of one kind only.
    """
    pairs = check_pair_indices(pairs, n)
    signs = _check_same(same, len(pairs))
    contradiction = (pairs[:, 0] == pairs[:, 1]) & (signs == -1)
    if contradiction.any():
        row = int(np.argmax(contradiction))
        raise ValueError(f"pairs[{row}] says that sequence {pairs[row, 0]} differs from itself: remove it.")
    if both_kinds and (signs == signs[0]).all():
        missing = "-1 (different)" if signs[0] == 1 else "+1 (the same)"
        raise ValueError(f"same holds only {signs[0]:+d}: at least one pair with {missing} is needed.")
    return pairs, signs


def _check_same(same: Any, n_pairs: int) -> np.ndarray:
    array = np.asarray(same)
    if array.shape != (n_pairs,):
        raise ValueError(f"same has shape {array.shape}, but there are {n_pairs} pairs: pass one a pair.")
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
        No pair, another shape or dtype, or an index out of range (its row and value are named).
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
        Another length than n, a negative, NaN or infinite weight, or all weights zero.
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
