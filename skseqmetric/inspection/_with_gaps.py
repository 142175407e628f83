"""Sequences for a drawing, whose values may be missing: the estimator fills them, or refuses them itself."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from skseqmetric._input import Sequences, check_sequences, missing_rule


class _Reader(BaseEstimator):
    """Stands for an estimator at the door, and lets NaN pass."""

    def _keeps_missing(self, *, reset: bool) -> bool:
        return True


def sequences_with_gaps(X: Any, estimator: Any = None) -> Sequences:
    """Return X as `check_sequences` does, but with missing values where they are.

    An estimator that refuses missing values refuses them here.
    """
    refused = estimator is not None and missing_rule(estimator, reset=False) == "error"
    return check_sequences(X, estimator=None if refused else _Reader())
