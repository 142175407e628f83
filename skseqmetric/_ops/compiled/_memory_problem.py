"""What a call of the recurrent memory computes, as the compiled extension reads it."""

from __future__ import annotations

from ctypes import Structure, c_double, c_int64, c_void_p
from dataclasses import fields

from skseqmetric._ops.weights import MemoryWeights

NAMES = tuple(field.name for field in fields(MemoryWeights) if field.name != "form")
"""The tensors of a layer, in the order of `struct MemoryTensors` of src/memory_kernels.h."""


class MemoryTensors(Structure):
    """The addresses of the weights of a layer, or of their gradients; null for those that its form lacks."""

    _fields_ = [(name, c_void_p) for name in NAMES]


class Keep(Structure):
    """Zoneout of h or of c: a mask, or a share."""

    _fields_ = [("mask", c_void_p), ("row", c_int64), ("step", c_int64), ("share", c_double)]


class MemoryProblem(Structure):
    """`struct MemoryProblem` of src/memory_kernels.h, which says what the fields mean; all are zero at first."""

    _fields_ = [
        *((name, c_int64) for name in ("n_rows", "n_steps", "n_features", "n_units", "cell")),
        *((name, c_int64) for name in ("n_slots", "stride", "window", "n_heads", "attention", "tokens", "n_threads")),
        *(("openmp", c_void_p), ("x", c_void_p), ("x_row", c_int64), ("x_step", c_int64)),
        *(("lengths", c_void_p), ("order", c_void_p), ("weights", MemoryTensors), ("hidden", Keep), ("cells", Keep)),
        *(("dropped", c_void_p), ("dropped_row", c_int64), ("dropped_update", c_int64)),
        *(("states", c_void_p), ("states_row", c_int64), ("states_step", c_int64), ("kept", c_void_p)),
        *(("grad_states", c_void_p), ("grad_row", c_int64), ("grad_step", c_int64)),
        *(("between", c_void_p), ("grad_x", c_void_p), ("gradients", MemoryTensors)),
    ]
