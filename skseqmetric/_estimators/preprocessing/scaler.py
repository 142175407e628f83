"""SequenceScaler: channels in comparable units, over the training data or within each sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions

from skseqmetric._estimators.preprocessing.base import SequencePreprocessor
from skseqmetric._estimators.preprocessing.blocks import blocks
from skseqmetric._input import Sequences
from skseqmetric._ops.progress import tracked
from skseqmetric._tensors.scaling import plain_moments, usable_deviation


class SequenceScaler(SequencePreprocessor):
    r"""Shifts and scales every channel.

    .. math::
        z_{tc} = (x_{tc} - m_c) / s_c

    Parameters
    ----------
    method : {"standard", "robust", "minmax"}, default="standard"
        - "standard": m is the mean, and s the standard deviation.
        - "robust": m is the median, and s the distance of the quartiles. Outliers have little effect.
        - "minmax": m is the minimum, and s the range, so that z is in [0, 1].
    scope : {"training", "sequence"}, default="training"
        "training": m and s are of all steps of all training sequences. "sequence": they are of the sequence itself, so
        that its level and amplitude are lost, and its shape remains.
    verbose : int, default=0
        1 shows a progress bar where the work takes longer than half a second.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (C,)
        The numbers m and s of the training data. Only with `scope="training"`.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.

    See Also
    --------
    SequenceImputer : Fills missing values first.

    Notes
    -----
    s is 1 where it would be 0 or a rounding error, so that a constant channel becomes 0, up to rounding. All is
    computed in float64. Estimators of this package scale channels themselves (`scaling="channel"`). They do not do what
    `scope="sequence"` does.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import SequenceScaler
    >>> X = [np.array([[1.0], [3.0]]), np.array([[5.0], [7.0], [9.0]])]
    >>> SequenceScaler("minmax").fit_transform(X)[1].ravel().tolist()
    [0.5, 0.75, 1.0]
    >>> SequenceScaler("minmax", scope="sequence").fit_transform(X)[1].ravel().tolist()
    [0.0, 0.5, 1.0]
    """

    _stored: ClassVar[dict[str, str]] = {"center_": "float64 C", "scale_": "float64 C"}

    _parameter_constraints: dict[str, list[Any]] = {
        **SequencePreprocessor._parameter_constraints,
        "method": [StrOptions({"standard", "robust", "minmax"})],
        "scope": [StrOptions({"training", "sequence"})],
    }

    def __init__(self, method: str = "standard", *, scope: str = "training", verbose: int = 0) -> None:
        self.method = method
        self.scope = scope
        self.verbose = verbose

    def _learn(self, sequences: Sequences) -> None:
        for name in ("center_", "scale_"):
            self.__dict__.pop(name, None)
        if self.scope == "training":
            self.center_, self.scale_ = _MOMENTS[self.method](sequences.values)

    def _applied(self, sequences: Sequences) -> list[np.ndarray]:
        if hasattr(self, "center_"):
            scaled = (
                replace(block, values=_scaled(block.values, self.center_, self.scale_))
                for block, _ in blocks(sequences)
            )
            return [x for block in scaled for x in block.to_list()]
        moments, parts = _MOMENTS[self.method], sequences.to_list()
        return [_scaled(x, *moments(x)) for x in tracked(parts, "sequences", len(parts), "sequence")]

    def _names_out(self, names: list[str]) -> list[str]:
        return names

    def _columns_out(self, width: int) -> int | None:
        return width


def _scaled(values: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return ((values - center) / scale).astype(values.dtype, copy=False)


def _median_and_quartiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lower, median, upper = np.quantile(values.astype(np.float64), (0.25, 0.5, 0.75), axis=0)
    return median, usable_deviation(upper - lower, median, values.dtype)


def _least_and_range(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    least = values.min(axis=0).astype(np.float64)
    return least, usable_deviation(values.max(axis=0) - least, least, values.dtype)


_MOMENTS = {"standard": plain_moments, "robust": _median_and_quartiles, "minmax": _least_and_range}
