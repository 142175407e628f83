"""The shape of a stem of two convolutions over time."""

from __future__ import annotations

from dataclasses import dataclass


def steps_behind(length: int, strides: tuple[int, int]) -> int:
    """Return the steps that convolutions with these strides leave of a sequence."""
    for stride in strides:
        length = (length - 1) // stride + 1
    return length


@dataclass(frozen=True)
class StemShape:
    """Steps of the kernels, strides, and zeros in front of the sequence, of both convolutions."""

    kernels: tuple[int, int]
    strides: tuple[int, int]
    in_front: tuple[int, int]

    def steps(self, length: int) -> int:
        """Return the steps that are left of a sequence."""
        return steps_behind(length, self.strides)
