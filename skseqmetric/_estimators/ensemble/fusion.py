"""The distance of an ensemble from those of its members: in one embedding where they are Euclidean, else in tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skseqmetric._base.exporting import Axes, ExportedModel, channel_names
from skseqmetric._files import record
from skseqmetric._input import Sequences
from skseqmetric._metrics.euclidean import embedded_rows, embedded_tile
from skseqmetric._metrics.hooks import distance_tile, distances_of_pairs, embedded, is_euclidean, kept, prepare
from skseqmetric._metrics.parts import joined, taken


class Term(NamedTuple):
    """A metric whose distance counts with this factor, the root of its part in the squared distance."""

    metric: Any
    factor: float


@record(fused="none|float32 n E", others="list", lengths="int64 n")
@dataclass(frozen=True)
class PreparedEnsemble:
    """Sequences as the terms need them, once per sequence.

    fused : embeddings (n, D) of the Euclidean terms, scaled and side by side. None if there are no such terms.
    others : what the other terms need, in their order.
    """

    fused: np.ndarray | None
    others: tuple[Any, ...]
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def kept(self) -> PreparedEnsemble:
        """Return what does not read the caller's data any more."""
        return replace(self, others=tuple(map(kept, self.others)))

    def joined(self, other: PreparedEnsemble) -> PreparedEnsemble:
        """Return these sequences and then those of the other."""
        fused = None if self.fused is None else np.concatenate([self.fused, other.fused])
        return PreparedEnsemble(
            fused, tuple(map(joined, self.others, other.others)), np.concatenate([self.lengths, other.lengths])
        )

    def taken(self, rows: np.ndarray) -> PreparedEnsemble:
        """Return a copy of some sequences."""
        fused = None if self.fused is None else self.fused[rows]
        return PreparedEnsemble(fused, tuple(taken(part, rows) for part in self.others), self.lengths[rows])


class Fusion:
    """d = |(f_1 d_1, ..., f_M d_M)|_2 for M terms with factors f."""

    def __init__(self, terms: list[Term]) -> None:
        self.euclidean = [term for term in terms if is_euclidean(term.metric)]
        self.others = [term for term in terms if not is_euclidean(term.metric)]

    def prepare(self, sequences: Sequences) -> PreparedEnsemble:
        fused = [_scaled(term, prepare(term.metric, sequences)) for term in self.euclidean]
        others = tuple(prepare(term.metric, sequences) for term in self.others)
        return PreparedEnsemble(np.hstack(fused) if fused else None, others, sequences.lengths)

    def tile(
        self, left: PreparedEnsemble, rows: np.ndarray, right: PreparedEnsemble, columns: np.ndarray
    ) -> np.ndarray:
        return self._joined(embedded_tile, distance_tile, left, rows, right, columns)

    def rows(
        self, left: PreparedEnsemble, rows: np.ndarray, right: PreparedEnsemble, columns: np.ndarray
    ) -> np.ndarray:
        return self._joined(embedded_rows, distances_of_pairs, left, rows, right, columns)

    def _joined(
        self,
        of_embeddings: Callable[..., np.ndarray],
        of_metric: Callable[..., np.ndarray],
        left: PreparedEnsemble,
        rows: np.ndarray,
        right: PreparedEnsemble,
        columns: np.ndarray,
    ) -> np.ndarray:
        parts = []
        if self.euclidean:
            parts.append(of_embeddings(left.fused, rows, right.fused, columns))
        with np.errstate(over="ignore"):  # what is not finite is refused, with its pair
            for term, first, second in zip(self.others, left.others, right.others, strict=True):
                parts.append(term.factor * of_metric(term.metric, first, rows, second, columns))
            # squares of large distances would overflow
            return reduce(np.hypot, parts)

    def exportable(self, ensemble: Any) -> ExportedModel:
        """Return the model of an ensemble all of whose terms are Euclidean."""
        models = [term.metric._exportable() for term in self.euclidean]
        run = ExportedFusion([model.module for model in models], [term.factor for term in self.euclidean])
        outputs: Axes = {"embedding": ("batch", "component")}
        known = {"n_channels": ensemble.n_channels_, "channels": channel_names(ensemble), "distance": "euclidean"}
        return ExportedModel(run.eval(), models[0].inputs, outputs, lambda X: (ensemble.transform(X),), known)

    def embeddings(self, prepared: PreparedEnsemble) -> np.ndarray | None:
        """Return the embeddings of all terms that have some, side by side, or None."""
        found = [] if prepared.fused is None else [prepared.fused]
        for term, part in zip(self.others, prepared.others, strict=True):
            scaled = _scaled(term, part)
            found += [] if scaled is None else [scaled]
        if len(found) > 1:
            return np.hstack(found)
        return found[0] if found else None


class ExportedFusion(nn.Module):
    """Sequences -> the embeddings of all terms times their factors, side by side, (B, D) float32."""

    def __init__(self, terms: list[nn.Module], factors: list[float]) -> None:
        super().__init__()
        self.terms, self.factors = nn.ModuleList(terms), factors

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor]:
        found = [term(values, lengths)[0] for term in self.terms]
        scaled = [(factor * one.double()).to(torch.float32) for factor, one in zip(self.factors, found, strict=True)]
        return (torch.cat(scaled, 1),)


def _scaled(term: Term, prepared: Any) -> Any:
    """Return the embeddings (n, D) times the factor in float32, or None if the metric has none."""
    found = embedded(term.metric, prepared)
    if found is None:
        return None
    scaled = (term.factor * found.astype(np.float64)).astype(np.float32)
    if not np.isfinite(scaled).all():
        i = int(np.argmin(np.isfinite(scaled).all(axis=1)))
        raise ValueError(f"the embedding of sequence {i} by {type(term.metric).__name__} is not finite.")
    return scaled
