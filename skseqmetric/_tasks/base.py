"""The interface of a task, which gives y and the outputs of a network their meaning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from torch import Tensor

from skseqmetric._input import Sequences
from skseqmetric._tensors.steps import StepTargets

Targets = np.ndarray | StepTargets
"""Targets of training: one row per sequence, or one row per step."""

Blocks = np.ndarray | list[np.ndarray]
"""One array for whole sequences, or one array per sequence if every step has an output."""


@dataclass(frozen=True)
class Task(ABC):
    """The meaning of y, for a sequence or for every step. A fitted estimator keeps its task.

    An estimator makes a task from its parameters. A task is frozen: `check` and `learn` return a new task that holds
    what they found. A refused fit thus leaves the earlier task as it was.
    """

    every_step: bool = False
    mean_weight: float = 1.0  # mean weight of the training data; the loss is relative to it

    # ------------------------------------------------------------------ fitting
    @abstractmethod
    def following(self, earlier: Any) -> Self:
        """Return the task for a network that was trained for `earlier`. ValueError if this network cannot learn it."""

    @abstractmethod
    def check(self, y: Any, sequences: Sequences) -> tuple[Self, Targets]:
        """Return the task with what it finds in y, and y as targets. ValueError if y does not fit the sequences."""

    @abstractmethod
    def learn(self, targets: Targets, weights: np.ndarray) -> Self:
        """Return the task with the statistics of the training data: n targets and their weights (n,)."""

    @abstractmethod
    def network_targets(self, targets: Targets) -> Targets:
        """Return the targets in the units of the network."""

    @abstractmethod
    def regression_rows(self, targets: Targets) -> np.ndarray | None:
        """Return what y says of whole sequences as targets (n, K) of ridge regression, float64; None if nothing."""

    @abstractmethod
    def loss(self, outputs: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the loss (B,) of every sequence from float32 outputs (B, K), or (B, T, K) with lengths (B,)."""

    # ------------------------------------------------------------------ answers
    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Outputs K of a network for a sequence or a step."""

    @property
    @abstractmethod
    def attributes(self) -> dict[str, Any]:
        """Public fitted attributes of an estimator with this task, by name."""

    @abstractmethod
    def in_units_of_y(self, outputs: Any) -> Any:
        """Convert outputs of the network to class scores, or to numbers in the units of y."""

    @abstractmethod
    def answer(self, outputs: Any) -> Any:
        """Convert outputs of the network to the result of `predict`."""

    @abstractmethod
    def score(self, y: Any, answers: Any, sample_weight: Any) -> float:
        """Return the score of the predictions for all sequences. The best score is 1."""


def each_block(function: Callable[[np.ndarray], np.ndarray], outputs: Blocks) -> Blocks:
    """Apply the function to outputs (n, K), or to the outputs (T_i, K) of every sequence."""
    return [function(block) for block in outputs] if isinstance(outputs, list) else function(outputs)


def check_same_target(every_step: bool, earlier: bool) -> None:
    """Refuse to continue with a network that was trained for the other kind of target."""
    names = {False: "sequence", True: "step"}
    if every_step != earlier:
        raise ValueError(
            f"target={names[every_step]!r}, but the network of the earlier fit has target={names[earlier]!r}: "
            "fit a new one."
        )
