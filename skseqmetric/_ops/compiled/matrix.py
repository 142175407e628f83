"""Products with a weight matrix that is packed once and used many times, by the compiled kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.compiled._team import Team


class PackedMatrix:
    """A weight matrix W (outputs, inputs), float32 on the CPU; rows of every operand lie side by side in themselves."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self._packed: dict[bool, Tensor] = {}
        team = Team.now()
        self._team = team.n_threads, team.openmp

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """x W^T of rows x (R, inputs), added to `out` where it is given."""
        return self._product(x, out, transposed=True)

    def backward(self, grad: Tensor) -> Tensor:
        """grad W of rows grad (R, outputs): the gradient of x."""
        return self._product(grad, None, transposed=False)

    def gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """grad^T x: the gradient of W."""
        width = library().width
        if grad.shape[1] % width or x.shape[1] % width:
            return (x.T @ grad).T
        out = grad.new_empty(grad.shape[1], x.shape[1])
        sizes = (grad.stride(0), x.stride(0), grad.shape[1], len(grad), x.shape[1])
        addresses = (grad.data_ptr(), x.data_ptr(), out.data_ptr())
        library().update(*addresses, *sizes, *self._team)
        return out

    def _product(self, a: Tensor, out: Tensor | None, *, transposed: bool) -> Tensor:
        packed, n = self._pack(transposed), self.weight.shape[0 if transposed else 1]
        c = a.new_empty(len(a), n) if out is None else out
        sizes = (a.stride(0), c.stride(0), *a.shape, n, out is not None)
        library().product(a.data_ptr(), packed.data_ptr(), c.data_ptr(), *sizes, *self._team)
        return c

    def _pack(self, transposed: bool) -> Tensor:
        if transposed not in self._packed:
            matrix = self.weight.T if transposed else self.weight
            shape, strides = (matrix.shape[0], matrix.shape[1]), (matrix.stride(0), matrix.stride(1))
            packed = torch.empty(library().packed_matrix(shape))
            library().pack_matrix(packed.data_ptr(), self.weight.data_ptr(), shape, strides)
            self._packed[transposed] = packed
        return self._packed[transposed]
