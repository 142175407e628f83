"""The interface of the networks that a learned metric trains."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SiameseNetwork(nn.Module):
    """What a learned metric trains: one network for both sequences of a pair. `n_outputs` is the embedding's size."""

    n_outputs: int

    def encode(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features (B, T', F) and their lengths: everything before the recurrence, zero past the end.

        With a generator dropout is drawn from it; without one there is none.
        """
        raise NotImplementedError

    def free_run(self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The embedding (B, n_outputs); with a generator, as in training."""
        raise NotImplementedError

    def pair_run(self, features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (P, n_outputs) of both halves of the pairs (rows[p], columns[p]), for networks whose pairs meet."""
        raise NotImplementedError
