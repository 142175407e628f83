"""What an index searches: embeddings whose Euclidean distance is that of the metric, or prepared sequences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch

from skseqmetric._metrics.hooks import check_prepared, distance_tile, distances_of_pairs, embedded
from skseqmetric._metrics.indexing.parts import places, taken_parts, with_part
from skseqmetric._metrics.parts import joined, taken
from skseqmetric._metrics.search import k_nearest
from skseqmetric._ops.references import References as ExactReferences
from skseqmetric._ops.topk import euclidean_chosen, euclidean_pairs, euclidean_to_one, merge_topk
from skseqmetric._tensors.modes import answering

Found = tuple[np.ndarray, np.ndarray]
"""Distances and rows, (Q, K) each, sorted by (distance, row)."""

Within = tuple[list[np.ndarray], list[np.ndarray]]
"""Distances and rows of each query, sorted by (distance, row)."""

_PAIRS = 2**20  # distances of one tile


class References(ABC):
    """References of a metric. They never change: adding and removing makes new ones, and readers keep what they have.

    Queries are in the form that `of_queries` returns.
    """

    metric: Any

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def with_prepared(self, prepared: Any) -> Self:
        """Return these references and more."""

    @abstractmethod
    def taken(self, rows: np.ndarray) -> Self:
        """Return some of them, whose rows grow."""

    @abstractmethod
    def of_queries(self, prepared: Any) -> Any:
        """Return prepared queries in the form that the other methods take."""

    @abstractmethod
    def nearest(self, queries: Any, k: int) -> Found:
        """Return the k nearest."""

    @abstractmethod
    def within(self, queries: Any, radius: float) -> Within:
        """Return all at distances up to the radius."""

    @abstractmethod
    def distances(self, queries: Any, candidates: np.ndarray) -> np.ndarray:
        """Return the distances (Q, n) of every query to the rows of its candidates (Q, n); infinity for the row -1."""

    def nearest_of(self, queries: Any, candidates: np.ndarray, k: int, of_all: Callable[[np.ndarray], Found]) -> Found:
        """Return the k nearest of candidates (Q, n), of which -1 is none.

        `of_all(short)` returns those of queries that have fewer than k candidates.
        """
        rows = np.where(candidates < 0, len(self), candidates)
        distances = self.distances(queries, candidates)
        if len(rows) == 1:  # in few calls, which take longer than the arithmetic
            order = np.lexsort((rows[0], distances[0]))[:k]
            found = distances[:, order], rows[:, order]
        else:
            order = np.lexsort((rows, distances), axis=1)[:, :k]
            found = np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)
        short = np.flatnonzero(found[1][:, -1] == len(self))
        if len(short):
            found[0][short], found[1][short] = of_all(short)
        return found

    @property
    @abstractmethod
    def is_embedded(self) -> bool:
        """Whether there are embeddings."""

    @abstractmethod
    def embeddings(self) -> np.ndarray:
        """Return the embeddings (n, D), float32."""

    @abstractmethod
    def stored(self) -> Any:
        """Return what a file holds of them: embeddings (n, D), or prepared sequences."""

    @abstractmethod
    def restored(self, stored: Any, n: int) -> Self:
        """Return the n references of a file. ValueError: the metric does not make such."""


@dataclass(frozen=True)
class EuclideanReferences(References):
    """Embeddings in parts, each ready for the exact search."""

    metric: Any
    parts: tuple[ExactReferences, ...] = ()

    @classmethod
    @answering
    def of(cls, metric: Any, embeddings: np.ndarray) -> EuclideanReferences:
        """Return references of these embeddings (n, D), float32. Their memory is used as it is."""
        return cls(metric, (ExactReferences.of(_tensor(embeddings)),))

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @answering
    def with_prepared(self, prepared: Any) -> EuclideanReferences:
        new = ExactReferences.of(_tensor(self.of_queries(prepared)))
        return replace(self, parts=with_part(self.parts, new, lambda first, last: first.appended(last.rows)))

    @answering
    def taken(self, rows: np.ndarray) -> EuclideanReferences:
        return replace(self, parts=taken_parts(self.parts, rows, _without_others))

    def of_queries(self, prepared: Any) -> np.ndarray:
        return embeddings_of(self.metric, prepared)

    @answering
    def nearest(self, queries: np.ndarray, k: int) -> Found:
        best: tuple[Any, Any] = (None, None)
        rows = _tensor(queries)
        for part, start in places(self.parts):
            distances, indices = part.search(rows, min(k, len(part)))
            best = (distances, indices) if best[0] is None else merge_topk(*best, distances, indices + start, k)
        return best[0].numpy(), best[1].numpy()

    @answering
    def within(self, queries: np.ndarray, radius: float) -> Within:
        found: list[list[Found]] = [[] for _ in range(len(queries))]
        for part, start in places(self.parts):
            starts, distances, indices = (side.numpy() for side in part.within(_tensor(queries), radius))
            for query, (first, last) in enumerate(pairwise(starts)):
                found[query].append((distances[first:last], indices[first:last] + start))
        return _sorted_lists(found)

    def distances(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        if len(self.parts) == 1 and candidates.min() >= 0:  # all alike, so that nothing has to be sorted out
            return _chosen(queries, self.parts[0], candidates)
        return _by_parts(self.parts, candidates, lambda part, at, rows: _pairs(queries, at, part, rows))

    @property
    def is_embedded(self) -> bool:
        return True

    def embeddings(self) -> np.ndarray:
        return self.stored()

    def stored(self) -> np.ndarray:
        rows = [part.rows.numpy() for part in self.parts]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def restored(self, stored: Any, n: int) -> EuclideanReferences:
        width = getattr(self.metric, "_n_features_out", None)
        if not isinstance(stored, np.ndarray) or stored.shape != (n, width):
            raise ValueError(f"its references are not {n} embeddings of {width} numbers.")
        return self.of(self.metric, stored)


@dataclass(frozen=True)
class PairedReferences(References):
    """Prepared sequences in parts, for distances that are computed pair by pair."""

    metric: Any
    parts: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def with_prepared(self, prepared: Any) -> PairedReferences:
        return replace(self, parts=with_part(self.parts, prepared, joined))

    def taken(self, rows: np.ndarray) -> PairedReferences:
        return replace(self, parts=taken_parts(self.parts, rows, taken))

    def of_queries(self, prepared: Any) -> Any:
        return prepared

    def nearest(self, queries: Any, k: int) -> Found:
        best: tuple[Any, Any] = (None, None)
        for part, start in places(self.parts):
            found, rows = k_nearest(self.metric, queries, part, min(k, len(part)))
            best = merge_topk(*best, torch.from_numpy(found), torch.from_numpy(rows + start), k)
        return best[0].numpy(), best[1].numpy()

    def within(self, queries: Any, radius: float) -> Within:
        found: list[list[Found]] = [[] for _ in range(len(queries))]
        for part, start in places(self.parts):
            columns = np.arange(len(part))
            height = max(1, _PAIRS // len(part))
            for first in range(0, len(queries), height):
                at = np.arange(first, min(first + height, len(queries)))
                for query, row in zip(at, distance_tile(self.metric, queries, at, part, columns), strict=True):
                    near = np.flatnonzero(row <= radius)
                    found[query].append((row[near], near + start))
        return _sorted_lists(found)

    def distances(self, queries: Any, candidates: np.ndarray) -> np.ndarray:
        def of_part(part: Any, at: np.ndarray, rows: np.ndarray) -> np.ndarray:
            return distances_of_pairs(self.metric, queries, at, part, rows)

        return _by_parts(self.parts, candidates, of_part)

    @property
    def is_embedded(self) -> bool:
        return embedded(self.metric, self.parts[0]) is not None

    def embeddings(self) -> np.ndarray:
        return np.concatenate([embeddings_of(self.metric, part) for part in self.parts])

    def stored(self) -> Any:
        return reduce(lambda last, part: joined(part, last), reversed(self.parts))

    def restored(self, stored: Any, n: int) -> PairedReferences:
        check_prepared(self.metric, stored, n)
        return replace(self, parts=(stored,))


def embeddings_of(metric: Any, prepared: Any, remedy: str = 'backend="exact" and n_candidates=None') -> np.ndarray:
    """Return the embeddings (n, D) of prepared sequences in float32.

    Raises
    ------
    ValueError
        The metric has no embedding.
    """
    found = embedded(metric, prepared)
    if found is None:
        raise ValueError(
            f"{type(metric).__name__} has no embedding, by which a shortlist could be found: use {remedy}."
        )
    return found.astype(np.float32, copy=False)


def _tensor(rows: np.ndarray) -> torch.Tensor:
    # joblib and files pass arrays as read-only, and torch warns of such arrays
    return torch.from_numpy(np.require(rows, requirements=["C", "W"]))


def _chosen(queries: np.ndarray, part: ExactReferences, candidates: np.ndarray) -> np.ndarray:
    if len(queries) == 1:
        return euclidean_to_one(queries[0], part.rows.numpy()[candidates[0]])[np.newaxis]
    return _chosen_of_many(queries, part, candidates)


@answering
def _chosen_of_many(queries: np.ndarray, part: ExactReferences, candidates: np.ndarray) -> np.ndarray:
    return euclidean_chosen(_tensor(queries), part.rows, torch.from_numpy(candidates)).numpy()


@answering
def _pairs(queries: np.ndarray, at: np.ndarray, part: ExactReferences, rows: np.ndarray) -> np.ndarray:
    return euclidean_pairs(_tensor(queries), torch.from_numpy(at), part.rows, torch.from_numpy(rows)).numpy()


def _by_parts(parts: tuple[Any, ...], candidates: np.ndarray, distances: Callable[..., np.ndarray]) -> np.ndarray:
    """Return the distances of candidates (Q, n), of those in each part by one call of `distances(part, at, rows)`."""
    found = np.full(candidates.shape, np.inf)
    for part, start in places(parts):
        at, column = np.nonzero((candidates >= start) & (candidates < start + len(part)))
        if len(at):
            found[at, column] = distances(part, at, candidates[at, column] - start)
    return found


def _without_others(part: ExactReferences, rows: np.ndarray) -> ExactReferences:
    removed = torch.ones(len(part), dtype=torch.bool, device="cpu")
    removed[torch.from_numpy(rows)] = False
    return part.without(removed)


def _sorted_lists(found: list[list[Found]]) -> Within:
    """Return the distances and rows of each query from those of parts, sorted by (distance, row)."""
    distances, rows = [], []
    for parts in found:
        near, which = (np.concatenate(side) for side in zip(*parts, strict=True))
        order = np.lexsort((which, near))
        distances.append(near[order])
        rows.append(which[order])
    return distances, rows
