"""The choice of the implementation of an op. It is made only here.

reference : the plain loops of `_ops.reference`, any dtype and device, differentiable; for tests.
eager     : torch operations with gradients by hand, any dtype and device.
compiled  : fused kernels of the optional C++ extension, float32 on the CPU.
triton    : fused kernels for CUDA, float32; products of training in bfloat16 under autocast.
scanned   : one scan over the steps, any number of them, without gradients; for programs that are exported.
onnx      : the same, but with the operators of ONNX for GRU and LSTM. Only an export can run it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from skseqmetric._ops import compiled, triton
from skseqmetric._ops.triton.packing import LARGEST_RESERVOIR, LARGEST_UNITS

IMPLEMENTATIONS = ("reference", "eager", "compiled", "triton", "scanned", "onnx")

COMPILED = frozenset(
    {"gru", "lstm", "rnn", "sync_gru", "memory", "reservoir"}
    | {"random_convolution", "stem", "alignment", "alignment_block"}
)
"""Ops that have compiled kernels. Those of "memory" return states. Where its blocks or maps are asked for, only the
products are compiled, and the rest is eager."""

TRITON = {"sync_gru": LARGEST_UNITS, "memory": LARGEST_UNITS, "reservoir": LARGEST_RESERVOIR}
"""Recurrences that have Triton kernels, and the most units that these take. Of "memory" they compute the steps of a
window, and the rest is eager. GRU, LSTM and RNN are cuDNN's on CUDA, within eager."""

SCANNED = frozenset({"gru", "lstm", "rnn", "memory", "reservoir", "stem"})
"""Ops that an export can record: the stem by torch's operations."""

SCANNED_FORMS = ("scanned", "onnx")

FORCED: ContextVar[str | None] = ContextVar("skseqmetric_implementation", default=None)
"""The implementation that this thread asks for, one of `SCANNED_FORMS` while a program is recorded."""


@contextmanager
def implementation(name: str) -> Iterator[None]:
    """Use the implementation `name` in this thread inside, for tests and benchmarks.

    A recurrence raises an error if `name` cannot compute it for its operands. No other implementation replaces it.
    """
    if name not in IMPLEMENTATIONS:
        raise ValueError(f"implementation={name!r}: must be one of {', '.join(IMPLEMENTATIONS)}.")
    token = FORCED.set(name)
    try:
        yield
    finally:
        FORCED.reset(token)


def choose(op: str, x: Tensor, n_units: int) -> str:
    """Return the implementation for `op`, one of `COMPILED` or `TRITON`, on an operand like `x`."""
    forced = FORCED.get()
    if forced is not None:
        reason = obstacle(forced, op, x, n_units)
        if reason is not None:
            raise RuntimeError(f"implementation {forced!r} cannot compute {op!r} here: {reason}.")
        return forced
    if x.is_cuda:
        return "triton" if obstacle("triton", op, x, n_units) is None else "eager"
    if obstacle("compiled", op, x, n_units) is None:
        return "compiled"
    if op in COMPILED and x.device.type == "cpu" and x.dtype == torch.float32:
        compiled.warn_where_missing()
    return "eager"


def choose_dtw() -> str:
    """Return the implementation of dynamic time warping: "compiled" where it is built, unless "reference" is forced."""
    return "reference" if FORCED.get() == "reference" or compiled.obstacle() else "compiled"


def obstacle(name: str, op: str, x: Tensor, n_units: int) -> str | None:
    """Return why implementation `name` cannot compute `op` on an operand like `x`, or None if it can."""
    if name in ("reference", "eager"):
        return None
    if name in SCANNED_FORMS:
        return None if op in SCANNED else "it has no form that can be exported"
    if op not in (COMPILED if name == "compiled" else TRITON):
        return "it has no kernel for it"
    if x.dtype != torch.float32:
        return f"it takes float32, and got {x.dtype}"
    if name == "compiled":
        return compiled.obstacle() if x.device.type == "cpu" else f"it runs on the CPU, and got {x.device.type}"
    return triton.obstacle(x.device, n_units, TRITON[op])
