"""Tensors of arrays that may be write-protected, such as those of a memory-mapped model or of a user."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def tensor_of(array: np.ndarray) -> Tensor:
    """Return a tensor that shares the memory of an array, or of a copy if nobody may write to the array.

    torch knows no protected memory. It warns of such an array, and a later write would end the process.
    """
    return torch.from_numpy(np.require(array, requirements="W"))
