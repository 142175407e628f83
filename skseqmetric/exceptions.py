"""Warnings that have a name, so that they can be silenced or turned into errors by it."""

from __future__ import annotations

__all__ = ["SuspiciousShapeWarning"]


class SuspiciousShapeWarning(UserWarning):
    """X has a form that is accepted, but looks like a mistake.

    The message says what X was read as, why that is doubtful, and what to pass if something else was meant. There are
    four cases:

    - A data frame of few columns and many rows is read as many short univariate sequences. It may be one recording, or
      a long table of many.
    - The median sequence has fewer steps than channels, of which there are 8 or more, and values are not only 0 and 1.
      The axes may be swapped.
    - There are more than 10,000 sequences of five steps or fewer. The first axis may be time.
    - An array (T, 1) at prediction is read as T sequences of one step. It may be one sequence.

    See Also
    --------
    skseqmetric.check_sequences : Checks the input of every estimator, and gives this warning.
    skseqmetric.from_long : For long tables, one row for each case and time.
    skseqmetric.from_channels_first : Swaps the axes of channels and steps.

    Examples
    --------
    If the form is meant, silence the warning by its name:

    >>> import warnings
    >>> import numpy as np
    >>> from skseqmetric import check_sequences
    >>> from skseqmetric.exceptions import SuspiciousShapeWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", SuspiciousShapeWarning)
    ...     sequences = check_sequences([np.full((2, 300), 0.5), np.full((3, 300), 0.1)])
    >>> sequences.values.shape
    (5, 300)
    """
