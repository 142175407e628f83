"""Shortlists by embedding, found approximately by a graph or by lists of faiss.

Rows of an index move when others are removed, so that an approximation knows references by their numbers, which never
change and grow in the order of addition. faiss only ever gets more vectors. Those that were removed are left out of its
answers, until they are so many that a new approximation is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skseqmetric._estimators.index.graph import Graph, StoredGraph
from skseqmetric._estimators.index.grown import Grown
from skseqmetric._estimators.index.library import faiss_library
from skseqmetric._estimators.index.lists import Lists, StoredLists
from skseqmetric._estimators.index.sharing import SharedLock
from skseqmetric._files import record
from skseqmetric._ops.progress import progress

_BLOCK = 1024  # vectors that are added while readers wait
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

    def __init__(self, engine: Engine, numbers: np.ndarray) -> None:
        self._engine, self._numbers = engine, Grown(numbers)
        self._lock = SharedLock()
        self._allowed: tuple[np.ndarray, int, np.ndarray] | None = None  # of the last search

    @classmethod
    def of(cls, backend: str, embeddings: np.ndarray, numbers: np.ndarray) -> Approximation:
        """Return one of embeddings (n, D), float32, of references with these numbers."""
        new = cls(ENGINES[backend].for_vectors(embeddings), numbers[:0])
        new.add(embeddings, numbers)
        return new

    @property
    def backend(self) -> str:
        """Which it is: "hnsw" or "ivf"."""
        return self._engine.kind

    def suits(self, backend: str, numbers: np.ndarray, n_new: int) -> bool:
        """Whether it is good enough for references with these numbers, the last of which are to be added."""
        known = self._numbers.array
        n = len(known) + n_new
        # an addition that was broken off leaves numbers that come again
        is_new = n_new == 0 or not len(known) or known[-1] < numbers[len(numbers) - n_new]
        is_alive = len(numbers) >= (1 - _MOST_DEAD) * n
        return backend == self.backend and is_new and is_alive and not self._engine.is_outgrown(n)

    def add(self, embeddings: np.ndarray, numbers: np.ndarray) -> None:
        """Add references. Those that search wait for a block of them at most."""
        with progress("linking", len(embeddings), "reference") as bar:
            for start in range(0, len(embeddings), _BLOCK):
                block = np.ascontiguousarray(embeddings[start : start + _BLOCK])
                with self._lock.writing():
                    self._engine.add(block)
                    self._numbers = self._numbers.with_rows(numbers[start : start + len(block)])
                bar.advance(len(block))

    def candidates(self, embeddings: np.ndarray, numbers: np.ndarray, n: int) -> np.ndarray:
        """Return rows (Q, n) near to each embedding, of references with these numbers; -1 where fewer were found."""
        embeddings = np.ascontiguousarray(embeddings)
        with self._lock.reading():
            known = self._numbers.array
            places = self._engine.search(embeddings, min(n, len(known)), self._selector(known, numbers))
        found = known[places]
        rows = np.minimum(np.searchsorted(numbers, found), len(numbers) - 1)
        return np.where((places >= 0) & (numbers[rows] == found), rows, -1)

    def _selector(self, known: np.ndarray, numbers: np.ndarray) -> Any:
        """Return what allows references with these numbers alone, or None if there are no others."""
        if len(known) == len(numbers):
            return None
        allowed = self._allowed
        if allowed is None or allowed[0] is not numbers or allowed[1] != len(known):
            allowed = self._allowed = numbers, len(known), np.packbits(_among(known, numbers), bitorder="little")
        return faiss_library(self.backend).IDSelectorBitmap(allowed[2])

    def stored(self, numbers: np.ndarray) -> StoredApproximation:
        """Return what a file holds of it, beside the embeddings of references with these numbers."""
        with self._lock.reading():
            known = self._numbers.array
            dead = np.flatnonzero(~_among(known, numbers))
            return StoredApproximation(known, self._engine.vectors(dead), self._engine.stored())

    @classmethod
    def restored(cls, stored: StoredApproximation, embeddings: np.ndarray, numbers: np.ndarray) -> Approximation:
        """Return that of a file with the embeddings of references with these numbers.

        Raises
        ------
        ValueError
            They are not those of the file.
        """
        alive = _among(stored.numbers, numbers)
        if alive.sum() != len(numbers) or stored.dead.shape != (len(alive) - len(numbers), embeddings.shape[1]):
            raise ValueError("its shortlist does not know its references.")
        vectors = np.empty((len(alive), embeddings.shape[1]), dtype=np.float32)
        vectors[alive], vectors[~alive] = embeddings, stored.dead
        engine: Any = Graph if isinstance(stored.engine, StoredGraph) else Lists
        return cls(engine.restored(stored.engine, vectors), stored.numbers)


def _among(known: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return which of the known numbers are among the numbers. Both grow."""
    if not len(numbers):
        return np.zeros(len(known), dtype=np.bool_)
    return numbers[np.minimum(np.searchsorted(numbers, known), len(numbers) - 1)] == known
