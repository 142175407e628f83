"""`find_subsequences`: the places of long recordings that are nearest to a pattern."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import check_is_fitted

from skseqmetric._input import Sequences, label_array, lent_sequences
from skseqmetric._metrics.callable import CallableMetric
from skseqmetric._metrics.hooks import distance_tile
from skseqmetric._metrics.protocol import PairMetric
from skseqmetric._metrics.reader import Reader, reads_tokens, steps_of
from skseqmetric._metrics.subsequences.selection import MATCH, GreedySelection
from skseqmetric._metrics.subsequences.windows import WindowBlock, automatic_lengths, window_blocks

_CONSTRAINTS: dict[str, list[Any]] = {
    "metric": [HasMethods(["pairwise_distances"]), callable],
    "n_matches": [Interval(Integral, 1, None, closed="left"), None],
    "max_distance": [Interval(Real, None, None, closed="neither"), None],
    "lengths": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like"],
    "stride": [Interval(Integral, 1, None, closed="left"), Interval(RealNotInt, 0, 1, closed="right")],
    "exclusion": [Interval(Real, 0, 1, closed="both")],
}


def find_subsequences(
    metric: Any,
    queries: Any,
    recordings: Iterable[Any],
    *,
    labels: Any = None,
    n_matches: int | None = 10,
    max_distance: float | None = None,
    lengths: Any = "auto",
    stride: float = 0.25,
    exclusion: float = 0.5,
) -> list[np.ndarray]:
    r"""Find the places of long recordings that are nearest to a pattern, under any metric of this package.

    The candidates are the windows of all recordings. The window of l steps from step s on, of the recording r, has the
    distance

    .. math::
        D(r, s, l) = \min_{q \in Q} d(q, x^r_s \dots x^r_{s+l-1})

    to a pattern with the examples Q. Among all windows the nearest one is the first match. Windows that share too much
    with it are left out. The nearest window of the rest is the next match, and so on. Equal distances are in the order
    of recording, first step and last step.

    Parameters
    ----------
    metric : fitted metric, FrozenEstimator, function of ``metric.get_metric()``, or callable
        The distance d. A callable is a function of two sequences, as in `SequenceKNeighborsClassifier`.
    queries : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Examples of what is looked for, of any lengths.
    recordings : iterable of (T_i, C) arrays, or of (T_i,) arrays for one channel
        A list, a generator, or anything else that is iterated over. Each recording is read once, block by block, and
        dropped before the next one is asked for. It may be a memory map.
    labels : array-like of shape (n,), default=None
        The pattern that each query is an example of. None: every query is a pattern by itself.
    n_matches : int or None, default=10
        Matches of a pattern at most, over all recordings. None: all.
    max_distance : float, default=None
        Largest distance of a match. None: no limit.
    lengths : "auto", int, or list of int, default="auto"
        Steps of the windows, >= 1. "auto": lengths from 3/4 of the shortest query to 4/3 of the longest one, each at
        most 4/3 of the one before. A window that is longer than a recording is the whole recording.
    stride : int or float, default=0.25
        From the first step of a window to that of the next one of its length. An int is a number of steps. A float in
        (0, 1] is a share of the length of the window. One more window ends with the recording.
    exclusion : float in [0, 1], default=0.5
        Share of the shorter of two matches in a recording that lies outside the other one, at least. 1: matches have
        no step in common. 0: only the same window is not found twice.

    Returns
    -------
    matches : list of structured arrays
        One for each query, or for each label in their sorted order. An array has at most `n_matches` rows, sorted by
        distance. Its fields are "distance" (float64); "recording", the number of the recording, from 0; "start" and
        "stop", so that the match is ``recording[start:stop]``; and "query", the example that is nearest to it.

    Raises
    ------
    ValueError
        A parameter is out of range, there are no recordings, or `check_sequences` does not accept the queries or a
        recording. The message says which recording.
    NotFittedError
        The metric is not fitted.

    See Also
    --------
    SequenceWindower : Makes windows with labels, to train a metric on.
    SequenceKNeighborsClassifier : The nearest of sequences that are cut already.

    Notes
    -----
    A recording of T steps has :math:`\sum_l T / s_l` windows, where :math:`s_l` is the stride of the length l. Each of
    them is prepared once, which is the encoding in a learned metric, and compared with n queries. With the defaults
    every step is encoded four times for each length. An embedding of D numbers adds O(n D) to a window. DTW adds O(n
    l T_q C).

    Beyond the recordings, memory holds blocks of windows of at most :math:`2^{20}` values within scikit-learn's
    `working_memory`, their distances, and the matches. A window stays undecided while a nearer one that it shares steps
    with is undecided. So a run of windows in which each is nearer than the one before is held, with 40 bytes a window.

    The result is the same to the bit for a list, a generator and a memory map, and for every size of the blocks: the
    distance of a window is that of ``metric.pairwise_distances``.

    Distances that grow with the length of a sequence, as that of DTW, favour short windows. Give such a metric one
    length, or few that are close to each other.

    A pattern that keeps its shape needs no learned metric. MASS [1]_ has the z-normalised Euclidean distances of one
    query to all T places in O(T log T) for each channel. SPRING [2]_ has the DTW distances of all places and lengths in
    O(T T_q C). A learned metric is for patterns whose examples differ more from each other than from their surroundings
    under these distances. Its windows are encoded once for all queries.

    References
    ----------
    .. [1] A. Mueen et al., "The fastest similarity search algorithm for time series subsequences under Euclidean
       distance", 2017.
    .. [2] Y. Sakurai, C. Faloutsos, M. Yamamuro, "Stream monitoring under the time warping distance", ICDE 2007,
       1046-1055.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import DTWMetric, find_subsequences
    >>> bump = np.sin(np.linspace(0, np.pi, 8))[:, np.newaxis]
    >>> recording = np.zeros((60, 1))
    >>> recording[20:28] += bump
    >>> recording[40:48] += 0.9 * bump
    >>> matches = find_subsequences(DTWMetric().fit([bump]), [bump], [recording], n_matches=2, lengths=8, stride=1)
    >>> matches[0][["start", "stop"]].tolist(), matches[0]["distance"].round(2).tolist()
    ([(20, 28), (40, 48)], [0.0, 0.19])
    """
    given = {name: value for name, value in locals().items() if name in _CONSTRAINTS}
    validate_parameter_constraints(_CONSTRAINTS, given, caller_name="find_subsequences")
    fitted = _fitted(metric, queries)
    prepared = fitted._prepared(queries)
    patterns = _patterns(labels, len(prepared))
    limit = np.inf if max_distance is None else float(max_distance)
    selections = [GreedySelection(n_matches, limit, exclusion) for _ in patterns]
    widths = _widths(lengths, prepared.lengths)
    n_recordings = 0
    for recording in _refuse_one_array(recordings):  # enumerate() would hold a recording while the next one is made
        for block in window_blocks(_read(recording, n_recordings, fitted), widths, stride, len(prepared)):
            tile = _distances(fitted, prepared, block, n_recordings)
            for rows, selection in zip(patterns, selections, strict=True):
                selection.offer(_found(tile, rows, block, n_recordings), block.seen)
        for selection in selections:
            selection.finish()
        n_recordings += 1
        del recording, block
    if not n_recordings:
        raise ValueError("recordings is empty: at least one recording is needed.")
    return [selection.best for selection in selections]


def _fitted(metric: Any, queries: Any) -> Any:
    """Return the fitted metric that the caller means."""
    if isinstance(metric, PairMetric):
        return metric.metric
    metric = metric.estimator if isinstance(metric, FrozenEstimator) else metric
    if not hasattr(metric, "pairwise_distances"):
        return CallableMetric(metric).fit(queries)
    if not hasattr(metric, "_prepared"):
        raise ValueError(f"metric={metric!r} lacks the hooks of a metric estimator: derive it from skseqmetric.Metric.")
    check_is_fitted(metric)
    return metric


def _patterns(labels: Any, n: int) -> list[np.ndarray]:
    """Return the queries of every pattern, as indices in rising order."""
    if labels is None:
        return list(np.arange(n)[:, np.newaxis])
    given = label_array(labels, "labels")
    if given.shape != (n,):
        raise ValueError(f"labels has shape {given.shape}, but there are {n} queries: pass one label for each.")
    return [np.flatnonzero(given == label) for label in np.unique(given)]


def _widths(lengths: Any, of_queries: np.ndarray) -> np.ndarray:
    """Return the lengths of windows, in rising order."""
    if isinstance(lengths, str):
        return automatic_lengths(of_queries)
    widths = np.unique(np.atleast_1d(np.asarray(lengths)))
    if widths.ndim != 1 or widths.dtype.kind not in "iu" or not widths.size or widths[0] < 1:
        raise ValueError(f'lengths={lengths!r} are not numbers of steps >= 1: pass integers, or "auto".')
    return widths


# ---------------------------------------------------------------------------------------------------------- recordings


def _refuse_one_array(recordings: Any) -> Iterable[Any]:
    if hasattr(recordings, "iloc") or getattr(recordings, "ndim", 3) < 3:
        raise ValueError("recordings is one array or one frame: pass [recording] for a single recording.")
    return recordings


def _read(recording: Any, number: int, metric: Any) -> Sequences:
    """Return a recording as `Sequences` of one sequence. A large one stays where it is."""
    try:
        item = recording if reads_tokens(metric) else steps_of(recording, "it")
        return lent_sequences([item], estimator=Reader(metric))
    except ValueError as error:
        raise _of_recording(number, error) from error


def _distances(metric: Any, queries: Any, block: WindowBlock, number: int) -> np.ndarray:
    """Return the distances (n, m) of all queries to the windows of a block."""
    try:
        windows = metric._prepared(block.sequences)
        return distance_tile(metric, queries, np.arange(len(queries)), windows, np.arange(len(windows)))
    except ValueError as error:
        raise _of_recording(number, error) from error


def _of_recording(number: int, error: ValueError) -> ValueError:
    return ValueError(f"recordings[{number}] cannot be searched: {error}")


def _found(tile: np.ndarray, rows: np.ndarray, block: WindowBlock, number: int) -> np.ndarray:
    """Return the windows of a block with their distances (m,) to a pattern, whose examples are rows of the tile."""
    distances = tile[rows]
    nearest = np.argmin(distances, axis=0)
    found = np.empty(len(nearest), dtype=MATCH)
    found["distance"] = distances[nearest, np.arange(len(nearest))]
    found["recording"], found["start"], found["stop"] = number, block.starts, block.stops
    found["query"] = rows[nearest]
    return found
