"""`windows_to_cases`: the answers for windows become one answer for each recording."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skseqmetric._input import as_array, label_array, real_numbers
from skseqmetric._ops.windows import majority


def windows_to_cases(answers: Any, case_ids: Any, how: str = "vote") -> Bunch:
    """Join the answers for windows to one answer for each recording.

    Parameters
    ----------
    answers : array-like of shape (m,) or (m, K)
        What `predict` returns for m windows, or numbers such as those of `predict_proba`.
    case_ids : array-like of shape (m,)
        The recording of every window.
    how : {"vote", "mean"}, default="vote"
        "vote": the most frequent label. Of equally frequent ones it is the first in their order. "mean": the mean of
        numbers, over the windows.

    Returns
    -------
    cases : Bunch
        `case_ids` (n,), in the order of their first windows, and `answers` (n,) or (n, K).

    Raises
    ------
    ValueError
        The number of answers and of ids differ, or a mean is asked of labels that are no numbers.

    See Also
    --------
    SequenceWindower : Makes the windows.

    Examples
    --------
    >>> from skseqmetric import windows_to_cases
    >>> voted = windows_to_cases(["walk", "run", "run", "walk"], [7, 7, 7, 3])
    >>> voted.case_ids.tolist(), voted.answers.tolist()
    ([7, 3], ['run', 'walk'])
    >>> windows_to_cases([[0.2, 0.8], [0.6, 0.4]], [1, 1], how="mean").answers.round(3).tolist()
    [[0.4, 0.6]]
    """
    if how not in ("vote", "mean"):
        raise ValueError(f'how={how!r} is neither "vote" nor "mean".')
    given = real_numbers(as_array(answers, "answers"), "answers") if how == "mean" else label_array(answers, "answers")
    ids = label_array(case_ids, "case_ids")
    if given.ndim not in (1, 2) or (how == "vote" and given.ndim != 1) or ids.ndim != 1 or len(given) != len(ids):
        raise ValueError(
            f"answers of shape {given.shape} and case_ids of shape {ids.shape} do not fit: pass one of each for every "
            'window. Probabilities need how="mean".'
        )
    found, first, numbers = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    parts = [given[numbers == k] for k in order]
    joined = [part.mean(axis=0) if how == "mean" else majority(part) for part in parts]
    return Bunch(case_ids=found[order], answers=np.array(joined))
