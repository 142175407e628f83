"""The interface of a task: what y means, and what a network's outputs mean."""

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
"""What is learned: one row a sequence, or one a step."""

Blocks = np.ndarray | list[np.ndarray]
"""One array for whole sequences, or one for each sequence where there are answers at every step."""


@dataclass(frozen=True)
class Task(ABC):
    """What y means, for a sequence or for every step: a frozen value that a fitted estimator keeps.

    A new task is made from the parameters of an estimator. `check` and `learn` return it with what they found, so that
    a refused fit leaves the earlier task as it was.
    """

    every_step: bool = False
    mean_weight: float = 1.0  # of the training data, which the loss is relative to

    # ------------------------------------------------------------------ fitting
    @abstractmethod
    def following(self, earlier: Any) -> Self:
        """The task for a network that was trained for `earlier`; ValueError where that network cannot learn it."""

    @abstractmethod
    def check(self, y: Any, sequences: Sequences) -> tuple[Self, Targets]:
        """The task with what y tells of it, and y as targets; ValueError where y does not fit the sequences."""

    @abstractmethod
    def learn(self, targets: Targets, weights: np.ndarray) -> Self:
        """The task with the statistics of the training data, n targets and their weights (n,)."""

    @abstractmethod
    def network_targets(self, targets: Targets) -> Targets:
        """The targets in the network's units."""

    @abstractmethod
    def loss(self, outputs: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Loss (B,) of every sequence, from float32 outputs (B, K), or (B, T, K) with lengths (B,)."""

    # ------------------------------------------------------------------ answers
    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Numbers K that a network gives for a sequence or a step."""

    @property
    @abstractmethod
    def attributes(self) -> dict[str, Any]:
        """The public fitted attributes that the task stands for, by name."""

    @abstractmethod
    def in_units_of_y(self, outputs: Any) -> Any:
        """The network's outputs as numbers of the caller: class scores, or numbers in the units of y."""

    @abstractmethod
    def answer(self, outputs: Any) -> Any:
        """What `predict` returns for the network's outputs."""

    @abstractmethod
    def score(self, y: Any, answers: Any, sample_weight: Any) -> float:
        """How good the answers to all sequences are: 1 at best."""


def each_block(function: Callable[[np.ndarray], np.ndarray], outputs: Blocks) -> Blocks:
    """The function of outputs (n, K), or of the outputs (T_i, K) of every sequence."""
    return [function(block) for block in outputs] if isinstance(outputs, list) else function(outputs)


def check_same_target(every_step: bool, earlier: bool) -> None:
    """Refuse to go on with a network that was trained for the other kind of target."""
    names = {False: "sequence", True: "step"}
    if every_step != earlier:
        raise ValueError(
            f"target={names[every_step]!r}, but the network of the earlier fit has target={names[earlier]!r}: "
            "fit a new one."
        )
