"""Shortlists by embedding, found approximately by a graph or by lists of faiss.

Rows of an index move when others are removed, so that an approximation knows references by their numbers, which never
change and grow in the order of addition. faiss only ever gets more vectors. Those that were removed are left out of its
answers, until they are so many that a new approximation is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skseqmetric._files import record
from skseqmetric._metrics.indexing.columns import Column, column_of
from skseqmetric._metrics.indexing.graph import Graph, StoredGraph
from skseqmetric._metrics.indexing.library import faiss_library
from skseqmetric._metrics.indexing.lists import Lists, StoredLists
from skseqmetric._metrics.indexing.sharing import SharedLock
from skseqmetric._ops.progress import progress

FEWEST = 1000
"""References up to which the search is exact, which then takes less time than an approximation."""

_FEWEST_CANDIDATES = 64


def shortlist_length(k: int) -> int:
    """Return the length of a shortlist for k neighbours that the user has not chosen."""
    return max(_FEWEST_CANDIDATES, 4 * k)


_BLOCK = 1024  # vectors that are added while readers wait
_UNIT, _TINY = float(np.finfo(np.float32).eps) / 2, float(np.finfo(np.float32).tiny)
_MOST_DEAD = 0.3  # share of removed vectors from which a new approximation is made

Engine = Graph | Lists
ENGINES: dict[str, Any] = {"hnsw": Graph, "ivf": Lists}


@record(numbers="int64 n", dead="float32 m E", engine="record StoredGraph,StoredLists")
@dataclass(frozen=True)
class StoredApproximation:
    """The numbers (n,) of all vectors, those that were removed (m, D), and what finds them."""

    numbers: np.ndarray
    dead: np.ndarray
    engine: StoredGraph | StoredLists

    def check_record(self) -> None:
        """Raise ValueError unless every vector has a number."""
        n = len(self.engine.levels if isinstance(self.engine, StoredGraph) else self.engine.lists)
        if len(self.numbers) != n or (np.diff(self.numbers) <= 0).any():
            raise ValueError("the vectors of its shortlist have no numbers that grow.")


class Approximation:
    """A graph or lists of faiss, which many may search while one adds."""

    def __init__(self, engine: Engine, numbers: Column) -> None:
        self._engine, self._numbers = engine, numbers
        self._lock = SharedLock()
        self._allowed: tuple[Column, int, np.ndarray] | None = None  # of the last search

    @classmethod
    def of(cls, backend: str, embeddings: np.ndarray, numbers: Column) -> Approximation:
        """Return one of embeddings (n, D), float32, of references with these numbers."""
        new = cls(ENGINES[backend].for_vectors(embeddings), column_of(np.zeros(0, dtype=np.int64)))
        new.add(embeddings, numbers)
        return new

    @property
    def backend(self) -> str:
        """Which it is: "hnsw" or "ivf"."""
        return self._engine.kind

    def suits(self, backend: str, numbers: Column, n_new: int) -> bool:
        """Whether it is good enough for references with these numbers, the last of which are to be added."""
        known = self._numbers
        n = len(known) + n_new
        # an addition that was broken off leaves numbers that come again
        is_new = n_new == 0 or not len(known) or known.at(len(known) - 1) < numbers.at(len(numbers) - n_new)
        is_alive = len(numbers) >= (1 - _MOST_DEAD) * n
        return backend == self.backend and is_new and is_alive and not self._engine.is_outgrown(n)

    def add(self, embeddings: np.ndarray, numbers: Column) -> None:
        """Add the last references of these numbers. Those that search wait for a block of them at most."""
        begin = len(numbers) - len(embeddings)
        with progress("linking", len(embeddings), "reference") as bar:
            for start in range(0, len(embeddings), _BLOCK):
                block = np.ascontiguousarray(embeddings[start : start + _BLOCK])
                with self._lock.writing():
                    self._engine.add(block)
                    self._numbers = self._numbers.with_rows(numbers.at(begin + start + np.arange(len(block))))
                bar.advance(len(block))

    def candidates(self, embeddings: np.ndarray, numbers: Column, n: int, k: int | None = None) -> np.ndarray:
        """Return rows (Q, n) near to each embedding, of references with these numbers; -1 where fewer were found.

        With k, only those are returned that may be among the k with the nearest embeddings.
        """
        embeddings = np.ascontiguousarray(embeddings)
        with self._lock.reading():
            known = self._numbers
            squares, places = self._engine.search(embeddings, min(n, len(known)), self._selector(known, numbers))
        if k is not None and k < places.shape[1]:
            places = places[:, : _n_near(squares, k, embeddings.shape[1])]
        return places if known == numbers else np.where(places < 0, -1, numbers.rows(known.at(places)))

    def _selector(self, known: Column, numbers: Column) -> Any:
        """Return what allows references with these numbers alone, or None if there are no others."""
        if len(known) == len(numbers):
            return None
        allowed = self._allowed
        if allowed is None or allowed[0] is not numbers or allowed[1] != len(known):
            alive = numbers.rows(known.array) >= 0
            allowed = self._allowed = numbers, len(known), np.packbits(alive, bitorder="little")
        return faiss_library(self.backend).IDSelectorBitmap(allowed[2])

    def stored(self, numbers: Column) -> StoredApproximation:
        """Return what a file holds of it, beside the embeddings of references with these numbers."""
        with self._lock.reading():
            known = self._numbers.array
            dead = np.flatnonzero(numbers.rows(known) < 0)
            return StoredApproximation(known, self._engine.vectors(dead), self._engine.stored())

    @classmethod
    def restored(cls, stored: StoredApproximation, embeddings: np.ndarray, numbers: Column) -> Approximation:
        """Return that of a file with the embeddings of references with these numbers.

        Raises
        ------
        ValueError
            They are not those of the file.
        """
        alive = numbers.rows(stored.numbers) >= 0
        if alive.sum() != len(numbers) or stored.dead.shape != (len(alive) - len(numbers), embeddings.shape[1]):
            raise ValueError("its shortlist does not know its references.")
        vectors = np.empty((len(alive), embeddings.shape[1]), dtype=np.float32)
        vectors[alive], vectors[~alive] = embeddings, stored.dead
        engine: Any = Graph if isinstance(stored.engine, StoredGraph) else Lists
        return cls(engine.restored(stored.engine, vectors), column_of(stored.numbers))


def _n_near(squares: np.ndarray, k: int, width: int) -> int:
    """Return how many columns of growing squared distances (Q, n) can hold the k nearest.

    A sum of `width` squares has a relative error of at most (width + 2) u, so that others are farther for certain.
    """
    error = 2 * (width + 8) * _UNIT
    kth = squares[:, k - 1 : k]
    near = squares <= kth * np.float32(1 + error) + np.float32(width * _TINY)
    return int(near.sum(axis=1).max()) if len(near) > 1 else int(np.count_nonzero(near))
