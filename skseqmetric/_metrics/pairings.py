"""How a learned metric compares the sequences of a pair: by embeddings, by matched states, or in a coupled run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skseqmetric._metrics.euclidean import embedded_rows, embedded_tile
from skseqmetric._metrics.pair_runs import EmbeddedSequences, coupled_rows, coupled_tile
from skseqmetric._ops.alignment_tile import alignment_tile
from skseqmetric._tensors.device_embeddings import embed_sequences
from skseqmetric._tensors.flat import ReadSequences
from skseqmetric._tensors.inference import check_finite, n_threads, over_batches
from skseqmetric._tensors.modes import answering

_COPIED = 2**24  # numbers of states that are copied at a time


@dataclass(frozen=True)
class Pairing(ABC):
    """Distances of a fitted network, a `SiameseNetwork`."""

    network: Any

    @abstractmethod
    def prepare(self, flat: ReadSequences) -> EmbeddedSequences:
        """Return what the distances need, computed once per sequence."""

    @abstractmethod
    def tile(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        """Return the distances of every chosen left to every chosen right sequence, float64."""

    @abstractmethod
    def rows(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        """Return the distances (P,) of single pairs, float64."""


class EmbeddedPairs(Pairing):
    """|e_x - e_y|."""

    def prepare(self, flat: ReadSequences) -> EmbeddedSequences:
        embeddings = embed_sequences(flat, self.network.features, self.network.n_outputs)
        return EmbeddedSequences(embeddings, flat.host_lengths)

    def tile(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        return embedded_tile(left.embeddings, rows, right.embeddings, columns)

    def rows(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        return embedded_rows(left.embeddings, rows, right.embeddings, columns)


class CoupledPairs(Pairing):
    """|o^1 - o^2| of the pooled states of a run in which a gate couples both halves."""

    def prepare(self, flat: ReadSequences) -> EmbeddedSequences:
        embeddings = embed_sequences(flat, self.network.features, self.network.n_outputs)
        return EmbeddedSequences(embeddings, flat.host_lengths, flat)

    def tile(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        return coupled_tile(self.network, left, rows, right, columns)

    def rows(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        return coupled_rows(self.network, left, rows, right, columns)


class MatchedPairs(Pairing):
    """d^2 = mean_p min_q c_pq + mean_q min_p c_pq + w |e_x - e_y|^2, with c_pq = |h^x_p - h^y_q|^2."""

    def prepare(self, flat: ReadSequences) -> EmbeddedSequences:
        embeddings, places = places_of(self.network, flat)
        return EmbeddedSequences(embeddings, flat.host_lengths, places=places)

    @answering
    def tile(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        first, second = self._states(left, rows), self._states(right, columns)
        squared = alignment_tile(first, second, n_threads=n_threads(first.device)).cpu().numpy()
        weight = self.network.pooled_weight
        if weight:
            squared += weight * np.square(embedded_tile(left.embeddings, rows, right.embeddings, columns))
        return np.sqrt(squared)

    @answering
    def rows(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        squared = np.empty(len(rows))
        per_pair = 2 * left.places[:1].size
        size = max(1, _COPIED // max(1, per_pair))
        for part in (slice(start, start + size) for start in range(0, len(rows), size)):
            (i, at_i), (j, at_j) = (np.unique(chosen[part], return_inverse=True) for chosen in (rows, columns))
            first, second = self._states(left, i), self._states(right, j)
            pairs = torch.from_numpy(at_i).to(first.device), torch.from_numpy(at_j).to(first.device)
            squared[part] = alignment_tile(first, second, pairs=pairs, n_threads=n_threads(first.device)).cpu().numpy()
        weight = self.network.pooled_weight
        if weight:
            squared += weight * np.square(embedded_rows(left.embeddings, rows, right.embeddings, columns))
        return np.sqrt(squared)

    def _states(self, prepared: EmbeddedSequences, chosen: np.ndarray) -> torch.Tensor:
        # a copy: joblib passes large arrays to its workers as read-only, and torch warns of such arrays
        return torch.from_numpy(np.require(prepared.places[chosen], requirements=["C", "W"])).to(
            next(self.network.parameters()).device
        )


def places_of(network: Any, flat: ReadSequences) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings (n, E) and the states (n, P, D) at the places of every sequence, float32."""
    embeddings = np.empty((len(flat), network.n_outputs), dtype=np.float32)
    stacked = np.empty((len(flat), network.n_places, network.n_place_units), dtype=np.float32)

    def each(values: torch.Tensor, lengths: torch.Tensor, indices: np.ndarray) -> None:
        pooled, places = network.free_places(*network.encode(values, lengths))
        embeddings[indices] = pooled.cpu().numpy()
        stacked[indices] = places.cpu().numpy()

    over_batches(flat, each)
    check_finite(embeddings)
    check_finite(stacked)
    return embeddings, stacked


def pairing_of(network: Any) -> Pairing:
    """Return the way in which a fitted network compares pairs."""
    kinds: dict[str | None, type[Pairing]] = {None: EmbeddedPairs, "alignment": MatchedPairs}
    return kinds.get(network.coupling, CoupledPairs)(network)
