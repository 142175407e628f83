"""The graph of the fitted sequences for `algorithm="hnsw"`: shortlists by embedding, and exact distances to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skseqmetric._metrics.hooks import check_neighbors, embedded, is_euclidean
from skseqmetric._metrics.indexing.approximation import FEWEST, Approximation, StoredApproximation
from skseqmetric._metrics.indexing.columns import Column, Consecutive
from skseqmetric._metrics.indexing.library import faiss_library
from skseqmetric._metrics.indexing.references import (
    EuclideanReferences,
    Found,
    PairedReferences,
    References,
    embeddings_of,
)
from skseqmetric._metrics.jobs import nearest_in_jobs
from skseqmetric._metrics.parts import can_grow, taken
from skseqmetric._metrics.search import k_nearest

_KIND = "hnsw"


@dataclass(frozen=True)
class Linked:
    """Fitted sequences, prepared, and the graph of their embeddings."""

    prepared: Any
    references: References
    numbers: Column
    approximation: Approximation

    @classmethod
    def of(cls, metric: Any, prepared: Any, n_new: int, earlier: Linked | None) -> Linked | None:
        """Return that of prepared sequences, the last `n_new` of which `earlier` does not know; None for few of them.

        Raises
        ------
        ImportError
            There is no faiss.
        ValueError
            The metric has no embedding.
        """
        faiss_library(_KIND, "algorithm")
        embeddings, numbers = _embeddings(metric, prepared), Consecutive(0, len(prepared))
        if len(prepared) <= FEWEST:
            return None
        if earlier is not None and earlier.approximation.suits(_KIND, numbers, n_new):
            approximation = earlier.approximation
            approximation.add(embeddings[-n_new:], numbers)
        else:
            approximation = Approximation.of(_KIND, embeddings, numbers)
        return cls(prepared, _references(metric, prepared), numbers, approximation)

    def search(
        self, metric: Any, queries: Any, k: int, *, n_candidates: int, exclude: np.ndarray | None, n_jobs: int | None
    ) -> Found:
        """Return distances and indices (Q, k) of the nearest. See `k_nearest`."""
        return nearest_in_jobs(partial(self._nearest, k=k, n_candidates=n_candidates), metric, queries, exclude, n_jobs)

    def _nearest(self, metric: Any, queries: Any, exclude: np.ndarray | None, *, k: int, n_candidates: int) -> Found:
        """Return the nearest on a shortlist, and of all where that is shorter than k."""
        more = int(exclude is not None)
        most = k + more if isinstance(self.references, EuclideanReferences) else None
        rows = self.approximation.candidates(embeddings_of(metric, queries), self.numbers, n_candidates + more, most)
        if exclude is not None:
            rows = np.where(rows == exclude[:, np.newaxis], -1, rows)

        def of_all(short: np.ndarray) -> Found:
            left = None if exclude is None else exclude[short]
            if can_grow(queries):
                return k_nearest(metric, taken(queries, short), self.prepared, k, exclude=left)
            distances, found = k_nearest(metric, queries, self.prepared, k, exclude=exclude)
            return distances[short], found[short]

        found = self.references.nearest_of(self.references.of_queries(queries), rows, k, of_all)
        return check_neighbors(metric, found, (len(queries), k), len(self.prepared))

    def __reduce__(self) -> Any:
        return Linked.restored, (self.references.metric, self.prepared, self.stored())

    def stored(self) -> StoredApproximation:
        """Return what a file holds of it, beside the prepared sequences."""
        return self.approximation.stored(self.numbers)

    @classmethod
    def restored(cls, metric: Any, prepared: Any, stored: StoredApproximation) -> Linked:
        """Return that of a file.

        Raises
        ------
        ImportError
            There is no faiss.
        ValueError
            The graph is not that of these sequences.
        """
        faiss_library(_KIND, "algorithm")
        embeddings, numbers = _embeddings(metric, prepared), Consecutive(0, len(prepared))
        approximation = Approximation.restored(stored, embeddings, numbers)
        return cls(prepared, _references(metric, prepared), numbers, approximation)


def _embeddings(metric: Any, prepared: Any) -> np.ndarray:
    return embeddings_of(metric, prepared, 'algorithm="exact"')


def _references(metric: Any, prepared: Any) -> References:
    embeddings: Any = embedded(metric, prepared)
    if is_euclidean(metric) and embeddings.dtype == np.float32:  # others would be rounded
        return EuclideanReferences.of(metric, embeddings)
    return PairedReferences(metric, (prepared,))
