"""Products with a weight matrix, by torch or by the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops import compiled
from skseqmetric._ops.compiled import Library, library
from skseqmetric._ops.operands import CPU, address, refuse_operand
from skseqmetric._ops.parallel import Team


class Matrix:
    """A weight matrix W (outputs, inputs). The numbers of a row of every operand are contiguous."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Return x W^T of rows x (R, inputs), added to `out` if it is given."""
        return x @ self.weight.T if out is None else out.addmm_(x, self.weight.T)

    def backward(self, grad: Tensor) -> Tensor:
        """Return the gradient of x, grad W, from rows grad (R, outputs)."""
        return grad @ self.weight

    def gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """grad^T x: the gradient of W. The narrow matrix stands first: for few inputs 4 times faster."""
        return (x.T @ grad).T

    def project(self, x: Tensor, bias: Tensor) -> Tensor:
        """W x + b of a window, (L, B, inputs) -> (L, B, outputs): a window's projections stay in the cache."""
        return self.forward(x.flatten(0, 1), bias.repeat(x.shape[0] * x.shape[1], 1)).unflatten(0, x.shape[:2])

    def project_backward(self, grad: Tensor, x: Tensor, *, wanted: bool) -> tuple[Tensor | None, Tensor]:
        """Return the gradients of x, if it is needed, and of W."""
        flat = grad.flatten(0, 1).contiguous()
        grad_x = self.backward(flat).view_as(x) if wanted else None
        return grad_x, self.gradient(flat, x.flatten(0, 1))


class PackedMatrix(Matrix):
    """The same by the compiled kernels, float32 on the CPU: packed once for each direction, at its first use."""

    def __init__(self, kernels: Library, team: Team, weight: Tensor) -> None:
        super().__init__(weight)
        self._kernels, self._team, self._width = kernels, (team.n_threads, team.openmp), kernels.width()
        self._by_weight: Tensor | None = None
        self._by_transposed: Tensor | None = None

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        if self._by_transposed is None:
            self._by_transposed = self._pack(self.weight.T)
        return self._product(x, self._by_transposed, self.weight.shape[0], out)

    def backward(self, grad: Tensor) -> Tensor:
        if self._by_weight is None:
            self._by_weight = self._pack(self.weight)
        return self._product(grad, self._by_weight, self.weight.shape[1], None)

    def gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        if grad.shape[1] % self._width or x.shape[1] % self._width:
            return super().gradient(grad, x)
        out = grad.new_empty(grad.shape[1], x.shape[1])
        sizes = (grad.stride(0), x.stride(0), grad.shape[1], len(grad), x.shape[1])
        operands = _rows(grad, "grad"), _rows(x, "x"), out.data_ptr()
        self._kernels.update(*operands, *sizes, *self._team)
        return out

    def _product(self, a: Tensor, packed: Tensor, n: int, out: Tensor | None) -> Tensor:
        c = a.new_empty(len(a), n) if out is None else out
        sizes = (a.stride(0), c.stride(0), *a.shape, n, out is not None)
        operands = _rows(a, "a"), packed.data_ptr(), _rows(c, "out")
        self._kernels.product(*operands, *sizes, *self._team)
        return c

    def _pack(self, matrix: Tensor) -> Tensor:
        packed = torch.empty(self._kernels.packed_matrix(*matrix.shape), dtype=torch.float32, device="cpu")
        operands = packed.data_ptr(), address(matrix, "weight", layout="any")
        self._kernels.pack_matrix(*operands, *matrix.shape, *matrix.stride())
        return packed


def _rows(tensor: Tensor, name: str) -> int:
    """Return the address of a matrix whose rows may be apart, checked as `address` does. It runs once a step."""
    if tensor.dtype is not torch.float32 or not tensor.is_cpu or (tensor.stride(1) != 1 and tensor.shape[1] > 1):
        refuse_operand(tensor, name, torch.float32, CPU, "rows")
    return tensor.data_ptr()


MakeMatrix = Callable[[Tensor], Matrix]
"""What computes products with a weight matrix, from the matrix."""


def compiled_products() -> MakeMatrix:
    """Makes matrices for the compiled kernels, with the threads that there are now."""
    return partial(PackedMatrix, library(), Team.now())


def steady_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x W^T + b, (..., inputs) -> (..., outputs). At inference a row has the same bits in any company.

    torch chooses the order of the sums by the number of rows, and the compiled kernels do not. Training, other devices
    and other dtypes stay with torch.
    """
    if not steady(x):
        return torch.nn.functional.linear(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1]).contiguous()
    out = None if bias is None else bias.expand(len(rows), -1).clone(memory_format=torch.contiguous_format)
    matrix = PackedMatrix(library(), Team(1, 0), weight)  # a thread more would not pay
    return matrix.forward(rows, out).view(*x.shape[:-1], len(weight))


class SteadyProduct:
    """x W^T as by `steady_linear`, for a weight (outputs, inputs) that stays: it is packed only once."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        packs = compiled.obstacle() is None and weight.device.type == "cpu" and weight.numel() > 0
        self._matrix = PackedMatrix(library(), Team(1, 0), weight) if packs else None

    def __call__(self, x: Tensor) -> Tensor:
        """Return the products (rows, outputs) of rows (rows, inputs)."""
        if self._matrix is None or not steady(x):
            return torch.nn.functional.linear(x, self.weight)
        return self._matrix.forward(x)

    def __reduce__(self) -> tuple[Any, ...]:
        return SteadyProduct, (self.weight,)


def steady(x: Tensor) -> bool:
    """Whether the products of x are those of inference, and the compiled kernels can compute them."""
    return (
        torch.is_inference_mode_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.numel() > 0
        and compiled.obstacle() is None
    )


class Linear:
    """x W^T + b as a differentiable function of x, W and b, computed by a given kind of `Matrix`."""

    def __init__(self, weight: Tensor, bias: Tensor | None, make: MakeMatrix) -> None:
        self.weight, self.bias, self.matrix = weight, bias, make(weight.detach())

    def __call__(self, x: Tensor) -> Tensor:
        rows = _Product.apply(x.reshape(-1, x.shape[-1]).contiguous(), self.weight, self.bias, self.matrix)
        return rows.unflatten(0, x.shape[:-1])


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, matrix: Matrix) -> Tensor:
        ctx.matrix, ctx.has_bias = matrix, bias is not None
        ctx.save_for_backward(x, weight)
        return matrix.forward(x, None if bias is None else bias.repeat(len(x), 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x, _), grad = ctx.saved_tensors, grad.contiguous()
        grad_x = ctx.matrix.backward(grad) if ctx.needs_input_grad[0] else None
        return grad_x, ctx.matrix.gradient(grad, x), grad.sum(0) if ctx.has_bias else None, None
