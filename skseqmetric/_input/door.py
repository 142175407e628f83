"""`check_sequences`: ragged lists, padded arrays and tables become `Sequences`."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skseqmetric._input.sequences import Sequences

_FORMS = (
    "Pass a list of (T_i, C) arrays, an array of shape (n, T, C), or a 2-D table (n, T) whose rows are "
    "univariate sequences."
)
_IMPUTE = (
    "Missing values inside a sequence are not supported: impute or cut them before "
    "(trailing all-NaN rows of a padded (n, T, C) array are taken as padding)."
)
_PADDING = "It is not guessed that the NaN from there on are padding: if they are, pass from_padded(X)."


class SparseInputError(ValueError, TypeError):
    """Sparse X: a ValueError like all wrong input, and a TypeError because scikit-learn takes it for one."""


def check_sequences(X: Any, *, estimator: Any = None, reset: bool = True) -> Sequences:
    """Turn any accepted input into `Sequences`, or say what is wrong with it.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), table (n, T), or Sequences
        - list, tuple or 1-D object array of n sequences, each (T_i, C) with T_i >= 1 and C the same
          everywhere; a sequence may be anything `numpy.asarray` takes (nested lists, DataFrame, CPU tensor);
        - array (n, T, C); steps at the end of a sequence that are NaN in every channel are padding and cut;
        - table (n, T): array, DataFrame, or list of n equally long 1-D rows; each row is a univariate
          sequence of T steps.

        `Sequences` pass through as they are: only the checks against the fitted estimator are made.
    estimator : estimator, default=None
        With `reset=True` it gets `n_channels_` and, for a table, `n_features_in_` and `feature_names_in_`;
        with `reset=False` X is compared with them.
    reset : bool, default=True
        True in `fit`, False afterwards.

    Returns
    -------
    Sequences
        Values are float32 for float16 and float32 input, else float64. Never a view of the caller's data.

    Raises
    ------
    ValueError
        For everything that is not one of the forms above; the message names the first offending sequence,
        step and channel (counted from 0) and the remedy.
    TypeError
        A cell of a 2-D object array is no number (scikit-learn's own error for it).

    Notes
    -----
    One copy of the data and time O(number of values); no Python per value or per step.
    """
    if isinstance(X, Sequences):
        _check_against(estimator, None, X, reset)
        return X
    X = _unwrap(X)
    if isinstance(X, list):
        sequences = _from_items(X)
    elif X.ndim == 3:
        sequences = _from_padded_array(X)
    else:
        sequences = _from_table(X, estimator)
    _check_against(estimator, X, sequences, reset)
    return sequences


# ------------------------------------------------------------------------------------ which form is it?


def _unwrap(X: Any) -> Any:
    """List of 2-D arrays, 3-D array, 2-D array or DataFrame: the form X has, or an error."""
    if sp.issparse(X):
        raise SparseInputError("Sparse X is not supported, sequences are dense: pass X.toarray().")
    if X is None or isinstance(X, (str, bytes, dict, set, frozenset, numbers.Number)):
        raise ValueError(f"X is {_kind_of(X)}. {_FORMS}")
    if _is_data_frame(X):
        return X
    if isinstance(X, (list, tuple)) or (getattr(X, "ndim", None) == 1 and _holds_objects(X)):
        return _unwrap_items(X, [_as_item(x, i) for i, x in enumerate(X)])
    array = _as_array(X, "X")
    if array.ndim not in (2, 3):
        raise _dimension_error(array)
    return array


def _unwrap_items(X: Any, items: list[np.ndarray]) -> Any:
    """Leave (T_i, C) items a list, stack equally long rows to a table, refuse the rest."""
    if not items:
        raise ValueError(f"X is empty: at least one sequence is needed. {_FORMS}")
    ndims = {a.ndim for a in items}
    if ndims == {2}:
        return items
    if ndims == {0} and items[0].dtype.kind != "O":
        raise _dimension_error(np.asarray(X))
    if ndims == {1}:
        if len({a.shape for a in items}) > 1:
            raise ValueError(
                "X is a list of 1-D arrays of unequal lengths, but a sequence is 2-D, (steps, channels). "
                "Pass [np.asarray(x).reshape(-1, 1) for x in X] if they are univariate sequences."
            )
        return np.stack(items)
    i = next(i for i, a in enumerate(items) if a.ndim != 2)
    raise _item_error(X.iloc[i] if hasattr(X, "iloc") else X[i], items[i], i)


def _item_error(x: Any, item: np.ndarray, i: int) -> ValueError:
    if sp.issparse(x):
        return SparseInputError(f"sequence {i} is sparse, which is not supported: pass its toarray().")
    return ValueError(
        f"sequence {i} is {_kind_of(x)} with {item.ndim} dimension(s), shape {item.shape}, but every "
        f"sequence must be 2-D, (steps, channels). {_FORMS}"
    )


def _dimension_error(array: np.ndarray) -> ValueError:
    if array.dtype.kind == "O" and array.ndim == 0:
        return ValueError(f"X is {_kind_of(array.item())}. {_FORMS}")
    if array.dtype.kind in "OUSTV":
        return ValueError(f"X holds text or objects (dtype {array.dtype}), not numbers. {_FORMS}")
    if array.ndim == 1:
        return ValueError(
            f"Expected sequences, got 1D array of shape {array.shape}. Reshape your data: one univariate "
            f"sequence is X.reshape(1, -1), a table of one row, or [X.reshape(-1, 1)]. {_FORMS}"
        )
    return ValueError(f"X has {array.ndim} dimension(s), shape {array.shape}. {_FORMS}")


def _is_data_frame(X: Any) -> bool:
    """Tell a DataFrame of pandas, polars and their like."""
    return hasattr(X, "columns") and hasattr(X, "shape")


def _holds_objects(X: Any) -> bool:
    return getattr(getattr(X, "dtype", None), "kind", None) == "O"


def _kind_of(x: Any) -> str:
    return "None" if x is None else f"of type {type(x).__name__}"


# ------------------------------------------------------------------------------------- arrays of numbers


def _as_array(x: Any, name: str) -> np.ndarray:
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(f"{name} has masked values, which are not supported: impute or cut them before.")
    try:
        return np.asarray(x)
    # nested lists of unequal lengths; tensors on a GPU or with a gradient
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}, {_kind_of(x)}, does not convert to an array: {error}") from error


def _as_item(x: Any, i: int) -> np.ndarray:
    return x if type(x) is np.ndarray else _as_array(x, f"sequence {i}")


def _numeric(array: np.ndarray, name: str) -> np.ndarray:
    """Real numbers as they are, objects converted to float64, everything else refused."""
    kind = array.dtype.kind
    if kind in "biuf":
        return array
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} is complex. Pass real and imaginary parts as channels.")
    if kind != "O":
        raise ValueError(f"{name} has dtype {array.dtype}: encode text, bytes or dates as numbers before.")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} has dtype object and holds what is no number: {error}") from error


def _to_float(arrays: list[np.ndarray]) -> np.ndarray:
    """Stack along the first axis into one new C-contiguous array.

    float32 when nothing is lost by it, else float64: time stamps and coordinates keep their digits.
    """
    small = all(d.kind == "f" and d.itemsize <= 4 for d in {a.dtype for a in arrays})
    with np.errstate(over="ignore"):  # an extended float that becomes inf is named by the check for it
        stacked = np.concatenate(arrays, dtype=np.float32 if small else np.float64, casting="unsafe")
    return np.ascontiguousarray(stacked)


# ------------------------------------------------------------------------------------------- three forms


def _from_items(items: list[np.ndarray]) -> Sequences:
    """List of (T_i, C)."""
    if not {a.dtype.kind for a in items} <= set("biuf"):
        items = [_numeric(a, f"sequence {i}") for i, a in enumerate(items)]
    shapes = np.array([a.shape for a in items], dtype=np.int64)  # (n, 2)
    _check_shapes(shapes)
    lengths = np.ascontiguousarray(shapes[:, 0])
    values = _to_float(items)
    _check_finite(values, lengths, _PADDING)
    return Sequences(values, lengths)


def _check_shapes(shapes: np.ndarray) -> None:
    """Refuse zero steps, zero channels and unequal channels; shapes (n, 2) holds (T_i, C_i)."""
    for count, what in zip(shapes.T, ("steps", "channels"), strict=True):
        if not count.all():
            i = int(np.argmin(count))
            raise ValueError(f"sequence {i} has zero {what}, shape {tuple(shapes[i].tolist())}: remove it.")
    channels = shapes[:, 1]
    differs = channels != channels[0]
    if differs.any():
        i = int(np.argmax(differs))
        raise ValueError(
            f"sequence {i} has {channels[i]} channels, but sequence 0 has {channels[0]}. Every sequence must "
            f"be (steps, channels) with the same channels.{_transposed_hint(shapes, i)}"
        )


def _transposed_hint(shapes: np.ndarray, i: int) -> str:
    if (shapes[:, 0] == shapes[0, 0]).all():
        return (
            f" All have {shapes[0, 0]} rows while their columns vary: if the axes are swapped, (channels, "
            "steps), pass from_channels_first(X)."
        )
    if shapes[i, 0] == shapes[0, 1]:
        return f" Its shape {tuple(shapes[i].tolist())} looks transposed, (channels, steps): pass its .T."
    return ""


def _from_padded_array(array: np.ndarray) -> Sequences:
    """Array (n, T, C), its NaN tails cut."""
    array = _numeric(array, "X")
    if 0 in array.shape:
        what = ("sequences", "steps", "channels")[array.shape.index(0)]
        raise ValueError(f"X of shape {array.shape} is empty, it has zero {what}. {_FORMS}")
    n, steps, channels = array.shape
    values = _to_float([array])
    lengths = np.full(n, steps, dtype=np.int64)
    if not _all_finite(values):
        lengths = _lengths_before_tail(values)
        values = values[np.arange(steps) < lengths[:, np.newaxis]]
        _check_finite(values, lengths)
    return Sequences(values.reshape(-1, channels), lengths)


def _lengths_before_tail(values: np.ndarray) -> np.ndarray:
    """Count the steps of every sequence before its all-NaN tail, (n,); values (n, T, C)."""
    filled = ~np.isnan(values[:, :, 0])
    for c in range(1, values.shape[2]):  # channel by channel is faster than any() along the short axis
        filled |= ~np.isnan(values[:, :, c])
    empty = ~filled.any(axis=1)
    if empty.any():
        i = int(np.argmax(empty))
        raise ValueError(f"sequence {i} is NaN at every step, so it has zero steps: remove it.")
    return (values.shape[1] - np.argmax(filled[:, ::-1], axis=1)).astype(np.int64)


def _from_table(table: Any, estimator: Any) -> Sequences:
    """Table (n, T), each row a univariate sequence; the usual errors in scikit-learn's own words."""
    try:
        array = check_array(table, ensure_all_finite=False, estimator=estimator, input_name="X")
    except (TypeError, ValueError) as error:
        if isinstance(error, TypeError) and not _is_data_frame(table):
            raise
        raise ValueError(f"{error} {_FORMS}") from error
    array = _numeric(array, "X")
    n, steps = array.shape
    values = _to_float([array]).reshape(-1, 1)
    lengths = np.full(n, steps, dtype=np.int64)
    _check_finite(values, lengths, _PADDING)
    return Sequences(values, lengths, table_width=steps)


# ------------------------------------------------------------------------------------------- finite values


def _all_finite(values: np.ndarray) -> bool:
    """One pass without a mask; a sum that overflows is settled with the mask."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())


def _check_finite(values: np.ndarray, lengths: np.ndarray, padding_hint: str = "") -> None:
    """Name the first NaN or inf of values (sum of lengths, C); the hint is given where a NaN tail begins."""
    if _all_finite(values):
        return
    row, channel = divmod(int(np.argmin(np.isfinite(values))), values.shape[1])
    ends = np.cumsum(lengths)
    i = int(np.searchsorted(ends, row, side="right"))
    step = row - int(ends[i] - lengths[i])
    what = "NaN" if np.isnan(values[row, channel]) else "infinite (inf)"
    hint = f" {padding_hint}" if padding_hint and np.isnan(values[row : ends[i]]).all() else ""
    raise ValueError(f"sequence {i}, step {step}, channel {channel} is {what}. {_IMPUTE}{hint}")


# ------------------------------------------------------------------------------------ the fitted estimator


def _check_against(estimator: Any, source: Any, sequences: Sequences, reset: bool) -> None:
    """Record what X looks like on the estimator, or compare; source is the table X was, if it is at hand."""
    if estimator is None:
        return
    if not reset:
        _check_channels(estimator, sequences)
    if sequences.table_width is not None and source is not None:
        validate_data(estimator, source, skip_check_array=True, reset=reset)
    elif reset:
        _forget_table(estimator)
        if sequences.table_width is not None:
            estimator.n_features_in_ = sequences.table_width
    elif sequences.table_width is not None:
        _check_width(estimator, sequences.table_width)
    if reset:
        estimator.n_channels_ = sequences.n_channels


def _forget_table(estimator: Any) -> None:
    for name in ("n_features_in_", "feature_names_in_"):
        if name in vars(estimator):
            delattr(estimator, name)


def _check_width(estimator: Any, width: int) -> None:
    expected = getattr(estimator, "n_features_in_", width)
    if width != expected:
        name = type(estimator).__name__
        raise ValueError(f"X has {width} features, but {name} is expecting {expected} features as input.")


def _check_channels(estimator: Any, sequences: Sequences) -> None:
    expected = getattr(estimator, "n_channels_", sequences.n_channels)
    if sequences.n_channels == expected:
        return
    hint = ""
    if sequences.table_width == expected:
        hint = " A single sequence of shape (steps, channels) is passed as [X]."
    elif (sequences.lengths == expected).all():
        hint = " If the axes are swapped, (channels, steps), pass from_channels_first(X)."
    raise ValueError(
        f"X has {sequences.n_channels} channel(s), but {type(estimator).__name__} was fitted with {expected} "
        f"channel(s).{hint}"
    )
