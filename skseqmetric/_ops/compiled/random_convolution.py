"""Random convolutions by the compiled kernels: threads take whole sequences, whose bits do not depend on the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import Team

CALL_COMPARISONS = 2**32
"""Comparisons of one call, about a second of work: Ctrl-C is heard between calls."""


def convolution_shares(values: Tensor, lengths: np.ndarray, bank: Any) -> Tensor:
    """Return the shares (B, P) from the steps of all sequences (sum of lengths, C), contiguous, and their lengths."""
    out = torch.empty(len(lengths), bank.n_features, dtype=torch.float32, device="cpu")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64, copy=False)
    team, arrays = Team.now(), _addresses(bank)
    start = 0
    while start < len(lengths):
        allowed = offsets[start] + CALL_COMPARISONS // bank.n_features
        stop = max(start + 1, int(np.searchsorted(offsets, allowed, side="right")) - 1)
        library().convolutions(
            address(values, "values"),
            offsets[start:].ctypes.data,
            *arrays,
            address(out[start:stop], "shares"),
            stop - start,
            values.shape[1],
            len(bank.dilations),
            bank.n_features,
            int(lengths[start:stop].max()),
            int(bank.dilations.max()),
            team.n_threads,
            team.openmp,
        )
        start = stop
    return out


_DTYPES = {
    "dilations": np.int64,
    "n_biases": np.int64,
    "starts": np.int64,
    "channels": np.int32,
    "order": np.int32,
    "biases": np.float32,
}


def _addresses(bank: Any) -> list[int]:
    """Return the addresses of the arrays of a bank, in the order of the C function."""
    arrays = {name: getattr(bank, name) for name in _DTYPES}
    for name, array in arrays.items():
        if array.dtype != _DTYPES[name] or not array.flags.c_contiguous:
            raise TypeError(f"a kernel needs {name} as contiguous {_DTYPES[name].__name__}, and got {array.dtype}")
    return [array.ctypes.data for array in arrays.values()]
