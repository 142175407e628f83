"""`to_long`: sequences, labels and groups become a table with one row for each case and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skseqmetric._input.arrays import as_array, positional
from skseqmetric._input.door import raw_sequences
from skseqmetric._input.labels import check_parts, joined_labels, label_array, one_label_each

_OWN = ("case", "time", "label", "group")


def to_long(
    X: Any,
    y: Any = None,
    groups: Any = None,
    *,
    times: Any = None,
    feature_names: Sequence[str] | None = None,
    case_ids: Any = None,
    backend: str = "pandas",
) -> Any:
    """Write sequences into a long table, one row for each case and time.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or table (n, T)
        Whatever the estimators take. Missing values stay NaN. Steps at the end of an array (n, T, C) that are NaN in
        every channel are padding and are cut off.
    y : array-like (n,), or list of n arrays (T_i,), default=None
        Labels of sequences, or of steps.
    groups : array-like (n,), default=None
        Groups of sequences.
    times : list of n arrays (T_i,), default=None
        Time stamps. None: 0, 1, 2, ... in each sequence.
    feature_names : list of C str, default=None
        Names of the channels. None: those that X has, or "channel_0", "channel_1", ...
    case_ids : array-like (n,), default=None
        Ids of the sequences. None: 0, 1, 2, ...
    backend : str, default="pandas"
        Library of the result, such as "pandas", "polars" or "pyarrow". It must be installed.

    Returns
    -------
    frame : data frame
        The columns "case" and "time", the channels, and "label" and "group" if they are given. Ids that are tuples
        take the columns "case_0", "case_1", ...

    Raises
    ------
    ValueError
        X has no accepted form. Labels, groups, times or ids are not one for each sequence or step. A channel has the
        name of another column, or a name that is no text. The message names the sequence.
    ImportError
        The library of the result is not installed.

    See Also
    --------
    from_long : The way back. It takes the parts that this function wrote, bit for bit.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import from_long, to_long
    >>> table = to_long([np.array([[1.0], [2.0]]), np.array([[3.0]])], ["up", "flat"])
    >>> table.columns.tolist(), len(table)
    (['case', 'time', 'channel_0', 'label'], 3)
    >>> data = from_long(table, case="case", time="time", label="label")
    >>> [x.tolist() for x in data.X], data.y.tolist()
    ([[[1.0], [2.0]], [[3.0]]], ['up', 'flat'])
    """
    import narwhals

    items, own_names = raw_sequences(X)
    lengths = np.array([len(x) for x in items])
    names = _channel_names(feature_names if feature_names is not None else own_names, items[0].shape[1])
    values = np.concatenate(items)
    table = {**_case_columns(case_ids, lengths), "time": _stamps(times, lengths)}
    table.update({name: values[:, c] for c, name in enumerate(names)})
    if y is not None:
        table["label"] = _labels(y, lengths)
    if groups is not None:
        table["group"] = np.repeat(one_label_each(groups, len(items), "groups", "sequences"), lengths)
    try:
        chosen: Any = backend
        return narwhals.from_dict({name: _plain(column) for name, column in table.items()}, backend=chosen).to_native()
    except ValueError as error:
        raise ValueError(f"backend={backend!r} cannot hold this table: {error}") from error


def _plain(column: np.ndarray) -> Any:
    """Return a column in a form that all libraries take: text as a list, numbers contiguous."""
    return column.tolist() if column.dtype.kind in "OUS" else np.ascontiguousarray(column)


def _channel_names(given: Any, n_channels: int) -> list[str]:
    names = [f"channel_{c}" for c in range(n_channels)] if given is None else list(given)
    if len(names) != n_channels:
        raise ValueError(f"feature_names has {len(names)} names, but X has {n_channels} channels.")
    for c, name in enumerate(names):
        if not isinstance(name, str):
            raise ValueError(f"channel {c} has the name {name!r}, which is no text: pass feature_names=[...].")
        if name in _OWN or name in names[:c]:
            raise ValueError(f"channel {c} has the name {name!r} of another column: pass feature_names=[...].")
    return names


def _case_columns(case_ids: Any, lengths: np.ndarray) -> dict[str, np.ndarray]:
    n = len(lengths)
    if case_ids is None:
        return {"case": np.repeat(np.arange(n), lengths)}
    items = list(positional(case_ids, "case_ids"))
    if len(items) != n or len(set(items)) != n:
        raise ValueError(f"case_ids holds {len(set(items))} different ids for {n} sequences: give each its own.")
    if not isinstance(items[0], tuple):
        return {"case": np.repeat(one_label_each(case_ids, n, "case_ids", "sequences"), lengths)}
    parts = zip(*items, strict=True)
    return {f"case_{k}": np.repeat(label_array(list(part), "case_ids"), lengths) for k, part in enumerate(parts)}


def _stamps(times: Any, lengths: np.ndarray) -> np.ndarray:
    if times is None:
        return np.concatenate([np.arange(steps) for steps in lengths])
    found = [as_array(part, f"times[{i}]") for i, part in enumerate(check_parts(times, len(lengths), "times"))]
    for i, (part, steps) in enumerate(zip(found, lengths.tolist(), strict=True)):
        if part.shape != (steps,):
            raise ValueError(f"times[{i}] has shape {part.shape}, but sequence {i} has {steps} steps.")
    return np.concatenate(found)


def _labels(y: Any, lengths: np.ndarray) -> np.ndarray:
    """Return the label of every row, of labels of sequences or of steps."""
    parts = check_parts(y, len(lengths), "labels")
    if all(np.ndim(part) == 0 for part in parts):
        return np.repeat(label_array(parts, "y"), lengths)
    found = [label_array(part, f"y[{i}]") for i, part in enumerate(parts)]
    for i, (part, steps) in enumerate(zip(found, lengths.tolist(), strict=True)):
        if part.shape != (steps,):
            raise ValueError(f"y[{i}] has shape {part.shape}, but sequence {i} has {steps} steps.")
    return joined_labels(found)
