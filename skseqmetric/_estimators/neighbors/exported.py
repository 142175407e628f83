"""Predictions by the nearest references, for export: embedding, distances to all references, and weighted means.

Layouts: B sequences, R references, D components, K neighbours, M outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skseqmetric._base import exporting
from skseqmetric._metrics.hooks import embedded, is_euclidean
from skseqmetric._ops.scanned import nearest_references
from skseqmetric._ops.scanned.constants import constant


class ExportedNeighbors(nn.Module):
    """Sequences -> the weighted means (B, M), or (B,), of what their nearest references are.

    metric : module whose first answer is the embedding (B, D).
    references : (R, D) embeddings.
    meanings : (R, M) or (R,) numbers of the references; of classes 1 for the own class and 0 for others.
    by_distance : whether neighbours count by 1 / distance, and those at distance 0 alone.
    """

    references: Tensor
    meanings: Tensor

    def __init__(
        self, metric: nn.Module, references: np.ndarray, meanings: np.ndarray, n_neighbors: int, *, by_distance: bool
    ) -> None:
        super().__init__()
        self.metric, self.n_neighbors, self.by_distance = metric, n_neighbors, by_distance
        self.register_buffer("references", constant(references))
        self.register_buffer("meanings", constant(meanings))

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor]:
        distances, indices = nearest_references(self.metric(values, lengths)[0], self.references, self.n_neighbors)
        shares = self._shares(distances)
        chosen = self.meanings[indices].double()
        return ((shares[..., None] if chosen.ndim == 3 else shares).mul(chosen).sum(1).to(torch.float32),)

    def _shares(self, distances: Tensor) -> Tensor:
        if not self.by_distance:
            return torch.full_like(distances, 1 / self.n_neighbors)
        inverse = 1 / distances
        exact = torch.isinf(inverse)
        weights = torch.where(exact.any(1, keepdim=True), exact.double(), inverse)
        weights = weights / weights.amax(1, keepdim=True)
        return weights / weights.sum(1, keepdim=True)


def of_neighbors(
    estimator: Any, meanings: np.ndarray, outputs: exporting.Axes, answer: Callable[[Any], np.ndarray], **notes: Any
) -> exporting.ExportedModel:
    """Return the model of an estimator whose answers are weighted means over the nearest references.

    Raises
    ------
    ValueError
        The distance is not that of embeddings, the weights are a function, or the metric cannot be exported.
    """
    name, metric = type(estimator).__name__, estimator.metric_
    if not is_euclidean(metric) or not hasattr(metric, "_exportable"):
        raise ValueError(
            f"{name} cannot be exported: a program searches by Euclidean distances of embeddings alone, and "
            f"{type(metric).__name__} here has another distance. Fit it with RandomConvolutionMetric or a learned "
            "metric of coupling=None, or serve the estimator itself, saved by save or joblib."
        )
    if callable(estimator.weights):
        raise ValueError(
            f'{name} cannot be exported: weights is a function. Use "uniform" or "distance", or export '
            "estimator.metric_ and weight the neighbours yourself."
        )
    own = metric._exportable()
    references = np.asarray(embedded(metric, estimator._references))
    run = ExportedNeighbors(
        own.module, references, meanings, estimator.n_neighbors, by_distance=estimator.weights == "distance"
    )
    known = {"n_channels": estimator.n_channels_, "channels": exporting.channel_names(estimator), **notes}
    return exporting.ExportedModel(run.eval(), own.inputs, outputs, lambda X: (answer(X),), known)
