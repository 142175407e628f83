"""One list of neighbours from several: those of shards, or of parts of the references."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np

from skseqmetric._input import as_array


def merge_neighbors(
    results: Iterable[tuple[Any, Any]], n_neighbors: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Merge the neighbours that searches of several sets of references found for the same queries.

    If every set gave its K nearest, the result is exact: the K nearest among all references, as one search of all would
    find them.

    Parameters
    ----------
    results : iterable of (distances, ids)
        One pair for each set of references, as `SequenceIndex.search` and `kneighbors` return them: arrays (n, K_s),
        where a small set may have fewer columns than others. An id belongs to one reference of one set.
    n_neighbors : int, default=None
        Neighbours K of the result. None: the most columns that a set has. There are fewer if all sets together have
        fewer.

    Returns
    -------
    distances : ndarray of shape (n, K), float64
    ids : ndarray of shape (n, K)
        Rows are sorted by (distance, id). Ids are int64, or text of dtype object.

    Raises
    ------
    ValueError
        There are no results, their shapes do not fit, a distance is NaN, `n_neighbors` is less than 1, or an id comes
        twice for a query.

    See Also
    --------
    SequenceIndex : A set of references that grows and shrinks.

    Notes
    -----
    Costs :math:`O(n S K \log(S K))` for S sets. References at the same distance are in the order of their ids. A single
    search has them in the order in which they were added. Both are the same where ids grow in this order.

    Examples
    --------
    >>> from skseqmetric import merge_neighbors
    >>> merge_neighbors([([[0.5, 2.0]], [[7, 3]]), ([[1.0, 2.0]], [[12, 1]])], n_neighbors=3)
    (array([[0.5, 1. , 2. ]]), array([[ 7, 12,  1]]))
    """
    checked = [_checked(place, *result) for place, result in enumerate(results)]
    if not checked:
        raise ValueError("results is empty: pass the (distances, ids) of at least one search.")
    _check_together([ids for _, ids in checked])
    distances, ids = (np.concatenate(parts, axis=1) for parts in zip(*checked, strict=True))
    most = max(part.shape[1] for part, _ in checked) if n_neighbors is None else n_neighbors
    if not isinstance(most, Integral) or (n_neighbors is not None and most < 1):
        raise ValueError(f"n_neighbors={n_neighbors!r} must be an integer >= 1, or None.")
    by_id = np.argsort(ids, axis=1, kind="stable")
    _refuse_double(np.take_along_axis(ids, by_id, axis=1))
    order = np.argsort(np.take_along_axis(distances, by_id, axis=1), axis=1, kind="stable")[:, :most]
    chosen = np.take_along_axis(by_id, order, axis=1)
    return np.take_along_axis(distances, chosen, axis=1), np.take_along_axis(ids, chosen, axis=1)


def merge_within(
    results: Iterable[tuple[list[np.ndarray], list[np.ndarray]]],
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the distances and ids of each query, sorted by (distance, id), from those in several sets of references.

    Raises
    ------
    ValueError
        An id comes twice for a query.
    """
    distances, ids = [], []
    of_sets = [zip(*result, strict=True) for result in results]
    for query, found in enumerate(zip(*of_sets, strict=True)):
        near, names = (np.concatenate(parts) for parts in zip(*found, strict=True))
        by_id = np.argsort(names, kind="stable")
        _refuse_double(names[np.newaxis, by_id], query)
        order = by_id[np.argsort(near[by_id], kind="stable")]
        distances.append(near[order])
        ids.append(names[order])
    return distances, ids


def _checked(place: int, distances: Any, ids: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return distances (n, K) float64 and ids (n, K), int64 or text of dtype object."""
    values, names = np.asarray(distances, dtype=np.float64), as_array(ids, f"the ids of results[{place}]")
    if values.ndim != 2 or values.shape != names.shape:
        raise ValueError(
            f"results[{place}] has distances of shape {values.shape} and ids of shape {names.shape}: both must be "
            "(n, K), as searches return them."
        )
    if np.isnan(values).any():
        raise ValueError(f"results[{place}] has a distance that is NaN.")
    if names.dtype.kind in "iu" or not names.size:
        return values, names.astype(np.int64)
    texts = names.astype(object)
    if not all(type(name) is str for name in texts.flat):
        raise ValueError(f"results[{place}] has ids of dtype {names.dtype}: they must be integers or text.")
    return values, texts


def _check_together(ids: list[np.ndarray]) -> None:
    sizes, kinds = {len(part) for part in ids}, {part.dtype.kind for part in ids if part.size}
    if len(sizes) > 1:
        raise ValueError(f"results have {sorted(sizes)} queries: all must be of the same queries.")
    if len(kinds) > 1:
        raise ValueError("some results have integers as ids and others text: give all references ids of one kind.")


def _refuse_double(sorted_ids: np.ndarray, first: int = 0) -> None:
    """Raise ValueError if a row has an id twice. `first` is the number of the first query."""
    double = sorted_ids[:, 1:] == sorted_ids[:, :-1]
    if double.any():
        row, column = np.unravel_index(int(np.argmax(double)), double.shape)
        raise ValueError(
            f"the id {sorted_ids[row].tolist()[column]!r} comes twice for query {first + row}: every reference must be "
            "in one set, with an id of its own."
        )
