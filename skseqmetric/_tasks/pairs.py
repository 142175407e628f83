"""Pairs of sequences that belong together or not: weak supervision for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.metrics import accuracy_score
from torch import Tensor

from skseqmetric._files import record
from skseqmetric._input import Sequences, check_pairs
from skseqmetric._ops.metric_losses import PAIR_LOSSES
from skseqmetric._tasks.base import Targets, Task


@record(
    every_step="bool",
    mean_weight="number",
    kind="str",
    margin="number",
    pairs="none|int64 P 2",
    threshold="none|number",
)
@dataclass(frozen=True)
class Pairs(Task):
    """Same or different. Outputs are squared distances. Targets are True if both sequences belong together.

    kind : the loss of a pair, a name in `PAIR_LOSSES`.
    margin : "contrastive": distance from which a pair of different sequences costs nothing. "logistic": distance at
        which a pair is undecided.
    pairs : rows (P, 2) of the sequences, known after `check`.
    threshold : distance up to which a pair is called the same.
    """

    kind: str = "contrastive"
    margin: float = 1.0
    pairs: Any = None
    threshold: float | None = None

    def following(self, earlier: Any) -> Self:
        return self

    def check(self, y: Any, sequences: Sequences) -> tuple[Self, Targets]:
        pairs, same = y
        pairs, same = check_pairs(pairs, same, len(sequences))
        return type(self)(kind=self.kind, margin=self.margin, pairs=pairs), same > 0

    def learn(self, targets: Targets, weights: np.ndarray) -> Self:
        return self

    def network_targets(self, targets: Targets) -> Targets:
        return targets

    def regression_rows(self, targets: Targets) -> np.ndarray | None:
        return None

    def loss(self, outputs: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        return PAIR_LOSSES[self.kind](outputs, targets, self.margin)

    @property
    def n_outputs(self) -> int:
        return 1

    @property
    def attributes(self) -> dict[str, Any]:
        return {}

    def in_units_of_y(self, outputs: Any) -> Any:
        return outputs

    def answer(self, outputs: Any) -> Any:
        """Return +1 if a distance is at most the threshold, else -1."""
        return np.where(outputs <= self.threshold, 1, -1)

    def score(self, y: Any, answers: Any, sample_weight: Any) -> float:
        """Return the share of pairs that are called correctly."""
        return float(accuracy_score(y, answers, sample_weight=sample_weight))
