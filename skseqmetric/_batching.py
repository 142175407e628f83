"""Sequences on the device as one flat tensor, and padded batches gathered from it without per-sample Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from skseqmetric._validation import Sequences


@dataclass(frozen=True)
class FlatSequences:
    """values (sum of lengths, C) float32 on the device, lengths and offsets (n,) there and lengths on the host."""

    values: Tensor
    lengths: Tensor
    offsets: Tensor
    host_lengths: np.ndarray

    @classmethod
    def from_sequences(
        cls, sequences: Sequences, mean: np.ndarray, scale: np.ndarray, device: torch.device
    ) -> FlatSequences:
        """Standardise in the precision of the input, then keep float32."""
        dtype = sequences.values.dtype
        values = sequences.values - mean.astype(dtype)
        values /= scale.astype(dtype)
        values = values.astype(np.float32, copy=False)
        lengths = torch.from_numpy(sequences.lengths)
        offsets = torch.from_numpy(sequences.offsets)
        return cls(torch.from_numpy(values).to(device), lengths.to(device), offsets.to(device), sequences.lengths)

    def __len__(self) -> int:
        return len(self.host_lengths)

    def __getstate__(self) -> dict[str, Any]:
        # saved on the CPU, so that what was prepared on a GPU opens on a host without one
        return {name: v.cpu() if isinstance(v, Tensor) else v for name, v in vars(self).items()}

    def digests(self) -> np.ndarray:
        """A 64-bit fingerprint of every sequence, (n,): equal for equal sequences, and else by accident only."""
        single = np.split(self.values.cpu().numpy(), np.cumsum(self.host_lengths)[:-1])
        prints = [int.from_bytes(blake2b(x.tobytes(), digest_size=8).digest(), "little") for x in single]
        return np.array(prints, dtype=np.uint64)

    def padded(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """The sequences at `indices` as (B, T, C), zero past the end, and their lengths (B,)."""
        n_steps = int(self.host_lengths[indices].max())
        chosen = torch.from_numpy(indices).to(self.values.device)
        lengths = self.lengths[chosen]
        steps = torch.arange(n_steps, device=self.values.device)
        inside = steps < lengths[:, None]
        rows = self.offsets[chosen][:, None] + torch.where(inside, steps, 0)
        batch = self.values.index_select(0, rows.view(-1)).view(len(indices), n_steps, -1)
        if int(self.host_lengths[indices].min()) < n_steps:
            batch = batch * inside[..., None]
        return batch, lengths


def batches_by_length(lengths: np.ndarray, max_steps: int, digests: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Index batches of similar lengths whose padded size stays within `max_steps` steps (at least one sequence).

    With `digests` the batches depend on what is in the data and not on its order, so that results rounded by the place
    of a row in its batch come out the same to the bit.
    """
    order = np.argsort(lengths, kind="stable") if digests is None else np.lexsort((digests, lengths))
    start = 0
    while start < len(order):
        stop = start + 1
        # sorted, so the last of the batch is its longest: the padded size is (count) * (its length)
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= max_steps:
            stop += 1
        yield order[start:stop]
        start = stop


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
