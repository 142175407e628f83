"""Coupled pairs of whole data sets, in tiles: encode, run both halves, read the distance or the gap between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skseqmetric._batching import FlatSequences, batches_by_length
from skseqmetric._modules import SyncGRUNetwork
from skseqmetric._ops.gru import project
from skseqmetric._ops.parallel import run_tiles
from skseqmetric._ops.sync_gru_tile import TileScan, tile_sides

TILE_ROWS, TILE_COLUMNS = 16, 64
"""Pairs of one tile: its states fit the second-level cache, and a step is long enough to outweigh its overhead."""

GAP_STEPS = 32768
"""Padded steps of one batch of `synchronization_gaps`, which keeps the states of every step."""

Encoded = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class PreparedSequences:
    """What is computed once per sequence; `flat` and `digests` only where pairs are run."""

    embeddings: np.ndarray
    lengths: np.ndarray
    # absent without coupling: the embedding is all that is needed then
    flat: FlatSequences = None  # type: ignore[assignment]
    digests: np.ndarray = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self.lengths)


def coupled_tile(
    network: SyncGRUNetwork, left: PreparedSequences, rows: np.ndarray, right: PreparedSequences, columns: np.ndarray,
    n_threads: int | None,
) -> np.ndarray:  # fmt: skip
    """Coupled distances (Q, R) of every chosen left sequence to every chosen right one."""
    out = np.empty((len(rows), len(columns)))

    @torch.inference_mode()
    def fill(part: tuple[slice, slice]) -> None:
        i, j = part
        out[part] = _distances(network, left, rows[i], right, columns[j], crossed=True)

    parts = [
        (slice(i, i + TILE_ROWS), slice(j, j + TILE_COLUMNS))
        for i in range(0, len(rows), TILE_ROWS)
        for j in range(0, len(columns), TILE_COLUMNS)
    ]
    run_tiles(fill, parts, n_threads)
    return out


def coupled_rows(
    network: SyncGRUNetwork, left: PreparedSequences, rows: np.ndarray, right: PreparedSequences, columns: np.ndarray,
    n_threads: int | None,
) -> np.ndarray:  # fmt: skip
    """Coupled distances (P,) pair by pair."""
    out = np.empty(len(rows))
    size = TILE_ROWS * TILE_COLUMNS

    @torch.inference_mode()
    def fill(start: int) -> None:
        part = slice(start, start + size)
        out[part] = _distances(network, left, rows[part], right, columns[part], crossed=False)[:, 0]

    run_tiles(fill, range(0, len(rows), size), n_threads)
    return out


def _distances(
    network: SyncGRUNetwork, left: PreparedSequences, rows: np.ndarray, right: PreparedSequences, columns: np.ndarray,
    *, crossed: bool,
) -> np.ndarray:  # fmt: skip
    """Coupled distances of one tile: (Q, R), or (P, 1) pair by pair."""
    (x1, lengths1), (x2, lengths2) = _same_length(
        _encoded(network, left.flat, rows), _encoded(network, right.flat, columns)
    )
    weights = network.weights()
    first, second = (project(network.directions(*side), weights) for side in ((x1, lengths1), (x2, lengths2)))
    squared = x1.new_zeros(len(rows), len(columns) if crossed else 1)
    for w, a, b in zip(weights, first, second, strict=True):
        sides = tile_sides(a, lengths1, b, lengths2, crossed=crossed)
        o1, o2 = TileScan(w, *squared.shape).run(*sides, network.readout)
        squared += (o1 - o2).square().sum(0)
    # equal sequences have equal states by the equations; different batches may round them differently
    other = right.digests[columns]
    equal = left.digests[rows][:, None] == (other[None] if crossed else other[:, None])
    return np.where(equal, 0.0, squared.cpu().double().sqrt().numpy())


def _encoded(network: SyncGRUNetwork, flat: FlatSequences, rows: np.ndarray) -> Encoded:
    """Features and lengths of the chosen sequences, each encoded once however often it is chosen."""
    unique, places = np.unique(rows, return_inverse=True)
    # what was prepared before saving may come back on another device than the network
    device = next(network.parameters()).device
    values, lengths = flat.padded(unique)
    features, lengths = network.encode(values.to(device), lengths.to(device))
    chosen = torch.from_numpy(places).to(device)
    return features.index_select(0, chosen), lengths.index_select(0, chosen)


def _same_length(*sides: Encoded) -> list[Encoded]:
    """Both sides with zero steps behind the shorter one."""
    longest = max(features.shape[1] for features, _ in sides)
    return [
        (torch.nn.functional.pad(features, (0, 0, 0, longest - features.shape[1])), lengths)
        for features, lengths in sides
    ]


def synchronization_gaps(network: SyncGRUNetwork, left: FlatSequences, right: FlatSequences) -> list[np.ndarray]:
    """|h^1_t - h^2_t| of the forward direction for the pairs (left[p], right[p]), each as long as its longer half."""
    gaps: list[np.ndarray] = [np.empty(0)] * len(left)
    longest = np.maximum(left.host_lengths, right.host_lengths)
    for batch in batches_by_length(longest, GAP_STEPS):
        for p, gap in zip(batch, _gaps(network, left, right, batch), strict=True):
            gaps[p] = gap
    return gaps


@torch.inference_mode()
def _gaps(network: SyncGRUNetwork, left: FlatSequences, right: FlatSequences, batch: np.ndarray) -> list[np.ndarray]:
    n = len(batch)
    (x1, lengths1), (x2, lengths2) = _same_length(*(network.encode(*flat.padded(batch)) for flat in (left, right)))
    pairs = torch.arange(n, device=x1.device)
    states = network.pair_states(torch.cat([x1, x2]), torch.cat([lengths1, lengths2]), pairs, pairs + n)
    gaps = (states[0] - states[1])[:, 0].norm(dim=2).T.cpu().numpy()
    ends = torch.maximum(lengths1, lengths2).cpu().numpy()
    return [gap[:end] for gap, end in zip(gaps, ends, strict=True)]
