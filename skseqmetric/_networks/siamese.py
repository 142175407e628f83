"""The interface of the networks that a learned metric trains."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class SiameseNetwork(nn.Module, ABC):
    """One network for both sequences of a pair. `n_outputs` is the size of the embedding."""

    n_outputs: int

    @abstractmethod
    def encode(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features (B, T', F) and their lengths: everything before the recurrence, zero past the end.

        With a generator dropout is drawn from it; without one there is none.
        """

    @abstractmethod
    def free_run(self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The embedding (B, n_outputs); with a generator, as in training."""

    def features(self, values: Tensor, lengths: Tensor) -> Tensor:
        """The embedding of whole sequences, without noise: what `transform` returns."""
        return self.free_run(*self.encode(values, lengths))
