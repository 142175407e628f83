"""SequenceImputer: missing values become lines between their neighbours, with masks on request."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skseqmetric._estimators.preprocessing.base import SequencePreprocessor
from skseqmetric._estimators.preprocessing.blocks import blocks
from skseqmetric._estimators.preprocessing.times import data_columns, time_column, time_stamps
from skseqmetric._input import Sequences, with_masks
from skseqmetric._ops.gaps import interpolated, masked, observed_means


class SequenceImputer(SequencePreprocessor):
    r"""Fills missing values (NaN) of sequences by lines in time.

    A value that is missing at time t lies between the nearest observed values of its channel in the same sequence, at
    times a < t < b:

    .. math::
        \hat x_t = \frac{b - t}{b - a} \, x_a + \frac{t - a}{b - a} \, x_b

    Before the first and after the last observed value it is that value. A channel without any observed value in a
    sequence gets the mean of its observed training values, or 0 if the training sequences have none.

    Parameters
    ----------
    strategy : {"interpolate", "mask"}, default="interpolate"
        "interpolate": the filled channels alone. "mask": two more channels follow for each. The first is 1 where the
        value was observed and else 0. The second is the time since the last observed value, in steps or in the unit of
        the time stamps. Before the first value it is the time since the beginning.
    time_channel : int, str or None, default=None
        Number or name of the channel with the time stamps, in any unit. They must be complete and increase within a
        sequence. None: steps are at equal distances.
    keep_time : bool, default=True
        Whether the output has the channel of time stamps, at its place.
    verbose : int, default=0
        1 shows a progress bar where the work takes longer than half a second.

    Attributes
    ----------
    fill_values_ : ndarray of shape (C,)
        Mean of the observed training values of each channel.
    time_column_ : int or None
        Number of the channel with the time stamps.
    n_channels_ : int
        Channels C of the input.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.

    See Also
    --------
    SequenceResampler : Puts sequences on a regular grid of times.

    Notes
    -----
    Estimators of this package do the same by `missing="interpolate"` or `missing="mask"`, with steps as times. The
    masks and the times since the last value are the inputs of GRU-D [1]_. Nothing decays here. Time and memory are
    proportional to the number of values.

    References
    ----------
    .. [1] Z. Che, S. Purushotham, K. Cho, D. Sontag, Y. Liu, "Recurrent Neural Networks for Multivariate Time Series
       with Missing Values", Scientific Reports 8, 6085, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import SequenceImputer
    >>> X = [np.array([[0.0], [np.nan], [4.0], [np.nan]])]
    >>> SequenceImputer().fit_transform(X)[0].ravel().tolist()
    [0.0, 2.0, 4.0, 4.0]
    >>> SequenceImputer("mask").fit_transform(X)[0].tolist()
    [[0.0, 1.0, 0.0], [2.0, 0.0, 1.0], [4.0, 1.0, 0.0], [4.0, 0.0, 1.0]]
    """

    _stored: ClassVar[dict[str, str]] = {"time_column_": "none|int"}

    _parameter_constraints: dict[str, list[Any]] = {
        **SequencePreprocessor._parameter_constraints,
        "strategy": [StrOptions({"interpolate", "mask"})],
        "time_channel": [Interval(Integral, 0, None, closed="left"), str, None],
        "keep_time": ["boolean"],
    }

    def __init__(
        self,
        strategy: str = "interpolate",
        *,
        time_channel: int | str | None = None,
        keep_time: bool = True,
        verbose: int = 0,
    ) -> None:
        self.strategy = strategy
        self.time_channel = time_channel
        self.keep_time = keep_time
        self.verbose = verbose

    def _learn(self, sequences: Sequences) -> None:
        self.time_column_ = time_column(self.time_channel, sequences)
        self.fill_values_ = observed_means(sequences.values)

    def _applied(self, sequences: Sequences) -> list[np.ndarray]:
        times, found = time_stamps(sequences, self.time_column_), []
        for block, rows in blocks(sequences):
            values = self._filled(block, None if times is None else times[rows])
            found += replace(block, values=values).to_list()
        return found

    def _filled(self, block: Sequences, times: np.ndarray | None) -> np.ndarray:
        columns = data_columns(block, self.time_column_)
        fill = masked if self.strategy == "mask" else interpolated
        values = fill(block.values[:, columns], block.lengths, self.fill_values_[columns], times)
        if self.time_column_ is None or not self.keep_time:
            return values
        return np.insert(values, self.time_column_, block.values[:, self.time_column_], axis=1)

    def _names_out(self, names: list[str]) -> list[str]:
        data = names if self.time_column_ is None else [n for i, n in enumerate(names) if i != self.time_column_]
        found = list(with_masks(tuple(data))) if self.strategy == "mask" else list(data)
        if self.time_column_ is not None and self.keep_time:
            found.insert(self.time_column_, names[self.time_column_])
        return found

    def _columns_out(self, width: int) -> int | None:
        return None if self.strategy == "mask" else width

    def _keeps_missing(self, *, reset: bool) -> bool:
        return True
