"""A distance given as a function of the user: of two sequences, or of two lists of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn, Self

import numpy as np

from skseqmetric._base import exporting, unchanged_if_refused
from skseqmetric._files import record
from skseqmetric._input import Sequences, check_sequences
from skseqmetric._metrics.protocol import Metric

_MOST_PAIRS = 2**16  # in one call


@record(series="list", lengths="int64 n")
@dataclass(frozen=True)
class PreparedList:
    """The sequences as a list of (T_i, C) arrays."""

    series: list[np.ndarray]
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def joined(self, other: PreparedList) -> PreparedList:
        """Return these sequences and then those of the other."""
        return PreparedList([*self.series, *other.series], np.concatenate([self.lengths, other.lengths]))

    def taken(self, rows: np.ndarray) -> PreparedList:
        """Return some of the sequences."""
        return PreparedList([self.series[row] for row in rows], self.lengths[rows])


class CallableMetric(Metric):
    """A distance that the user gives as a function.

    Parameters
    ----------
    function : callable
        One of two forms. A function of one pair takes two (T_i, C) arrays and returns their distance, a number. A
        function of two lists takes lists of Q and R such arrays and returns all distances between them, an array-like
        (Q, R); one call has at most 65536 pairs. `fit` finds the form. Distances must be finite. They should be
        symmetric, with d(x, x) = 0. The function must not change the arrays.

    Attributes
    ----------
    takes_lists_ : bool
        Whether the function takes two lists.
    """

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        self.function = function

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the input, and find the form of the function by trial calls. The metric learns nothing.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences. The trial takes two of the shortest, of different lengths if there are such.
        y : None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            The function has neither form. Its own errors are the cause and the context of this error.
        """
        with unchanged_if_refused(self):
            sequences = check_sequences(X, estimator=self)
            self.takes_lists_ = _takes_lists(self.function, *_trial_sequences(sequences))
            self.__dict__.pop("threshold_", None)
        return self

    export = exporting.export

    def _exportable(self) -> NoReturn:
        raise ValueError(
            f"{type(self).__name__} cannot be exported: its distance is a function of Python. Serve the estimator "
            "itself, or learn a metric that embeds, such as RandomConvolutionMetric."
        )

    _in_python = True

    def _prepare(self, sequences: Sequences) -> PreparedList:
        return PreparedList(sequences.to_list(), sequences.lengths)

    def _tile(self, left: PreparedList, rows: np.ndarray, right: PreparedList, columns: np.ndarray) -> np.ndarray:
        if not self.takes_lists_:
            pairs = [(i, j) for i in rows.tolist() for j in columns.tolist()]
            return self._each(left, right, pairs).reshape(len(rows), len(columns))
        out = np.empty((len(rows), len(columns)))
        width = min(len(columns), int(_MOST_PAIRS**0.5))
        height = max(1, _MOST_PAIRS // max(1, width))
        for i in range(0, len(rows), height):
            for j in range(0, len(columns), width):
                part = slice(i, i + height), slice(j, j + width)
                out[part] = self._call(left, rows[part[0]], right, columns[part[1]])
        return out

    def _rows(self, left: PreparedList, rows: np.ndarray, right: PreparedList, columns: np.ndarray) -> np.ndarray:
        if not self.takes_lists_:
            return self._each(left, right, list(zip(rows.tolist(), columns.tolist(), strict=True)))
        out = np.empty(len(rows))
        for row in np.unique(rows):
            at = np.flatnonzero(rows == row)
            out[at] = self._tile(left, np.array([row]), right, columns[at])[0]
        return out

    def _embeddings(self, prepared: PreparedList) -> None:
        return None

    def _nearest(
        self, queries: Any, references: Any, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._nearest_by_pairs(queries, references, k, exclude=exclude, n_candidates=n_candidates)

    def _each(self, left: PreparedList, right: PreparedList, pairs: list[tuple[int, int]]) -> np.ndarray:
        """Return the distances (P,) of the pairs, by one call for each."""
        out = np.empty(len(pairs))
        for p, (i, j) in enumerate(pairs):
            names = f"sequence {i} (of the first set) and sequence {j} (of the second)"
            try:
                found = self.function(left.series[i], right.series[j])
            except Exception as error:
                error.add_note(f"The metric was called for {names}.")
                raise
            out[p] = found if type(found) is float and isfinite(found) else _number(found, names)
        return out

    def _call(self, left: PreparedList, rows: np.ndarray, right: PreparedList, columns: np.ndarray) -> np.ndarray:
        return _block(self.function, [left.series[i] for i in rows], [right.series[j] for j in columns])


# ------------------------------------------------------------------ which form is it?

_FORMS = (
    "A function of one pair takes two arrays (T_i, C) and returns a finite number. A function of two lists takes lists "
    "of Q and R such arrays and returns all distances between them, shape (Q, R)."
)


def _trial_sequences(sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
    """Return the shortest sequence and the next longer one, or two of the only length, or the only sequence twice."""
    order = np.argsort(sequences.lengths, kind="stable")
    longer = np.flatnonzero(sequences.lengths[order] > sequences.lengths[order[0]])
    second = int(longer[0]) if len(longer) else min(1, len(order) - 1)
    return sequences[int(order[0])], sequences[int(order[second])]


def _takes_lists(function: Any, a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether the function takes two lists rather than one pair. A function of neither form raises ValueError.

    A function of lists must answer 1 x 2 and 2 x 1 lists with arrays of these shapes, which no broadcast gives. If it
    also answers a pair with a number, the two numbers must agree. Otherwise it is a function of one pair, which
    computes something else of lists.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # of lists where a pair is meant, or the other way round; the right form is called again later, with warnings
        warnings.simplefilter("ignore")
        try:
            distance = _block(function, [a], [a, b])[0, 1]
            _block(function, [a, b], [b])
        except MemoryError:
            raise
        except Exception as of_lists:
            _refuse_unless_pair(function, a, b, of_lists)
            return False
        try:
            return bool(np.isclose(_number(function(a, b), "a pair"), distance, rtol=1e-3))
        except MemoryError:
            raise
        except Exception:
            return True


def _refuse_unless_pair(function: Any, a: np.ndarray, b: np.ndarray, of_lists: Exception) -> None:
    names = f"two sequences of {len(a)} and {len(b)} steps"
    try:
        _number(function(a, b), names)
    except MemoryError:
        raise
    except Exception as of_pair:
        raise ValueError(
            f"metric={function!r} is a function of neither form. {_FORMS} A trial with {names} gave {_brief(of_pair)}. "
            f"A trial with lists of 1 and 2 of them gave {_brief(of_lists)}."
        ) from of_pair


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).rstrip('.')}"


def _number(found: Any, names: str) -> float:
    """Return what the function found for a pair as a float. It must be one finite number."""
    number = float(found) if _is_number(found) else np.nan
    if not np.isfinite(number):
        raise ValueError(f"the metric returned {_shown(found)} for {names}: it must return one finite number.")
    return number


def _is_number(found: Any) -> bool:
    if isinstance(found, (list, tuple, str, bytes)):
        return False
    array = np.asarray(found)
    return array.ndim == 0 and array.dtype.kind in "biuf"


def _shown(found: Any) -> str:
    shape = getattr(found, "shape", ())
    return f"{type(found).__name__} of shape {tuple(shape)}" if shape else repr(found)[:80]


def _block(function: Any, queries: list[np.ndarray], references: list[np.ndarray]) -> np.ndarray:
    """Return function(queries, references), which must be an array (Q, R) of numbers."""
    found, shape = function(queries, references), (len(queries), len(references))
    try:
        array = np.asarray(found)
    except ValueError:  # rows of unequal lengths
        array = np.empty(0, dtype=object)
    if array.shape != shape or array.dtype.kind not in "biuf":
        raise ValueError(
            f"the metric was given {shape[0]} and {shape[1]} sequences and returned {type(found).__name__} of shape "
            f"{array.shape} and dtype {array.dtype}: it must return all distances, numbers of shape {shape}."
        )
    return array.astype(np.float64, copy=False)
