"""Edit distances of symbol sequences, many pairs at once.

The edit distance D (Levenshtein) is the least number of insertions, deletions and substitutions that turn a into b,

    D[i, j] = min( D[i-1, j] + 1,  D[i, j-1] + 1,  D[i-1, j-1] + (a_i != b_j) ),   D[i, 0] = i,  D[0, j] = j.

With S[i, j] = i + j - D[i, j], the score of an alignment in which a match earns 2 and a substitution 1,

    S[i, j] = max( S[i-1, j],  S[i, j-1],  S[i-1, j-1] + 1 + (a_i == b_j) ),       S[i, 0] = S[0, j] = 0,

and the dependence within a row is a running maximum: one pass of whole rows for each symbol of a. S only grows, so that
padding, which earns nothing, carries S[|a|, |b|] to the last corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_BLOCK = 2**17  # entries of S held at once: its rows stay in the cache


class _Padded(NamedTuple):
    codes: np.ndarray  # (longest, n), column i holds sequence i
    lengths: np.ndarray  # (n,)


def edit_distances(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], *, substitutions_only: bool = False
) -> np.ndarray:
    """Distances row by row.

    Parameters
    ----------
    first, second : lists of n integer arrays (L_i,), possibly empty
        Codes of the symbols; equal codes mean equal symbols.
    substitutions_only : bool, default=False
        Allow no insertion and no deletion: the Hamming distance where both lengths are equal, and -1 where they are
        not, as no number of substitutions turns one into the other.

    Returns
    -------
    distances : array (n,) int64

    Raises
    ------
    ValueError
        Where the two lists differ in length.

    Notes
    -----
    O(L) NumPy calls for a block of pairs, O(L L') operations a pair (L with substitutions only).
    """
    if len(first) != len(second):
        raise ValueError(f"first has {len(first)} sequences and second has {len(second)}.")
    rows = np.arange(len(first))
    return _of_pairs(_pad(first), _pad(second), rows, rows, substitutions_only)


def edit_distance_table(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Edit distances of every sequence of `first` (n) to every one of `second` (m): array (n, m) int64.

    Parameters as in `edit_distances`. O(n m L L') operations, O(n m) memory.
    """
    n, m = len(first), len(second)
    rows, columns = np.divmod(np.arange(n * m), max(m, 1))
    return _of_pairs(_pad(first), _pad(second), rows, columns, substitutions_only=False).reshape(n, m)


def _pad(sequences: Sequence[np.ndarray]) -> _Padded:
    lengths = np.array([len(codes) for codes in sequences], dtype=np.int64)
    padded = np.zeros((len(sequences), int(lengths.max(initial=0))), dtype=np.int64)
    if lengths.any():
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate(list(sequences))
    return _Padded(np.ascontiguousarray(padded.T), lengths)


def _of_pairs(
    first: _Padded, second: _Padded, rows: np.ndarray, columns: np.ndarray, substitutions_only: bool
) -> np.ndarray:
    distances = np.empty(len(rows), dtype=np.int64)
    measure = _hamming if substitutions_only else _levenshtein
    # pairs of like lengths side by side, so that a long sequence does not pad all the others
    order = np.lexsort((first.lengths[rows], second.lengths[columns]))
    step = max(1, _BLOCK // (len(second.codes) + 1))
    for start in range(0, len(rows), step):
        block = order[start : start + step]
        distances[block] = measure(_take(first, rows[block]), _take(second, columns[block]))
    return distances


def _take(padded: _Padded, index: np.ndarray) -> _Padded:
    lengths = padded.lengths[index]
    return _Padded(padded.codes[: lengths.max(), index], lengths)


def _levenshtein(a: _Padded, b: _Padded) -> np.ndarray:
    score = np.zeros((len(b.codes) + 1, len(b.lengths)), dtype=np.int32)  # S[i, :] for i = 0, 1, ...
    within = np.arange(len(b.codes))[:, None] < b.lengths
    for i, symbol in enumerate(a.codes):
        earned = within & (i < a.lengths)
        best = score[:-1] + earned
        best += earned & (b.codes == symbol)
        np.maximum(best, score[1:], out=best)
        np.maximum.accumulate(best, axis=0, out=score[1:])
    return a.lengths + b.lengths - score[-1]


def _hamming(a: _Padded, b: _Padded) -> np.ndarray:
    shared = min(len(a.codes), len(b.codes))
    within = np.arange(shared)[:, None] < a.lengths
    unequal = np.count_nonzero((a.codes[:shared] != b.codes[:shared]) & within, axis=0)
    return np.where(a.lengths == b.lengths, unequal, -1)
