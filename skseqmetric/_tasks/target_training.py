"""Training on real targets: their scaling, shuffled batches; of whole sequences or every step."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from skseqmetric._base.supervised import Plan, SupervisedSequenceEstimator, Training
from skseqmetric._training.batches import StepTargets
from skseqmetric._training.objectives import TargetObjective
from skseqmetric._training.sampling import shuffled_batches


class TargetTraining(SupervisedSequenceEstimator):
    """A supervised estimator whose network returns real numbers; a subclass says how y becomes (n, K) or `StepTargets`.

    The network learns (y - y_mean_) / y_scale_, of mean 0 and variance 1; who asks it turns its answers back.
    """

    def _check_data(self, training: Training, classes: np.ndarray | None, *, continued: bool) -> None:
        super()._check_data(training, classes, continued=continued)
        n_targets = _numbers(training.labels).shape[1]
        if continued and n_targets != len(self.y_mean_):
            raise ValueError(
                f"y has {n_targets} outputs, but this estimator was first fitted with {len(self.y_mean_)}."
            )

    def _start(self, training: Training, seed: int, classes: np.ndarray | None = None) -> None:
        """Means and deviations (K,) of the targets, every sequence by its weight however many steps it has."""
        values, shares = _numbers(training.labels), _shares(training)
        self.y_mean_ = shares @ values
        deviation = np.sqrt(shares @ np.square(values - self.y_mean_))
        floor = 10 * np.finfo(np.float64).eps * np.abs(self.y_mean_)
        self.y_scale_ = np.where(deviation > floor, deviation, 1.0)
        super()._start(training, seed, classes)

    def _plan(self, training: Training, n_batches: int, rng: np.random.Generator) -> Plan:
        return partial(shuffled_batches, training.sequences.lengths, self.batch_size, n_batches, rng)

    def _learn(
        self, training: Training, validation: Training | None, data: tuple[Any, Any], epochs: int | None = None
    ) -> dict[str, Any] | None:
        validation = None if validation is None else self._scaled(validation)
        return super()._learn(self._scaled(training), validation, data, epochs)

    def _scaled(self, part: Training) -> Training:
        """With targets in the network's units."""
        values = ((_numbers(part.labels) - self.y_mean_) / self.y_scale_).astype(np.float32)
        steps = isinstance(part.labels, StepTargets)
        return replace(part, labels=replace(part.labels, values=values) if steps else values)

    def _objective(self, training: Training, generator: torch.Generator) -> TargetObjective:
        return TargetObjective(self.module_, float(training.weights.mean()), generator)


def _numbers(labels: Any) -> np.ndarray:
    """All targets, (n, K) or (sum of lengths, K)."""
    return labels.values if isinstance(labels, StepTargets) else labels


def _shares(training: Training) -> np.ndarray:
    """What each row of targets counts, in all 1: a sequence its weight, a step its share of that."""
    weights = training.weights / training.weights.sum()
    if not isinstance(training.labels, StepTargets):
        return weights
    return np.repeat(weights / training.labels.lengths, training.labels.lengths)
