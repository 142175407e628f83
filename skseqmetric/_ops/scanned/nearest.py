"""The nearest references of embeddings, with ties settled as every search of the package settles them."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.dispatch import FORCED


def nearest_references(embeddings: Tensor, references: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return distances (B, k) float64 and indices (B, k) of the nearest of R references, sorted by (distance, index).

    embeddings : (B, D), references : (R, D). Differences are taken directly, in float64: B R D numbers at once.
    """
    distances = torch.square(embeddings.double()[:, None] - references.double()).sum(2).sqrt()
    if FORCED.get() == "onnx":  # whose operator takes the lower index of equal numbers
        return torch.topk(distances, k, dim=1, largest=False)
    ordered, indices = torch.sort(distances, dim=1, stable=True)
    return ordered[:, :k], indices[:, :k]
