"""Between the layouts sequences come in: (n, C, T), NaN-padded (n, T, C), and ragged lists of (T_i, C)."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any

import numpy as np

from skseqmetric._input import as_array, check_sequences, positional, real_numbers
from skseqmetric._input.frames import column_names
from skseqmetric._input.named_arrays import named


def from_channels_first(X: Any) -> np.ndarray | list[np.ndarray]:
    """Swap channels and steps: x[t, c] = x_channels_first[c, t].

    Parameters
    ----------
    X : array (n, C, T), or list of n arrays (C, T_i)
        Sequences whose channels are rows.

    Returns
    -------
    ndarray (n, T, C), or list of n ndarrays (T_i, C)
        An array for an array, a list for a list; the dtype is kept, the data are copied.

    Raises
    ------
    ValueError
        X is neither a 3-D array nor a list of 2-D arrays.

    Notes
    -----
    Which axis is time is never guessed from the numbers: whoever has (n, C, T) data says so by this call.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import from_channels_first
    >>> from_channels_first(np.zeros((5, 3, 100))).shape
    (5, 100, 3)
    >>> [x.shape for x in from_channels_first([np.zeros((3, 7)), np.zeros((3, 9))])]
    [(7, 3), (9, 3)]
    """
    found = positional(X, "X", "Pass an array (n, channels, steps), or a list of arrays (channels, steps).")
    if isinstance(found, np.ndarray) and (found.dtype.kind != "O" or found.ndim != 1):
        if found.ndim != 3:
            raise ValueError(f"X must be (n, channels, steps), got an array of shape {found.shape}.")
        return np.array(np.swapaxes(real_numbers(found, "X"), 1, 2), order="C")
    return [np.array(_item(x, i, "(channels, steps)").T, order="C") for i, x in enumerate(found)]


def to_padded(X: Any, *, fill: float = np.nan, length: int | None = None) -> np.ndarray:
    """Pad sequences at their end to one array.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or table (n, T)
        Whatever the estimators take; checked as they do.
    fill : float, default=nan
        Value of the padding. The default is what every estimator of this package cuts off again; with
        another value the lengths have to be kept apart.
    length : int, default=None
        Steps of the result, at least the longest T_i, which is the default.

    Returns
    -------
    ndarray (n, length, C)
        float32 for float16 and float32 input, else float64; a copy.

    Raises
    ------
    ValueError
        X is refused by the input check (the message says why), or a sequence is longer than `length`.

    See Also
    --------
    from_padded : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import to_padded
    >>> padded = to_padded([np.ones((2, 1)), np.ones((3, 1))])
    >>> padded.shape
    (2, 3, 1)
    >>> padded[0, :, 0]
    array([ 1.,  1., nan])
    """
    sequences = check_sequences(X)
    longest = int(sequences.lengths.max())
    steps = longest if length is None else _integer(length, "length")
    if not isinstance(fill, (Real, np.bool_)):
        raise ValueError(f"fill must be one real number, got {fill!r}.")
    if steps < longest:
        i = int(np.argmax(sequences.lengths))
        raise ValueError(f"sequence {i} has {longest} steps, more than length={steps}: cut it before.")
    padded = np.full((len(sequences), steps, sequences.n_channels), fill, dtype=sequences.values.dtype)
    padded[np.arange(steps) < sequences.lengths[:, np.newaxis]] = sequences.values
    return padded


def from_padded(X: Any, lengths: Any = None) -> list[np.ndarray]:
    """Cut the padding off.

    Parameters
    ----------
    X : array (n, T, C), table (n, T), or list of n arrays (T_i, C) or (T_i,)
        Padded sequences; 1-D sequences are univariate, they get one channel.
    lengths : array-like (n,) of int, default=None
        Steps to keep of every sequence, 1 <= lengths[i] <= T. Default: everything before the steps at
        the end that are NaN in every channel.

    Returns
    -------
    list of n ndarrays (T_i, C)
        Copies; the dtype is kept. NaN inside a sequence stay.

    Raises
    ------
    ValueError
        X has another number of dimensions, a sequence is NaN at every step, or `lengths` does not fit; the
        message names the sequence.

    See Also
    --------
    to_padded : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import from_padded
    >>> [x.shape for x in from_padded([[1.0, 2.0, np.nan], [1.0, 2.0, 3.0]])]
    [(2, 1), (3, 1)]
    >>> [x.shape for x in from_padded(np.zeros((2, 10, 3)), lengths=[4, 7])]
    [(4, 3), (7, 3)]
    """
    rows = positional(X, "X", "Pass an array (n, T, C) or (n, T), or a list of arrays (T_i, C).")
    if not len(rows):
        raise ValueError("X is empty: at least one sequence is needed.")
    items = [_item(x, i, "(steps, channels)", univariate=True) for i, x in enumerate(rows)]
    kept = [_steps_before_tail(x, i) for i, x in enumerate(items)] if lengths is None else lengths
    return [x[:t].copy() for x, t in zip(items, _check_lengths(kept, items), strict=True)]


def from_concatenated(values: Any, lengths: Any) -> list[np.ndarray]:
    """Cut sequences apart that are stacked along time, the form of hidden Markov models.

    Parameters
    ----------
    values : array (N, C) or (N,), or data frame
        The steps of all sequences, one after the other. (N,) is one channel.
    lengths : array-like (n,) of int
        Steps of every sequence, >= 1. Their sum is N.

    Returns
    -------
    list of n ndarrays (T_i, C)
        Copies; the dtype is kept, and values may be NaN. The columns of a frame name the channels.

    Raises
    ------
    ValueError
        `values` has another number of dimensions or is not numeric, or `lengths` are not positive integers with the sum
        N. The message names the sequence.

    See Also
    --------
    from_long : For tables whose rows say which sequence they belong to.

    Examples
    --------
    The way back is `numpy.concatenate` and the lengths of the sequences:

    >>> import numpy as np
    >>> from skseqmetric import from_concatenated
    >>> X = [np.ones((3, 2)), np.zeros((5, 2))]
    >>> values, lengths = np.concatenate(X), [len(x) for x in X]
    >>> [x.shape for x in from_concatenated(values, lengths)]
    [(3, 2), (5, 2)]
    """
    array = as_array(values, "values")
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"values has shape {array.shape}, but must be (steps, channels), of at least one of each.")
    array = real_numbers(array, "values")
    steps = _integers(lengths, "lengths", "")
    if (steps < 1).any():
        i = int(np.argmax(steps < 1))
        raise ValueError(f"lengths[{i}] is {steps[i]}: every sequence needs at least one step.")
    total = sum(steps.tolist())
    if total != len(array):
        raise ValueError(f"lengths sum to {total}, but values has {len(array)} steps.")
    names = column_names(values)
    return [named(part.copy(), names) for part in np.split(array, np.cumsum(steps)[:-1])]


def _integers(given: Any, name: str, count: str) -> np.ndarray:
    """Return a container of integers as an array (n,). `count` stands before the word in messages."""
    array = as_array(positional(given, name, f"Pass {count}integers."), name)
    if array.dtype.kind == "O":  # of a nullable column
        array = as_array(array.tolist(), name)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise ValueError(f"{name} must be {count}integers, got shape {array.shape}, {array.dtype}.")
    return array


def _integer(value: Any, name: str) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise TypeError(f"{name} must be one integer, got {value!r}.") from error


def _item(x: Any, i: int, axes: str, *, univariate: bool = False) -> np.ndarray:
    array = as_array(x, f"sequence {i}")
    if univariate and array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2:
        raise ValueError(f"sequence {i} has shape {array.shape}, but must be 2-D, {axes}.")
    if array.dtype.kind == "c":
        return array
    if array.dtype.kind not in "biufO":
        raise ValueError(f"sequence {i} has dtype {array.dtype}, not numbers.")
    return real_numbers(array, f"sequence {i}")


def _steps_before_tail(x: np.ndarray, i: int) -> int:
    filled = np.flatnonzero(~np.isnan(x).all(axis=1))
    if len(filled) == 0:
        raise ValueError(f"sequence {i} is NaN at every step, so it has zero steps: remove it.")
    return int(filled[-1]) + 1


def _check_lengths(lengths: Any, items: list[np.ndarray]) -> list[int]:
    array = _integers(lengths, "lengths", f"{len(items)} ")
    if len(array) != len(items):
        raise ValueError(f"lengths must be {len(items)} integers, got shape {array.shape}, {array.dtype}.")
    for i, (steps, x) in enumerate(zip(array.tolist(), items, strict=True)):
        if not 1 <= steps <= len(x):
            raise ValueError(f"lengths[{i}] is {steps}, but sequence {i} has {len(x)} steps (1 to {len(x)}).")
    return array.tolist()
