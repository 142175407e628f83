"""The interface of the networks of learned metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class SiameseNetwork(nn.Module, ABC):
    """A network that reads both sequences of a pair. `n_outputs` is the size of the embedding."""

    n_outputs: int

    @abstractmethod
    def encode(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return features (B, T', F), zero past the end, and their lengths: everything before the recurrence.

        A generator turns on dropout.
        """

    @abstractmethod
    def free_run(self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the embeddings (B, n_outputs). A generator turns on the noise of training."""

    def features(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return the embeddings of whole sequences without noise, for `transform`."""
        return self.free_run(*self.encode(values, lengths))
