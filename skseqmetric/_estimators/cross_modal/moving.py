"""Label distances that follow the training: they are computed anew after every epoch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skseqmetric._files import record
from skseqmetric._ops.margins import confusion_distances, prototype_distances

KINDS = frozenset({"prototypes", "confusion"})


@record(kind="str", matrix="float64 K K")
class MovingDistances:
    """Distances of classes from what the network said of them in the epoch before, without gradients.

    A batch adds to sums on its device, and the end of an epoch makes a matrix of them. In the first epoch, unequal
    classes have the distance 1. So has the mean of all pairs later.

    Parameters
    ----------
    kind : "prototypes" or "confusion", see `prototype_distances` and `confusion_distances`.
    n_classes : classes K.
    start : distances (K, K) to begin with, or None.
    """

    _sums: Tensor | None = None

    def __init__(self, kind: str, n_classes: int, start: np.ndarray | None = None) -> None:
        self.kind = kind
        self.matrix = 1.0 - np.eye(n_classes) if start is None else start.copy()

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the distances (B, M) of classes given by their codes."""
        return self.matrix[first[:, None], second]

    def restore(self, matrix: np.ndarray) -> None:
        """Go on from distances (K, K)."""
        if matrix.shape != self.matrix.shape or matrix.dtype != self.matrix.dtype:
            raise ValueError(f"label distances have shape {matrix.shape} and not {self.matrix.shape}")
        self.matrix = matrix

    def record(self, series: Tensor, images: Tensor, logits: Tensor, codes: Tensor, weights: Tensor) -> None:
        """Add a batch: embeddings (B, D) of both modalities and class scores (B, K) of sequences of classes (B,)."""
        rows = (series + images) / 2 if self.kind == "prototypes" else logits.softmax(1)
        rows = torch.cat([rows, torch.ones_like(rows[:, :1])], 1).detach().double() * weights[:, None]
        if self._sums is None:
            self._sums = rows.new_zeros(len(self.matrix), rows.shape[1])
        self._sums = self._sums.index_add(0, codes, rows)

    def end_epoch(self) -> None:
        """Compute the distances for the next epoch. Classes that the epoch did not show keep theirs."""
        if self._sums is None:
            return
        sums, self._sums = self._sums.cpu().numpy(), None
        compute = prototype_distances if self.kind == "prototypes" else confusion_distances
        self.matrix = compute(sums[:, :-1], sums[:, -1], self.matrix)
