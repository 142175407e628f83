"""What every estimator works on after its input is checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from skseqmetric._files import check_lengths, record
from skseqmetric._input.arrays import as_array, positional
from skseqmetric._input.lent import LentSteps


@record(
    values="floats S C", lengths="int64 n", table_width="none|int", channel_names="none|list", feature_names="none|list"
)
@dataclass(frozen=True, eq=False)
class Sequences:
    """n sequences stacked along time: what `check_sequences` returns.

    Every estimator accepts `Sequences` as X and does not check or copy them again.

    Parameters
    ----------
    values : ndarray (sum of lengths, C) float32 or float64
        All steps of all sequences, finite and C-contiguous.
    lengths : ndarray (n,) int64
        Number of steps of each sequence, >= 1.
    table_width : int or None, default=None
        Number of columns if the input was a 2-D table, else None.
    channel_names, feature_names : tuple or None, default=None
        Names of the channels, or of the columns of a table, if the input were data frames.

    See Also
    --------
    check_sequences : Makes `Sequences` from lists, arrays and tables. The constructor checks nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import check_sequences
    >>> sequences = check_sequences([np.zeros((2, 3)), np.ones((4, 3))])
    >>> len(sequences), sequences.n_channels, sequences.values.shape
    (2, 3, (6, 3))
    >>> sequences[1].shape, sequences.take([1, 1, 0]).lengths.tolist()
    ((4, 3), [4, 4, 2])
    """

    values: np.ndarray
    lengths: np.ndarray
    table_width: int | None = None
    channel_names: tuple[Any, ...] | None = None
    feature_names: tuple[Any, ...] | None = None

    def check_record(self) -> None:
        """Raise ValueError if the lengths do not fit the values."""
        check_lengths(self.lengths, len(self.values))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> np.ndarray:
        """View of sequence i, (T_i, C)."""
        start = int(self.offsets[i])
        return self.values[start : start + int(self.lengths[i])]

    @property
    def n_channels(self) -> int:
        """Channels of every step, C."""
        return int(self.values.shape[1])

    @cached_property
    def offsets(self) -> np.ndarray:
        """First row of each sequence in `values`, (n,) int64."""
        return np.cumsum(self.lengths) - self.lengths

    def to_list(self) -> list[np.ndarray]:
        """Return the single sequences.

        Returns
        -------
        sequences : list of n arrays (T_i, C)
            Views of `values`.
        """
        starts = self.offsets.tolist()
        return [self.values[s : s + t] for s, t in zip(starts, self.lengths.tolist(), strict=True)]

    def take(self, indices: Any) -> Sequences:
        """Copy some sequences.

        Parameters
        ----------
        indices : array-like of int, mask of bool, or slice
            Which sequences, in which order.

        Returns
        -------
        sequences : Sequences
        """
        indices = np.arange(len(self))[as_index(indices)]
        lengths = self.lengths[indices]
        if isinstance(self.values, LentSteps):
            return replace(self, values=self.values.chosen(indices), lengths=lengths)
        return replace(self, values=self.values[rows_of_steps(self.lengths, indices)], lengths=lengths)


def rows_of_steps(lengths: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the rows of the steps of some sequences, in the stacked steps of sequences of these lengths (n,)."""
    chosen, offsets = lengths[indices], np.cumsum(lengths) - lengths
    shift = offsets[indices] - (np.cumsum(chosen) - chosen)
    return np.repeat(shift, chosen) + np.arange(chosen.sum())


def as_index(indices: Any) -> Any:
    """Indices that NumPy takes: a slice as it is, everything else an array."""
    if isinstance(indices, slice) or (type(indices) is np.ndarray and indices.dtype.kind == "i" and indices.ndim == 1):
        return indices
    array = as_array(positional(indices, "indices", "Pass integers, a boolean mask or a slice."), "indices")
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise ValueError(
            f"indices has shape {array.shape} and dtype {array.dtype}: pass a list of integers, a boolean mask or a "
            "slice."
        )
    return array.astype(np.int64) if array.size == 0 else array  # an empty list is float64 to NumPy
