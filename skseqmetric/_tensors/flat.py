"""Scaled sequences, from which padded batches are gathered: one flat tensor on the device, or read batch by batch."""

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
from skseqmetric._input import BLOCK, Sequences, in_parts, is_large, rows_of_steps
from skseqmetric._ops.freed import give_back
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
        if is_large(sequences.values.size):
            give_back()
        if device.type == "cpu":
            values = torch.from_numpy(standardised(sequences, mean, scale, numbers))
        else:
            values = _scaled_on(device, sequences, mean, scale, numbers)
        return cls.of_values(values, sequences.lengths)

    @classmethod
    def of_values(cls, values: Tensor, lengths: np.ndarray) -> FlatSequences:
        """Return sequences of scaled values (S, C) on their device."""
        offsets = torch.from_numpy(np.cumsum(lengths) - lengths)
        return cls(values, tensor_of(lengths).to(values.device), offsets.to(values.device), lengths)

    def joined(self, other: FlatSequences) -> FlatSequences:
        """Return these sequences and then those of the other, on the device of these."""
        values = torch.cat([self.values, other.values.to(self.device)])
        return self.of_values(values, np.concatenate([self.host_lengths, other.host_lengths]))

    def taken(self, rows: np.ndarray) -> FlatSequences:
        """Return a copy of some sequences."""
        steps = torch.from_numpy(rows_of_steps(self.host_lengths, rows)).to(self.device)
        return self.of_values(self.values.index_select(0, steps), self.host_lengths[rows])

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
        lengths, begin, found = self.host_lengths, 0, []
        for first, stop in in_parts(lengths, max(1, BLOCK // self.values.shape[1])):
            ends = np.cumsum(lengths[first:stop])
            rows = self.values[begin : begin + int(ends[-1])].cpu().numpy()
            found.append(fingerprints(np.split(rows, ends[:-1])))
            begin += int(ends[-1])
        return np.concatenate(found)

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


def _scaled_on(
    device: torch.device, sequences: Sequences, mean: np.ndarray, scale: np.ndarray, numbers: np.ndarray | None
) -> Tensor:
    """Return the scaled values on a device. They are scaled on the host, so that every device gets the same bits."""
    values = torch.empty(sequences.values.shape, dtype=torch.float32, device=device)
    for start in range(0, len(values), 16 * _STEPS):
        part = np.empty((min(16 * _STEPS, len(values) - start), values.shape[1]), dtype=np.float32)
        for begin in range(0, len(part), _STEPS):
            _scale_into(part[begin : begin + _STEPS], sequences, start + begin, mean, scale, numbers)
        values[start : start + len(part)] = torch.from_numpy(part).to(device)
    return values


class ScaledSequences:
    """Sequences on the CPU that are scaled when a batch reads them, so that no second copy of the data is made.

    It has the methods of `FlatSequences`, and gives the same batches.

    Raises
    ------
    ValueError
        As `standardised`, which all values go through once before anything else.
    """

    device = torch.device("cpu")

    def __init__(
        self, sequences: Sequences, mean: np.ndarray, scale: np.ndarray, numbers: np.ndarray | None = None
    ) -> None:
        self._sequences, self._scaling = sequences, (mean, scale)
        self.host_lengths = sequences.lengths
        self.digests = self._hashed(np.arange(len(sequences)) if numbers is None else numbers)

    def __len__(self) -> int:
        return len(self.host_lengths)

    def _hashed(self, numbers: np.ndarray) -> np.ndarray:
        sequences, begin, found = self._sequences, 0, []
        for first, stop in in_parts(self.host_lengths, max(1, BLOCK // sequences.n_channels)):
            lengths = self.host_lengths[first:stop]
            ends = np.cumsum(lengths)
            part = Sequences(sequences.values[begin : begin + int(ends[-1])], lengths)
            rows = standardised(part, *self._scaling, numbers[first:stop])
            found.append(fingerprints(np.split(rows, ends[:-1])))
            begin += int(ends[-1])
        return np.concatenate(found)

    def padded(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the sequences at `indices`, padded with zeros to (B, T, C), and their lengths (B,)."""
        lengths = self.host_lengths[indices]
        rows = standardised(self._sequences.take(indices), *self._scaling)
        n_steps = int(lengths.max())
        if int(lengths.min()) == n_steps:
            batch = rows.reshape(len(indices), n_steps, -1)
        else:
            batch = np.zeros((len(indices), n_steps, rows.shape[1]), dtype=np.float32)
            ends = np.cumsum(lengths).tolist()
            for own, end, length in zip(batch, ends, lengths.tolist(), strict=True):
                own[:length] = rows[end - length : end]
        return torch.from_numpy(batch), tensor_of(lengths)

    def kept(self) -> FlatSequences:
        """Return a copy that does not read the caller's data any more."""
        return FlatSequences.from_sequences(self._sequences, *self._scaling, self.device)


ReadSequences = FlatSequences | ScaledSequences
"""Scaled sequences that give padded batches."""


def scaled_sequences(
    sequences: Sequences,
    mean: np.ndarray,
    scale: np.ndarray,
    device: torch.device,
    numbers: np.ndarray | None = None,
) -> ReadSequences:
    """Return sequences for one pass over them: large ones on the CPU are read batch by batch."""
    if device.type == "cpu" and is_large(sequences.values.size):
        return ScaledSequences(sequences, mean, scale, numbers)
    return FlatSequences.from_sequences(sequences, mean, scale, device, numbers)


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
    for start in range(0, len(values), _STEPS):
        _scale_into(values[start : start + _STEPS], sequences, start, mean, scale, numbers)
    return values


def _scale_into(
    out: np.ndarray, sequences: Sequences, start: int, mean: np.ndarray, scale: np.ndarray, numbers: np.ndarray | None
) -> None:
    """Write the scaled steps from `start` on. They are computed in the precision of the input, and checked."""
    values = sequences.values[start : start + len(out)]
    mean, scale = in_precision(values.dtype, mean, scale)
    with np.errstate(over="ignore", invalid="ignore"):
        part = np.subtract(values, mean, out=out if values.dtype == mean.dtype == out.dtype else None)
        np.divide(part, scale, out=part)
        flat = part.ravel()
        # one product instead of a comparison of every value; where it overflows, they are compared
        if not flat @ flat <= LARGEST**2:
            _refuse_large(sequences, part, start, numbers)
        if part is not out:
            out[:] = part


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
