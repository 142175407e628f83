"""A problem of the extension filled in from tensors, which it keeps alive as long as it points into them."""

from __future__ import annotations

from ctypes import c_void_p
from dataclasses import dataclass

import torch
from torch import Tensor

from skseqmetric._ops.compiled._library import Problem
from skseqmetric._ops.compiled._team import Team
from skseqmetric._ops.weights import RecurrentWeights

_COUPLINGS = {None: 0, "scalar": 1, "symmetric": 2, "diffusive": 3}


@dataclass(frozen=True)
class Kind:
    """What is computed: halves per row (1 plain, 2 coupled), the coupling, and the pooling over time.

    Without pooling the result is all states.
    """

    n_halves: int
    coupling: str | None
    pooling: str | None


@dataclass(frozen=True)
class Recurrent:
    """The weights that are not input projections, every direction stacked; None what the coupling has not."""

    hidden: Tensor
    candidate_bias: Tensor
    gate_hidden: Tensor | None
    gate_other: Tensor | None
    gate_bias: Tensor | None

    @classmethod
    def of(cls, weights: list[RecurrentWeights], coupling: str | None) -> Recurrent:
        """Stacked from the directions' own."""
        n = weights[0].n_units
        gated = coupling in ("symmetric", "diffusive")
        return cls(
            torch.stack([w.hidden for w in weights]),
            torch.stack([w.hidden_bias[2 * n :] for w in weights]),
            torch.stack([w.gate_hidden for w in weights]) if gated else None,
            torch.stack([w.gate_other for w in weights]) if coupling == "diffusive" else None,
            torch.stack([w.gate_bias for w in weights]) if coupling == "scalar" else None,
        )

    @property
    def n_units(self) -> int:
        return int(self.hidden.shape[2])


class Operands:
    """Rows of a problem: which sequences of which projections (D, T, N, G) they read.

    sides : one projection for all halves or one for each, with the lengths (N,) of its sequences; features
        (D, T, N, F) where `set_input` follows.
    sequences : (halves, rows) int64.
    """

    def __init__(
        self,
        kind: Kind,
        sides: list[Tensor],
        lengths: list[Tensor],
        sequences: Tensor,
        recurrent: Recurrent,
        team: Team,
    ) -> None:
        self.problem = p = Problem()
        self._kept: list[Tensor] = []
        p.n_directions, p.n_halves, p.n_rows = sides[0].shape[0], kind.n_halves, sequences.shape[1]
        p.n_steps, p.n_threads = max(side.shape[1] for side in sides), team.n_threads
        p.openmp = team.openmp
        p.mean, p.coupling = kind.pooling == "mean", _COUPLINGS[kind.coupling]
        sequences = self.hold(sequences.to(torch.int64).contiguous())
        for half in range(kind.n_halves):
            side, length = self.hold(sides[half % len(sides)]), self.hold(lengths[half % len(sides)])
            p.x[half], p.length[half] = side.data_ptr(), length.data_ptr()
            p.x_direction[half], p.x_step[half], p.x_sequence[half] = side.stride()[:3]
            p.x_steps[half], p.sequence[half] = side.shape[1], sequences[half].data_ptr()
        p.n_units = recurrent.n_units
        for name, tensor in vars(recurrent).items():
            if tensor is not None:
                setattr(p, name, self.hold(tensor.contiguous()).data_ptr())
        self.set_end(sides[0].new_zeros(len(sides[0]), sides[0].shape[3]))

    def hold(self, tensor: Tensor) -> Tensor:
        """Keep a tensor whose address the problem is given."""
        self._kept.append(tensor)
        return tensor

    def set_input(self, weights: Tensor) -> None:
        """Input weights and, last, biases (D, G, F + 1): the sides hold features."""
        self.problem.n_features = weights.shape[2] - 1
        self.problem.input = self.hold(weights.contiguous()).data_ptr()

    def set_end(self, projected: Tensor) -> None:
        """What a half reads behind its last projection: (D, G)."""
        self.problem.x_end = self.hold(projected.contiguous()).data_ptr()

    def set_results(self, results: list[Tensor], prefix: str = "") -> None:
        """States (T, D, rows, H) or pooled states (rows, D H) of every half; with the prefix "grad_" gradients."""
        p, pointers = self.problem, (c_void_p * 2)(*(result.data_ptr() for result in results))
        self._kept += results
        if results[0].ndim == 4:
            setattr(p, prefix + "states", pointers)
            p.states_step, p.states_direction, p.states_row = results[0].stride()[:3]
        else:
            setattr(p, prefix + "pooled", pointers)
            p.pooled_direction, p.pooled_row = p.n_units, results[0].stride(0)

    def set_gradients(self, grad_x: Tensor | None, weights: Tensor) -> None:
        """Where gradients go: of projections (copies, D, T, N, G) or of features (D, T, N, F), and of the weights."""
        p = self.problem
        p.grad_weights, p.n_shares = self.hold(weights).data_ptr(), len(weights)
        if grad_x is None:
            return
        p.grad_x, p.grad_x_shared = self.hold(grad_x).data_ptr(), grad_x.ndim == 5
        p.grad_x_direction, p.grad_x_step, p.grad_x_sequence = grad_x.stride()[-4:-1]
        p.grad_x_copy = grad_x.stride(0) if grad_x.ndim == 5 else 0
