"""A step of a reservoir by the compiled kernels, with dense weights or with few."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.parallel import kernel_threads


class DenseStep:
    """x <- x + l (tanh(projected + W x) - x), product and gate function in one pass. recurrent (N, N), leak (N,)."""

    def __init__(self, recurrent: Tensor, leak: Tensor) -> None:
        recurrent, self._leak = recurrent.contiguous(), leak.contiguous()
        self._n_units, self._packed = len(leak), recurrent

        def make(n: int) -> int:
            self._packed = torch.empty(n)
            return int(self._packed.data_ptr())

        library().packed_square(recurrent.data_ptr(), self._n_units, make)

    def __call__(self, x: Tensor, projected: Tensor) -> None:
        """Advance the states x (n, N), contiguous; `projected` (n, N), contiguous, is used up."""
        operands = (x, projected, self._packed, self._leak)
        addresses = (operand.data_ptr() for operand in operands)
        library().reservoir(*addresses, n_rows=len(x), n_units=self._n_units, n_threads=kernel_threads())
        x.copy_(projected)


class SparseStep:
    """The same with recurrent weights in CSR form; a unit's states of all sequences lie side by side."""

    def __init__(self, recurrent: Tensor, leak: Tensor) -> None:
        self._starts, self._columns = (
            i.int().contiguous() for i in (recurrent.crow_indices(), recurrent.col_indices())
        )
        self._values, self._leak = recurrent.values().contiguous(), leak.contiguous()

    def __call__(self, x: Tensor, projected: Tensor) -> None:
        """Advance the states x (N, n); `projected` (N, n) is used up. The n numbers of a unit are contiguous."""
        operands = (x, projected, self._starts, self._columns, self._values, self._leak)
        sizes = (x.shape[1], x.stride(0), projected.stride(0), len(x), kernel_threads())
        library().sparse_reservoir(*(operand.data_ptr() for operand in operands), sizes=sizes)
