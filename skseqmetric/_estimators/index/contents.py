"""What an index holds at one moment. Nothing of it changes: a writer makes new contents, and readers keep theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from skseqmetric._files import record
from skseqmetric._metrics.hooks import is_euclidean
from skseqmetric._metrics.indexing.approximation import Approximation, StoredApproximation, shortlist_length
from skseqmetric._metrics.indexing.columns import Column, column_of
from skseqmetric._metrics.indexing.references import (
    EuclideanReferences,
    Found,
    PairedReferences,
    References,
    Within,
    embeddings_of,
)
from skseqmetric._metrics.parts import taken


@record(
    names="int64 n|labels n",
    numbers="int64 n",
    next_name="int",
    next_number="int",
    references="none|float32 n E|record Embedded,EmbeddedSequences,PreparedEnsemble,SteppedSeries",
    approximation="none|record StoredApproximation",
)
@dataclass(frozen=True)
class StoredContents:
    """Contents as a file holds them.

    names : ids (n,), whole numbers or text.
    numbers : numbers (n,) of the references, which grow.
    next_name, next_number : what the next sequence without an id gets.
    references : embeddings (n, D), or prepared sequences. None: there are none.
    approximation : graph or lists, if there are any.
    """

    names: np.ndarray
    numbers: np.ndarray
    next_name: int
    next_number: int
    references: Any
    approximation: StoredApproximation | None

    def check_record(self) -> None:
        """Raise ValueError unless every reference has an id and a number of its own."""
        names = self.names
        if len(names) != len(self.numbers) or (np.diff(self.numbers) <= 0).any() or self.next_name < 0:
            raise ValueError("the numbers of its references do not grow.")
        if names.dtype == object and not all(type(name) is str for name in names):
            raise ValueError("an id is no text.")
        if names.dtype not in (object, np.int64) or len(np.unique(names)) < len(names):
            raise ValueError("its ids are of another kind, or one comes twice.")
        if names.dtype == np.int64 and len(names) and not self.next_name > names.max():
            raise ValueError("its next id is taken.")
        known = self.numbers if self.approximation is None else self.approximation.numbers
        if len(known) and not self.next_number > known[-1]:
            raise ValueError("its next number is taken.")
        if (self.references is None) != (len(names) == 0) or (self.references is None and self.approximation):
            raise ValueError("it has ids without references, or references without ids.")


@dataclass(frozen=True)
class Contents:
    """References with their ids, and what finds a shortlist of them.

    numbers : numbers (n,) that grow in the order of addition and never change, unlike rows.
    next_name, next_number : the id of the next sequence that comes without one, and its number. None comes twice.
    """

    names: Column
    numbers: Column
    next_name: int
    next_number: int
    references: References
    approximation: Approximation | None = None

    @classmethod
    def empty(cls, metric: Any) -> Contents:
        """Return contents without references."""
        references: References = EuclideanReferences(metric) if is_euclidean(metric) else PairedReferences(metric)
        none = column_of(np.zeros(0, dtype=np.int64))
        return cls(none, none, 0, 0, references)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def has_texts(self) -> bool | None:
        """Whether ids are text; None if there are none."""
        return self.names.holds_text if len(self) else None

    @cached_property
    def by_embedding(self) -> EuclideanReferences:
        """The embeddings, for an exact shortlist of references whose distances are of another kind."""
        return EuclideanReferences.of(self.references.metric, self.references.embeddings())

    def with_references(self, names: np.ndarray, prepared: Any) -> Contents:
        """Return contents with further references, whose ids are new. The approximation stays as it is."""
        numbers = np.arange(self.next_number, self.next_number + len(names))
        is_number = names.dtype != object
        new = Contents(
            self.names.with_rows(names) if len(self) else column_of(names),
            self.numbers.with_rows(numbers),
            max(self.next_name, int(names.max()) + 1) if is_number else self.next_name,
            self.next_number + len(names),
            self.references.with_prepared(prepared),
            self.approximation,
        )
        return new._with_embeddings(lambda: self.by_embedding.with_prepared(prepared), self)

    def without(self, removed: np.ndarray) -> Contents:
        """Return contents without some rows. The approximation stays as it is."""
        rows = np.setdiff1d(np.arange(len(self)), removed, assume_unique=True)
        references = self.references.taken(rows)
        new = replace(self, names=self.names.taken(rows), numbers=self.numbers.taken(rows), references=references)
        return new._with_embeddings(lambda: self.by_embedding.taken(rows), self)

    def _with_embeddings(self, changed: Callable[[], EuclideanReferences], before: Contents) -> Contents:
        """Keep `by_embedding` of earlier contents, if a search has made it."""
        if "by_embedding" in vars(before):
            vars(self)["by_embedding"] = changed()
        return self

    # ------------------------------------------------------------------ files
    def stored(self) -> StoredContents:
        """Return what a file holds."""
        numbers = self.numbers.array
        approximation = None if self.approximation is None else self.approximation.stored(self.numbers)
        references = self.references.stored() if len(self) else None
        return StoredContents(self.names.array, numbers, self.next_name, self.next_number, references, approximation)

    @classmethod
    def restored(cls, metric: Any, stored: StoredContents) -> Contents:
        """Return the contents of a file, without the shortlists that are quickly made.

        Raises
        ------
        ValueError
            The metric does not make such references.
        """
        references = cls.empty(metric).references
        if stored.references is not None:
            references = references.restored(stored.references, len(stored.names))
        names, numbers = column_of(stored.names), column_of(stored.numbers)
        new = cls(names, numbers, stored.next_name, stored.next_number, references)
        if stored.approximation is None:
            return new
        approximation = Approximation.restored(stored.approximation, references.embeddings(), numbers)
        return replace(new, approximation=approximation)

    # ------------------------------------------------------------------ search
    def nearest(self, prepared: Any, k: int, n_candidates: int | None) -> Found:
        """Return distances and rows (Q, k) of the nearest: of all, or of a shortlist of so many."""
        queries = self.references.of_queries(prepared)
        if n_candidates is None or (self.approximation is None and isinstance(queries, np.ndarray)):
            return self.references.nearest(queries, k)
        by_embedding = isinstance(queries, np.ndarray)
        embeddings = queries if by_embedding else embeddings_of(self.references.metric, prepared)
        rows = self._shortlist(embeddings, n_candidates, k if by_embedding else None)

        def of_all(short: np.ndarray) -> Found:
            return self.nearest(taken(prepared, short), k, None)

        return self.references.nearest_of(queries, rows, k, of_all)

    def shortlist_length(self, k: int) -> int | None:
        """Return the length of a shortlist that the user has not chosen, or None if there is none."""
        return None if self.approximation is None else shortlist_length(k)

    def _shortlist(self, embeddings: np.ndarray, n: int, k: int | None) -> np.ndarray:
        if self.approximation is None:
            return self.by_embedding.nearest(embeddings, min(n, len(self)))[1]
        return self.approximation.candidates(embeddings, self.numbers, n, k)

    def within(self, prepared: Any, radius: float) -> Within:
        """Return distances and rows of all references up to a distance."""
        return self.references.within(self.references.of_queries(prepared), radius)
