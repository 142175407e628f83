"""Objectives of training: torch modules that hold a network and a loss, and map a batch to a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from skseqmetric._networks.siamese import SiameseNetwork
from skseqmetric._ops.metric_losses import BLOCK_LOSSES, squared_distances
from skseqmetric._ops.pair_sampling import sample_pairs
from skseqmetric._tasks import Pairs, Task

EmbeddingLoss = Callable[[Tensor, Tensor], Tensor]


class _Distances(nn.Module):
    """A siamese network and a learned scale of its squared distances. With a margin, the scale is fixed to 1."""

    def __init__(
        self, network: SiameseNetwork, *, coupled: bool, learn_scale: bool, margin: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.network: Any
        self.network, self.coupled, self.margin, self.generator = network, coupled, margin, generator
        self.log_scale = nn.Parameter(torch.zeros((), dtype=torch.float32, device="cpu"), requires_grad=learn_scale)

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp()

    @property
    def _noise(self) -> torch.Generator | None:
        """The generator that dropout is drawn from, in training only."""
        return self.generator if self.training else None

    def squared(self, features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the squared coupled distances (P,) of the pairs (rows[p], columns[p])."""
        first, second = self.network.pair_run(features, lengths, rows, columns)
        return (first - second).square().sum(1)


class BlockObjective(_Distances):
    """The loss of all distances in a labelled batch: L(coupled) + embedding_weight * L(uncoupled).

    `loss` is a name in `BLOCK_LOSSES`, or a callable (embeddings, labels) -> scalar such as a loss object of
    pytorch-metric-learning. A callable is the loss of the uncoupled distances. The loss of the coupled distances is
    then "nca".
    """

    def __init__(
        self,
        network: SiameseNetwork,
        loss: str | EmbeddingLoss,
        *,
        coupled: bool,
        embedding_weight: float,
        margin: float,
        pairs_per_sequence: int | None,
        generator: torch.Generator,
    ) -> None:
        block_name = loss if isinstance(loss, str) else "nca"
        super().__init__(network, coupled=coupled, learn_scale=block_name == "nca", margin=margin, generator=generator)
        self.block_loss = BLOCK_LOSSES[block_name]
        self.embedding_loss = None if isinstance(loss, str) else loss
        self.embedding_weight = embedding_weight if coupled else 1.0
        self.pairs_per_sequence = pairs_per_sequence

    def forward(self, values: Tensor, lengths: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        noise, scale = self._noise, self.scale
        features, lengths = self.network.encode(values, lengths, noise)
        total = values.new_zeros(())
        if self.embedding_weight:
            embeddings = self.network.free_run(features, lengths, noise).float()
            if self.embedding_loss is not None:
                free = self.embedding_loss(embeddings, targets)
            else:
                same, apart = (
                    targets[:, None] == targets,
                    ~torch.eye(len(targets), dtype=torch.bool, device=targets.device),
                )
                free = self.block_loss(squared_distances(embeddings), same, apart, weights, scale, self.margin)
            total = self.embedding_weight * free
        return total + self._coupled(features, lengths, targets, weights) if self.coupled else total

    def _coupled(self, features: Tensor, lengths: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        rows, columns = sample_pairs(labels, self.pairs_per_sequence, self.generator)
        squared = self.squared(features, lengths, rows, columns).float()
        n = len(labels)
        block = squared.new_zeros(n, n).index_put((rows, columns), squared)
        valid = torch.zeros(n, n, dtype=torch.bool, device=squared.device)
        valid[rows, columns] = True
        same = labels[:, None] == labels
        return self.block_loss(block + block.T, same, valid | valid.T, weights, self.scale, self.margin)


class PairObjective(_Distances):
    """The loss of given pairs that are known to belong together or not, for `fit_pairs`."""

    def __init__(
        self,
        network: SiameseNetwork,
        task: Pairs,
        *,
        coupled: bool,
        embedding_weight: float,
        generator: torch.Generator,
    ) -> None:
        learned = task.kind == "logistic"
        super().__init__(network, coupled=coupled, learn_scale=learned, margin=task.margin, generator=generator)
        self.task = task
        self.embedding_weight = embedding_weight if coupled else 1.0

    def forward(self, values: Tensor, lengths: Tensor, same: Tensor) -> Tensor:
        noise = self._noise
        features, flat_lengths = self.network.encode(values.flatten(0, 1), lengths.flatten(), noise)
        total = values.new_zeros(())
        if self.embedding_weight:
            embeddings = self.network.free_run(features, flat_lengths, noise).float()
            first, second = embeddings.unflatten(0, (-1, 2)).unbind(1)
            total = self.embedding_weight * self._loss((first - second).square().sum(1), lengths, same)
        if not self.coupled:
            return total
        rows = torch.arange(0, len(features), 2, dtype=torch.int64, device=features.device)
        return total + self._loss(self.squared(features, flat_lengths, rows, rows + 1).float(), lengths, same)

    def _loss(self, squared: Tensor, lengths: Tensor, same: Tensor) -> Tensor:
        return self.task.loss(self.scale * squared, lengths, same).mean()


class TaskObjective(nn.Module):
    """The loss of a task on the outputs of a network, weighted by sequence.

    network(values, lengths, generator) returns outputs (B, K) or (B, T, K). Weights are divided by their mean over the
    training data. A batch of sequences with large weights thus counts more than one with small weights.
    """

    def __init__(self, network: nn.Module, task: Task, generator: torch.Generator) -> None:
        super().__init__()
        self.network, self.task, self.generator = network, task, generator

    def forward(self, values: Tensor, lengths: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        outputs = self.network(values, lengths, self.generator if self.training else None).float()
        return (self.task.loss(outputs, lengths, targets) * weights).mean() / self.task.mean_weight
