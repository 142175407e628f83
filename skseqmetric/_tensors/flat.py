"""Sequences as one flat tensor on the device, and padded batches gathered from it without a loop over sequences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skseqmetric._files import check_lengths, record
from skseqmetric._input import Sequences
from skseqmetric._tensors.scaling import LARGEST, place_of

_STEPS = 2**14  # scaled at a time, so that no second array in the precision of the input is made


@record(values="tensor float32 S C", lengths="tensor int64 n", offsets="tensor int64 n", host_lengths="int64 n")
@dataclass(frozen=True)
class FlatSequences:
    """Values (sum of lengths, C) float32 with lengths and offsets (n,) on the device, and lengths on the host."""

    values: Tensor
    lengths: Tensor
    offsets: Tensor
    host_lengths: np.ndarray

    @classmethod
    def from_sequences(
        cls,
        sequences: Sequences,
        mean: np.ndarray,
        scale: np.ndarray,
        device: torch.device,
        numbers: np.ndarray | None = None,
    ) -> FlatSequences:
        """Scale the sequences. Values that are too large for float32 are refused; see `standardised`."""
        values = standardised(sequences, mean, scale, numbers)
        lengths = tensor_of(sequences.lengths)
        offsets = torch.from_numpy(np.cumsum(sequences.lengths) - sequences.lengths)
        return cls(torch.from_numpy(values).to(device), lengths.to(device), offsets.to(device), sequences.lengths)

    def check_record(self) -> None:
        """Raise ValueError if lengths and offsets do not fit the values."""
        check_lengths(self.host_lengths, len(self.values))
        starts = np.cumsum(self.host_lengths) - self.host_lengths
        if (self.lengths.cpu().numpy() != self.host_lengths).any() or (self.offsets.cpu().numpy() != starts).any():
            raise ValueError("the offsets of sequences are not those of their lengths.")

    def __len__(self) -> int:
        return len(self.host_lengths)

    def __getstate__(self) -> dict[str, Any]:
        # saved on the CPU, so that sequences from a host with a GPU can be loaded on a host without one
        return {name: v.cpu() if isinstance(v, Tensor) else v for name, v in vars(self).items()}

    @property
    def device(self) -> torch.device:
        """The device of the values."""
        return self.values.device

    @cached_property
    def digests(self) -> np.ndarray:
        """Hashes (n,) of 64 bits. Equal sequences have equal hashes; others have equal hashes only by accident."""
        single = np.split(self.values.cpu().numpy(), np.cumsum(self.host_lengths)[:-1])
        return fingerprints(single)

    def padded(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the sequences at `indices`, padded with zeros to (B, T, C), and their lengths (B,)."""
        n_steps = int(self.host_lengths[indices].max())
        chosen = torch.from_numpy(indices).to(self.values.device)
        lengths = self.lengths[chosen]
        steps = torch.arange(n_steps, dtype=torch.int64, device=self.values.device)
        inside = steps < lengths[:, None]
        rows = self.offsets[chosen][:, None] + torch.where(inside, steps, 0)
        batch = self.values.index_select(0, rows.view(-1)).view(len(indices), n_steps, -1)
        if int(self.host_lengths[indices].min()) < n_steps:
            batch = batch * inside[..., None]
        return batch, lengths


def standardised(
    sequences: Sequences, mean: np.ndarray, scale: np.ndarray, numbers: np.ndarray | None = None
) -> np.ndarray:
    """Return (x - mean) / scale as float32 (sum of lengths, C), computed in the precision of the input.

    `numbers` are those by which messages call the sequences, if not by their order.

    Raises
    ------
    ValueError
        A scaled value is beyond `LARGEST`. The message names sequence, step and channel.
    """
    values = np.empty(sequences.values.shape, dtype=np.float32)
    mean, scale = in_precision(sequences.values.dtype, mean, scale)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(values), _STEPS):
            part = sequences.values[start : start + _STEPS] - mean
            np.divide(part, scale, out=part)
            flat = part.ravel()
            # one product instead of a comparison of every value; where it overflows, they are compared
            if not flat @ flat <= LARGEST**2:
                _refuse_large(sequences, part, start, numbers)
            values[start : start + _STEPS] = part
    return values


def standardised_step(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return one step (C,), scaled as in `standardised`."""
    return standardised(Sequences(x[np.newaxis], np.ones(1, dtype=np.int64)), mean, scale)[0]


def in_precision(dtype: np.dtype, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale in the precision of the input, or in float64 if they do not fit into it."""
    if dtype == np.float64:
        return mean, scale
    kind = np.finfo(dtype)
    fits = (np.abs(mean) < kind.max).all() and (scale < kind.max).all() and (scale > kind.tiny).all()
    return (mean.astype(dtype), scale.astype(dtype)) if fits else (mean, scale)


def _refuse_large(sequences: Sequences, part: np.ndarray, start: int, numbers: np.ndarray | None) -> None:
    inside = np.abs(part) <= LARGEST
    if inside.all():
        return
    row, channel = np.unravel_index(int(np.argmin(inside)), part.shape)
    value, scaled = sequences.values[start + row, channel], part[row, channel]
    place = place_of(sequences, start + int(row), int(channel), numbers)
    raise ValueError(
        f"{place} is {value:.6g}, and {scaled:.3g} after scaling: the largest scaled value is {LARGEST:.0e}. Is it a "
        "fill value for missing data? Impute such values or cut them off first."
    )


def tensor_of(array: np.ndarray) -> Tensor:
    """Return a tensor that shares the memory of an array, or of a copy if nobody may write to the array.

    torch knows no protected memory. It warns of such an array, and a later write would end the process.
    """
    return torch.from_numpy(np.require(array, requirements="W"))


def fingerprints(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Return a hash of 64 bits for every array. Contiguous arrays are not copied."""
    prints = [int.from_bytes(blake2b(np.ascontiguousarray(x).data, digest_size=8).digest(), "little") for x in arrays]
    return np.array(prints, dtype=np.uint64)


def batches_by_length(lengths: np.ndarray, max_steps: int, digests: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield index batches of similar lengths. A batch has at most `max_steps` padded steps, or a single sequence.

    With `digests` the batches do not depend on the order of the data. Rounding may depend on the batch and the place
    of a row in it, so this keeps results equal to the bit.
    """
    order = np.argsort(lengths, kind="stable") if digests is None else np.lexsort((digests, lengths))
    start = 0
    while start < len(order):
        stop = start + 1
        # the last sequence of a batch is its longest, so the padded size is the count times this length
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= max_steps:
            stop += 1
        yield order[start:stop]
        start = stop
