"""Compile the Triton kernels for compute capability 9.0 without a GPU; print what each needs, one JSON line a kernel.

python tests/compile_triton.py [PRECISION ...] [UNITS ...]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from itertools import chain, product
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from skseqmetric._ops.triton import memory, memory_kernels, reservoir
from skseqmetric._ops.triton.packing import BACKWARD, FORWARD, PRECISIONS, Launch
from skseqmetric._ops.triton.reservoir_kernels import reservoir_kernel
from skseqmetric._ops.triton.scan_kernels import backward_kernel, forward_kernel
from skseqmetric._ops.triton.tile import tile_kernel

POINTERS = {
    "left_lengths": "*i32",
    "right_lengths": "*i32",
    "left_order": "*i32",
    "right_order": "*i32",
    "places": "*i32",
    "lengths": "*i32",
    "order": "*i32",
    "rows": "*i32",
    "columns": "*i32",
    "starts": "*i32",
}
TILE_FLOATS = ("left", "right", "biases", "strengths", "out")
SCAN_FLOATS = (
    "projected",
    "biases",
    "strengths",
    "states",
    "sums",
    "grad_states",
    "carry",
    "grad_inputs",
    "grad_candidates",
    "contracted",
    "grad_strengths",
    "source",
    "out",
)

RESERVOIR_FLOATS = ("projected", "leaks", "states", "sums")
MEMORY_FLOATS = (
    *(
        "projected",
        "gates",
        "reads",
        "first_h",
        "first_c",
        "candidate_bias",
        "h_masks",
        "c_masks",
        "states",
        "cells",
        "extra",
    ),
    *("before", "grad_states", "grad_last_c", "grad_h", "grad_c", "grad_gates", "grad_extra"),
)


def compile_kernel(kernel: Any, floats: tuple[str, ...], constants: dict[str, Any], launch: Launch) -> dict[str, Any]:
    """Registers and spilled bytes a thread, shared memory, matrix instructions of one compiled kernel."""
    matrix = "*bf16" if constants.get("PRECISION") == "bfloat16" else "*fp32"
    signature, attributes = {}, {}
    for at, name in enumerate(kernel.arg_names):
        kinds = {**POINTERS, **dict.fromkeys(floats, "*fp32"), "matrices": matrix, "transposed": matrix}
        kinds |= {"h_share": "fp32", "c_share": "fp32"}
        signature[name] = "constexpr" if name in constants else kinds.get(name, "i32")
        if name not in constants and (signature[name][0] == "*" or name in ("n_units", "n_gates", "zero")):
            attributes[(at,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constants, attributes)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=launch.options)
    return {"shared": compiled.metadata.shared, **inspect(compiled.asm["cubin"])}


def inspect(binary: bytes) -> dict[str, int]:
    tool = Path(triton.__path__[0]) / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        run = [
            subprocess.run([tool, flag, file.name], capture_output=True, text=True, check=True).stdout
            for flag in ("-res-usage", "-sass")
        ]
    usage = re.search(r"REG:(\d+) STACK:(\d+)", run[0])
    registers, stack = map(int, usage.groups()) if usage else (-1, -1)
    counts = {name: len(re.findall(rf"\b{name}", run[1])) for name in ("HGMMA", "HMMA", "LDL", "BAR")}
    return {"registers": registers, "stack": stack, **counts}


def tile_cases(sizes: list[int]) -> Any:
    for size, coupling in product(sizes, ("symmetric", "diffusive")):
        launch = FORWARD["float32"][size]
        constants = {
            "COUPLING": coupling,
            "MEAN": True,
            "CROSSED": True,
            "ROWS": launch.rows,
            "COLUMNS": launch.columns,
            "UNITS": size,
            "EVEN": True,
            "RESIDENT": launch.resident,
        }
        yield tile_kernel, TILE_FLOATS, constants, launch


def scan_cases(precision: str, sizes: list[int]) -> Any:
    for size, coupling in product(sizes, ("symmetric", "diffusive")):
        forward, backward = FORWARD[precision][size], BACKWARD[precision][size]
        constants = {"COUPLING": coupling, "UNITS": size, "EVEN": True, "PRECISION": precision}
        kept = dict(constants, MEAN=True, KEEP=False, PAIRS=forward.pairs, RESIDENT=forward.resident)
        yield forward_kernel, SCAN_FLOATS, kept, forward
        again = dict(constants, FROM="mean", PAIRS=backward.pairs, RESIDENT=backward.resident)
        yield backward_kernel, SCAN_FLOATS, again, backward


def memory_cases(sizes: list[int]) -> Any:
    for size, cell in product(sizes, ("lstm", "gru")):
        constants = {"CELL": cell, "KEEP_H": "mask", "KEEP_C": "mask", "ROWS": memory.LAUNCH.pairs, "UNITS": size}
        yield memory_kernels.forward_kernel, MEMORY_FLOATS, {**constants, "READS": True}, memory.LAUNCH
        yield memory_kernels.backward_kernel, MEMORY_FLOATS, constants, memory.LAUNCH


def reservoir_cases() -> Any:
    launch = reservoir.LAUNCH
    constants = {"KEEP": False, "MEAN": True, "ROWS": launch.pairs, "BLOCK": reservoir.BLOCK}
    yield reservoir_kernel, RESERVOIR_FLOATS, constants, launch


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:] if argument.isdigit()] or list(FORWARD["float32"])
    precisions = [argument for argument in sys.argv[1:] if argument in PRECISIONS] or PRECISIONS
    others = memory_cases(sizes), reservoir_cases()
    cases = chain(tile_cases(sizes), *(scan_cases(p, sizes) for p in precisions), *others)
    for kernel, floats, constants, launch in cases:
        found = compile_kernel(kernel, floats, constants, launch)
        line = {"kernel": kernel.fn.__name__, **constants, "warps": launch.n_warps, **found}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
