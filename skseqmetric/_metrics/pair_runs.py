"""Coupled runs over all pairs of two data sets, in tiles: distances, gaps and states of both halves."""

from __future__ import annotations

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
from skseqmetric._tensors.inference import check_finite, n_threads
from skseqmetric._tensors.modes import answering

BLOCK_FLOATS = 2**26
"""Upper bound for the numbers in the features and projections of one side of a block of pairs."""

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
    if max(len(np.unique(rows)), len(np.unique(columns))) <= most:
        most = len(rows)
    for part in _parts(len(rows), most):
        (i, at_i), (j, at_j) = (np.unique(chosen[part], return_inverse=True) for chosen in (rows, columns))
        first, second = _side(network, left.flat, i), _side(network, right.flat, j)
        pairs = (torch.from_numpy(at_i).to(first.lengths.device), torch.from_numpy(at_j).to(first.lengths.device))
        squared = sync_gru_tile(first, second, weights, network.pooling, pairs=pairs, n_threads=threads)
        out[part] = _roots(squared, left.flat.digests[rows[part]], right.flat.digests[columns[part]])
    return out


def _most_sequences(network: SyncGRUNetwork, *prepared: EmbeddedSequences) -> int:
    """Return how many sequences may be encoded at a time."""
    longest = network.n_steps(max(int(side.lengths.max()) for side in prepared))
    per_step = len(network.cells) * (network.n_features + 4 * network.n_units)
    return max(1, BLOCK_FLOATS // (per_step * longest))


def _parts(n: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, n, size)]


def _roots(squared: torch.Tensor, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    # equal sequences have equal states; but their features may be rounded differently in different batches
    return np.where(left == right, 0.0, squared.cpu().double().sqrt().numpy())


def _side(network: SyncGRUNetwork, flat: ReadSequences, chosen: np.ndarray) -> Side:
    # after unpickling, prepared sequences may be on another device than the network
    device = next(network.parameters()).device
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
