"""What one fit trains on: sequences with targets and weights, equal rows merged, some rows held out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

from skseqmetric._input import Sequences
from skseqmetric._training.sampling import merge_duplicates


@dataclass(frozen=True)
class TrainingSet:
    """Sequences with their targets and weights (n,); images are what is given with every sequence, if anything."""

    sequences: Sequences
    targets: Any  # codes (n,) of classes, numbers (n, K), or either of every step, StepTargets
    weights: np.ndarray
    images: Any = None

    @classmethod
    def merged(
        cls, sequences: Sequences, targets: Any, weights: np.ndarray, groups: Any = None, images: Any = None
    ) -> tuple[TrainingSet, np.ndarray | None]:
        """The set with equal rows as one row of their summed weight, in an order of their own; and their groups.

        Rows are equal where sequence, target, group and image are. Neither the order of the rows nor writing a row
        twice instead of weighting it by 2 changes a fit.
        """
        if groups is not None:
            if len(groups) != len(sequences):
                raise ValueError(f"groups has {len(groups)} entries, X has {len(sequences)} sequences.")
            groups = np.unique(np.asarray(groups), return_inverse=True)[1]
        columns = [sequences.to_list(), targets, groups, None if images is None else images.tags()]
        kept, summed = merge_duplicates(_digests(column for column in columns if column is not None), weights)
        images = None if images is None else images[kept]
        return cls(sequences.take(kept), targets[kept], summed, images), None if groups is None else groups[kept]

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def classes(self) -> np.ndarray | None:
        """Codes of whole sequences' classes; None for any other target."""
        return self.targets if isinstance(self.targets, np.ndarray) and self.targets.dtype.kind == "i" else None

    def take(self, rows: np.ndarray) -> TrainingSet:
        """The sequences at `rows`."""
        images = None if self.images is None else self.images[rows]
        return TrainingSet(self.sequences.take(rows), self.targets[rows], self.weights[rows], images)

    def split(self, groups: np.ndarray | None, fraction: float, seed: int) -> tuple[TrainingSet, TrainingSet]:
        """The rows to train on and a fraction held out, every class on both sides where it can be."""
        options: dict[str, Any] = {"n_splits": 1, "test_size": fraction, "random_state": seed}
        splitter: Any = ShuffleSplit(**options)
        codes = self.classes
        if groups is not None:
            splitter = GroupShuffleSplit(**options)
        elif codes is not None:
            # a class of one sequence cannot be on both sides
            enough = np.bincount(codes).min(initial=2, where=np.bincount(codes) > 0) > 1
            fits = fraction * len(codes) >= len(np.unique(codes))
            splitter = StratifiedShuffleSplit(**options) if enough and fits else splitter
        kept, held_out = next(splitter.split(np.empty(len(self)), codes, groups))
        return self.take(kept), self.take(held_out)


def _digests(columns: Iterable[Iterable[Any]]) -> list[bytes]:
    """A fingerprint of every row, from its entries in all columns; arrays are read in place."""
    digests = []
    for row in zip(*columns, strict=True):
        digest = blake2b(digest_size=16)
        for entry in row:
            digest.update(entry if isinstance(entry, bytes) else np.ascontiguousarray(entry).data)
        digests.append(digest.digest())
    return digests
