"""Dynamic time warping, by the compiled kernels or by tslearn. It is the baseline for learned distances."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

from skseqmetric._base import CallbackSupportMixin, exporting, reported, unchanged_if_refused
from skseqmetric._estimators.dtw.library import tslearn_metrics
from skseqmetric._input import MISSING, Sequences, lent_sequences
from skseqmetric._metrics.protocol import Metric
from skseqmetric._ops import compiled
from skseqmetric._ops.dtw import SteppedSeries, dtw_nearest, dtw_pairs, dtw_table

_TILE = 64  # sequences per side of one call: enough to hide the cost of a call, few enough for several threads
_SLACK = 3  # largest difference of lengths in one call, because tslearn searches for the padding in every pair


class DTWMetric(CallbackSupportMixin, Metric):
    r"""Exact dynamic time warping (DTW), as defined by tslearn.

    .. math::
        d(X, Y) = \sqrt{\min_\pi \sum_{(i, j) \in \pi} \lVert x_i - y_j \rVert_2^2}

    over all alignments :math:`\pi` from (1, 1) to (T1, T2) whose steps advance i, j or both by one. All channels are
    warped together. Values are not scaled: standardise channels first if their units differ. The distance is symmetric,
    and d(x, x) = 0. The triangle inequality does not hold. The metric learns nothing and has no embedding, so that
    `algorithm="rerank"` does not apply.

    Parameters
    ----------
    window : int, float or None, default=None
        Radius of the Sakoe-Chiba band, :math:`|i - j| \le` `window`. The band is widened by the difference of the
        lengths. An int is a number of steps, >= 0. A float in [0, 1] is a share of the longest sequence in `fit`,
        rounded down. None: no band.
    engine : {"auto", "compiled", "tslearn"}, default="auto"
        What computes the distances. Both engines give the same numbers. "compiled": the compiled kernels of this
        package, whose search for neighbours skips most of the work. "tslearn": tslearn,
        ``pip install "skseqmetric[baselines]"``. "auto": the kernels where they are built, else tslearn.
    n_jobs : int or None, default=None
        Number of threads, as in joblib: None is 1, and -1 is all cores.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of missing values (NaN) in sequences. "error" refuses them. "interpolate" puts them on lines
        between observed values, and a channel without any in a sequence gets its training mean. "mask" then adds two
        channels for each: whether the value was observed, and the steps since the last one that was.
    verbose : int, default=0
        1 shows a progress bar for distances and searches that take longer than half a second.

    Attributes
    ----------
    radius_ : int or None
        Radius of the band in steps. None: no band.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.
    threshold_ : float
        Set by `calibrate_threshold`.

    See Also
    --------
    SyncGRUMetric : A distance learned from labels.

    Notes
    -----
    Distances are computed in float64, and have the same bits in either order of the two sequences, among any others and
    on any number of threads. A pair costs O(T1 T2 C) time. The kernels take O(T C) memory for each thread, and compute
    several pairs at a time. tslearn takes O(T1 T2) memory, and pairs go to it in tiles of at most 64 x 64.

    The search for neighbours by the kernels is exact: it finds the neighbours of a search of all pairs, in the same
    order. For each query it sorts the references by the lower bounds LB_Kim and LB_Keogh [1]_, [2]_, and leaves out
    those whose bound exceeds the distance of the k-th nearest so far. Of the others it computes the cells that a path
    below this distance can reach, as EAPruned does [3]_, in float32 with a bound of the rounding error. The distances
    of those that the bound cannot separate are then computed in float64. The search holds the values once more, in
    float32.

    References
    ----------
    H. Sakoe, S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE
    Transactions on Acoustics, Speech and Signal Processing 26 (1), 43-49, 1978.

    .. [1] E. Keogh, C. A. Ratanamahatana, "Exact indexing of dynamic time warping", Knowledge and Information Systems
       7 (3), 358-386, 2005.
    .. [2] T. Rakthanmanon et al., "Searching and mining trillions of time series subsequences under dynamic time
       warping", KDD 2012, 262-270.
    .. [3] M. Herrmann, G. I. Webb, "Early abandoning and pruning for elastic distances including dynamic time warping",
       Data Mining and Knowledge Discovery 35, 2577-2601, 2021.

    Examples
    --------
    >>> from skseqmetric import DTWMetric
    >>> metric = DTWMetric().fit([[[1.0], [2.0], [3.0]], [[1.0], [2.0], [2.0], [3.0]]])
    >>> metric.pairwise_distances([[[1.0], [2.0], [3.0]]], [[[1.0], [2.0], [2.0], [3.0], [4.0]]])
    array([[1.]])
    """

    _stored: ClassVar[dict[str, str]] = {"radius_": "none|int"}

    _parameter_constraints: dict[str, list[Any]] = {
        "window": [
            Interval(Integral, 0, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="both"),
            None,
        ],
        "engine": [StrOptions({"auto", "compiled", "tslearn"})],
        "n_jobs": [Integral, None],
        "missing": [StrOptions(set(MISSING))],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        window: float | None = None,
        engine: str = "auto",
        n_jobs: int | None = None,
        missing: str = "error",
        verbose: int = 0,
    ) -> None:
        self.window = window
        self.engine = engine
        self.n_jobs = n_jobs
        self.missing = missing
        self.verbose = verbose

    @reported
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the input and fix the radius of the band.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            The engine is not there: tslearn is not installed, or the kernels are not built. The message says what to
            do.
        ValueError
            `check_sequences` does not accept X.
        """
        self._validate_params()
        self._check_engine()
        with unchanged_if_refused(self):
            sequences = lent_sequences(X, estimator=self)
            self.radius_ = self._radius(int(sequences.lengths.max()))
            self.__dict__.pop("threshold_", None)
        return self

    def _check_loaded(self) -> None:
        """Raise ValueError if the band of a model that was loaded has no width."""
        if (vars(self).get("radius_") or 0) < 0:
            raise ValueError("its radius is negative.")

    def _radius(self, longest: int) -> int | None:
        if self.window is None or isinstance(self.window, Integral):
            return None if self.window is None else int(self.window)
        return int(self.window * longest)

    export = exporting.export

    def _exportable(self) -> NoReturn:
        raise ValueError(
            "DTWMetric cannot be exported: it has no network, and every distance aligns the steps of a pair. Serve the "
            "estimator itself, or learn a metric that embeds, such as RandomConvolutionMetric."
        )

    def _prepare(self, sequences: Sequences) -> SteppedSeries:
        return SteppedSeries(np.ascontiguousarray(sequences.values, dtype=np.float64), sequences.lengths)

    def _tile(self, left: SteppedSeries, rows: np.ndarray, right: SteppedSeries, columns: np.ndarray) -> np.ndarray:
        if self._is_compiled:
            return dtw_table(left, rows, right, columns, self.radius_, effective_n_jobs(self.n_jobs))
        cdist, constraint = _tslearn().cdist_dtw, self._constraint
        out = np.empty((len(rows), len(columns)))

        def fill(i: np.ndarray, j: np.ndarray) -> None:
            sides = [left[r] for r in rows[i]], [right[c] for c in columns[j]]
            out[np.ix_(i, j)] = cdist(*sides, **constraint)

        groups = _length_groups(left.lengths[rows]), _length_groups(right.lengths[columns])
        self._run(fill, [(i, j) for i in groups[0] for j in groups[1]])
        return out

    def _rows(self, left: SteppedSeries, rows: np.ndarray, right: SteppedSeries, columns: np.ndarray) -> np.ndarray:
        if self._is_compiled:
            return dtw_pairs(left, rows, right, columns, self.radius_, effective_n_jobs(self.n_jobs))
        dtw, constraint = _tslearn().dtw, self._constraint
        out = np.empty(len(rows))

        def fill(part: range) -> None:
            for p in part:
                out[p] = dtw(left[rows[p]], right[columns[p]], **constraint)

        parts = [range(s, min(s + _TILE, len(rows))) for s in range(0, len(rows), _TILE)]
        self._run(fill, [(part,) for part in parts])
        return out

    def _embeddings(self, prepared: SteppedSeries) -> None:
        return None

    def _nearest(
        self, queries: Any, references: Any, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if self._is_compiled:
            return dtw_nearest(queries, references, k, self.radius_, exclude, effective_n_jobs(self.n_jobs))
        return self._nearest_by_pairs(queries, references, k, exclude=exclude, n_candidates=n_candidates)

    def _run(self, fill: Any, calls: list[tuple[Any, ...]]) -> None:
        # threads suffice: the kernels of tslearn release the interpreter lock, and every call writes its own block
        Parallel(n_jobs=self.n_jobs, require="sharedmem")(delayed(fill)(*call) for call in calls)

    @property
    def _is_compiled(self) -> bool:
        """Whether the kernels compute here, which may be another machine than that of the fit."""
        self._check_engine()
        return self.engine != "tslearn" and compiled.obstacle() is None

    def _check_engine(self) -> None:
        reason = compiled.obstacle()
        if self.engine == "compiled" and reason is not None:
            raise ImportError(
                f'DTWMetric(engine="compiled") needs the compiled kernels: {reason}. Pass engine="auto", which takes '
                'tslearn then: pip install "skseqmetric[baselines]".'
            )
        if self.engine == "tslearn" or reason is not None:
            _tslearn()

    @property
    def _constraint(self) -> dict[str, Any]:
        """Keyword arguments of tslearn. With a named backend, tslearn need not guess it from the arrays."""
        if self.radius_ is None:
            return {"be": "numpy"}
        return {"be": "numpy", "global_constraint": "sakoe_chiba", "sakoe_chiba_radius": self.radius_}


def _length_groups(lengths: np.ndarray) -> list[np.ndarray]:
    """Return groups of at most `_TILE` indices of sequences of similar length."""
    order = np.argsort(lengths, kind="stable")
    classes = lengths[order] // (_SLACK + 1)
    groups = np.split(order, np.flatnonzero(np.diff(classes)) + 1)
    return [group[s : s + _TILE] for group in groups for s in range(0, len(group), _TILE)]


def _tslearn() -> Any:
    return tslearn_metrics(
        'DTWMetric(engine="tslearn"), and DTWMetric where the kernels of this package are not built,'
    )
