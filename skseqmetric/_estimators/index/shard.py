"""A part of a large index, and what a worker does with it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from skseqmetric._estimators.index.index import SequenceIndex
from skseqmetric._metrics.hooks import kept


class Content(NamedTuple):
    """What a shard has again when it is built again: so many references, with ids of this kind and this digest."""

    n: int
    has_texts: bool
    digest: str


@dataclass(frozen=True)
class Shard:
    """An index in the memory of a worker.

    name : its source, for messages.
    n_bytes : what Dask would have to send to move it.
    """

    name: str
    index: SequenceIndex
    content: Content
    n_bytes: int

    @classmethod
    def built(cls, name: str, build: Callable[[], SequenceIndex]) -> Shard:
        """Return the shard of an index that is made here."""
        index = build()
        if not isinstance(index, SequenceIndex):
            raise ValueError(f"build returned {type(index).__name__} for {name}: it must return a SequenceIndex.")
        return cls(name, index, _content(index.ids), _bytes_of(index))

    def __sizeof__(self) -> int:
        return self.n_bytes

    def prepared(self, X: Any) -> Any:
        """Return queries in the form that the searches of all shards take."""
        return kept(self.index._queries(X))

    def nearest(self, expected: Content, queries: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return distances and ids of the k nearest, or of all if there are fewer."""
        self._check(expected)
        k = min(k, self.content.n)
        return self.index._nearest(self.index._contents_with(k), queries, k)

    def within(self, expected: Content, queries: Any, radius: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return distances and ids of all up to a distance."""
        self._check(expected)
        return self.index._within(self.index._contents_with(0), queries, radius)

    def _check(self, expected: Content) -> None:
        if self.content != expected:
            raise ValueError(
                f"the shard of {self.name} was lost, and its source has changed meanwhile: it had {expected.n} "
                f"references, and now has {self.content.n} or others. Remove the source and add it again."
            )


def _content(ids: np.ndarray) -> Content:
    is_text = ids.dtype == object
    names = pickle.dumps(ids.tolist(), protocol=5) if is_text else ids.tobytes()
    return Content(len(ids), is_text, blake2b(names, digest_size=16).hexdigest())


def _bytes_of(index: SequenceIndex) -> int:
    arrays: list[pickle.PickleBuffer] = []
    text = pickle.dumps(index, protocol=5, buffer_callback=arrays.append)  # arrays are not copied
    return len(text) + sum(array.raw().nbytes for array in arrays)
