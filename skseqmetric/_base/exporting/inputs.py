"""The inputs of exported programs: their names, shapes that are free, and random ones that check a program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

Arrays = dict[str, np.ndarray]


class Trial(NamedTuple):
    """The arrays that a program gets, the same as an estimator takes it, and the lengths if they are sequences."""

    arrays: Arrays
    X: Any
    lengths: np.ndarray | None


@dataclass(frozen=True, eq=False)
class SeriesInputs:
    """`values` float32 (batch, time, channel), and `lengths` int64 (batch,). Values past the end are not read."""

    mean: np.ndarray
    scale: np.ndarray

    axes = {"values": ("batch", "time", "channel"), "lengths": ("batch",)}

    def example(self) -> tuple[torch.Tensor, ...]:
        values = torch.zeros(3, 11, len(self.mean), dtype=torch.float32, device="cpu")
        return values, torch.tensor([11, 4, 7], dtype=torch.int64, device="cpu")

    def trials(self, rng: np.random.Generator, n: int) -> Iterator[Trial]:
        """Yield n trials: a single step, a single sequence, and batches of random lengths with random padding."""
        for k in range(n):
            longest = 1 if k == 0 else int(rng.integers(2, 80))
            size = 1 if k < 2 else int(rng.integers(2, 6))
            lengths = rng.integers(1, longest + 1, size)
            lengths[rng.integers(size)] = longest
            values = self.mean + self.scale * rng.normal(size=(size, longest, len(self.mean)))
            values = values.astype(np.float32)
            X = [x[:length].copy() for x, length in zip(values, lengths, strict=True)]
            values[np.arange(longest) >= lengths[:, None]] = np.nan
            yield Trial({"values": values, "lengths": lengths.astype(np.int64)}, X, lengths)


@dataclass(frozen=True)
class ImageInputs:
    """`images` float32 (batch, color, height, width), with pixels as the network reads them."""

    shape: tuple[int, int, int]
    divided: bool

    axes = {"images": ("batch", "color", "height", "width")}

    def example(self) -> tuple[torch.Tensor, ...]:
        return (torch.zeros(3, *self.shape, dtype=torch.float32, device="cpu"),)

    def trials(self, rng: np.random.Generator, n: int) -> Iterator[Trial]:
        """Yield n trials of random pixels, the first one of a single image."""
        for k in range(n):
            pixels = rng.integers(0, 256, (1 if k == 0 else int(rng.integers(2, 6)), *self.shape)).astype(np.uint8)
            images = np.moveaxis(pixels, 1, -1)
            scaled = (pixels / np.float32(255)).astype(np.float32)
            yield Trial({"images": scaled}, images if self.divided else np.moveaxis(scaled, 1, -1), None)


Inputs = SeriesInputs | ImageInputs
