"""SequenceWindower: recordings become windows, with their labels, groups and cases."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import shown
from skseqmetric._estimators.preprocessing.base import SequencePreprocessor
from skseqmetric._input import Sequences, check_sequences, label_array
from skseqmetric._ops.progress import tracked
from skseqmetric._ops.windows import majority, window_starts

Place = tuple[int, int, int]
"""A window: its sequence, its first step, and the step behind its last one."""


class SequenceWindower(SequencePreprocessor):
    """Cuts sequences into windows of equal length, which may overlap.

    Windows begin at the steps 0, s, 2 s, ... of every sequence, with the stride s. A sequence that is shorter than a
    window is a window by itself, unless `partial="drop"`.

    Parameters
    ----------
    width : int, default=100
        Steps of a window, >= 1.
    stride : int or None, default=None
        Steps from the beginning of a window to that of the next, >= 1. None: `width`, so that no windows overlap.
    partial : {"shift", "keep", "drop"}, default="shift"
        What becomes of the steps behind the last full window.

        - "shift": one more full window ends with the sequence.
        - "keep": one more window begins one stride later, and is shorter.
        - "drop": they are left out, and so are sequences that are shorter than a window.
    verbose : int, default=0
        1 shows a progress bar where the work takes longer than half a second.

    Attributes
    ----------
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.

    Raises
    ------
    ValueError
        `partial="drop"`, and all sequences are shorter than a window.

    See Also
    --------
    windows_to_cases : Joins the answers for windows to one for each recording.
    SequenceResampler : Brings recordings to one rate first, so that windows last equally long.

    Notes
    -----
    A Pipeline must not change the number of samples. So windows are made before it, by `transform_with_targets`, which
    has the label, the group and the recording of every window. Pass the groups to the splits of a cross-validation, so
    that windows of one person are never on both sides. Missing values are passed on.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import SequenceWindower
    >>> X = [np.arange(10.0)[:, None], np.arange(4.0)[:, None]]
    >>> windows = SequenceWindower(4, stride=3).fit(X).transform_with_targets(X, ["walk", "run"], case_ids=[7, 8])
    >>> [x.ravel().tolist() for x in windows.X]
    [[0.0, 1.0, 2.0, 3.0], [3.0, 4.0, 5.0, 6.0], [6.0, 7.0, 8.0, 9.0], [0.0, 1.0, 2.0, 3.0]]
    >>> windows.y.tolist(), windows.case_ids.tolist()
    (['walk', 'walk', 'walk', 'run'], [7, 7, 7, 8])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **SequencePreprocessor._parameter_constraints,
        "width": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left"), None],
        "partial": [StrOptions({"shift", "keep", "drop"})],
    }

    def __init__(
        self, width: int = 100, *, stride: int | None = None, partial: str = "shift", verbose: int = 0
    ) -> None:
        self.width = width
        self.stride = stride
        self.partial = partial
        self.verbose = verbose

    @shown
    def transform_with_targets(self, X: Any, y: Any = None, *, groups: Any = None, case_ids: Any = None) -> Bunch:
        """Return the windows of all sequences, with what belongs to each.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : array-like of shape (n,), list of n arrays (T_i,), or None, default=None
            Labels or numbers of sequences, or labels of steps. A window then has the most frequent label of its steps,
            or the first of several in their order.
        groups : array-like of shape (n,) or None, default=None
            Groups of the sequences, such as persons.
        case_ids : array-like of shape (n,) or None, default=None
            Names of the sequences. None: their numbers, from 0.

        Returns
        -------
        windows : Bunch
            `X`, the list of m windows, as `transform` returns it. `y` and `groups` (m,), or None. `case_ids` (m,): the
            sequence of every window. `starts` (m,): its first step there.
        """
        check_is_fitted(self)
        sequences = check_sequences(X, estimator=self, reset=False)
        places = self._places(sequences.lengths.tolist())
        owners = np.array([i for i, _, _ in places])
        ids = np.arange(len(sequences)) if case_ids is None else _one_each(case_ids, len(sequences), "case_ids")
        return Bunch(
            X=self._finished(sequences, X),
            y=None if y is None else _targets(y, sequences, places),
            groups=None if groups is None else _one_each(groups, len(sequences), "groups")[owners],
            case_ids=ids[owners],
            starts=np.array([start for _, start, _ in places]),
        )

    def _learn(self, sequences: Sequences) -> None:
        self._places(sequences.lengths.tolist())

    def _applied(self, sequences: Sequences) -> list[np.ndarray]:
        items, places = sequences.to_list(), self._places(sequences.lengths.tolist())
        return [items[i][start:stop] for i, start, stop in tracked(places, "windows", len(places), "window")]

    def _places(self, lengths: list[int]) -> list[Place]:
        stride = self.width if self.stride is None else self.stride
        places = [
            (i, start, min(start + self.width, n))
            for i, n in enumerate(lengths)
            for start in window_starts(n, self.width, stride, self.partial)
        ]
        if not places:
            raise ValueError(
                f'no sequence has the {self.width} steps of a window, and partial="drop" leaves shorter ones out: the '
                f"longest has {max(lengths)} steps."
            )
        return places

    def _names_out(self, names: list[str]) -> list[str]:
        return names

    def _columns_out(self, width: int) -> int | None:
        lengths = {stop - start for _, start, stop in self._places([width])}
        return lengths.pop() if len(lengths) == 1 else None

    def _keeps_missing(self, *, reset: bool) -> bool:
        return True


def _one_each(values: Any, n: int, name: str) -> np.ndarray:
    array = label_array(values, name)
    if array.ndim != 1 or len(array) != n:
        raise ValueError(f"{name} has shape {array.shape}, but there are {n} sequences: pass one of them for each.")
    return array


def _targets(y: Any, sequences: Sequences, places: list[Place]) -> np.ndarray:
    """Return the target of every window, from those of sequences or of steps."""
    if len(y) == len(sequences) and all(np.ndim(part) == 1 for part in y):
        steps = [label_array(part, f"y[{i}]") for i, part in enumerate(y)]
        for i, (labels, length) in enumerate(zip(steps, sequences.lengths.tolist(), strict=True)):
            if len(labels) != length:
                raise ValueError(f"y[{i}] has {len(labels)} labels, but sequence {i} has {length} steps.")
        return np.array([majority(steps[i][start:stop]) for i, start, stop in places])
    return _one_each(y, len(sequences), "y")[[i for i, _, _ in places]]
