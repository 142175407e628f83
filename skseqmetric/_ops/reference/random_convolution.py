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
        steps = [t + (i - 4) * dilation for i in range(9)]
        seen = [x[step] if 0 <= step < n_steps else np.zeros_like(x[0]) for step in steps]
        for c in channels:
            total = seen[0][c]
            for i in range(1, 9):
                total = total + seen[i][c]
            found[t] -= total
        for i in taps:
            tripled = x.dtype.type(0)
            for c in channels:
                tripled += (seen[i][c] + seen[i][c]) + seen[i][c]
            found[t] += tripled
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
