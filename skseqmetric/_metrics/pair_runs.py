"""Coupled runs over all pairs of two data sets, in tiles: distances, gaps and states of both halves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skseqmetric._files import record
from skseqmetric._networks.sync_gru import SyncGRUNetwork, to_time_order
from skseqmetric._ops.progress import tracked
from skseqmetric._ops.sync_gru import sync_gru_tile
from skseqmetric._ops.weights import Side
from skseqmetric._tensors.flat import ReadSequences, ScaledSequences, batches_by_length
from skseqmetric._tensors.inference import MAX_STEPS, check_finite, n_threads
from skseqmetric._tensors.modes import answering

BLOCK_FLOATS = 2**26
"""Upper bound for the numbers in the features and projections of one side of a block of pairs."""

STREAMED_FLOATS = 2**22
"""The same where a side is read from where it lies: 16 MB in float32."""

GAP_STEPS = 32768
"""Padded steps in one batch of `synchronization_gaps` and `coupled_states`, which keep the states of all steps."""

Encoded = tuple[Tensor, Tensor]


@record(embeddings="float32 n E", lengths="int64 n", flat="none|record FlatSequences", places="none|float32 n P D")
@dataclass(frozen=True)
class EmbeddedSequences:
    """The embeddings of sequences, computed once per sequence, and what coupled distances need besides.

    flat : the values, for runs of pairs.
    places : states (n, P, D) at P places, for pairs that match their states.
    """

    embeddings: np.ndarray
    lengths: np.ndarray
    flat: Any = None  # ReadSequences
    places: Any = None

    def __len__(self) -> int:
        return len(self.lengths)

    def kept(self) -> EmbeddedSequences:
        """Return what does not read the caller's data any more."""
        return replace(self, flat=self.flat.kept()) if isinstance(self.flat, ScaledSequences) else self

    def joined(self, other: EmbeddedSequences) -> EmbeddedSequences:
        """Return these sequences and then those of the other."""
        return EmbeddedSequences(
            np.concatenate([self.embeddings, other.embeddings]),
            np.concatenate([self.lengths, other.lengths]),
            None if self.flat is None else self.flat.joined(other.flat),
            None if self.places is None else np.concatenate([self.places, other.places]),
        )

    def taken(self, rows: np.ndarray) -> EmbeddedSequences:
        """Return a copy of some sequences."""
        flat = None if self.flat is None else self.flat.taken(rows)
        places = None if self.places is None else self.places[rows]
        return EmbeddedSequences(self.embeddings[rows], self.lengths[rows], flat, places)


@answering
def coupled_tile(
    network: SyncGRUNetwork,
    left: EmbeddedSequences,
    rows: np.ndarray,
    right: EmbeddedSequences,
    columns: np.ndarray,
) -> np.ndarray:
    """Return the coupled distances (Q, R) of every chosen left sequence to every chosen right sequence."""
    out = np.empty((len(rows), len(columns)))
    weights, most = network.weights(), _most_sequences(network, left, right)
    threads = n_threads(left.flat.device)
    for i in _parts(len(rows), most):
        first = _side(network, left.flat, rows[i])
        for j in _parts(len(columns), most):
            second = _side(network, right.flat, columns[j])
            squared = sync_gru_tile(first, second, weights, network.pooling, n_threads=threads)
            out[i, j] = _roots(squared, left.flat.digests[rows[i]][:, None], right.flat.digests[columns[j]])
    return out


@answering
def coupled_rows(
    network: SyncGRUNetwork,
    left: EmbeddedSequences,
    rows: np.ndarray,
    right: EmbeddedSequences,
    columns: np.ndarray,
) -> np.ndarray:
    """Return the coupled distances (P,) of single pairs. A sequence in several pairs is encoded once."""
    out = np.empty(len(rows))
    weights, most = network.weights(), _most_sequences(network, left, right)
    threads = n_threads(left.flat.device)
    for part, first, second, pairs in _cells(network, (left, right), (rows, columns), most):
        squared = sync_gru_tile(first, second, weights, network.pooling, pairs=pairs, n_threads=threads)
        out[part] = _roots(squared, left.flat.digests[rows[part]], right.flat.digests[columns[part]])
    return out


def _cells(
    network: SyncGRUNetwork, sides: tuple[EmbeddedSequences, ...], chosen: tuple[np.ndarray, ...], most: int
) -> Iterator[tuple[np.ndarray, Side, Side, tuple[Tensor, Tensor]]]:
    """Yield pairs that share a block of sequences on either side: their places, both sides, and their rows of these.

    A block of the side with fewer sequences is encoded once, and of the other side what its pairs need.
    """
    used = [_used(side, rows) for side, rows in zip(sides, chosen, strict=True)]
    outer = int(len(used[1][0]) < len(used[0][0]))
    sequences, own = used[outer]
    other = used[1 - outer][1]
    for begin in range(0, len(sequences), most):
        inside = np.flatnonzero((own >= begin) & (own < begin + most))
        held = _side(network, sides[outer].flat, sequences[begin : begin + most])
        for part in _by_block(inside, other, most):
            needed, at = np.unique(other[part], return_inverse=True)
            read = _side(network, sides[1 - outer].flat, used[1 - outer][0][needed])
            at_held, at_read = (torch.from_numpy(p).to(held.lengths.device) for p in (own[part] - begin, at))
            if outer:
                yield part, read, held, (at_read, at_held)
            else:
                yield part, held, read, (at_held, at_read)


def _used(side: EmbeddedSequences, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sequences among rows from the shortest to the longest, and the place of every row in them."""
    sequences, at = np.unique(rows, return_inverse=True)
    order = np.argsort(side.lengths[sequences], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return sequences[order], rank[at]


def _by_block(pairs: np.ndarray, places: np.ndarray, most: int) -> list[np.ndarray]:
    """Divide pairs by the block of `most` places that theirs is in."""
    blocks = places[pairs] // most
    order = np.argsort(blocks, kind="stable")
    return np.split(pairs[order], np.flatnonzero(np.diff(blocks[order])) + 1)


def _most_sequences(network: SyncGRUNetwork, *prepared: EmbeddedSequences) -> int:
    """Return how many sequences may be encoded at a time."""
    longest = network.n_steps(max(int(side.lengths.max()) for side in prepared))
    per_step = len(network.cells) * (network.n_features + 4 * network.n_units)
    streamed = any(isinstance(side.flat, ScaledSequences) for side in prepared)
    return max(1, (STREAMED_FLOATS if streamed else BLOCK_FLOATS) // (per_step * longest))


def _parts(n: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, n, size)]


def _roots(squared: torch.Tensor, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    # equal sequences have equal states; but their features may be rounded differently in different batches
    return np.where(left == right, 0.0, squared.cpu().double().sqrt().numpy())


def _side(network: SyncGRUNetwork, flat: ReadSequences, chosen: np.ndarray) -> Side:
    """Encode sequences. On the CPU that is in batches, since a stem holds many times what it returns."""
    # after unpickling, prepared sequences may be on another device than the network
    device = next(network.parameters()).device
    n_steps = flat.host_lengths[chosen]
    if device.type != "cpu" or len(chosen) * int(n_steps.max()) <= MAX_STEPS:
        return _encoded(network, flat, chosen, device)
    shape = len(network.cells), network.n_steps(int(n_steps.max())), len(chosen), network.n_features
    features = torch.zeros(shape, dtype=torch.float32, device=device)
    lengths = torch.empty(len(chosen), dtype=torch.int64, device=device)
    for part in batches_by_length(n_steps, MAX_STEPS):
        side, places = _encoded(network, flat, chosen[part], device), torch.from_numpy(part)
        features[:, : side.features.shape[1], places] = side.features
        lengths[places] = side.lengths
    return Side(features, lengths)


def _encoded(network: SyncGRUNetwork, flat: ReadSequences, chosen: np.ndarray, device: torch.device) -> Side:
    values, lengths = flat.padded(chosen)
    features, lengths = network.encode(values.to(device), lengths.to(device))
    return Side(network.directions(features, lengths), lengths)


def _same_length(*sides: Encoded) -> list[Encoded]:
    """Pad the shorter side with zeros to the length of the longer side."""
    longest = max(features.shape[1] for features, _ in sides)
    return [
        (torch.nn.functional.pad(features, (0, 0, 0, longest - features.shape[1])), lengths)
        for features, lengths in sides
    ]


def synchronization_gaps(network: SyncGRUNetwork, left: ReadSequences, right: ReadSequences) -> list[np.ndarray]:
    """Return |h^1_t - h^2_t| of the forward direction for the pairs (left[p], right[p]).

    Each array has the length of the longer sequence of its pair.
    """
    gaps: list[np.ndarray] = [np.empty(0)] * len(left)
    longest = np.maximum(left.host_lengths, right.host_lengths)
    batches = list(batches_by_length(longest, GAP_STEPS))
    for batch in tracked(batches, "pairs", len(batches), "batch"):
        for p, gap in zip(batch, _gaps(network, left, right, batch), strict=True):
            check_finite(gap[np.newaxis], [p])
            gaps[p] = gap
    return gaps


@answering
def _gaps(network: SyncGRUNetwork, left: ReadSequences, right: ReadSequences, batch: np.ndarray) -> list[np.ndarray]:
    (first, second), (lengths1, lengths2) = _pair_states(network, left, right, batch)
    gaps = (first - second)[:, 0].norm(dim=2).T.cpu().numpy()
    ends = torch.maximum(lengths1, lengths2).cpu().numpy()
    return [gap[:end] for gap, end in zip(gaps, ends, strict=True)]


def _pair_states(
    network: SyncGRUNetwork, left: ReadSequences, right: ReadSequences, batch: np.ndarray
) -> tuple[Encoded, Encoded]:
    """Return states (T, D, P, H) and lengths of both halves of the pairs (left[p], right[p]), p in batch."""
    n = len(batch)
    (x1, lengths1), (x2, lengths2) = _same_length(*(network.encode(*flat.padded(batch)) for flat in (left, right)))
    pairs = torch.arange(n, dtype=torch.int64, device=x1.device)
    states = network.pair_states(torch.cat([x1, x2]), torch.cat([lengths1, lengths2]), pairs, pairs + n)
    return states, (lengths1, lengths2)


@answering
def coupled_states(
    network: SyncGRUNetwork, left: ReadSequences, right: ReadSequences
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the states (T_p', D H) of both halves of the pairs (left[p], right[p]).

    Each half has the length of its own sequence.
    """
    halves: tuple[list[Any], list[Any]] = ([None] * len(left), [None] * len(left))
    longest = np.maximum(left.host_lengths, right.host_lengths)
    batches = list(batches_by_length(longest, GAP_STEPS))
    for batch in tracked(batches, "pairs", len(batches), "batch"):
        for found, states, lengths in zip(halves, *_pair_states(network, left, right, batch), strict=True):
            ordered = to_time_order(states, lengths).cpu().numpy()
            for p, h, n_steps in zip(batch, ordered, lengths.tolist(), strict=True):
                found[p] = h[:n_steps].copy()
                check_finite(found[p][np.newaxis], [p])
    return halves
