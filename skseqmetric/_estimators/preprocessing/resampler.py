"""SequenceResampler: sequences at another rate, or with another number of steps."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skseqmetric._estimators.preprocessing.base import SequencePreprocessor
from skseqmetric._estimators.preprocessing.times import data_columns, time_column, time_stamps
from skseqmetric._input import Sequences
from skseqmetric._ops.progress import tracked
from skseqmetric._ops.resampling import at_rate, grid_length, with_steps

MOST_FINER = 1000
"""Largest factor by which a rate may exceed that of the time stamps: beyond it the units differ."""


class SequenceResampler(SequencePreprocessor):
    """Brings sequences to one rate by their time stamps, or to one number of steps.

    The new steps lie on a regular grid from the first step on: with `rate` at the times :math:`t_0 + j / f`, with
    `n_steps` evenly from the first step to the last. Where a sequence gets fewer steps, a low-pass filter first removes
    frequencies above half the new rate, so that they do not appear as other ones.

    Parameters
    ----------
    n_steps : "median" or int, default="median"
        Steps of every sequence, >= 1. "median" is the median length of the training sequences. It must be "median" if
        `rate` is given, and has no effect then.
    rate : float or None, default=None
        New rate f, in steps for one unit of time: Hz if time stamps are seconds. Sequences keep their durations.
    time_channel : int, str or None, default=None
        Number or name of the channel with the time stamps, which the output does not have. They must be complete and
        increase within a sequence.
    input_rate : float or None, default=None
        Rate of sequences without time stamps, in steps for one unit of time. Only with `rate`.
    verbose : int, default=0
        1 shows a progress bar where the work takes longer than half a second.

    Attributes
    ----------
    n_steps_ : int or None
        Steps of every new sequence. None with `rate`.
    time_column_ : int or None
        Number of the channel with the time stamps.
    n_channels_ : int
        Channels C of the input.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.

    Raises
    ------
    ValueError
        `rate` comes without time stamps and `input_rate`, or with a number of steps. Time stamps do not increase. A
        new sequence would have more than 1,000 times as many steps: the units of rate and time stamps then differ.

    See Also
    --------
    SequenceImputer : Fills missing values first.

    Notes
    -----
    Regular sequences pass the polyphase filter of `scipy.signal.resample_poly`, after the line from the first value to
    the last is taken off. A straight line is thus exact, and ends do not ring. Time stamps are regular if they lie
    within a twentieth of an interval of a regular grid. Others are interpolated linearly, at least as finely as they
    were observed on average, before the filter.

    References
    ----------
    .. [1] R. E. Crochiere, L. R. Rabiner, "Multirate Digital Signal Processing", Prentice-Hall, 1983.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import SequenceResampler
    >>> X = [np.column_stack([t, 3 * t]) for t in (np.arange(9) / 4, np.arange(5) / 2)]
    >>> [x.ravel().round(9).tolist() for x in SequenceResampler(rate=1, time_channel=0).fit_transform(X)]
    [[0.0, 3.0, 6.0], [0.0, 3.0, 6.0]]
    >>> [len(x) for x in SequenceResampler(20).fit_transform(X)]
    [20, 20]
    """

    _stored: ClassVar[dict[str, str]] = {"n_steps_": "none|int", "time_column_": "none|int"}

    _parameter_constraints: dict[str, list[Any]] = {
        **SequencePreprocessor._parameter_constraints,
        "n_steps": [StrOptions({"median"}), Interval(Integral, 1, None, closed="left")],
        "rate": [Interval(Real, 0, None, closed="neither"), None],
        "time_channel": [Interval(Integral, 0, None, closed="left"), str, None],
        "input_rate": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        n_steps: Any = "median",
        *,
        rate: float | None = None,
        time_channel: int | str | None = None,
        input_rate: float | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_steps = n_steps
        self.rate = rate
        self.time_channel = time_channel
        self.input_rate = input_rate
        self.verbose = verbose

    def _learn(self, sequences: Sequences) -> None:
        self._check_combinations()
        self.time_column_ = time_column(self.time_channel, sequences)
        median = int(np.median(sequences.lengths))
        self.n_steps_ = None if self.rate is not None else median if self.n_steps == "median" else int(self.n_steps)

    def _check_combinations(self) -> None:
        if self.rate is not None and self.n_steps != "median":
            raise ValueError(f"rate={self.rate} and n_steps={self.n_steps} contradict each other: pass one of them.")
        if self.input_rate is not None and (self.rate is None or self.time_channel is not None):
            raise ValueError("input_rate is for rate= without a time_channel: leave it out.")
        if self.rate is not None and self.time_channel is None and self.input_rate is None:
            raise ValueError(
                f"rate={self.rate} needs the times of the steps: pass time_channel, or input_rate if they are regular."
            )

    def _applied(self, sequences: Sequences) -> list[np.ndarray]:
        times, columns = time_stamps(sequences, self.time_column_), data_columns(sequences, self.time_column_)
        values, starts = sequences.values[:, columns], sequences.offsets.tolist()
        parts = [slice(start, start + n) for start, n in zip(starts, sequences.lengths.tolist(), strict=True)]
        return [
            self._resampled(i, values[part], None if times is None else times[part]).astype(values.dtype, copy=False)
            for i, part in enumerate(tracked(parts, "sequences", len(parts), "sequence"))
        ]

    def _resampled(self, i: int, values: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        wide, n = values.astype(np.float64), len(values)
        if self.rate is None:
            n_steps: Any = self.n_steps_
            if times is None or n == 1 or n_steps == 1:
                return with_steps(wide, n_steps)
            return at_rate(wide, times, (n_steps - 1) / (times[-1] - times[0]))
        if times is None:
            times = np.arange(n) / float(self.input_rate or 1)
        found = grid_length(times[-1] - times[0], self.rate)
        if found > MOST_FINER * n:
            raise ValueError(
                f"sequence {i} of {n} steps would have {found} steps at rate={self.rate}: rate and time stamps "
                "must have the same unit, such as Hz and seconds."
            )
        return at_rate(wide, times, self.rate)

    def _names_out(self, names: list[str]) -> list[str]:
        return [name for i, name in enumerate(names) if i != self.time_column_]

    def _columns_out(self, width: int) -> int | None:
        if self.rate is None:
            return self.n_steps_
        return grid_length((width - 1) / float(self.input_rate or 1), self.rate)
