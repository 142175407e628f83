"""SyncGRUMetric: a siamese GRU whose two halves synchronise through a coupling gate."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._batching import FlatSequences, batches_by_length
from skseqmetric._learned_metric import LearnedSequenceMetric
from skseqmetric._modules import SyncGRUNetwork
from skseqmetric._ops.parallel import run_tiles
from skseqmetric._ops.sync_gru import project, sync_gru_pairs
from skseqmetric._ops.sync_gru_tile import TileScan, tile_sides
from skseqmetric._validation import Sequences, check_sequences

TILE_ROWS, TILE_COLUMNS = 16, 64
"""Pairs of one tile: its states fit the second-level cache, and a step is long enough to outweigh its overhead."""


@dataclass(frozen=True)
class PreparedSequences:
    """What is computed once per sequence; `flat` and `digests` only where pairs are run."""

    embeddings: np.ndarray
    lengths: np.ndarray
    flat: FlatSequences | None = None
    digests: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.lengths)


class SyncGRUMetric(LearnedSequenceMetric):
    """TODO docstring."""

    _parameter_constraints: dict[str, list[Any]] = {
        **LearnedSequenceMetric._parameter_constraints,
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "coupling": [StrOptions({"scalar", "symmetric", "diffusive"}), None],
        "bidirectional": ["boolean"],
        "readout": [StrOptions({"mean", "last"})],
        "stem_channels": [Interval(Integral, 1, None, closed="left"), None],
        "max_recurrent_steps": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        n_units: int = 48,
        *,
        coupling: str | None = "symmetric",
        bidirectional: bool = True,
        readout: str = "mean",
        stem_channels: int | None = 64,
        max_recurrent_steps: int | None = 100,
        loss: Any = "nca",
        margin: float = 1.0,
        embedding_weight: float = 1.0,
        pairs_per_sequence: int | None = 8,
        samples_per_class: int = 4,
        augment: Any = ("jitter", "warp", "crop"),
        scaling: str | None = "channel",
        max_epochs: int = 50,
        min_batches: int = 20,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        device: str = "auto",
        precision: str = "float32",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
    ) -> None:
        self.n_units = n_units
        self.coupling = coupling
        self.bidirectional = bidirectional
        self.readout = readout
        self.stem_channels = stem_channels
        self.max_recurrent_steps = max_recurrent_steps
        self.loss = loss
        self.margin = margin
        self.embedding_weight = embedding_weight
        self.pairs_per_sequence = pairs_per_sequence
        self.samples_per_class = samples_per_class
        self.augment = augment
        self.scaling = scaling
        self.max_epochs = max_epochs
        self.min_batches = min_batches
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks

    @property
    def _coupled(self) -> bool:
        return self.coupling is not None

    @property
    def _is_euclidean(self) -> bool:
        return self.coupling is None

    def _build_network(self, n_channels: int, longest: int, generator: torch.Generator) -> SyncGRUNetwork:
        return SyncGRUNetwork(
            n_channels, self.n_units, coupling=self.coupling, bidirectional=self.bidirectional, readout=self.readout,
            stem_channels=self.stem_channels, strides=self._strides(longest), generator=generator,
        )  # fmt: skip

    def _strides(self, longest: int) -> tuple[int, int]:
        """Strides of the stem's two convolutions, powers of 2, so that at most max_recurrent_steps steps remain."""
        if self.max_recurrent_steps is None:
            return 1, 1
        total = 1
        while -(-longest // total) > self.max_recurrent_steps:
            total *= 2
        first = 2 ** ((total.bit_length()) // 2)
        return first, total // first

    # ------------------------------------------------------------------ distances
    def _prepare(self, sequences: Sequences) -> PreparedSequences:
        flat = self._standardise(sequences)
        embeddings = self._embed(flat)
        if not self._coupled:
            return PreparedSequences(embeddings, sequences.lengths)
        digests = [int.from_bytes(blake2b(x.tobytes(), digest_size=8).digest()) for x in _single(flat)]
        return PreparedSequences(embeddings, sequences.lengths, flat, np.array(digests, dtype=np.uint64))

    def _embeddings(self, prepared: PreparedSequences) -> np.ndarray:
        return prepared.embeddings

    def _tile(
        self, left: PreparedSequences, rows: np.ndarray, right: PreparedSequences, columns: np.ndarray
    ) -> np.ndarray:
        rows, columns = np.asarray(rows), np.asarray(columns)
        out = np.empty((len(rows), len(columns)))

        @torch.inference_mode()
        def fill(part: tuple[slice, slice]) -> None:
            i, j = part
            out[part] = self._tile_distances(left, rows[i], right, columns[j], crossed=True)

        run_tiles(fill, _grid(len(rows), TILE_ROWS, len(columns), TILE_COLUMNS), self._n_threads)
        return out

    def _rows(
        self, left: PreparedSequences, rows: np.ndarray, right: PreparedSequences, columns: np.ndarray
    ) -> np.ndarray:
        rows, columns = np.asarray(rows), np.asarray(columns)
        if not self._coupled:
            difference = left.embeddings[rows].astype(np.float64) - right.embeddings[columns]
            return np.sqrt((difference**2).sum(axis=1))
        out = np.empty(len(rows))
        size = TILE_ROWS * TILE_COLUMNS

        @torch.inference_mode()
        def fill(start: int) -> None:
            part = slice(start, start + size)
            out[part] = self._tile_distances(left, rows[part], right, columns[part], crossed=False)[:, 0]

        run_tiles(fill, range(0, len(rows), size), self._n_threads)
        return out

    def _tile_distances(
        self, left: PreparedSequences, rows: np.ndarray, right: PreparedSequences, columns: np.ndarray, *, crossed: bool
    ) -> np.ndarray:
        """Coupled distances (Q, R), or (P, 1) pair by pair, of one tile."""
        sides = [self._encoded(left, rows), self._encoded(right, columns)]
        n_steps = max(features.shape[1] for features, _ in sides)
        sides = [(_padded(features, n_steps), lengths) for features, lengths in sides]
        squared: torch.Tensor | float = 0.0
        runs = [self.module_.directions(features, lengths) for features, lengths in sides]
        for (w, x1), (_, x2) in zip(*runs, strict=True):
            first, second = tile_sides(project(x1, w), sides[0][1], project(x2, w), sides[1][1], crossed=crossed)
            scan = TileScan(w, len(rows), len(columns) if crossed else 1)
            o1, o2 = scan.run(first, second, self.readout)
            squared = squared + (o1 - o2).square().sum(0)
        distances = torch.as_tensor(squared).double().sqrt().cpu().numpy()
        other = right.digests[columns]
        # equal sequences have equal states by the equations; different batches may round them differently
        return np.where(left.digests[rows][:, None] == (other[None, :] if crossed else other[:, None]), 0.0, distances)

    def _encoded(self, prepared: PreparedSequences, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and lengths of the chosen sequences, each encoded once however often it is chosen."""
        unique, places = np.unique(rows, return_inverse=True)
        features, lengths = self.module_.encode(*prepared.flat.padded(unique))
        if len(unique) == len(rows) and np.array_equal(unique, rows):
            return features, lengths
        chosen = torch.from_numpy(places).to(features.device)
        return features.index_select(0, chosen), lengths.index_select(0, chosen)

    # ------------------------------------------------------------------ synchronisation
    def synchronization(self, X: Any, Y: Any) -> list[np.ndarray]:
        """How far the two halves are apart at every step: |h^1_t - h^2_t| of the coupled pairs (X[p], Y[p]).

        Parameters
        ----------
        X, Y : n sequences each
            Paired row by row.

        Returns
        -------
        gaps : list of n arrays of shape (T_p,)
            The forward direction's gap at each recurrent step of the longer of the two; with strides in the stem a recurrent
            step stands for several input steps. It falls to 0 where the pair synchronises.
        """
        check_is_fitted(self)
        left = self._standardise(check_sequences(X, estimator=self, reset=False))
        right = self._standardise(check_sequences(Y, estimator=self, reset=False))
        if len(left) != len(right):
            raise ValueError(f"X has {len(left)} sequences and Y has {len(right)}: they are paired row by row.")
        gaps: list[np.ndarray] = [np.empty(0)] * len(left)
        longest = np.maximum(left.host_lengths, right.host_lengths)
        for batch in batches_by_length(longest, TILE_ROWS * TILE_COLUMNS * 32):
            for p, gap in zip(batch, self._gaps(left, right, batch), strict=True):
                gaps[p] = gap
        return gaps

    @torch.inference_mode()
    def _gaps(self, left: FlatSequences, right: FlatSequences, batch: np.ndarray) -> list[np.ndarray]:
        n = len(batch)
        encoded = [self.module_.encode(*flat.padded(batch)) for flat in (left, right)]
        n_steps = max(features.shape[1] for features, _ in encoded)
        features = torch.cat([_padded(x, n_steps) for x, _ in encoded])
        lengths = torch.cat([lengths for _, lengths in encoded])
        w, forward = self.module_.directions(features, lengths)[0]
        pairs = torch.arange(n, device=features.device)
        first, second = sync_gru_pairs(project(forward, w), lengths, pairs, pairs + n, w)
        gaps = (first - second).norm(dim=2).cpu().numpy()
        ends = lengths.view(2, n).amax(0).cpu().numpy()
        return [gap[:end] for gap, end in zip(gaps, ends, strict=True)]


def _padded(features: torch.Tensor, n_steps: int) -> torch.Tensor:
    """(B, T, F) with zero steps behind it, to n_steps."""
    return torch.nn.functional.pad(features, (0, 0, 0, n_steps - features.shape[1]))


def _single(flat: FlatSequences) -> list[np.ndarray]:
    return np.split(flat.values.cpu().numpy(), np.cumsum(flat.host_lengths)[:-1])


def _grid(n_rows: int, height: int, n_columns: int, width: int) -> list[tuple[slice, slice]]:
    return [
        (slice(i, i + height), slice(j, j + width))
        for i in range(0, n_rows, height)
        for j in range(0, n_columns, width)
    ]
