"""Layers that several networks share: recurrences in one or both directions, linear layers, dropout of filters."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from skseqmetric._ops.cells import cell_scan
from skseqmetric._ops.gru import gru_scan
from skseqmetric._ops.products import steady_linear
from skseqmetric._ops.steps import reverse_valid
from skseqmetric._ops.weights import RecurrentWeights

StepState = tuple[Tensor, Tensor]
"""Hidden and cell state (1, 1, H) of one layer. Only an LSTM uses the cell state."""

Layer = TypeVar("Layer", nn.Conv1d, nn.Conv2d, nn.Linear)

CELLS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
"""The modules that hold the parameters. The recurrences themselves are those of `_ops`."""


def unstarted(kind: type[Layer], *sizes: Any, **options: Any) -> Layer:
    """Make a layer without initial values, of float32 on the CPU whatever torch's defaults are."""
    layer: Layer = nn.utils.skip_init(kind, *sizes, **options, dtype=torch.float32, device="cpu")
    return layer


def started(layer: Layer, generator: torch.Generator) -> Layer:
    """Draw weights and biases of a layer from `unstarted` uniformly in +- 1 / sqrt(inputs of one output)."""
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    if layer.bias is not None:
        bound = 1 / math.sqrt(layer.weight[0].numel())
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer


class SteadyLinear(nn.Linear):
    """A linear layer. At inference its results for a row do not depend on the other rows, to the bit."""

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_inference_mode_enabled():
            return steady_linear(input, self.weight, self.bias)
        return torch.nn.functional.linear(input, self.weight, self.bias)


def linear(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return a linear layer whose initial values come from the generator."""
    return started(unstarted(SteadyLinear, n_inputs, n_outputs), generator)


def silence_filters(x: Tensor, share: float, dim: int, generator: torch.Generator | None) -> Tensor:
    """Apply dropout to whole filters along `dim` of x (B, ...): a filter is zero at all steps or pixels of a row.

    There is one random number per row and filter. The draws thus do not depend on padding. Without a generator x is
    returned unchanged.
    """
    if generator is None or not share:
        return x
    shape = [n if d in (0, dim % x.ndim) else 1 for d, n in enumerate(x.shape)]
    kept = torch.rand(shape, generator=generator, dtype=torch.float32, device=x.device) >= share
    return x * (kept.to(x.dtype) / (1 - share))


class RecurrentLayers(nn.Module):
    """Layers of LSTM, GRU or plain RNN with tanh, (B, T, F) -> (B, T, D H) for D directions of H units.

    No valid step reads a value past the end of its row. Results past the end are arbitrary. The backward direction
    starts at the end of each row: it is a second recurrence over the reversed rows. Initial values: hidden matrices are
    orthogonal gate by gate, input matrices Xavier uniform gate by gate. Biases are 0, but 1 for the forget gate of an
    LSTM. With a generator, a share `dropout` of the units between two layers is set to zero, each for all steps of a
    row.
    """

    def __init__(
        self,
        n_features: int,
        n_units: int,
        n_layers: int,
        generator: torch.Generator,
        *,
        cell: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = [n_features, *[(1 + bidirectional) * n_units] * n_layers]
        self.n_outputs, self.n_units = sizes[-1], n_units
        self.bidirectional, self.dropout = bidirectional, dropout

        def direction() -> nn.ModuleList:
            return nn.ModuleList(_recurrence(cell, n, n_units, generator) for n in sizes[:-1])

        self.forwards = direction()
        self.backwards = direction() if bidirectional else None

    def __len__(self) -> int:
        return len(self.forwards)

    def forward(self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.every_layer(x, lengths, generator)[-1]

    def every_layer(self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> list[Tensor]:
        """Return the states h_t of every layer. The first layer reads x."""
        found: list[Tensor] = []
        for layer in range(len(self)):
            x = silence_filters(found[-1], self.dropout, 2, generator) if found else x
            found.append(_states(self._both(layer), x, lengths))
        return found

    def cells(self, x: Tensor, lengths: Tensor, layer: int = -1) -> Tensor:
        """Return the cell states c_t (B, T, D H) of one layer of an LSTM."""
        layer %= len(self)
        below = self.every_layer(x, lengths)[layer - 1] if layer else x
        ahead, *back = self._both(layer)
        cells = _cells(ahead, below, lengths)
        if not back:
            return cells
        reverse = _cells(back[0], reverse_valid(below, lengths), lengths)
        return torch.cat([cells, reverse_valid(reverse, lengths)], 2)

    def _both(self, layer: int) -> list[nn.Module]:
        """Return the modules of the directions of a layer, the forward one first."""
        return [self.forwards[layer], *([] if self.backwards is None else [self.backwards[layer]])]

    def first_state(self) -> tuple[StepState, ...]:
        """Return the zero states of all layers before the first step, for one row and one direction."""
        h = _parameters(self.forwards[0])[1].new_zeros(1, 1, self.n_units)
        return tuple((h, h) for _ in self.forwards)

    def advance(self, x: Tensor, state: tuple[StepState, ...]) -> tuple[Tensor, tuple[StepState, ...]]:
        """Return the state h (H,) of the last layer after one more step x (F,), and the states of all layers."""
        after: list[StepState] = []
        for layer, (h, c) in zip(self.forwards, state, strict=True):
            if isinstance(layer, nn.LSTM):
                after.append(layer(x[None, None], (h, c))[1])
            else:
                after.append((layer(x[None, None], h)[1], c))
            x = after[-1][0][0, 0]
        return x, tuple(after)


@torch.no_grad()
def _recurrence(cell: str, n_features: int, n_units: int, generator: torch.Generator) -> nn.RNNBase:
    # like skip_init, which refuses recurrent layers
    kind = CELLS[cell]
    made: nn.RNNBase = kind(n_features, n_units, batch_first=True, dtype=torch.float32, device="meta")
    made = made.to_empty(device="cpu")
    for name, parameter in made.named_parameters():
        if name.startswith("bias"):
            parameter.zero_()
            continue
        begin = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
        for gate in () if parameter.is_meta else parameter.split(n_units):
            begin(gate, generator=generator)
    if cell == "lstm":
        made.get_parameter("bias_ih_l0")[n_units : 2 * n_units] = 1.0
    return made


def _states(directions: list[nn.Module], x: Tensor, lengths: Tensor) -> Tensor:
    """Return the states (B, T, D H) of one layer in time order, from a module for each direction."""
    weights = [RecurrentWeights(*_parameters(module)) for module in directions]
    if not isinstance(directions[0], nn.GRU):
        return cell_scan("lstm" if isinstance(directions[0], nn.LSTM) else "rnn", x, lengths, weights)
    ahead, *back = gru_scan(x.transpose(0, 1)[None], lengths, weights).permute(1, 2, 0, 3)
    return torch.cat([ahead, reverse_valid(back[0], lengths)], 2) if back else ahead


def _parameters(layer: nn.Module) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return input matrix, hidden matrix and their biases."""
    w, u, b, c = (layer.get_parameter(f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    return w, u, b, c


def _cells(layer: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    """Return the cell states (B, T, H) of one LSTM and direction. torch itself returns only the last ones.

    Once all h_t are known, one product gives the gates of all steps. A loop computes c_t = f_t c_{t-1} + i_t g_t.
    """
    w, u, b, c = _parameters(layer)
    before = pad(_states([layer], x, lengths), (0, 0, 1, 0))[:, :-1]
    i, f, g, _ = (x @ w.T + before @ u.T + (b + c)).chunk(4, 2)
    kept, new = f.sigmoid(), i.sigmoid() * g.tanh()
    cells = [new[:, 0]]
    for t in range(1, x.shape[1]):
        cells.append(torch.addcmul(new[:, t], kept[:, t], cells[-1]))
    return torch.stack(cells, 1)
