"""Lists of the embeddings near to centres (an inverted file, IVF), by faiss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skseqmetric._files import record
from skseqmetric._metrics.indexing.library import faiss_library

_PER_LIST = 39  # fewest vectors for each centre, as faiss asks for
_SAMPLED = 64  # vectors for each centre that k-means reads
_GROWN = 4  # times as many vectors as lists were made for


@record(centers="float32 L E", lists="int32 n", n_made_for="int")
@dataclass(frozen=True)
class StoredLists:
    """The centres (L, D), the list of every vector (n,), and the number of vectors for which they were made."""

    centers: np.ndarray
    lists: np.ndarray
    n_made_for: int

    def check_record(self) -> None:
        """Raise ValueError if a vector is in no list."""
        if not len(self.lists) or self.lists.min() < 0 or self.lists.max() >= len(self.centers):
            raise ValueError("a list of its vectors has no centre.")


class Lists:
    """Vectors in lists, each of those near to one centre. A search reads the lists of `n_candidates` centres."""

    kind = "ivf"

    def __init__(self, centers: np.ndarray, n_made_for: int) -> None:
        self._faiss = faiss_library(self.kind)
        self._quantizer = self._faiss.IndexFlatL2(centers.shape[1])
        self._quantizer.add(centers)
        self._index = self._faiss.IndexIVFFlat(self._quantizer, centers.shape[1], len(centers))
        self._index.is_trained = True
        self._lists: list[np.ndarray] = []
        self._centers, self._n_made_for = centers, n_made_for

    @classmethod
    def for_vectors(cls, vectors: np.ndarray) -> Lists:
        """Return lists without vectors, whose centres are those of k-means of vectors (n, D)."""
        faiss, n = faiss_library(cls.kind), len(vectors)
        n_lists = max(1, min(round(4 * n**0.5), n // _PER_LIST))
        k_means = faiss.Kmeans(
            vectors.shape[1], n_lists, niter=10, seed=0, max_points_per_centroid=_SAMPLED, min_points_per_centroid=1
        )
        k_means.train(vectors)
        return cls(k_means.centroids.reshape(n_lists, -1), n)

    @classmethod
    def restored(cls, stored: StoredLists, vectors: np.ndarray) -> Lists:
        """Return the lists of a file with their vectors."""
        new = cls(stored.centers, stored.n_made_for)
        new._add(vectors, stored.lists)
        return new

    def __len__(self) -> int:
        return self._index.ntotal

    def is_outgrown(self, n: int) -> bool:
        """Whether so many vectors need more lists."""
        return n > _GROWN * self._n_made_for

    def add(self, vectors: np.ndarray) -> None:
        """Add vectors (n, D)."""
        self._add(vectors, self._quantizer.search(vectors, 1)[1][:, 0].astype(np.int32))

    def _add(self, vectors: np.ndarray, lists: np.ndarray) -> None:
        # names, because faiss gets addresses: temporary arrays would be gone
        vectors, wide = np.ascontiguousarray(vectors, dtype=np.float32), lists.astype(np.int64)
        pointer = self._faiss.swig_ptr
        self._index.add_core(len(vectors), pointer(vectors), None, pointer(wide))
        self._lists.append(lists)

    def search(self, vectors: np.ndarray, n: int, selector: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return squared distances and places (Q, n) of near vectors that the selector allows, the nearest first.

        Places are -1 where there are fewer.
        """
        settings = self._faiss.SearchParametersIVF(nprobe=min(n, len(self._centers)), sel=selector)
        return self._index.search(vectors, n, params=settings)

    def vectors(self, places: np.ndarray) -> np.ndarray:
        """Return the vectors at these places."""
        self._index.make_direct_map()
        return self._index.reconstruct_batch(places)

    def stored(self) -> StoredLists:
        """Return what a file holds of them."""
        return StoredLists(self._centers, np.concatenate(self._lists), self._n_made_for)
