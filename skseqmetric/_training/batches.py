"""Batches of training data: padded sequences with what is to be learned of them, an epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from skseqmetric._tensors.flat import FlatSequences

IGNORED = -1
"""The code of a step that has no label, and what stands behind a sequence's end."""


@dataclass(frozen=True)
class StepTargets:
    """What is to be learned at every step: values (sum of lengths, ...), sequence after sequence."""

    values: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(np.split(self.values, np.cumsum(self.lengths)[:-1]))

    def __getitem__(self, rows: np.ndarray) -> Self:
        single = list(self)
        return type(self)(np.concatenate([single[i] for i in rows]), self.lengths[rows])

    def to(self, device: torch.device) -> PaddedTargets:
        """On the device, to be read batch by batch."""
        offsets = torch.from_numpy(np.cumsum(self.lengths) - self.lengths)
        tensors = torch.from_numpy(self.values), torch.from_numpy(self.lengths), offsets
        return PaddedTargets(*(tensor.to(device) for tensor in tensors))


@dataclass(frozen=True)
class StepLabels(StepTargets):
    """One code a step, values (sum of lengths,) int64; `IGNORED` where there is no label."""

    @property
    def codes(self) -> np.ndarray:
        return self.values


@dataclass(frozen=True)
class PaddedTargets:
    """Targets of steps on the device; indexing with rows (B,) gives (B, T, ...), `IGNORED` past the end."""

    values: Tensor
    lengths: Tensor
    offsets: Tensor

    def __getitem__(self, rows: Tensor) -> Tensor:
        lengths = self.lengths[rows]
        steps = torch.arange(int(lengths.max()), device=lengths.device)
        inside = steps < lengths[:, None]
        padded = self.values[self.offsets[rows][:, None] + torch.where(inside, steps, 0)]
        return torch.where(inside.view(*inside.shape, *[1] * (padded.ndim - 2)), padded, IGNORED)


@dataclass
class LabelledBatches:
    """Training batches of labelled sequences: iterate to get one epoch, planned and augmented anew each time.

    plan() -> index arrays of one epoch; augment(values, lengths) -> values; labels (n,) or real targets (n, K), or
    of every step.
    """

    sequences: FlatSequences
    labels: Tensor | PaddedTargets
    weights: Tensor
    plan: Callable[[], list[np.ndarray]]
    augment: Callable[[Tensor, Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self.batch(indices) for indices in self.plan())

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """The sequences at `indices`, augmented, with what belongs to them."""
        values, lengths = self.sequences.padded(indices)
        chosen = torch.from_numpy(indices).to(values.device)
        return {
            "values": self.augment(values, lengths),
            "lengths": lengths,
            "labels": self.labels[chosen],
            "weights": self.weights[chosen],
        }


@dataclass
class PairBatches:
    """Training batches of given pairs: values (P, 2, T, C), lengths (P, 2), same (P,) bool."""

    sequences: FlatSequences
    pairs: np.ndarray
    same: Tensor
    plan: Callable[[], list[np.ndarray]]
    augment: Callable[[Tensor, Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for indices in self.plan():
            values, lengths = self.sequences.padded(self.pairs[indices].ravel())
            values = self.augment(values, lengths)
            yield {
                "values": values.unflatten(0, (len(indices), 2)),
                "lengths": lengths.view(-1, 2),
                "same": self.same[torch.from_numpy(indices).to(values.device)],
            }
