"""The channel that holds time stamps."""

from __future__ import annotations

import numpy as np

from skseqmetric._input import Sequences


def time_column(time_channel: int | str | None, sequences: Sequences) -> int | None:
    """Return the number of the channel that a parameter names.

    Raises
    ------
    ValueError
        There is no such channel, or no other one.
    """
    if time_channel is None:
        return None
    names, n = sequences.channel_names, sequences.n_channels
    if isinstance(time_channel, str):
        if names is None or time_channel not in names:
            known = "have no names: pass its number" if names is None else f"are {list(names)}"
            raise ValueError(f"there is no time_channel={time_channel!r}: the channels {known}.")
        column = names.index(time_channel)
    else:
        column = int(time_channel)
    if column >= n:
        raise ValueError(f"time_channel={column} is not among the {n} channels of X, counted from 0.")
    if n == 1:
        raise ValueError("X has the channel of time stamps alone, and nothing that was observed at these times.")
    return column


def data_columns(sequences: Sequences, column: int | None) -> np.ndarray:
    """Return the numbers of the channels that are no time stamps."""
    columns = np.arange(sequences.n_channels)
    return columns if column is None else np.delete(columns, column)


def time_stamps(sequences: Sequences, column: int | None) -> np.ndarray | None:
    """Return the time stamps of all steps (S,), in float64.

    Raises
    ------
    ValueError
        A time stamp is missing, or does not come after the one before it.
    """
    if column is None:
        return None
    times = sequences.values[:, column].astype(np.float64)
    later = np.diff(times, prepend=-np.inf) > 0
    later[sequences.offsets] = ~np.isnan(times[sequences.offsets])
    if not later.all():
        row = int(np.argmin(later))
        i = int(np.searchsorted(sequences.offsets, row, side="right")) - 1
        step = row - int(sequences.offsets[i])
        what = "is missing" if np.isnan(times[row]) else f"is {times[row]:.17g}, after {times[row - 1]:.17g}"
        digits = " float32 has seven digits: pass float64." if sequences.values.dtype == np.float32 else ""
        raise ValueError(
            f"the time stamp of sequence {i}, step {step} {what}. Time stamps must increase within a sequence: sort "
            f"its steps, and keep one of those with equal times.{digits}"
        )
    return times
