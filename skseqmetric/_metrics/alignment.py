"""What matched what in pairs of sequences whose distance is that of matched states, and what each step costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.spatial.distance import cdist

from skseqmetric._metrics.euclidean import embedded_rows
from skseqmetric._metrics.pair_runs import EmbeddedSequences
from skseqmetric._ops.alignment_tile import alignment_matches
from skseqmetric._ops.places import positions_of_places
from skseqmetric._ops.stem_shape import steps_behind
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
        The same, of all T input steps of x and S of y. A place stands for one P-th of the length of its sequence. Its
        share is spread evenly over that part.
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
    strides = (1, 1) if network.stem is None else network.stem.strides
    return [
        _of_pair(left, right, p, _Found(*parts), float(pooled[p]), strides)
        for p, parts in enumerate(zip(*(part.numpy() for part in found), strict=True))
    ]


class _Found(NamedTuple):
    """The matches of one pair and their costs, (P,) each."""

    forward: np.ndarray
    backward: np.ndarray
    forward_costs: np.ndarray
    backward_costs: np.ndarray


def _of_pair(
    left: EmbeddedSequences, right: EmbeddedSequences, i: int, found: _Found, pooled: float, strides: tuple[int, int]
) -> Alignment:
    costs = found.forward_costs, found.backward_costs
    squared = float(costs[0].mean() + costs[1].mean() + pooled)
    unit = squared or 1.0
    lengths = int(left.lengths[i]), int(right.lengths[i])
    n_places = len(costs[0])
    first, second = (cost / (n_places * unit) for cost in costs)
    return Alignment(
        distance=float(np.sqrt(squared)),
        costs=cdist(left.places[i], right.places[i], "sqeuclidean"),
        positions=(_positions(lengths[0], n_places, strides), _positions(lengths[1], n_places, strides)),
        matches=(found.forward, found.backward),
        match_costs=costs,
        place_shares=(first, second),
        step_shares=(_of_steps(first, lengths[0]), _of_steps(second, lengths[1])),
        pooled_share=pooled / unit,
    )


def _positions(length: int, n_places: int, strides: tuple[int, int]) -> np.ndarray:
    """Return where the places lie in a sequence of which a stem with these strides leaves some recurrent steps."""
    n_states = torch.tensor([steps_behind(length, strides)], dtype=torch.int64, device="cpu")
    in_states = positions_of_places(n_states, n_places)[0].numpy()
    return in_states * (strides[0] * strides[1])


def _of_steps(shares: np.ndarray, length: int) -> np.ndarray:
    """Return the shares (T,) of the steps of a sequence from those of its places (P,), each a P-th of its length."""
    before = np.concatenate([[0.0], np.cumsum(shares)])
    until = np.interp(np.linspace(0, 1, length + 1), np.linspace(0, 1, len(before)), before)
    return np.maximum(np.diff(until), 0)
