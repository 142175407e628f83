"""A navigable graph of embeddings (HNSW), by faiss. Links from a file are checked before faiss gets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skseqmetric._files import record
from skseqmetric._metrics.indexing.library import faiss_library

_N_LINKS = 16  # of a vector, and twice as many on the lowest level
_BREADTH = 160  # candidates for the links of a new vector
_MOST_LEVELS = 16


@record(levels="int32 n", links="int32 *", entry="int", n_links="int")
@dataclass(frozen=True)
class StoredGraph:
    """The links of a graph.

    levels : levels (n,) of which each vector is a part, >= 1.
    links : the links of all vectors, of each from its lowest level on; -1 where there is none.
    entry : the vector at which a search begins.
    n_links : links of a vector on each level, and half of those on the lowest one.
    """

    levels: np.ndarray
    links: np.ndarray
    entry: int
    n_links: int

    def check_record(self) -> None:
        """Raise ValueError if a search could leave the graph."""
        n = len(self.levels)
        if not 2 <= self.n_links <= 512 or not 0 <= self.entry < n:
            raise ValueError("its graph has no entry, or an unlikely number of links.")
        if self.levels.min() < 1 or self.levels.max() > _MOST_LEVELS or self.levels[self.entry] != self.levels.max():
            raise ValueError("the levels of its graph are not those of a graph.")
        offsets = self.offsets()
        if len(self.links) != offsets[-1] or self.links.min() < -1 or self.links.max() >= n:
            raise ValueError("the links of its graph lead out of it.")
        for level in range(1, int(self.levels.max())):
            begins = offsets[:-1][self.levels > level] + (level + 1) * self.n_links
            links = self.links[(begins[:, np.newaxis] + np.arange(self.n_links)).ravel()]
            if (self.levels[links[links >= 0]] <= level).any():
                raise ValueError("a link of its graph leads to a level that its end has no part of.")

    def offsets(self) -> np.ndarray:
        """Return where the links of every vector begin, and their number at last, (n + 1,)."""
        counts = (self.levels.astype(np.int64) + 1) * self.n_links
        return np.concatenate([[0], np.cumsum(counts)])


class Graph:
    """Vectors with links to near ones. A search follows them from an entry, `n_candidates` vectors wide."""

    kind = "hnsw"

    def __init__(self, width: int, n_links: int = _N_LINKS) -> None:
        self._faiss = faiss_library(self.kind)
        self._index = self._faiss.IndexHNSWFlat(width, n_links)
        self._index.hnsw.efConstruction = _BREADTH
        self._n_links = n_links
        self._settings: dict[int, Any] = {}  # of searches of all vectors, by their breadth

    @classmethod
    def for_vectors(cls, vectors: np.ndarray) -> Graph:
        """Return a graph without vectors, for such as these (n, D)."""
        return cls(vectors.shape[1])

    @classmethod
    def restored(cls, stored: StoredGraph, vectors: np.ndarray) -> Graph:
        """Return the graph of a file with its vectors."""
        new = cls(vectors.shape[1], stored.n_links)
        index, copy = new._index, new._faiss.copy_array_to_vector
        index.storage.add(vectors)
        index.ntotal = len(vectors)
        copy(stored.levels, index.hnsw.levels)
        copy(stored.offsets().astype(np.uint64), index.hnsw.offsets)
        copy(stored.links, index.hnsw.neighbors)
        index.hnsw.entry_point, index.hnsw.max_level = stored.entry, int(stored.levels.max()) - 1
        return new

    def __len__(self) -> int:
        return self._index.ntotal

    def is_outgrown(self, n: int) -> bool:
        """Whether so many vectors need a new one."""
        return False

    def add(self, vectors: np.ndarray) -> None:
        """Add vectors (n, D)."""
        self._index.add(vectors)

    def search(self, vectors: np.ndarray, n: int, selector: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return squared distances and places (Q, n) of near vectors that the selector allows, the nearest first.

        Places are -1 where there are fewer.
        """
        settings = self._settings.get(n) if selector is None else None
        if settings is None:  # to make it takes as long as a tenth of the search
            settings = self._faiss.SearchParametersHNSW(efSearch=n, sel=selector)
            if selector is None:
                self._settings[n] = settings
        return self._index.search(vectors, n, params=settings)

    def vectors(self, places: np.ndarray) -> np.ndarray:
        """Return the vectors at these places."""
        return self._index.storage.reconstruct_batch(places)

    def stored(self) -> StoredGraph:
        """Return what a file holds of it."""
        graph, read = self._index.hnsw, self._faiss.vector_to_array
        return StoredGraph(read(graph.levels), read(graph.neighbors), int(graph.entry_point), self._n_links)
