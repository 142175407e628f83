"""One recurrence over the steps of its inputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

State = tuple[Tensor, ...]
Step = Callable[[State, State, State], tuple[State, Tensor]]


def scan(step: Step, first: State, inputs: State, constants: State) -> tuple[State, Tensor]:
    """Return the state after the last step, and the outputs of all steps (T, ...).

    step(state, inputs of a step, constants) returns the next state and the output of the step. Inputs are (T, ...). The
    step reads no other tensors. An export records one step, for any T. Everywhere else this is a loop.
    """
    if torch.compiler.is_exporting():
        return _recorded(step, first, inputs, constants)
    state, outputs = first, []
    for t in range(len(inputs[0])):
        state, output = step(state, tuple(part[t] for part in inputs), constants)
        outputs.append(output)
    return state, torch.stack(outputs)


def _recorded(step: Step, first: State, inputs: State, constants: State) -> tuple[State, Tensor]:
    """Record torch's scan itself: its public function compiles the step first, which takes seconds."""
    from torch._higher_order_ops.scan import scan_op

    n, m = len(first), len(first) + len(inputs)

    def flat(*tensors: Tensor) -> list[Tensor]:
        state, output = step(tensors[:n], tensors[n:m], tensors[m:])
        # torch refuses steps whose results share memory with each other or with their inputs
        return [*(part.clone() for part in state), output.clone()]

    *state, outputs = scan_op(flat, list(first), list(inputs), constants)
    return tuple(state), outputs


def projected(x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """Return x W^T + b of x (T, B, F), as one product of all rows."""
    n_steps, n_rows, n_features = x.shape
    # a copy, so that no exporter asks how the rows lie in memory, which depends on the number of sequences
    rows = x.clone(memory_format=torch.contiguous_format).view(n_steps * n_rows, n_features) @ matrix.T
    return (rows if bias is None else rows + bias).view(n_steps, n_rows, matrix.shape[0])
