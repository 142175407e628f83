"""The interface of the networks of learned metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class SiameseNetwork(nn.Module, ABC):
    """A network that reads both sequences of a pair.

    n_outputs : size of the embedding.
    coupling : how the two sequences of a pair meet. None: in their embeddings. "alignment": in their states at
        `n_places` places, each of `n_place_units` numbers. Any other: step by step, in a run of the pair.
    pooled_weight : with "alignment", weight of the embeddings in the squared distance.
    """

    n_outputs: int
    coupling: str | None
    n_places: int
    n_place_units: int
    pooled_weight: float

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

    @abstractmethod
    def free_places(
        self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the embeddings (B, n_outputs) of the uncoupled run, and its states at n_places places, (B, P, D)."""

    def features(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return the embeddings of whole sequences without noise, for `transform`."""
        return self.free_run(*self.encode(values, lengths))
