"""Numbers that a recording keeps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def constant(array: np.ndarray) -> Tensor:
    """Return a copy of an array as a tensor of its dtype on the CPU."""
    dtype = torch.from_numpy(np.empty(0, array.dtype)).dtype
    return torch.tensor(array, dtype=dtype, device="cpu")
