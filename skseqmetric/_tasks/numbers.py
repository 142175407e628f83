"""Real numbers as targets of whole sequences or of every step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.metrics import r2_score
from torch import Tensor

from skseqmetric._files import record
from skseqmetric._input import Sequences, check_real_targets, check_step_targets, check_weights
from skseqmetric._ops.steps import valid_steps
from skseqmetric._tasks.base import Blocks, Targets, Task, check_same_target, each_block
from skseqmetric._tensors.scaling import usable_deviation, weighted_moments
from skseqmetric._tensors.steps import StepTargets


@record(
    every_step="bool",
    mean_weight="number",
    one_column="bool",
    n_columns="none|size K",
    mean="none|float64 K",
    scale="none|float64 K",
)
@dataclass(frozen=True)
class Numbers(Task):
    """Numbers, learned by squared error. Targets are rows (n, K), or (sum of lengths, K) for every step.

    A network learns (y - mean) / scale. `learn` finds mean and standard deviation (K,) in the first training data.
    Every sequence counts by its weight there, whatever its length.

    one_column : whether y has no axis of outputs.
    """

    one_column: bool = False
    n_columns: int | None = None
    mean: Any = None
    scale: Any = None

    # ------------------------------------------------------------------ fitting
    def following(self, earlier: Numbers) -> Self:
        check_same_target(self.every_step, earlier.every_step)
        return replace(self, n_columns=earlier.n_columns, mean=earlier.mean, scale=earlier.scale)

    def check(self, y: Any, sequences: Sequences) -> tuple[Self, Targets]:
        if self.every_step:
            values, one_column = check_step_targets(y, sequences.lengths)
        else:
            values, one_column = check_real_targets(y, len(sequences.lengths))
        n_columns = values.shape[1]
        if self.n_columns not in (None, n_columns):
            raise ValueError(f"y has {n_columns} outputs, but this estimator was first fitted with {self.n_columns}.")
        task = replace(self, one_column=one_column, n_columns=n_columns)
        return task, StepTargets(values, sequences.lengths) if self.every_step else values

    def learn(self, targets: Targets, weights: np.ndarray) -> Self:
        task = replace(self, mean_weight=float(weights.mean()))
        if self.mean is not None:
            return task
        values, shares = _values(targets), _shares(targets, weights)
        mean, deviation = weighted_moments(lambda: iter([(values, shares)]))
        return replace(task, mean=mean, scale=usable_deviation(deviation, mean, values.dtype))

    def network_targets(self, targets: Targets) -> Targets:
        values = ((_values(targets) - self.mean) / self.scale).astype(np.float32)
        return replace(targets, values=values) if isinstance(targets, StepTargets) else values

    def regression_rows(self, targets: Targets) -> np.ndarray | None:
        """Return the numbers in the units of the network."""
        return None if self.every_step else (_values(targets) - self.mean) / self.scale

    def loss(self, outputs: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the squared error, averaged over outputs and, for targets of steps, over the steps of a sequence."""
        cost = (outputs - targets).square().mean(-1)
        if not self.every_step:
            return cost
        return cost.masked_fill(~valid_steps(lengths, cost.shape[1]), 0).sum(1) / lengths

    # ------------------------------------------------------------------ answers
    @property
    def n_outputs(self) -> int:
        return int(self.n_columns or 0)

    @property
    def attributes(self) -> dict[str, Any]:
        return {} if self.mean is None else {"y_mean_": self.mean, "y_scale_": self.scale}

    def in_units_of_y(self, outputs: Blocks) -> Blocks:
        """Convert outputs to the units of y, float64. A readout that learned y itself has these units already."""
        scale, shift = (1.0, 0.0) if self.mean is None else (self.scale, self.mean)
        return each_block(lambda block: block.astype(np.float64) * scale + shift, outputs)

    def answer(self, outputs: Blocks) -> Blocks:
        """Return outputs in the units of y, without the axis of outputs if y has none."""
        numbers = self.in_units_of_y(outputs)
        return each_block(lambda block: block[:, 0], numbers) if self.one_column else numbers

    def score(self, y: Any, answers: Any, sample_weight: Any) -> float:
        """Return the coefficient of determination R^2, averaged over outputs. A step has the weight of its sequence."""
        if not self.every_step:
            true, one_column = check_real_targets(y, len(answers))
            true = true[:, 0] if one_column else true
            return float(r2_score(true, answers, sample_weight=sample_weight))
        lengths = np.array([len(rows) for rows in answers])
        true, _ = check_step_targets(y, lengths)
        weights = np.repeat(check_weights(sample_weight, len(lengths)), lengths)
        return float(r2_score(true, np.concatenate(answers).reshape(true.shape), sample_weight=weights))


def _values(targets: Targets) -> np.ndarray:
    """Return all targets, (n, K) or (sum of lengths, K)."""
    return targets.values if isinstance(targets, StepTargets) else targets


def _shares(targets: Targets, weights: np.ndarray) -> np.ndarray:
    """Return the weight of every row of targets; the sum is 1. Steps share the weight of their sequence equally."""
    weights = weights / weights.sum()
    if not isinstance(targets, StepTargets):
        return weights
    return np.repeat(weights / targets.lengths, targets.lengths)
