"""SequenceCropper: idle ends are trimmed, or a fixed part is kept."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from skseqmetric._estimators.preprocessing.base import SequencePreprocessor
from skseqmetric._input import Sequences
from skseqmetric._ops.movement import active_range, liveliest, movement
from skseqmetric._ops.progress import tracked
from skseqmetric._tensors.scaling import plain_moments


class SequenceCropper(SequencePreprocessor):
    r"""Keeps a part of every sequence: fixed steps, the part that moves, or the steps that move most.

    The energy of a step is its squared change in units of the standard deviations s of the training data, averaged over
    neighbouring steps:

    .. math::
        e_t = \frac{1}{C} \sum_c \Big( \frac{x_{tc} - x_{t-1, c}}{s_c} \Big)^2

    The parameters apply in their order. With the defaults nothing is cut off.

    Parameters
    ----------
    start : int, default=0
        First step that is kept, >= 0. A sequence of fewer steps is refused.
    stop : int or None, default=None
        Step before which a sequence ends, > `start`. None: its end.
    threshold : float or None, default=None
        Both ends are cut off as far as their energy is at most this share of the largest energy of the sequence, in
        [0, 1). None: they are kept. A sequence that never moves is kept as a whole.
    smoothing : int, default=5
        Neighbouring steps over which the energy is averaged, >= 1.
    margin : int, default=0
        Idle steps that are kept on either side, >= 0.
    length : int or None, default=None
        Most steps of a sequence. Of a longer one, those in a row with the most energy are kept. None: all.
    verbose : int, default=0
        1 shows a progress bar where the work takes longer than half a second.

    Attributes
    ----------
    scale_ : ndarray of shape (C,)
        Standard deviations s of the channels over all training steps.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.

    See Also
    --------
    SequenceWindower : Cuts recordings into windows.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import SequenceCropper
    >>> x = np.concatenate([np.zeros(50), np.sin(np.arange(40.0)), np.zeros(30)])[:, None]
    >>> SequenceCropper(threshold=0.05, smoothing=1).fit_transform([x])[0].shape
    (41, 1)
    >>> SequenceCropper(10, stop=30).fit_transform([x])[0].shape
    (20, 1)
    """

    _stored: ClassVar[dict[str, str]] = {"scale_": "float64 C"}

    _parameter_constraints: dict[str, list[Any]] = {
        **SequencePreprocessor._parameter_constraints,
        "start": [Interval(Integral, 0, None, closed="left")],
        "stop": [Interval(Integral, 1, None, closed="left"), None],
        "threshold": [Interval(Real, 0, 1, closed="left"), None],
        "smoothing": [Interval(Integral, 1, None, closed="left")],
        "margin": [Interval(Integral, 0, None, closed="left")],
        "length": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        start: int = 0,
        *,
        stop: int | None = None,
        threshold: float | None = None,
        smoothing: int = 5,
        margin: int = 0,
        length: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.start = start
        self.stop = stop
        self.threshold = threshold
        self.smoothing = smoothing
        self.margin = margin
        self.length = length
        self.verbose = verbose

    def _learn(self, sequences: Sequences) -> None:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop={self.stop} is not after start={self.start}: nothing would be kept.")
        _, self.scale_ = plain_moments(sequences.values)

    def _applied(self, sequences: Sequences) -> list[np.ndarray]:
        if sequences.lengths.min() <= self.start:
            i = int(np.argmin(sequences.lengths))
            raise ValueError(
                f"sequence {i} has {sequences.lengths[i]} steps, and start={self.start} leaves none: remove it."
            )
        parts = sequences.to_list()
        return [self._cropped(x) for x in tracked(parts, "sequences", len(parts), "sequence")]

    def _cropped(self, x: np.ndarray) -> np.ndarray:
        x = x[self.start : self.stop]
        if self.threshold is None and (self.length is None or self.length >= len(x)):
            return x
        energy = movement(x, self.scale_, self.smoothing)
        first, end = (0, len(x)) if self.threshold is None else active_range(energy, self.threshold, self.margin)
        if self.length is not None and self.length < end - first:
            first += liveliest(energy[first:end], self.length)
            end = first + self.length
        return x[first:end]

    def _names_out(self, names: list[str]) -> list[str]:
        return names

    def _columns_out(self, width: int) -> int | None:
        if self.threshold is not None:
            return None
        kept = len(range(width)[self.start : self.stop])
        return kept if self.length is None else min(kept, self.length)
