"""The recurrent steps between two memory updates by one launch each way (`_ops.eager.memory_cells` has their loops).

What depends on inputs and memory alone, and the memory update, stay with torch: those are few large operations, and a
window's steps are many small ones. Layouts: L steps, B sequences, H units, G blocks of gates.
"""

# mypy: disable-error-code="import-untyped,import-not-found"
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from skseqmetric._ops.operands import check_operand, refuse_operand
from skseqmetric._ops.products import Matrix
from skseqmetric._ops.triton.memory_kernels import backward_kernel, forward_kernel
from skseqmetric._ops.triton.packing import Launch, launch_on, padded_units

LAUNCH = Launch(4, 4, 8, False)
"""16 sequences are the least that a matrix product takes. 8 warps hold a block of 128 x 128 numbers in registers."""

Keep = Tensor | float


class BlockMatrix(Matrix):
    """A weight matrix that the kernels read in square blocks, made once for all windows of a scan."""

    @cached_property
    def transposed(self) -> Tensor:
        """Blocks (G, U, U) of W_hh (G H, H), padded with zeros, outputs along the rows."""
        n = self.weight.shape[1]
        more = padded_units(n) - n
        return pad(self.weight.unflatten(0, (-1, n)), (0, more, 0, more)).contiguous()

    @cached_property
    def blocks(self) -> Tensor:
        """The same with inputs along the rows."""
        return self.transposed.transpose(1, 2).contiguous()


def run_window(
    cell: str,
    x: Tensor,
    read: Tensor | None,
    start: tuple[Tensor, Tensor],
    w: list[Tensor],
    keep: tuple[Keep, Keep],
    matrices: tuple[Any, Any],
) -> tuple[Tensor, Tensor]:
    """Return the states (L, B, H) of a window and its last c, as `eager.memory_cells.run_window`.

    `matrices` are of the kind `BlockMatrix`.
    """
    h, c = start
    candidate_bias = w[3] if cell == "gru" else None
    for mask in (one for one in keep if isinstance(one, Tensor)):
        if mask.dtype != torch.float32 or mask.device != x.device or (mask.stride(2) != 1 and mask.shape[2] > 1):
            refuse_operand(mask, "noise", torch.float32, x.device, "rows")
    states, last_c = _Window.apply(_Task(cell, keep, matrices), x, read, h, c, *w[:3], candidate_bias)
    return states, last_c if cell == "lstm" else c


@dataclass(frozen=True)
class _Task:
    """What is computed, but for the tensors that have gradients."""

    cell: str
    keep: tuple[Keep, Keep]
    matrices: tuple[Any, Any]

    def launch(self, kernel: Any, like: Tensor, *tensors: Tensor, **constants: Any) -> None:
        """Run a kernel on the states (L, B, H) or (B, H) that `like` has the shape of."""
        n_steps, n_rows, n_units = like.shape
        launch = launch_on(like.device, LAUNCH)
        strides = [s for keep in self.keep for s in (keep.stride()[:2] if isinstance(keep, Tensor) else (0, 0))]
        if not n_rows:
            return
        with torch.cuda.device_of(like):
            kernel[(triton.cdiv(n_rows, launch.pairs),)](
                *tensors,
                *(1.0 if isinstance(keep, Tensor) else float(keep) for keep in self.keep),
                *strides,
                n_rows,
                n_units,
                n_steps,
                0,
                CELL=self.cell,
                KEEP_H=_kind(self.keep[0]),
                KEEP_C=_kind(self.keep[1]),
                ROWS=launch.pairs,
                UNITS=padded_units(n_units),
                **constants,
                **launch.options,
            )

    def masks(self, like: Tensor) -> list[Tensor]:
        """Masks of h and c; where there are none, a tensor that is not read."""
        return [keep if isinstance(keep, Tensor) else like for keep in self.keep]


def _kind(keep: Keep) -> str:
    return "mask" if isinstance(keep, Tensor) else "share"


class _Window(torch.autograd.Function):
    """States (L, B, H) and the last c (B, H)."""

    @staticmethod
    def forward(
        ctx: Any,
        task: _Task,
        x: Tensor,
        read: Tensor | None,
        h: Tensor,
        c: Tensor,
        matrix: Tensor,
        bias: Tensor,
        hidden: Tensor,
        candidate_bias: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        projected, h = task.matrices[0].project(x, bias), h.contiguous()
        gates = torch.empty_like(projected)
        states, extra = h.new_empty(len(x), *h.shape), h.new_empty(len(x), *h.shape)
        # only an lstm has c
        cells = h.new_empty(len(x) + 1, *h.shape) if task.cell == "lstm" else h[None]
        reads = projected if read is None else read.contiguous()
        of_candidate = h if candidate_bias is None else candidate_bias.contiguous()
        blocks = check_operand(task.matrices[1].blocks, "hidden", torch.float32, h.device)
        operands = projected, reads, h, c.contiguous(), blocks, of_candidate, *task.masks(h)
        task.launch(forward_kernel, states, *operands, gates, states, cells, extra, READS=read is not None)
        ctx.task, ctx.reads = task, read is not None
        ctx.save_for_backward(x, h, gates, states, cells, extra)
        return states, cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor, grad_c: Tensor) -> tuple[Tensor | None, ...]:
        (x, h, gates, states, cells, extra), task = ctx.saved_tensors, ctx.task
        before = torch.cat([h[None], states[:-1]])
        outer = grad_states.contiguous(), grad_c.contiguous()
        # only an lstm has c, whose gradient is then filled
        grad_h, grad_c = (torch.zeros_like(h) for _ in range(2))
        grad_gates, grad_extra = torch.empty_like(gates), torch.empty_like(extra)
        operands = gates, extra, before, cells, *outer, task.matrices[1].transposed, *task.masks(h)
        task.launch(backward_kernel, states, *operands, grad_h, grad_c, grad_gates, grad_extra)
        grad_x, grad_input = task.matrices[0].project_backward(grad_gates, x, wanted=ctx.needs_input_grad[1])
        grad_hidden, grad_read, grad_candidate = _of_parts(task.cell, grad_gates, grad_extra, before)
        of_inputs = grad_x, grad_read if ctx.reads else None, grad_h, grad_c
        return None, *of_inputs, grad_input, grad_gates.sum((0, 1)), grad_hidden, grad_candidate


def _of_parts(
    cell: str, grad_gates: Tensor, grad_extra: Tensor, before: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The gradients of W_hh, of the memory's part, and of b'_n, from those of every step."""
    flat, n = before.flatten(0, 1), before.shape[2]
    if cell != "gru":
        return grad_gates.flatten(0, 1).T @ flat, grad_extra if cell == "lstm" else grad_gates, None
    of_product = torch.cat([grad_gates[..., : 2 * n], grad_extra], 2)
    return of_product.flatten(0, 1).T @ flat, grad_gates[..., 2 * n :], grad_extra.sum((0, 1))
