"""Checks of numbers that are passed with the sequences: targets, pairs, weights."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite

from skseqmetric._input.arrays import as_array, positional, real_numbers
from skseqmetric._input.labels import check_parts, refuse_none


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
    refuse_none(y, estimator)
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
    refuse_none(y, estimator)
    y = check_parts(y, len(lengths), "targets")
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


def _table(y: Any, n: int, name: str, expected: str, hint: str) -> np.ndarray:
    """Finite numbers (n,) or (n, K) in a new float64 array; `name`, `expected` and `hint` are for messages."""
    forms = f"pass ({n},) or ({n}, K){hint}."
    try:
        values = np.asarray(y) if isinstance(y, (numbers.Number, np.generic)) else as_array(positional(y, name), name)
        if values.dtype.kind not in "biufO":
            raise ValueError(f"dtype {values.dtype}")
        values = real_numbers(values, name).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of real numbers ({error}): {forms}") from error
    if values.ndim not in (1, 2) or 0 in values.shape[1:]:
        raise ValueError(f"{name} has shape {values.shape}: {forms}")
    if len(values) != n:
        raise ValueError(f"{name} has {len(values)} rows, but {expected}: {forms}")
    if not np.isfinite(values).all():
        place = tuple(np.argwhere(~np.isfinite(values))[0].tolist())
        what = "NaN" if np.isnan(values[place]) else "infinity or a value too large for dtype('float64')"
        raise ValueError(f"Input y contains {what}: {name}[{', '.join(map(str, place))}] is {values[place]}.")
    return values


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
    array = _inferred(same, "same")
    if array.shape != (n_pairs,):
        raise ValueError(f"same has shape {array.shape}, but there are {n_pairs} pairs: pass one number a pair.")
    signs = np.where(array, 1, -1) if array.dtype.kind == "b" else array
    wrong = ~np.isin(signs, (1, -1)) if array.dtype.kind in "biuf" else np.ones(n_pairs, dtype=bool)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"same[{row}] is {array[row]}, but must be +1 (the same), -1 (different) or a bool.")
    return signs.astype(np.int64)


def _inferred(x: Any, name: str) -> np.ndarray:
    """Array of a container by position. Objects, such as those of nullable columns, become what they are."""
    array = as_array(positional(x, name), name)
    return as_array(array.tolist(), name) if array.dtype.kind == "O" else array


def check_pair_indices(pairs: Any, n: int) -> np.ndarray:
    """Pairs of indices, (P, 2) int64 with 0 <= index < n and P >= 1.

    Raises
    ------
    ValueError
        There is no pair, shape or dtype are wrong, or an index is out of range (its row and value are named).
    """
    array = _inferred(pairs, "pairs")
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
        The length is not n, a weight is no real number, negative, NaN, masked or infinite, or all weights are zero.
    """
    if sample_weight is None:
        return np.ones(n)
    if isinstance(sample_weight, (numbers.Number, np.generic)):
        given = np.full(n, sample_weight)
    else:
        given = as_array(positional(sample_weight, "sample_weight", "Pass a list or an array (n,)."), "sample_weight")
    if given.dtype.kind in "US":
        raise ValueError(f"sample_weight holds text ({given.dtype}): could not convert string to float. Pass numbers.")
    given = real_numbers(given, "sample_weight")
    weights = given.astype(np.float64)
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got {weights.ndim}D array.")
    if weights.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}!")
    assert_all_finite(weights, input_name="sample_weight")
    if (weights < 0).any():
        i = int(np.argmax(weights < 0))
        raise ValueError(f"Negative values in data passed to `sample_weight`: sample_weight[{i}] is {weights[i]:g}.")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights
