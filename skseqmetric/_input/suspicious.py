"""Input that is accepted, but looks like a mistake: one class of warnings, each with its remedy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from skseqmetric._input.frames import is_frame
from skseqmetric._input.lent import blocks_of_steps
from skseqmetric._input.sequences import Sequences
from skseqmetric.exceptions import SuspiciousShapeWarning

_FEW_COLUMNS = 20
_ROWS_FOR_A_COLUMN = 50
_MANY_SEQUENCES = 10_000
_FEW_STEPS = 5
_MANY_CHANNELS = 8  # fewer than the steps of any recording, so that fewer of them say nothing of the axes


def warn_if_suspicious(X: Any, sequences: Sequences, estimator: Any, reset: bool) -> None:
    """Give a `SuspiciousShapeWarning` if X was read as something that it probably is not."""
    doubt = _doubt_at_fit(X, sequences) if reset else _doubt_at_prediction(sequences, estimator)
    if doubt is not None:
        warnings.warn(f"{doubt} If this is what you mean, ignore SuspiciousShapeWarning.", SuspiciousShapeWarning, 4)


def _doubt_at_fit(X: Any, sequences: Sequences) -> str | None:
    n, width = len(sequences), sequences.table_width
    if width is not None and is_frame(X) and width <= _FEW_COLUMNS and n >= _ROWS_FOR_A_COLUMN * width:
        return (
            f"X is a frame of {n} rows and {width} columns, which is read as {n} univariate sequences of {width} "
            "step(s). A long table becomes sequences by from_long(X, case=..., time=...), and one recording is [X]."
        )
    if np.count_nonzero(sequences.lengths <= _FEW_STEPS) > _MANY_SEQUENCES:
        return (
            f"X is read as {n} sequences, and more than {_MANY_SEQUENCES} of them have {_FEW_STEPS} steps or fewer. If "
            "the first axis is time, one recording is [X], and a stack of recordings is from_concatenated(X, lengths)."
        )
    steps = int(sequences.lengths[0])
    # what has its axes swapped has as many steps in every sequence as there are channels
    alike = width is None and steps < sequences.n_channels >= _MANY_CHANNELS and (sequences.lengths == steps).all()
    if alike and not _is_one_hot(sequences):
        return (
            f"The sequences have {steps} step(s) each and {sequences.n_channels} channels. If the axes are swapped, "
            "(channels, steps), pass from_channels_first(X)."
        )
    return None


def _is_one_hot(sequences: Sequences) -> bool:
    """Whether channels are symbols, of which there may be more than steps."""
    parts = (sequences.values[block] for block in blocks_of_steps(sequences))
    return all(bool(((part == 0) | (part == 1)).all()) for part in parts)


def _doubt_at_prediction(sequences: Sequences, estimator: Any) -> str | None:
    n = len(sequences)
    if sequences.table_width != 1 or n == 1 or getattr(estimator, "n_features_in_", None) == 1:
        return None
    return f"X of shape ({n}, 1) is read as {n} sequences of one step. One sequence of {n} steps is [X]."
