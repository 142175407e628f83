"""What y says to a metric that takes classes, numbers or nothing, as targets of ridge regression."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from skseqmetric._files import record
from skseqmetric._input import Sequences, are_numbers, check_labels
from skseqmetric._tasks import Numbers, class_factors
from skseqmetric._tasks.classes import check_same_type

_NAMES = {"classes": "class labels", "numbers": "numbers", "nothing": "no y"}


@record(kind="str", labels="none|labels K", numbers="record Numbers")
@dataclass(frozen=True)
class Meaning:
    """The meaning of y in the fits so far. It is frozen, so that a refused fit leaves the earlier one as it was.

    kind : "classes", "numbers" or "nothing".
    labels : the sorted labels seen.
    numbers : the task, with the scaling of the first y.
    """

    kind: str
    labels: Any = None
    numbers: Numbers = field(default_factory=Numbers)

    @classmethod
    def of(cls, y: Any, target: str) -> Self:
        """Find out what y means. "auto" takes floats that are not whole, and several columns, for numbers."""
        if y is None:
            return cls("nothing")
        return cls(("numbers" if are_numbers(y) else "classes") if target == "auto" else target)

    def following(self, earlier: Meaning) -> Meaning:
        """Return the earlier meaning, which this one must continue."""
        if self.kind != earlier.kind:
            raise ValueError(
                f"this call has {_NAMES[self.kind]}, and the earlier ones had {_NAMES[earlier.kind]}: pass the same "
                'kind of y to every call. The parameter target says what y is, "classes" or "numbers".'
            )
        return earlier

    def check(self, y: Any, sequences: Sequences, estimator: Any) -> tuple[Meaning, np.ndarray]:
        """Return the meaning with the labels of y, and y as codes (n,) of the labels or as rows (n, K)."""
        if self.kind == "nothing":
            return self, np.zeros((len(sequences), 1))
        if self.kind == "numbers":
            task, values = self.numbers.check(y, sequences)
            return replace(self, numbers=task), np.asarray(values)
        first = self.labels is None
        labels, codes = check_labels(y, len(sequences), estimator=estimator, min_classes=2 if first else 1)
        if first:
            return replace(self, labels=labels), codes
        check_same_type(labels, self.labels)
        joined = np.union1d(self.labels, labels)
        return replace(self, labels=joined), np.searchsorted(joined, labels)[codes]

    def factors(self, class_weight: Any, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the factor (n,) of the class of every sequence."""
        if class_weight is None:
            return np.ones(len(weights))
        if self.kind != "classes":
            raise ValueError(f"class_weight needs classes, and there is {_NAMES[self.kind]}: use class_weight=None.")
        counts = np.bincount(targets, weights, minlength=len(self.labels))
        return class_factors(class_weight, self.labels, counts)[targets]

    def learn(self, targets: np.ndarray, weights: np.ndarray) -> Meaning:
        """Return the meaning with the scaling of the first numbers."""
        return replace(self, numbers=self.numbers.learn(targets, weights)) if self.kind == "numbers" else self

    def rows(self, targets: np.ndarray) -> np.ndarray:
        """Return the rows (n, K) of ridge regression: 1 for the class, scaled numbers, or nothing."""
        if self.kind == "nothing":
            return np.zeros((len(targets), 0))
        if self.kind == "numbers":
            return np.asarray(self.numbers.network_targets(targets)).astype(np.float64)
        return np.asarray(targets[:, np.newaxis] == np.arange(len(self.labels)), dtype=np.float64)

    def places_of(self, earlier: Meaning) -> np.ndarray:
        """Return where the columns of the rows of an earlier meaning are in those of this one."""
        if self.kind == "classes":
            return np.searchsorted(self.labels, earlier.labels)
        return np.arange(0 if self.kind == "nothing" else self.numbers.n_outputs)

    @property
    def n_columns(self) -> int:
        """Columns K of the rows."""
        return {"classes": len(self.labels) if self.labels is not None else 0, "nothing": 0}.get(
            self.kind, self.numbers.n_outputs
        )
