"""Random convolutions as a plain loop: the definition that every fast form is tested against."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def convolution(x: np.ndarray, channels: np.ndarray, taps: np.ndarray, dilation: int) -> np.ndarray:
    """Return v (T,) of one kernel from a sequence x (T, C). The additions of one step have the order of all forms."""
    n_steps = len(x)
    found = np.zeros(n_steps, dtype=x.dtype)
    for t in range(n_steps):
        z = np.zeros(9, dtype=x.dtype)
        for i in range(9):
            step = t + (i - 4) * dilation
            if 0 <= step < n_steps:
                for c in channels:
                    z[i] += x[step, c]
        total = z[0]
        for i in range(1, 9):
            total += z[i]
        found[t] = -total
        for i in taps:
            found[t] += (z[i] + z[i]) + z[i]
    return found


def convolution_shares(values: Tensor, lengths: np.ndarray, bank: Any, taps: np.ndarray) -> Tensor:
    """Return the shares (B, P), in the dtype of the values."""
    steps, rows = values.detach().cpu().numpy(), []
    for x in np.split(steps, np.cumsum(lengths)[:-1]):
        row: list[float] = []
        for d, dilation in enumerate(bank.dilations):
            for k in range(len(taps)):
                start, stop = bank.starts[d * len(taps) + k : d * len(taps) + k + 2]
                v = convolution(x, bank.channels[start:stop], taps[k], int(dilation))
                for _ in range(bank.n_biases[d]):
                    row.append((v > bank.biases[len(row)]).sum().astype(x.dtype) / x.dtype.type(len(x)))
        rows.append(row)
    return torch.tensor(np.array(rows, dtype=steps.dtype).reshape(len(rows), -1), device=values.device)
