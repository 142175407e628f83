"""What all makers do with their arguments: random generators and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np


def generator(random_state: Any) -> np.random.Generator:
    """A local generator for an int, a Generator, a RandomState or None."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31 - 1))
    return np.random.default_rng(random_state)


def range_of(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """Least and largest number: the pair itself, or one number twice; both >= 1."""
    least, largest = (value, value) if isinstance(value, (int, np.integer)) else value
    check_ranges({f"{name}=({least}, {largest}) must be 1 <= least <= largest": 1 <= least <= largest})
    return int(least), int(largest)


def check_ranges(rules: dict[str, bool]) -> None:
    """Raise the first rule that is broken."""
    for rule, holds in rules.items():
        if not holds:
            raise ValueError(rule + ".")


def check_steps_finite(values: np.ndarray, name: str) -> None:
    """Refuse values (T,) or (T, C) with NaN or infinity, and name the first such step."""
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name}: step {int(np.argmin(finite))} is NaN or infinite.")
