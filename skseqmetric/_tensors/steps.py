"""Targets of every step: a flat array on the host, and padded batches of them on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from skseqmetric._files import record
from skseqmetric._tensors.flat import tensor_of

IGNORED = -1
"""The code of steps without a label, and of steps after the end of a sequence."""


@record(values="any", lengths="int64 n")
@dataclass(frozen=True)
class StepTargets:
    """One target per step: values (sum of lengths, ...) of all sequences. The code `IGNORED` means no label."""

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
        """Copy the targets to a device, from which padded batches are read."""
        offsets = torch.from_numpy(np.cumsum(self.lengths) - self.lengths)
        tensors = tensor_of(self.values), tensor_of(self.lengths), offsets
        return PaddedTargets(*(tensor.to(device) for tensor in tensors))


@dataclass(frozen=True)
class PaddedTargets:
    """Targets of steps on the device. Indexing with rows (B,) gives (B, T, ...), with `IGNORED` after the end."""

    values: Tensor
    lengths: Tensor
    offsets: Tensor

    def __getitem__(self, rows: Tensor) -> Tensor:
        lengths = self.lengths[rows]
        steps = torch.arange(int(lengths.max()), dtype=torch.int64, device=lengths.device)
        inside = steps < lengths[:, None]
        padded = self.values[self.offsets[rows][:, None] + torch.where(inside, steps, 0)]
        return torch.where(inside.view(*inside.shape, *[1] * (padded.ndim - 2)), padded, IGNORED)
