"""Two convolutions over time with GELU by the compiled kernels, differentiable in their weights."""

from __future__ import annotations

from ctypes import c_int64
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.buffer_pool import take
from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import Team
from skseqmetric._ops.stem_shape import StemShape

MAX_STRIDE = 64
"""`MAX_STRIDE` of src/kernels.h."""

SHARES = 2
"""Parts of a batch whose weight gradients are summed separately, by any number of threads: the bits stay the same."""


def conv_stem(
    x: Tensor, lengths: Tensor, weights: tuple[Tensor, ...], shape: StemShape, factors: Tensor | None
) -> Tensor:
    """Return features (B, T', F); see `_ops.stem.conv_stem`. Gradients of x are not computed."""
    features: Tensor = _Stem.apply(x, lengths, shape, factors, *weights)
    return features


class _Stem(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, lengths: Tensor, shape: StemShape, factors: Tensor | None, *weights: Tensor
    ) -> Tensor:
        run = _Run(x, lengths, shape, factors, weights)
        keep = any(ctx.needs_input_grad)
        out, kept = run.forward(keep=keep)
        if keep:
            ctx.shape, ctx.kept = shape, kept
            ctx.save_for_backward(x, lengths, factors, *weights)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, lengths, factors, *weights = ctx.saved_tensors
        run = _Run(x, lengths, ctx.shape, factors, tuple(weights))
        kept, ctx.kept = ctx.kept, None
        if kept is None:  # a second time through the same graph: what was kept is gone
            kept = run.forward(keep=True)[1]
        gradients = run.backward(grad, kept.tensor)
        kept.release()
        return None, None, None, None, *gradients


class _Run:
    """The operands of one call. It keeps them alive."""

    def __init__(
        self, x: Tensor, lengths: Tensor, shape: StemShape, factors: Tensor | None, weights: tuple[Tensor, ...]
    ) -> None:
        self.shape, self.n_filters, self.team = shape, len(weights[0]), Team.now()
        self.x = x if x.stride(2) == 1 or x.shape[2] == 1 else x.contiguous()
        self.lengths = lengths.to(torch.int64).contiguous()
        self.factors = None if factors is None else factors.contiguous()
        self.weights = [weight.contiguous() for weight in weights]
        self.operands = self._operands()

    def _call(self, backward: bool, addresses: list[int], grad: tuple[int, ...]) -> None:
        library().stem(self._fields(addresses, grad), backward, self.team.n_threads, self.team.openmp)

    def _operands(self) -> list[int]:
        """The fields of `struct Stem` of src/kernels.h that are the same in every call."""
        n, n_steps, n_channels = self.x.shape
        weights = [address(weight, "weight") for weight in self.weights]
        return [
            *(n, n_steps, n_channels, self.n_filters, *self.x.stride()[:2]),
            *(*self.shape.kernels, *self.shape.strides, *self.shape.in_front),
            *(address(self.x, "x", layout="rows"), address(self.lengths, "lengths", torch.int64)),
            *(*weights[::2], *weights[1::2]),
            0 if self.factors is None else address(self.factors, "factors"),
        ]

    def _fields(self, results: list[int], grad: tuple[int, ...]) -> Any:
        """`struct Stem`. `results`: out and kept; `grad`: that of out with strides, shares, that of the weights."""
        numbers = [*self.operands, *results, *grad]
        return (c_int64 * len(numbers))(*numbers)

    def forward(self, *, keep: bool) -> tuple[Tensor, Any]:
        """Return the features, and what backward reads if it is kept."""
        out = self.x.new_empty(len(self.x), self.shape.steps(self.x.shape[1]), self.n_filters)
        kept = take(library().stem_kept(self._fields([0, 0], (0,) * 5))) if keep else None
        self._call(False, [address(out, "out"), address(kept.tensor, "kept") if kept else 0], (0,) * 5)
        return out, kept

    def backward(self, grad: Tensor, kept: Tensor) -> list[Tensor]:
        """Return the gradients of both convolutions' weights and biases."""
        grad = grad if grad.stride(2) == 1 else grad.contiguous()
        size = library().stem_gradients(self._fields([0, 0], (0,) * 5))
        shares = self.x.new_zeros(max(1, min(SHARES, len(self.x))), size)
        of_out = (address(grad, "grad", layout="rows"), *grad.stride()[:2])
        self._call(True, [0, address(kept, "kept")], (*of_out, len(shares), address(shares, "shares")))
        return self._unpacked(shares[0] if len(shares) == 1 else shares.sum(0))

    def _unpacked(self, total: Tensor) -> list[Tensor]:
        """Return gradients in torch's layout, from rows (kernel, channels) of padded filters."""
        padded = -(-self.n_filters // library().width()) * library().width()
        rows, kernels = total.view(-1, padded)[:, : self.n_filters], self.shape.kernels
        second, n_channels = kernels[1] * padded, self.x.shape[2]
        of_second = rows[:second].unflatten(0, (kernels[1], padded))[:, : self.n_filters]
        of_first = rows[second : second + kernels[0] * n_channels].unflatten(0, (kernels[0], n_channels))
        matrices = [matrix.permute(2, 1, 0).contiguous() for matrix in (of_first, of_second)]
        return [matrices[0], rows[-2], matrices[1], rows[-1]]
