"""Batches of training data: padded sequences with their targets, an epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skseqmetric._tensors.flat import FlatSequences
from skseqmetric._tensors.steps import PaddedTargets

Plan = Callable[[], list[np.ndarray]]
"""A function that draws the batches of one epoch, as index arrays."""

Augmentation = Callable[[Tensor, Tensor], Tensor]
"""A function (values (B, T, C), lengths (B,)) -> values."""


class Columns(Protocol):
    """Further tensors for every batch, such as images of the sequences. An epoch begins and ends by two calls."""

    def begin_epoch(self) -> None: ...

    def __call__(self, rows: np.ndarray) -> dict[str, Tensor]: ...

    def end_epoch(self) -> None: ...


@dataclass
class TargetBatches:
    """Batches of sequences with targets. Each iteration is one epoch, with a new plan and new augmentation.

    A batch has the entries values (B, T, C), lengths (B,), targets (B, ...) or (B, T, ...) and weights (B,), and the
    entries that `columns` returns.
    """

    sequences: FlatSequences
    targets: Tensor | PaddedTargets
    weights: Tensor
    plan: Plan
    augment: Augmentation | None = None
    columns: Columns | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        if self.columns is not None:
            self.columns.begin_epoch()
        for rows in self.plan():
            batch = self._batch(rows)
            yield batch, batch["lengths"]
        if self.columns is not None:
            self.columns.end_epoch()

    def _batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        values, lengths = self.sequences.padded(rows)
        chosen = torch.from_numpy(rows).to(values.device)
        return {
            "values": values if self.augment is None else self.augment(values, lengths),
            "lengths": lengths,
            "targets": self.targets[chosen],
            "weights": self.weights[chosen],
            **({} if self.columns is None else self.columns(rows)),
        }


@dataclass
class PairBatches:
    """Batches of given pairs: values (P, 2, T, C), lengths (P, 2), same (P,) bool."""

    sequences: FlatSequences
    pairs: np.ndarray
    same: Tensor
    plan: Plan
    augment: Augmentation

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        for rows in self.plan():
            values, lengths = self.sequences.padded(self.pairs[rows].ravel())
            batch = {
                "values": self.augment(values, lengths).unflatten(0, (len(rows), 2)),
                "lengths": lengths.view(-1, 2),
                "same": self.same[torch.from_numpy(rows).to(values.device)],
            }
            yield batch, batch["lengths"]
