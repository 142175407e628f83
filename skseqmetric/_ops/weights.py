"""The weights of every recurrence, as all its implementations receive them, and the projections of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skseqmetric._files import record


@dataclass(frozen=True)
class RecurrentWeights:
    """The weights of a GRU with F input features and H units. Gates have the order r, z, n of `torch.nn.GRUCell`.

    input, hidden, input_bias, hidden_bias : (3H, F), (3H, H), (3H,), (3H,). An LSTM and a plain RNN have 4H and H rows.
    coupling : None, "scalar", "symmetric" or "diffusive".
    gate_input, gate_hidden, gate_other, gate_bias : W_c (H, F), U_c (H, H), V_c (H, H), b_c (H,) or ().
    """

    input: Tensor
    hidden: Tensor
    input_bias: Tensor
    hidden_bias: Tensor
    coupling: str | None = None
    # a Tensor, or None where the coupling has no such part: who reads one has looked at `coupling` first
    gate_input: Any = None
    gate_hidden: Any = None
    gate_other: Any = None
    gate_bias: Any = None

    @property
    def n_units(self) -> int:
        return int(self.hidden.shape[1])


CELLS = {"lstm": 4, "gru": 3, "rnn": 1}
"""Backbones, and how many blocks of H their pre-activations have."""


@record(cell="str", n_slots="int", stride="int", n_heads="int", attention="bool", memory_input="str", every="none|int")
@dataclass(frozen=True)
class MemoryForm:
    """What the recurrence looks like: cell "lstm", "gru" or "rnn"; memory_input "pooled" or "tokens".

    A block is the last n_slots * stride steps, of which every stride-th is a row. `every` is the number of steps
    between two updates: blocks overlap if it is less than a block. None: blocks follow one another.
    """

    cell: str = "lstm"
    n_slots: int = 4
    stride: int = 2
    n_heads: int = 4
    attention: bool = True
    memory_input: str = "pooled"
    every: int | None = None

    @property
    def block(self) -> int:
        """Steps that an update looks back."""
        return self.n_slots * self.stride

    @property
    def window(self) -> int:
        """Steps between two updates."""
        return self.every or self.block

    def rows(self, k: int) -> range:
        """The steps of the rows of update k, which comes after (k + 1) * window steps. Steps below 0 do not exist."""
        end = (k + 1) * self.window
        return range(end - self.block, end, self.stride)

    def n_updates(self, n_steps: int) -> int:
        """Updates in so many steps, that of an unfinished last window included."""
        return -(-n_steps // self.window)


@dataclass(frozen=True)
class MemoryWeights:
    """The weights of one layer, matrices as (outputs, inputs); G = 4, 3, 1 blocks of gates for lstm, gru, rnn.

    Blocks: lstm f, i, o, g; gru r, z, n. `candidate_bias` is the gru's b'_n, inside the product with r.
    """

    form: MemoryForm
    input: Tensor  # W_ih (G H, D)
    hidden: Tensor  # W_hh (G H, H)
    bias: Tensor  # b (G H,)
    memory_gate_input: Tensor  # W_mi (S H, D)
    memory_gate_memory: Tensor  # W_mh (S H, S H)
    memory_gate_bias: Tensor  # b_m (S H,)
    read: Tensor  # W_mt (H, S H)
    token: Tensor  # pooled: W_u (H, S D); tokens: W_x (H, D)
    mixing: Tensor  # attention: W_q, W_k, W_v (3 H, H); without: (H, H)
    mixing_bias: Tensor
    first_gain: Tensor  # the two layer normalisations, (H,) each
    first_shift: Tensor
    second_gain: Tensor
    second_shift: Tensor
    first_layer: Tensor  # the two layers of the MLP, (H, H) and (H,)
    first_layer_bias: Tensor
    second_layer: Tensor
    second_layer_bias: Tensor
    update_input: Tensor  # W_g (2 H, H)
    update_memory: Tensor  # V_g (2 H, H)
    update_bias: Tensor  # [b_i, b_f] (2 H,)
    # a Tensor, or None where the form has no such part
    token_bias: Any = None  # pooled: b_u (H,)
    candidate_bias: Any = None  # gru: (H,)

    @property
    def n_units(self) -> int:
        return int(self.hidden.shape[1])


@dataclass(frozen=True)
class MemoryNoise:
    """Zoneout and memory dropout. They are operands, so that the recurrence itself is deterministic.

    hidden, cell : masks (B, T, H) of units that take their new value, in training. At inference a number, the share of
        these units; 1 means no zoneout. `cell` is for c of the LSTM.
    memory : factors of the memory that the steps read, (B, U, S, H), each 0 or 1 / (1 - rate). (B, 1, S, H) is one mask
        for a whole sequence. None: no dropout.
    """

    hidden: Tensor | float = 1.0
    cell: Tensor | float = 1.0
    memory: Tensor | None = None


class MemoryScan(NamedTuple):
    """States (B, T, H), memory blocks (B, U, S, H) and attention maps (B, U, m, tokens, tokens)."""

    states: Tensor
    memory: Tensor | None
    attention: Tensor | None


@record(input="tensor float32 H *", recurrent="tensor float32 H H", leak="number|tensor float32 H")
@dataclass(frozen=True)
class ReservoirWeights:
    """The fixed weights of one reservoir.

    input : W_in (N, F + 1). Its first column is the bias.
    recurrent : W (N, N), dense or in torch's sparse CSR form.
    leak : l in (0, 1], a number or one number per unit (N,).
    """

    input: Tensor
    recurrent: Tensor
    leak: float | Tensor

    @property
    def n_units(self) -> int:
        return int(self.input.shape[0])


@dataclass(frozen=True)
class Side:
    """Sequences to be paired: features (D, T, N, F), each direction in its own order, 0 past the end; lengths (N,)."""

    features: Tensor
    lengths: Tensor

    def chosen(self, index: Tensor) -> Side:
        """The sequences at `index`, which may repeat."""
        return Side(self.features.index_select(2, index), self.lengths.index_select(0, index))


def project(features: Tensor, weights: list[RecurrentWeights], *, gate: bool = True) -> Tensor:
    """Input projections of every step, (D, T, B, F) -> (D, T, B, G): once per sequence, not once per pair.

    G = 3H, or 4H where the coupling gate reads the inputs and `gate` asks for it (blocks r, z, n, gate). Biases that
    only add to a projection are folded in: b_r, b_z with their hidden twins, b_n; the gate's, halved where two
    projections meet.
    """
    matrix, bias = projection(weights, gate=gate)
    flat = torch.baddbmm(bias[:, None], features.flatten(1, 2), matrix.transpose(1, 2))
    # under autocast the product is bfloat16; states and what is added to them stay in the weights' precision
    return flat.unflatten(1, features.shape[1:3]).to(weights[0].hidden.dtype)


def project_gate(features: Tensor, weights: list[RecurrentWeights]) -> Tensor | None:
    """What a coupling gate reads of the features (D, T, R, F) of its rows; None where it reads nothing of them.

    (D, T, R, H) for the diffusive gate; (D, T, R / 2, H) for the symmetric one, which both halves share: rows are those
    of the first halves, then those of the second.
    """
    first = weights[0]
    if first.gate_input is None:
        return None
    if first.coupling == "symmetric":
        features = torch.add(*features.chunk(2, dim=2))
    matrix, bias = (torch.stack([getattr(w, name) for w in weights]) for name in ("gate_input", "gate_bias"))
    flat = torch.baddbmm(bias[:, None], features.flatten(1, 2), matrix.transpose(1, 2))
    return flat.unflatten(1, features.shape[1:3]).to(first.hidden.dtype)


def projection(weights: list[RecurrentWeights], *, gate: bool) -> tuple[Tensor, Tensor]:
    """The matrices (D, G, F) and biases (D, G) of `project`."""
    matrices, biases = zip(*(_projection(w, gate) for w in weights), strict=True)
    return torch.stack(matrices), torch.stack(biases)


def _projection(w: RecurrentWeights, gate: bool) -> tuple[Tensor, Tensor]:
    n = w.n_units
    bias = torch.cat([w.input_bias[: 2 * n] + w.hidden_bias[: 2 * n], w.input_bias[2 * n :]])
    if not gate or w.gate_input is None or w.gate_bias is None:
        return w.input, bias
    gate_bias = w.gate_bias / 2 if w.coupling == "symmetric" else w.gate_bias
    return torch.cat([w.input, w.gate_input]), torch.cat([bias, gate_bias])
