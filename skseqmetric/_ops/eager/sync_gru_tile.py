"""The coupled GRU for inference: a tile of pairs at a time, feature-major, without autograd or allocation per step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skseqmetric._ops.parallel import run_tiles
from skseqmetric._ops.steps import pad_steps
from skseqmetric._ops.weights import RecurrentWeights, Side, project

TILE_ROWS, TILE_COLUMNS = 16, 64
"""Pairs of one tile: its states fit the second-level cache, and a step is long enough to outweigh its overhead."""


def sync_gru_tile(
    first: Side, second: Side, weights: list[RecurrentWeights], how: str, *, crossed: bool, n_threads: int | None
) -> Tensor:
    """Squared coupled distances (N, M), or (N,) pair by pair, in tiles that run in parallel."""
    n, m = len(first.lengths), len(second.lengths) if crossed else 1
    n_steps = max(first.features.shape[1], second.features.shape[1])
    projected = [project(pad_steps(side.features, n_steps), weights) for side in (first, second)]
    out = projected[0].new_zeros(n, m)
    height, width = (TILE_ROWS, TILE_COLUMNS) if crossed else (TILE_ROWS * TILE_COLUMNS, 1)

    @torch.inference_mode()
    def fill(part: tuple[slice, slice]) -> None:
        i, j = part[0], part[1] if crossed else part[0]
        lengths = first.lengths[i], second.lengths[j]
        longest = int(max(lengths[0].max(), lengths[1].max()))
        for w, a, b in zip(weights, *projected, strict=True):
            sides = _tile_sides(a[:longest, i], lengths[0], b[:longest, j], lengths[1], crossed)
            o1, o2 = TileScan(w, *out[part].shape).run(*sides, how)
            out[part] += (o1 - o2).square().sum(0)

    parts = [(slice(i, i + height), slice(j, j + width)) for i in range(0, n, height) for j in range(0, m, width)]
    run_tiles(fill, parts, n_threads)
    return out if crossed else out[:, 0]


@dataclass(frozen=True)
class TileSide:
    """One side of a tile.

    projected : (T, G, Q, 1), (T, G, 1, R) or, pair by pair, (T, G, P, 1); lengths broadcast against (Q, R).
    """

    projected: Tensor
    lengths: Tensor


def _tile_sides(
    left: Tensor, left_lengths: Tensor, right: Tensor, right_lengths: Tensor, crossed: bool
) -> tuple[TileSide, TileSide]:
    """Bring projections (T, Q, G) and (T, R, G), padded to one T, into the tile's layout.

    crossed=True: every left against every right; False: pair by pair, Q = R = P.
    """
    first = TileSide(left.transpose(1, 2).contiguous()[..., None], left_lengths[:, None])
    second = right.transpose(1, 2).contiguous()
    if crossed:
        return first, TileSide(second[:, :, None, :], right_lengths[None, :])
    return first, TileSide(second[..., None], right_lengths[:, None])


class TileScan:
    """Runs the two coupled halves of a (Q, R) tile through time; the pooled states are (H, Q, R).

    The halves go through separate products of one shape, so exchanging them exchanges the results to the bit.
    Cost 14 H^2 FLOP a pair and step (symmetric gate); memory about 14 H floats a pair.
    """

    def __init__(self, w: RecurrentWeights, n_rows: int, n_columns: int) -> None:
        n = w.n_units
        self.w, self.shape = w, (n_rows, n_columns)
        # one more row of ones carries b'_n through the product
        hidden_bias = torch.cat([torch.zeros_like(w.hidden_bias[: 2 * n]), w.hidden_bias[2 * n :]])
        self.hidden = torch.cat([w.hidden, hidden_bias[:, None]], dim=1)
        pairs = n_rows * n_columns
        empty = w.hidden.new_empty
        self.states = [w.hidden.new_zeros(n, pairs) for _ in range(2)]
        self.spare = [empty(n, pairs) for _ in range(2)]
        self.contracted = [w.hidden.new_ones(n + 1, pairs) for _ in range(2)]
        self.gates, self.gate, self.difference = empty(3 * n, pairs), empty(n, pairs), empty(n, pairs)

    def run(self, first: TileSide, second: TileSide, pooling: str) -> tuple[Tensor, Tensor]:
        sides = (first, second)
        first_end = int(min(first.lengths.min(), second.lengths.min()))
        sums = [torch.zeros_like(h) for h in self.states]
        for t, x in enumerate(zip(first.projected.unbind(0), second.projected.unbind(0), strict=True)):
            self._contract(*x)
            for i, side in enumerate(sides):
                self._step(i, x[i], None if t < first_end else t < side.lengths)
                if pooling == "mean":
                    sums[i].add_(self.states[i] if t < first_end else self._masked(i, t < side.lengths))
        shape = (self.w.n_units, *self.shape)
        if pooling == "last":
            return self.states[0].view(shape), self.states[1].view(shape)
        return sums[0].view(shape) / first.lengths, sums[1].view(shape) / second.lengths

    def _masked(self, i: int, alive: Tensor) -> Tensor:
        return (self.states[i].view(-1, *self.shape) * alive).view_as(self.states[i])

    def _grid(self, flat: Tensor) -> Tensor:
        return flat.view(len(flat), *self.shape)

    def _contract(self, x1: Tensor, x2: Tensor) -> None:
        """hb^i = h^i + c^i (h^j - h^i), written into `contracted`."""
        n, (h1, h2) = self.w.n_units, self.states
        hb1, hb2 = self.contracted[0][:n], self.contracted[1][:n]
        if self.w.coupling == "diffusive":
            self._own_gate(x1, h1, h2, hb1)
            self._own_gate(x2, h2, h1, hb2)
            return
        difference = torch.sub(h1, h2, out=self.difference)
        if self.w.coupling == "symmetric":
            torch.mm(self.w.gate_hidden, torch.abs(difference, out=self.gates[:n]), out=self.gate)
            self._grid(self.gate).add_(x1[3 * n :] + x2[3 * n :])
            difference.mul_(self.gate.sigmoid_())
            strength = 0.5
        else:
            strength = 0.0 if self.w.coupling is None else float(torch.sigmoid(self.w.gate_bias)) / 2
        torch.add(h1, difference, alpha=-strength, out=hb1)
        torch.add(h2, difference, alpha=strength, out=hb2)

    def _own_gate(self, x: Tensor, h: Tensor, partner: Tensor, out: Tensor) -> None:
        n = self.w.n_units
        torch.mm(self.w.gate_hidden, h, out=self.gate)
        self.gate.addmm_(self.w.gate_other, partner)
        self._grid(self.gate).add_(x[3 * n :])
        torch.sub(partner, h, out=self.difference).mul_(self.gate.sigmoid_())
        torch.add(h, self.difference, alpha=0.5, out=out)

    def _step(self, i: int, x: Tensor, alive: Tensor | None) -> None:
        """The GRU step of half i from its contracted state; where `alive` is False the old state stays."""
        n = self.w.n_units
        torch.mm(self.hidden, self.contracted[i], out=self.gates)
        rz, candidate = self.gates[: 2 * n], self.gates[2 * n :]
        self._grid(rz).add_(x[: 2 * n])
        rz.sigmoid_()
        candidate.mul_(rz[:n])
        self._grid(candidate).add_(x[2 * n : 3 * n])
        torch.lerp(candidate.tanh_(), self.contracted[i][:n], rz[n:], out=self.spare[i])
        if alive is not None:
            new, old = self._grid(self.spare[i]), self._grid(self.states[i])
            torch.where(alive, new, old, out=new)
        self.states[i], self.spare[i] = self.spare[i], self.states[i]
