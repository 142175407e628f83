"""LSTM and plain RNN by the compiled kernels: tensors in, tensors out, differentiable."""

from __future__ import annotations

from ctypes import c_int64
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skseqmetric._ops.buffer_pool import Buffer, take
from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import Team, one_intra_op_thread
from skseqmetric._ops.weights import CELLS, RecurrentWeights

SHARES = 8
"""Parts of the rows whose weight gradients are summed separately. Any thread may take any part."""

PARTS = ("input", "hidden", "input_bias", "hidden_bias")
MOST_DIRECTIONS = 2
"""`MOST_DIRECTIONS` of src/scans.h."""


def cell_states(cell: str, x: Tensor, lengths: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """Return states (B, T, D H) in time order, 0 past the end; see `_ops.cells.cell_scan`."""
    own = [getattr(w, part) for part in PARTS for w in weights]
    states: Tensor = _Scan.apply(cell, x, lengths.to(torch.int64), *own)
    return states


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cell: str, x: Tensor, lengths: Tensor, *weights: Tensor) -> Tensor:
        run = _Run(cell, x, lengths, weights)
        keep = any(ctx.needs_input_grad)
        with one_intra_op_thread():
            states, saved = run.forward(keep=keep)
        if keep:
            ctx.cell, ctx.saved = cell, saved
            ctx.save_for_backward(x, lengths, states, *weights)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, lengths, states, *weights = ctx.saved_tensors
        run = _Run(ctx.cell, x, lengths, tuple(weights))
        saved, ctx.saved = ctx.saved, None
        with one_intra_op_thread():
            if saved is None:  # a second time through the same graph: what was kept is gone
                saved = cast(Buffer, run.forward(keep=True)[1])
            gradients = run.backward(grad, states, saved.tensor, of_x=ctx.needs_input_grad[1])
        saved.release()
        return None, gradients[0], None, *gradients[1:]


class _Run:
    """The operands of a forward pass and of its backward pass. It keeps them alive."""

    def __init__(self, cell: str, x: Tensor, lengths: Tensor, weights: tuple[Tensor, ...]) -> None:
        self.x = x if x.stride(2) == 1 or x.shape[2] == 1 else x.contiguous()
        self.n_gates, self.n_directions = CELLS[cell], len(weights) // len(PARTS)
        self.n_units, self.team = weights[self.n_directions].shape[1], Team.now()
        self.lengths = lengths.contiguous()
        self.order = torch.argsort(self.lengths, descending=True, stable=True)
        self.weights = [weight.contiguous() for weight in weights]
        self.operands = self._operands()

    def _operands(self) -> list[int]:
        """The fields of `struct CellScan` of src/scans.h that are the same in every call."""
        spare = [0] * (MOST_DIRECTIONS - self.n_directions)
        addresses = [address(weight, "weight") for weight in self.weights]
        by_part = (addresses[i : i + self.n_directions] for i in range(0, len(addresses), self.n_directions))
        return [
            *(self.n_gates, self.n_directions, *self.x.shape, self.n_units),
            *(address(self.x, "x", layout="rows"), *self.x.stride()[:2]),
            *(address(self.lengths, "lengths", torch.int64), address(self.order, "order", torch.int64)),
            *(number for part in by_part for number in (*part, *spare)),
        ]

    def _fields(self, states: Tensor, saved: int, gradients: tuple[int, ...] = (0,) * 6) -> Any:
        """`struct CellScan`. `gradients`: of the states with strides, of x, shares, of the weights."""
        of_states = (address(states, "states"), *states.stride()[:2])
        numbers = [*self.operands, *of_states, saved, *gradients]
        return (c_int64 * len(numbers))(*numbers)

    def forward(self, *, keep: bool) -> tuple[Tensor, Buffer | None]:
        """Return the states, and what backward reads if it is kept."""
        states = self.x.new_empty(*self.x.shape[:2], self.n_directions * self.n_units)
        saved = take(library().cell_saved(self._fields(states, 0))) if keep else None
        kept = address(saved.tensor, "saved") if saved else 0
        library().cell(self._fields(states, kept), False, self.team.n_threads, self.team.openmp)
        return states, saved

    def backward(self, grad: Tensor, states: Tensor, saved: Tensor, *, of_x: bool) -> list[Tensor | None]:
        """Return the gradients of x and of the weights, part by part."""
        grad = grad if grad.stride(2) == 1 else grad.contiguous()
        sizes = self._fields(states, 0)
        n_shares = max(1, min(SHARES, library().cell_tiles(sizes)))
        shares = self.x.new_zeros(n_shares, self.n_directions, library().cell_gradients(sizes))
        grad_x = self.x.new_zeros(self.x.shape) if of_x else None
        addresses = (
            *(address(grad, "grad", layout="rows"), *grad.stride()[:2]),
            *(0 if grad_x is None else address(grad_x, "grad_x"), n_shares, address(shares, "shares")),
        )
        fields = self._fields(states, address(saved, "saved"), addresses)
        library().cell(fields, True, self.team.n_threads, self.team.openmp)
        return [grad_x, *self._unpacked(shares[0] if n_shares == 1 else shares.sum(0))]

    def _unpacked(self, total: Tensor) -> list[Tensor]:
        """Return gradients of all parts and directions from transposed matrices with padded rows."""
        n, n_features, width = self.n_units, self.x.shape[2], library().width()
        n_numbers = self.n_gates * n
        rows = total.unflatten(1, (-1, -(-n_numbers // width) * width))[..., :n_numbers]
        hidden, inputs, bias = rows[:, :n], rows[:, n : n + n_features], rows[:, n + n_features]
        parts = (inputs.transpose(1, 2), hidden.transpose(1, 2), bias, bias)
        return [of_direction.clone(memory_format=torch.contiguous_format) for part in parts for of_direction in part]
