"""The training data of one fit: sequences with targets and weights, merged duplicates, and a validation split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

from skseqmetric._files import record
from skseqmetric._input import Sequences, check_groups, chosen, each_sequence


@record(
    sequences="record Sequences",
    targets="int64 n|float64 n *|record StepTargets",
    weights="float64 n",
    images="none",
    numbers="none|int64 n",
    groups="none|int64 n",
)
@dataclass(frozen=True)
class TrainingSet:
    """Sequences with their targets, their weights (n,) and, if given, one image and one group (n,) per sequence.

    numbers : the rows (n,) that the sequences had in the input; None if they are in its order.
    """

    sequences: Sequences
    targets: Any  # codes (n,) of classes, numbers (n, K), or StepTargets
    weights: np.ndarray
    images: Any = None
    numbers: np.ndarray | None = None
    groups: np.ndarray | None = None

    @classmethod
    def merged(
        cls, sequences: Sequences, targets: Any, weights: np.ndarray, groups: Any, images: Any, *, several_classes: bool
    ) -> TrainingSet:
        """Merge equal rows to one row of their summed weight.

        Two rows are equal if sequence, target, group and image are equal. The order of the result does not depend on
        the order of the input. Two copies of a row thus act like one row of weight 2. With `several_classes`, classes
        of whole sequences are refused if only one class has positive weight.
        """
        if groups is not None:
            groups = check_groups(groups, len(weights))
        columns = [each_sequence(sequences), targets, groups, None if images is None else images.tags()]
        kept, summed = merge_duplicates(_digests(column for column in columns if column is not None), weights)
        images, targets = None if images is None else images[kept], targets[kept]
        codes = _class_codes(targets)
        if several_classes and codes is not None and len(np.unique(codes)) < 2:
            raise ValueError("Only one class has sequences of positive sample_weight: two are needed.")
        return cls(chosen(sequences, kept), targets, summed, images, kept, None if groups is None else groups[kept])

    def __len__(self) -> int:
        return len(self.weights)

    def take(self, rows: np.ndarray) -> TrainingSet:
        """Return the set of the given rows."""
        images = None if self.images is None else self.images[rows]
        numbers = None if self.numbers is None else self.numbers[rows]
        groups = None if self.groups is None else self.groups[rows]
        return TrainingSet(
            chosen(self.sequences, rows), self.targets[rows], self.weights[rows], images, numbers, groups
        )

    def split(self, fraction: float, seed: int) -> tuple[TrainingSet, TrainingSet]:
        """Split into training data and a held-out fraction. If possible, both sides contain every class."""
        groups = self.groups
        options: dict[str, Any] = {"n_splits": 1, "test_size": fraction, "random_state": seed}
        splitter: Any = ShuffleSplit(**options)
        codes = _class_codes(self.targets)
        if groups is not None:
            _check_parts(len(np.unique(groups)), fraction, "groups")
            splitter = GroupShuffleSplit(**options)
        elif codes is not None:
            # a class with one sequence cannot be on both sides
            enough = np.bincount(codes).min(initial=2, where=np.bincount(codes) > 0) > 1
            fits = min(_sizes(len(codes), fraction)) >= len(np.unique(codes))
            splitter = StratifiedShuffleSplit(**options) if enough and fits else splitter
        if groups is None:
            _check_parts(len(self), fraction, "different sequences")
        kept, held_out = next(splitter.split(np.empty(len(self)), codes, groups))
        return self.take(kept), self.take(held_out)


def _sizes(n: int, fraction: float) -> tuple[int, int]:
    """Return how many of n things a split keeps and holds out, as scikit-learn rounds."""
    held_out = int(np.ceil(fraction * n))
    return n - held_out, held_out


def _check_parts(n: int, fraction: float, what: str) -> None:
    """Refuse a split that leaves nothing on one side."""
    if min(_sizes(n, fraction)) < 1:
        raise ValueError(
            f"early_stopping holds out validation_fraction={fraction:g} of the {what}, and there are {n}: one side of "
            f"the split would be empty. Pass more {what}, another fraction, or early_stopping=False."
        )


def _class_codes(targets: Any) -> np.ndarray | None:
    """Return the targets if they are class codes of whole sequences, else None."""
    return targets if isinstance(targets, np.ndarray) and targets.dtype.kind == "i" else None


def _digests(columns: Iterable[Iterable[Any]]) -> list[bytes]:
    """Return a hash of every row from its entries in all columns. Arrays are not copied."""
    digests = []
    for row in zip(*columns, strict=True):
        digest = blake2b(digest_size=16)
        for entry in row:
            digest.update(entry if isinstance(entry, bytes) else np.ascontiguousarray(entry).data)
        digests.append(digest.digest())
    return digests


def merge_duplicates(keys: list[bytes], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of every distinct key, in the order of the keys, and the summed weight of each key.

    Rows of weight 0 are dropped. A fit thus does not depend on the order of the rows, and two copies of a row act like
    one row of weight 2.
    """
    first: dict[bytes, int] = {}
    total: dict[bytes, float] = {}
    for i in np.flatnonzero(weights):
        first.setdefault(keys[i], int(i))
        total[keys[i]] = total.get(keys[i], 0.0) + float(weights[i])
    ordered = sorted(first)
    return np.array([first[k] for k in ordered]), np.array([total[k] for k in ordered])
