"""A step of a reservoir by the compiled kernels, with dense weights or with few."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import kernel_threads


class DenseStep:
    """x <- x + l (tanh(projected + W x) - x), product and gate function in one pass. recurrent (N, N), leak (N,)."""

    def __init__(self, recurrent: Tensor, leak: Tensor) -> None:
        recurrent, self._leak = recurrent.contiguous(), leak.contiguous()
        self._n_units = len(leak)
        self._packed = torch.empty(library().packed_square(self._n_units), dtype=torch.float32, device="cpu")
        library().pack_square(address(self._packed, "packed"), address(recurrent, "recurrent"), self._n_units)
        self._weights = address(self._packed, "packed"), address(self._leak, "leak")

    def __call__(self, x: Tensor, projected: Tensor) -> None:
        """Advance the states x (n, N), contiguous; `projected` (n, N), contiguous, is used up."""
        states = address(x, "x"), address(projected, "projected")
        library().reservoir(*states, *self._weights, len(x), self._n_units, kernel_threads())
        x.copy_(projected)


class SparseStep:
    """The same with recurrent weights in CSR form; a unit's states of all sequences are contiguous."""

    def __init__(self, recurrent: Tensor, leak: Tensor) -> None:
        self._starts, self._columns = (
            i.int().contiguous() for i in (recurrent.crow_indices(), recurrent.col_indices())
        )
        self._values, self._leak = recurrent.values().contiguous(), leak.contiguous()
        self._weights = (
            address(self._starts, "crow_indices", torch.int32),
            address(self._columns, "col_indices", torch.int32),
            address(self._values, "values"),
            address(self._leak, "leak"),
        )

    def __call__(self, x: Tensor, projected: Tensor) -> None:
        """Advance the states x (N, n); `projected` (N, n) is used up. The n numbers of a unit are contiguous."""
        states = address(x, "x", layout="rows"), address(projected, "projected", layout="rows")
        sizes = (x.shape[1], x.stride(0), projected.stride(0), len(x), kernel_threads())
        library().sparse_reservoir(*states, *self._weights, *sizes)
