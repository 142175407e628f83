"""What stands for a fitted metric at the door, where a caller passes single sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._input import as_array, missing_rule


class Reader:
    """Stands for a metric at the door. It knows no names of channels, so that none are missed.

    Missing values come through, if the metric fills them.
    """

    def __init__(self, metric: Any) -> None:
        self._metric = metric

    def _keeps_missing(self, *, reset: bool) -> bool:
        return missing_rule(self._metric, reset=False) != "error"

    def _reads_tokens(self, *, reset: bool) -> bool:
        return reads_tokens(self._metric)


def reads_tokens(metric: Any) -> bool:
    """Whether a fitted metric reads tokens."""
    return hasattr(metric, "_reads_tokens") and metric._reads_tokens(reset=False)


def steps_of(sequence: Any, name: str) -> Any:
    """Return one sequence (T, C). One without an axis of channels has one channel."""
    array = as_array(sequence, name)
    return array[:, np.newaxis] if array.ndim == 1 else sequence
