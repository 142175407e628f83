"""The parts of a problem, apart by class, and the sizes of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, zip_longest
from typing import Any

import numpy as np

WAYS = (5, 20)
"""Classes of a one-shot trial; a problem with fewer test classes has no such trials."""


@dataclass(frozen=True)
class Sizes:
    """How long networks train, how much is asked of every metric, and how many sequences a class has at most."""

    updates: int = 300
    trials: int = 500
    pairs: int = 2000
    most_a_class: int = 200


QUICK = Sizes(updates=2, trials=10, pairs=40, most_a_class=4)


@dataclass(frozen=True)
class Collection:
    """Sequences X with a class each, and a source each: who drew it, wore it, or in which recording it is."""

    X: Sequence[np.ndarray]
    labels: np.ndarray
    sources: np.ndarray

    def take(self, rows: np.ndarray) -> Collection:
        """Of some rows only."""
        return Collection([self.X[i] for i in rows], self.labels[rows], self.sources[rows])

    def of_classes(self, classes: Any, most_a_class: int, rng: np.random.Generator) -> Collection:
        """Of some classes only, with so many sequences of each at most, drawn at random."""
        order = rng.permutation(len(self.labels))
        chosen = [order[self.labels[order] == label][:most_a_class] for label in classes]
        return self.take(np.sort(np.concatenate(chosen)))


@dataclass(frozen=True)
class Parts:
    """A problem: `train` for the fit, `calibration` for the threshold, `test` for what is measured."""

    train: Collection
    calibration: Collection
    test: Collection

    def __post_init__(self) -> None:
        named = {"train": self.train, "calibration": self.calibration, "test": self.test}
        for (one, first), (other, second) in combinations(named.items(), 2):
            if shared := set(first.labels.tolist()) & set(second.labels.tolist()):
                raise ValueError(f"classes {sorted(shared)[:3]} are in {one} and in {other}: a class has one part.")

    def described(self) -> dict[str, Any]:
        """Classes and sequences of every part, channels and steps, for the report."""
        parts = (self.train, self.calibration, self.test)
        lengths = [len(x) for part in parts for x in part.X]
        return {
            "classes": [len(np.unique(part.labels)) for part in parts],
            "sequences": [len(part.labels) for part in parts],
            "channels": self.train.X[0].shape[1],
            "steps": [min(lengths), max(lengths)],
        }


def parted(
    collection: Collection, test: Iterable[Any], calibration: Iterable[Any], sizes: Sizes, rng: np.random.Generator
) -> Parts:
    """The classes of `test` and of `calibration` in these parts, all others in `train`."""
    tested, calibrated = list(test), list(calibration)
    others = [label for label in np.unique(collection.labels) if label not in {*tested, *calibrated}]
    sides = (others, calibrated, tested)
    return Parts(*(collection.of_classes(side, sizes.most_a_class, rng) for side in sides))


def mixed(groups: Sequence[Sequence[Any]], rng: np.random.Generator) -> list[Any]:
    """The classes of all groups in turn, each group in random order: any run of them has classes of every group."""
    turns = zip_longest(*(rng.permutation(group).tolist() for group in groups))
    return [label for turn in turns for label in turn if label is not None]
