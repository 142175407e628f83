"""`check_sequences`: ragged lists, padded arrays and tables become `Sequences`."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skseqmetric._input.arrays import SparseInputError, as_array, kind_of, real_numbers, refuse_other_objects, unnested
from skseqmetric._input.frames import (
    Names,
    as_names,
    cases_of,
    column_names,
    compare_names,
    frame_array,
    is_frame,
    is_panel,
    refuse_long,
    shared_names,
)
from skseqmetric._input.lent import BLOCK, LentSteps, blocks_of_steps, is_large, owned
from skseqmetric._input.missing import completed, is_completed
from skseqmetric._input.named_arrays import named
from skseqmetric._input.nested import held_sequences, item_of_dimensions
from skseqmetric._input.sequences import Sequences
from skseqmetric._input.suspicious import warn_if_suspicious
from skseqmetric._input.tokens import REMEDY, holds_tokens, token_sequences

_FORMS = (
    "Pass a list of (T_i, C) arrays, an array of shape (n, T, C), or a 2-D table (n, T) whose rows are "
    "univariate sequences."
)
_IMPUTE = (
    "Missing values inside a sequence are refused by default: impute them or cut them off first. SequenceImputer, or "
    'missing="interpolate" of the estimator, fills them '
    "(trailing all-NaN rows of a padded (n, T, C) array are taken as padding)."
)
_PADDING = "All later steps are NaN too: if they are padding, pass from_padded(X)."


MISSING = frozenset({"error", "interpolate", "mask"})
"""What the parameter `missing` of estimators may be."""

KEPT = "keep"
"""NaN come through the door: the estimator hands the sequences on to what fills them, or fills them itself."""


def check_sequences(X: Any, *, estimator: Any = None, reset: bool = True) -> Sequences:
    """Turn any accepted input into `Sequences`, or say what is wrong with it.

    Every estimator of this package passes its X through this function. Use it in your own estimators too: they then
    accept the same input and refuse the rest with the same messages.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), table (n, T), or Sequences
        - List, tuple or 1-D object array of n sequences, each (T_i, C) with T_i >= 1 and the same C. A sequence may
          be anything that `numpy.asarray` takes (nested lists, data frame), or a tensor on any device.
        - Array (n, T, C). Steps at the end of a sequence that are NaN in every channel are padding and are cut off.
        - Table (n, T): array, data frame, or list of n equally long 1-D rows. Each row is a univariate sequence of T
          steps.
        - pandas frame or Series with the two-level index (case, time): one sequence for each case, in the order of
          their first rows. The rows of a case are sorted by time, and the columns are the channels.
        - Frame or Hugging Face data set whose cells hold series: row i is sequence i, and the columns are the channels.
          A single column may hold (T_i, C) series.
        - DataArray or Dataset of xarray. The names of its dimensions say which is case, time and channel. Its steps are
          sorted by time.
        - Nested tensor of torch.
        - `Sequences` are returned as they are. They are only compared with the fitted estimator.

        An estimator with `tokens=True` takes lists of tokens instead: sequence i is a list (T_i,) of text or integers,
        or (T_i, C) with C tokens a step. The values of the result are then the tokens, dtype object.
    estimator : estimator, default=None
        With `reset=True` it gets `n_channels_`, for data frames as sequences `channel_names_in_`, and for a table
        `n_features_in_` and `feature_names_in_`. With `reset=False` X is compared with these attributes.
    reset : bool, default=True
        True in `fit`, False in every other method.

    Returns
    -------
    Sequences
        Values are float32 for float16 and float32 input, else float64. They are never a view of the caller's data.

    Raises
    ------
    ValueError
        X has none of these forms. The message names the first wrong sequence, step and channel (counted from 0) and
        says what to do. Or the columns of data frames differ from each other, or from those of `fit`.
    TypeError
        A cell of a 2-D object array is not a number (scikit-learn's own error for it).

    Warns
    -----
    SuspiciousShapeWarning
        X is accepted, but looks like a mistake, such as a frame of few columns and many rows.

    See Also
    --------
    check_images : The same for images.
    to_padded, from_padded, from_channels_first : Convert between layouts.

    Notes
    -----
    Containers are read by position. The index of a pandas Series of sequences has no meaning.

    An estimator with a parameter `missing` other than "error" gets its missing values filled here, in `fit` and in all
    other methods. With "mask" the result has three channels for each of X.

    Data frames of pandas, polars and pyarrow name their columns. As in scikit-learn, there is a warning if only one of
    `fit` and the later X has names.

    A list of float arrays or a 3-D array is copied once, into `values`. Time is O(number of values), without a Python
    loop over values or steps.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import check_sequences
    >>> sequences = check_sequences([np.zeros((2, 3)), np.ones((4, 3))])
    >>> sequences.values.shape, sequences.lengths.tolist()
    ((6, 3), [2, 4])
    >>> check_sequences([np.zeros((2, 3)), np.ones((4, 2))])
    Traceback (most recent call last):
    ...
    ValueError: sequence 1 has 2 channels, but sequence 0 has 3. Every sequence must be (steps, channels) with the same
    channels.

    In an estimator of one's own:

    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> class LastStep(TransformerMixin, BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         check_sequences(X, estimator=self)
    ...         return self
    ...
    ...     def transform(self, X):
    ...         sequences = check_sequences(X, estimator=self, reset=False)
    ...         return sequences.values[sequences.offsets + sequences.lengths - 1]
    >>> LastStep().fit_transform([[[1.0], [2.0]], [[3.0]]]).tolist()
    [[2.0], [3.0]]
    """
    return _checked(X, estimator, reset, lend=False)


def lent_sequences(X: Any, *, estimator: Any = None, reset: bool = True) -> Sequences:
    """Check X as `check_sequences` does, but leave large input where it is: its values are read, never written.

    `owned` copies them. Whatever outlives the call must be owned.
    """
    return _checked(X, estimator, reset, lend=True)


def _checked(X: Any, estimator: Any, reset: bool, *, lend: bool) -> Sequences:
    """Return `Sequences`. With `lend`, the values of large input may be `LentSteps` instead of a copy."""
    reads_tokens = hasattr(estimator, "_reads_tokens") and estimator._reads_tokens(reset=reset)
    if isinstance(X, Sequences):
        if holds_tokens(X) != reads_tokens:
            raise ValueError(
                f"X are Sequences of tokens, not of numbers. {REMEDY}"
                if holds_tokens(X)
                else "X are Sequences of numbers, but the estimator has tokens=True: pass lists of tokens."
            )
        rule = "error" if reads_tokens else missing_rule(estimator, reset=reset)
        if rule == "mask" and not reset and is_completed(X, estimator):
            return X
        _check_against(estimator, None, X, reset)
        if rule in ("error", KEPT):
            return X if lend else owned(X)
        return completed(X, estimator, rule, reset=reset)
    if reads_tokens:
        sequences = token_sequences(X)
        _check_against(estimator, None, sequences, reset)
        return sequences
    form, names = _unwrap(X)
    source = form
    rule = missing_rule(estimator, reset=reset)
    gaps = rule != "error"
    lend = lend and not gaps  # gaps are filled in a copy
    if isinstance(form, list):
        sequences = _from_items(form, names, lend, gaps=gaps)
    elif form.ndim == 3:
        sequences = _from_padded_array(form, names, lend, gaps=gaps)
    else:
        source = X if hasattr(X, "iloc") else None if is_frame(X) else form  # scikit-learn knows frames of pandas
        sequences = _from_table(form if source is None else source, form, names, estimator, lend, gaps=gaps)
    _check_against(estimator, source, sequences, reset)
    warn_if_suspicious(X, sequences, estimator, reset)
    return sequences if rule in ("error", KEPT) else completed(sequences, estimator, rule, reset=reset)


def raw_sequences(X: Any) -> tuple[list[np.ndarray], Names]:
    """Return the sequences of any accepted input as a list of (T_i, C) arrays, with the names of their channels.

    Their dtypes are those of the input, and values may be missing. Padding of an array (n, T, C) is cut off.
    """
    if isinstance(X, Sequences):
        return X.to_list(), X.channel_names
    form, names = _unwrap(X)
    if isinstance(form, list):
        items = [_numbers(a, f"sequence {i}") for i, a in enumerate(form)]
        _check_shapes(np.array([a.shape for a in items], dtype=np.int64))
        return items, names
    array = _numbers(form, "X")
    if 0 in array.shape:
        raise ValueError(f"X of shape {array.shape} is empty. {_FORMS}")
    if array.ndim == 2:
        return list(array[:, :, np.newaxis]), None
    if array.dtype.kind != "f":
        return list(array), names
    return [x[:steps] for x, steps in zip(array, _lengths_before_tail(array), strict=True)], names


# ------------------------------------------------------------------------------------ which form is it?


def _unwrap(X: Any) -> tuple[Any, Names]:
    """List of 2-D arrays, 3-D array or 2-D array: the form X has, with the names of its columns; or an error."""
    if isinstance(X, (list, tuple)):
        return _unwrap_items(list(X))
    if is_panel(X) and X.ndim <= 2:
        return cases_of(X)
    held = held_sequences(X)
    if held is not None:
        return _unwrap_items(held[0], held[1]) if isinstance(held[0], list) else held
    refuse_other_objects(X, "X", _FORMS)
    if is_frame(X):
        refuse_long(X)
        return _checked_dimensions(frame_array(X, "X")), column_names(X)
    if not hasattr(X, "__array__"):
        return _unwrap_items(list(X))
    array = as_array(X, "X")
    if array.ndim == 1 and array.dtype.kind == "O":
        return _unwrap_items(list(array))
    return _checked_dimensions(array), None


def _checked_dimensions(array: np.ndarray) -> np.ndarray:
    if array.ndim not in (2, 3):
        raise _dimension_error(array)
    return array


def _unwrap_items(X: list[Any], names: Names = None) -> tuple[Any, Names]:
    """Return a list of (T_i, C) items as it is, stack equally long rows to a table, and refuse the rest."""
    if not X:
        raise ValueError(f"X is empty: at least one sequence is needed. {_FORMS}")
    if any(map(hasattr, X, ["isel"] * len(X))):
        X = [named(*item_of_dimensions(x)) for x in X]
    items = [_as_item(x, i) for i, x in enumerate(X)]
    ndims = {a.ndim for a in items}
    if ndims == {2}:
        return items, names if names or all(type(x) is np.ndarray for x in X) else shared_names(X)
    if ndims == {0} and items[0].dtype.kind != "O":
        raise _dimension_error(np.asarray(items))
    if ndims == {1}:
        text = next((i for i, a in enumerate(items) if _is_text(a)), None)
        if text is not None:
            raise ValueError(f"sequence {text} holds text, which is not a number. {_FORMS} {REMEDY}")
        if len({a.shape for a in items}) > 1:
            raise ValueError(
                "X is a list of 1-D arrays of unequal lengths, but a sequence is 2-D, (steps, channels). "
                "Pass [np.asarray(x).reshape(-1, 1) for x in X] if they are univariate sequences."
            )
        return np.stack(items), None
    i = next(i for i, a in enumerate(items) if a.ndim != 2)
    raise _item_error(X[i], items[i], i)


def _numbers(array: np.ndarray, name: str) -> np.ndarray:
    """Return real numbers. The error for text says what to do with tokens."""
    try:
        return real_numbers(array, name)
    except ValueError as error:
        if not _is_text(array):
            raise
        raise ValueError(f"{error} {REMEDY}") from error


def _is_text(array: np.ndarray) -> bool:
    return bool(array.size) and array.dtype.kind in "UTO" and isinstance(array.flat[0], str)


def _item_error(x: Any, item: np.ndarray, i: int) -> ValueError:
    if sp.issparse(x):
        return SparseInputError(f"sequence {i} is sparse, which is not supported: pass its toarray().")
    return ValueError(
        f"sequence {i} is {kind_of(x)} with {item.ndim} dimension(s), shape {item.shape}, but every "
        f"sequence must be 2-D, (steps, channels). {_FORMS}"
    )


def _dimension_error(array: np.ndarray) -> ValueError:
    if array.dtype.kind == "O" and array.ndim == 0:
        return ValueError(f"X is {kind_of(array.item())}. {_FORMS}")
    if array.dtype.kind in "OUSTV":
        return ValueError(f"X holds text or objects (dtype {array.dtype}), not numbers. {_FORMS} {REMEDY}")
    if array.ndim == 1:
        return ValueError(
            f"Expected sequences, got 1D array of shape {array.shape}. Reshape your data: one univariate "
            f"sequence is X.reshape(1, -1), a table of one row, or [X.reshape(-1, 1)]. {_FORMS}"
        )
    return ValueError(f"X has {array.ndim} dimension(s), shape {array.shape}. {_FORMS}")


# ------------------------------------------------------------------------------------- arrays of numbers


def _as_item(x: Any, i: int) -> np.ndarray:
    if type(x) is np.ndarray:
        return x
    name = f"sequence {i}"
    return frame_array(x, name) if is_frame(x) else unnested(as_array(x, name), name)


def _float_dtype(arrays: list[np.ndarray]) -> type[np.floating]:
    """float32 if all input is float16 or float32, else float64: time stamps and coordinates keep their digits."""
    small = all(d.kind == "f" and d.itemsize <= 4 for d in {a.dtype for a in arrays})
    return np.float32 if small else np.float64


def _to_float(arrays: list[np.ndarray]) -> np.ndarray:
    """Stack along the first axis into one new C-contiguous array of floats."""
    shape = (sum(map(len, arrays)), *arrays[0].shape[1:])
    stacked = np.empty(shape, dtype=_float_dtype(arrays))  # without it, concatenate may choose Fortran order
    with np.errstate(over="ignore"):  # an extended float that becomes inf is found and named later
        return np.concatenate(arrays, out=stacked, casting="unsafe")


# ------------------------------------------------------------------------------------------- three forms


def _from_items(items: list[np.ndarray], names: Names, lend: bool, *, gaps: bool) -> Sequences:
    """List of (T_i, C). With `gaps` values may be NaN."""
    if not {a.dtype.kind for a in items} <= set("biuf"):
        items = [_numbers(a, f"sequence {i}") for i, a in enumerate(items)]
    shapes = np.array([a.shape for a in items], dtype=np.int64)  # (n, 2)
    _check_shapes(shapes)
    lengths = np.ascontiguousarray(shapes[:, 0])
    values: Any = (
        LentSteps(items, lengths, _float_dtype(items))
        if lend and is_large(sum(a.size for a in items))
        else _to_float(items)
    )
    return _finite(Sequences(values, lengths, channel_names=names), _PADDING, gaps=gaps)


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


def _from_padded_array(array: np.ndarray, names: Names, lend: bool, *, gaps: bool) -> Sequences:
    """Array (n, T, C), its NaN tails cut off."""
    array = real_numbers(array, "X")
    if 0 in array.shape:
        what = ("sequences", "steps", "channels")[array.shape.index(0)]
        raise ValueError(f"X of shape {array.shape} is empty, it has zero {what}. {_FORMS}")
    n, steps, channels = array.shape
    has_tails = not _all_finite(array)
    lengths = _lengths_before_tail(array) if has_tails else np.full(n, steps, dtype=np.int64)
    values: Any
    if lend and is_large(array.size):
        values = LentSteps(array, lengths, _float_dtype([array]))
    elif not has_tails:
        values = _to_float([array]).reshape(-1, channels)
    else:
        kept = (np.arange(steps) < lengths[:, np.newaxis]).ravel()
        values = array.reshape(-1, channels).compress(kept, axis=0)
        with np.errstate(over="ignore"):
            values = values.astype(_float_dtype([array]), copy=False)
    return _finite(Sequences(values, lengths, channel_names=names), gaps=gaps)


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


def _from_table(table: Any, array: np.ndarray, names: Names, estimator: Any, lend: bool, *, gaps: bool) -> Sequences:
    """Table (n, T), each row a univariate sequence; the usual errors in scikit-learn's own words."""
    if array.dtype.kind == "O" and any(isinstance(item, (str, bytes)) for item in array.flat):
        raise ValueError(f"X holds text, which is not a number: could not convert string to float. {_FORMS} {REMEDY}")
    try:
        array = check_array(table, ensure_all_finite=False, estimator=estimator, input_name="X")
    except (TypeError, ValueError) as error:
        if isinstance(error, TypeError) and not is_frame(table):
            raise
        raise ValueError(f"{error} {_FORMS}{' ' + REMEDY if _is_text(array) else ''}") from error
    array = real_numbers(array, "X")
    n, steps = array.shape
    lengths = np.full(n, steps, dtype=np.int64)
    values: Any
    if lend and is_large(array.size):
        values = LentSteps(array[:, :, np.newaxis], lengths, _float_dtype([array]))
    else:
        values = _to_float([array]).reshape(-1, 1)
    if names is not None and not all(isinstance(name, str) for name in names):
        names = None  # as in scikit-learn
    return _finite(Sequences(values, lengths, table_width=steps, feature_names=names), _PADDING, gaps=gaps)


# ------------------------------------------------------------------------------------------- finite values


def _all_finite(values: np.ndarray) -> bool:
    """Whether all values are finite: one pass without a mask, and a mask only of a part whose sum is not finite."""
    if values.dtype.kind != "f":
        return True
    size = max(1, BLOCK // max(1, values[:1].size))
    with np.errstate(over="ignore", invalid="ignore"):
        return all(
            bool(np.isfinite(part.sum())) or bool(np.isfinite(part).all())
            for part in (values[start : start + size] for start in range(0, len(values), size))
        )


def _finite(sequences: Sequences, padding_hint: str = "", *, gaps: bool = False) -> Sequences:
    """Return the sequences, or refuse inf and, unless gaps are allowed, NaN: with the hint for NaN up to an end."""
    for block in blocks_of_steps(sequences):
        part = sequences.values[block]
        if not _all_finite(part):
            fine = ~np.isinf(part) if gaps else np.isfinite(part)
            if not fine.all():
                row, channel = divmod(int(np.argmin(fine)), part.shape[1])
                _refuse_value(sequences, block.start + row, channel, padding_hint)
    return sequences


def _refuse_value(sequences: Sequences, row: int, channel: int, padding_hint: str) -> NoReturn:
    ends = np.cumsum(sequences.lengths)
    i = int(np.searchsorted(ends, row, side="right"))
    step = row - int(ends[i] - sequences.lengths[i])
    what = "NaN" if np.isnan(sequences.values[row, channel]) else "infinite (inf)"
    hint = f" {padding_hint}" if padding_hint and np.isnan(sequences.values[row : int(ends[i])]).all() else ""
    raise ValueError(f"sequence {i}, step {step}, channel {channel} is {what}. {_IMPUTE}{hint}")


# ------------------------------------------------------------------------------------ the fitted estimator


def missing_rule(estimator: Any, *, reset: bool) -> str:
    """Return what an estimator does with NaN. After a fit that is what the fit did, and not a changed parameter."""
    fitted = not reset and hasattr(estimator, "n_channels_")
    found = vars(estimator).get("_missing", "error") if fitted else getattr(estimator, "missing", "error")
    if isinstance(found, str) and found in MISSING - {"error"}:
        return found
    return KEPT if hasattr(estimator, "_keeps_missing") and estimator._keeps_missing(reset=reset) else "error"


def _check_against(estimator: Any, source: Any, sequences: Sequences, reset: bool) -> None:
    """Record what X looks like on the estimator, or compare the two; source is the table that X was, if known."""
    if estimator is None:
        return
    if reset:
        _forget(estimator)
    else:
        _check_channels(estimator, sequences)
    if sequences.table_width is None:
        _names(estimator, sequences.channel_names, "channel", reset)
    elif source is not None:
        validate_data(estimator, source, skip_check_array=True, reset=reset)
    else:
        if reset:
            estimator.n_features_in_ = sequences.table_width
        else:
            _check_width(estimator, sequences.table_width)
        _names(estimator, sequences.feature_names, "feature", reset)
    if reset:
        estimator.n_channels_ = int(sequences.values.shape[1])


def _forget(estimator: Any) -> None:
    for name in ("n_features_in_", "feature_names_in_", "channel_names_in_", "fill_values_", "_missing"):
        if name in vars(estimator):
            delattr(estimator, name)


def _names(estimator: Any, names: Names, kind: str, reset: bool) -> None:
    """Keep the names of channels or features, or compare them with those of the fit."""
    attribute = f"{kind}_names_in_"
    if not reset:
        fitted = getattr(estimator, attribute, None)
        compare_names(estimator, names, None if fitted is None else tuple(fitted), kind)
    elif names is not None:
        setattr(estimator, attribute, as_names(names))


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
