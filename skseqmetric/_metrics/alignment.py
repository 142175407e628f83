"""What matched what in pairs of sequences whose distance is that of matched states, and what each step costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist

from skseqmetric._metrics.euclidean import embedded_rows
from skseqmetric._metrics.pair_runs import EmbeddedSequences
from skseqmetric._networks.stem import steps_behind
from skseqmetric._ops.alignment_tile import Matches, alignment_matches
from skseqmetric._ops.steps import positions_of_places
from skseqmetric._tensors.modes import answering

Both = tuple[np.ndarray, np.ndarray]
"""An array of the sequence x of a pair, and one of y."""


@dataclass(frozen=True, eq=False)
class Alignment:
    r"""The matching of a pair of sequences x and y, and the share of every step in their distance.

    With the costs :math:`c_{pq}` of P places of each sequence,

    .. math::
        d(x, y)^2 = \frac1P \sum_p \min_q c_{pq} + \frac1P \sum_q \min_p c_{pq} + w \lVert e^x - e^y \rVert^2,

    a term of the first sum belongs to the place p of x, and a term of the second to the place q of y. Its part of
    :math:`d^2` is the share of that place. Attributes that are pairs of arrays have that of x first, then that of y.

    Parameters
    ----------
    distance : float
        d(x, y).
    costs : ndarray (P, P), float64
        :math:`c_{pq}`: rows are places of x, columns are places of y.
    positions : pair of ndarrays (P,), float64
        Where the places lie, in input steps from 0, between two steps too. With strides in the stem, a recurrent step
        lies at the input step in the middle of those that its convolutions read.
    matches : pair of ndarrays (P,), int64
        The place of y that each place of x matches, and the place of x that each place of y matches. It is the one of
        least cost, and the first of several.
    match_costs : pair of ndarrays (P,), float64
        The costs of these matches.
    place_shares : pair of ndarrays (P,), float64
        Shares of the places in the squared distance. Together with `pooled_share` they sum to 1. All are 0 if the
        distance is 0.
    step_shares : pair of ndarrays (T,) and (S,), float64
        The same, of all T input steps of x and S of y. A place between two recurrent steps gives to both, to the nearer
        one more. A recurrent step gives equal parts to the input steps that are nearest to it.
    pooled_share : float
        Share of the embeddings. It is 0 with ``pooled_weight=0``.
    """

    distance: float
    costs: np.ndarray
    positions: Both
    matches: Both
    match_costs: Both
    place_shares: Both
    step_shares: Both
    pooled_share: float


@answering
def alignments(network: Any, left: EmbeddedSequences, right: EmbeddedSequences) -> list[Alignment]:
    """Return the matching of every pair (left[p], right[p]) of prepared sequences."""
    chosen = np.arange(len(left))
    pairs = torch.from_numpy(chosen)
    found = alignment_matches(torch.from_numpy(left.places), torch.from_numpy(right.places), pairs=(pairs, pairs))
    pooled = network.pooled_weight * np.square(embedded_rows(left.embeddings, chosen, right.embeddings, chosen))
    matched = Matches(*(part.numpy() for part in found))
    strides = (1, 1) if network.stem is None else network.stem.strides
    return [_of_pair(left, right, i, Matches(*(part[i] for part in matched)), pooled[i], strides) for i in chosen]


def _of_pair(
    left: EmbeddedSequences, right: EmbeddedSequences, i: int, found: Any, pooled: float, strides: tuple[int, int]
) -> Alignment:
    costs = found.forward_costs, found.backward_costs
    squared = float(costs[0].mean() + costs[1].mean() + pooled)
    unit = squared or 1.0
    shares = tuple(cost / (len(cost) * unit) for cost in costs)
    places = [_Places(int(side.lengths[i]), len(cost), strides) for side, cost in zip((left, right), costs, strict=True)]
    return Alignment(
        distance=float(np.sqrt(squared)),
        costs=cdist(left.places[i], right.places[i], "sqeuclidean"),
        positions=(places[0].positions, places[1].positions),
        matches=(found.forward, found.backward),
        match_costs=costs,
        place_shares=(shares[0], shares[1]),
        step_shares=(places[0].of_steps(shares[0]), places[1].of_steps(shares[1])),
        pooled_share=float(pooled / unit),
    )


class _Places:
    """Where the places of a sequence lie, of which a stem with these strides leaves some recurrent steps."""

    def __init__(self, n_steps: int, n_places: int, strides: tuple[int, int]) -> None:
        self.n_steps, self.stride, self.n_states = n_steps, strides[0] * strides[1], steps_behind(n_steps, strides)
        self.in_states = positions_of_places(torch.tensor([self.n_states]), n_places)[0].numpy()

    @property
    def positions(self) -> np.ndarray:
        return self.in_states * self.stride

    def of_steps(self, shares: np.ndarray) -> np.ndarray:
        """Return the shares (T,) of the input steps from those of the places (P,)."""
        before = self.in_states.astype(np.int64)
        after, part = np.minimum(before + 1, self.n_states - 1), self.in_states - before
        of_states = np.bincount(before, shares * (1 - part), self.n_states)
        of_states += np.bincount(after, shares * part, self.n_states)
        nearest = np.minimum((np.arange(self.n_steps) + self.stride // 2) // self.stride, self.n_states - 1)
        return (of_states / np.bincount(nearest, minlength=self.n_states))[nearest]
