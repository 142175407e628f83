"""Local random generators: every draw of the package comes from one of these, never from a global one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state


def draw_seed(random_state: Any) -> int:
    """One integer from `random_state` (None: fresh entropy, so the global generator is not advanced)."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def numpy_generator(seed: int, stream: int = 0) -> np.random.Generator:
    """A NumPy generator; different `stream` numbers give independent streams of one seed."""
    return np.random.default_rng([seed, stream])


def torch_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator on `device`."""
    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    return generator
