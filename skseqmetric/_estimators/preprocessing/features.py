"""SequenceFeatures: summary statistics of every channel, for any classifier."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions

from skseqmetric._estimators.preprocessing.base import SequencePreprocessor
from skseqmetric._input import Sequences
from skseqmetric._ops.progress import tracked
from skseqmetric._ops.summaries import STATISTICS, summaries


class SequenceFeatures(SequencePreprocessor):
    """Summary statistics of every channel: a cheap baseline, whose features have names.

    Each statistic maps the T values of a channel to one number:

    - "mean", "std", "min", "max", "median", "lower_quartile", "upper_quartile", "skewness" and "kurtosis" of the
      values, in any order of time.
    - "first" and "last": the values at both ends.
    - "slope": of the least-squares line, for one step.
    - "mean_absolute_change": of one step to the next.
    - "zero_crossings": share of steps at which the channel crosses its mean.
    - "energy": mean of the squared values.
    - "autocorrelation": at a lag of one step.
    - "dominant_frequency": the frequency with the largest power, in cycles a step, without the mean.
    - "spectral_entropy": how even the power is over the frequencies, from 0 for a sine to 1 for white noise.

    Parameters
    ----------
    statistics : "all" or list of str, default="all"
        Names of the statistics, in the order of the columns.
    verbose : int, default=0
        1 shows a progress bar where the work takes longer than half a second.

    Attributes
    ----------
    statistics_ : list of str
        The statistics F of a channel.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.

    Raises
    ------
    ValueError
        There is no statistic of a name, or values are so large that a statistic is not finite.

    See Also
    --------
    RandomConvolutionTransformer : Thousands of features, which also see the order of events.

    Notes
    -----
    Nothing is learned from the data. Statistics of a channel that does not move are 0 where they would be 0 / 0.
    Frequencies and changes count in steps, so sequences of different rates need a `SequenceResampler` first. The cost
    is that of some passes over the data and one Fourier transform a channel.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import SequenceFeatures
    >>> X = [np.sin(np.arange(40.0) * 2 * np.pi / 8)[:, None], np.arange(3.0)[:, None]]
    >>> features = SequenceFeatures(["mean", "slope", "dominant_frequency"]).fit(X)
    >>> features.get_feature_names_out().tolist()
    ['x0_mean', 'x0_slope', 'x0_dominant_frequency']
    >>> np.round(features.transform(X), 3).tolist()[1]
    [1.0, 1.0, 0.333]
    """

    _stored: ClassVar[dict[str, str]] = {"statistics_": "list"}

    _parameter_constraints: dict[str, list[Any]] = {
        **SequencePreprocessor._parameter_constraints,
        "statistics": [StrOptions({"all"}), list, tuple],
    }

    def __init__(self, statistics: Any = "all", *, verbose: int = 0) -> None:
        self.statistics = statistics
        self.verbose = verbose

    def _learn(self, sequences: Sequences) -> None:
        names = list(STATISTICS) if self.statistics == "all" else list(self.statistics)
        unknown = [name for name in names if name not in STATISTICS]
        if unknown or not names or len(set(names)) < len(names):
            wrong = f"has {unknown[0]!r}" if unknown else "is empty" if not names else "has a name twice"
            raise ValueError(f'statistics {wrong}: pass "all", or names of {list(STATISTICS)}.')
        self.statistics_: list[str] = names

    def _applied(self, sequences: Sequences) -> np.ndarray:
        parts, names = sequences.to_list(), self.statistics_
        out = np.empty((len(parts), sequences.n_channels * len(names)), dtype=sequences.values.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for i, x in enumerate(tracked(parts, "sequences", len(parts), "sequence")):
                out[i] = summaries(x, names).ravel()
        if not np.isfinite(out).all():
            i, column = divmod(int(np.argmin(np.isfinite(out))), out.shape[1])
            channel, name = divmod(column, len(names))
            raise ValueError(
                f"{names[name]!r} of sequence {i}, channel {channel} is not finite, because its values are too large: "
                "put SequenceScaler() before."
            )
        return out

    def _names_out(self, names: list[str]) -> list[str]:
        return [f"{channel}_{statistic}" for channel in names for statistic in self.statistics_]

    def _columns_out(self, width: int) -> int | None:
        return None
