"""Objectives of training: torch modules that hold a network and a loss, and map a batch to a scalar."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skseqmetric._networks.siamese import SiameseNetwork
from skseqmetric._ops.alignment import alignment_block, alignment_pairs
from skseqmetric._ops.metric_losses import BLOCK_LOSSES, squared_distances
from skseqmetric._ops.pair_sampling import sample_pairs
from skseqmetric._ops.ranks import RANKS, Ranks
from skseqmetric._tasks import Pairs, Task

EmbeddingLoss = Callable[[Tensor, Tensor], Tensor]

TEMPERATURE = 4.0
"""Value from which the temperature of soft minima is learned. Learned values were 4 to 6."""


class _Batch(NamedTuple):
    """An encoded batch: features (B, T', F) and their lengths (B,)."""

    features: Tensor
    lengths: Tensor


class _Distances(nn.Module):
    """A siamese network with a learned scale of its squared distances, and a learned temperature of their soft minima.

    With a margin, the scale is fixed to 1. The temperature is that of `alignment_block`.
    """

    def __init__(
        self,
        network: SiameseNetwork,
        *,
        learn_scale: bool,
        margin: float,
        embedding_weight: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.network: Any
        self.network, self.margin, self.generator = network, margin, generator
        self.coupled, self.aligned = network.coupling is not None, network.coupling == "alignment"
        self.embedding_weight = embedding_weight if self.coupled else 1.0
        self.log_scale = nn.Parameter(torch.zeros((), dtype=torch.float32, device="cpu"), requires_grad=learn_scale)
        start = torch.full((), math.log(TEMPERATURE), dtype=torch.float32, device="cpu")
        self.log_temperature = nn.Parameter(start, requires_grad=self.aligned)

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp()

    @property
    def _noise(self) -> torch.Generator | None:
        """The generator that dropout is drawn from, in training only."""
        ranks = self._ranks
        if ranks is None:
            return self.generator if self.training else None
        return ranks.noise(self.generator)

    @property
    def _ranks(self) -> Ranks | None:
        """The processes that share the batches, in training only."""
        return RANKS.get() if self.training else None

    def read(self, values: Tensor, lengths: Tensor) -> tuple[_Batch, Tensor | None, Tensor | None]:
        """Return the encoded batch, and of the uncoupled run embeddings (B, E) and states at places (B, P, D).

        What is not needed is None. In training every rank runs its own rows, and gets those of all others.
        """
        n, ranks = len(values), self._ranks
        own = (values, lengths) if ranks is None else ranks.own_rows(values, lengths)
        features, steps = self.network.encode(*own, self._noise)
        found = [None if x is None else self._whole(x, n) for x in self._free(features, steps)]
        pairs_are_run = self.coupled and not self.aligned
        batch = _Batch(self._whole(features, n), self._whole(steps, n)) if pairs_are_run else _Batch(features, steps)
        return batch, found[0], found[1]

    def _free(self, features: Tensor, lengths: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if self.aligned:
            embeddings, places = self.network.free_places(features, lengths, self._noise)
            return embeddings.float(), places
        return self.network.free_run(features, lengths, self._noise).float() if self.embedding_weight else None, None

    def _whole(self, rows: Tensor, n: int) -> Tensor:
        ranks = self._ranks
        return rows if ranks is None else ranks.all_rows(rows, n)

    def squared(self, batch: _Batch, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the squared distances (P,) of coupled runs of the pairs (rows[p], columns[p])."""
        n, ranks = len(rows), self._ranks
        pairs = (rows, columns) if ranks is None else ranks.own_rows(rows, columns)
        first, second = self.network.pair_run(*batch, *pairs)
        return self._whole((first - second).square().sum(1).float(), n)


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
        embedding_weight: float,
        margin: float,
        pairs_per_sequence: int | None,
        generator: torch.Generator,
    ) -> None:
        name = loss if isinstance(loss, str) else "nca"
        super().__init__(
            network,
            learn_scale=name == "nca",
            margin=margin,
            embedding_weight=embedding_weight,
            generator=generator,
        )
        self.block_loss = BLOCK_LOSSES[name]
        self.embedding_loss = None if isinstance(loss, str) else loss
        self.pairs_per_sequence = pairs_per_sequence

    def forward(self, values: Tensor, lengths: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        batch, embeddings, places = self.read(values, lengths)
        total = values.new_zeros(())
        if self.embedding_weight:
            total = self.embedding_weight * self._uncoupled(embeddings, targets, weights)
        if not self.coupled:
            return total
        if places is None:
            block, valid = self._sampled(batch, targets)
        else:
            block, valid = self._aligned(embeddings, places), _apart(targets)
        return total + self._loss(block, valid, targets, weights)

    def _uncoupled(self, embeddings: Any, targets: Tensor, weights: Tensor) -> Tensor:
        if self.embedding_loss is not None:
            return self.embedding_loss(embeddings, targets)
        return self._loss(squared_distances(embeddings), _apart(targets), targets, weights)

    def _loss(self, squared: Tensor, valid: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        return self.block_loss(squared, targets[:, None] == targets, valid, weights, self.scale, self.margin)

    def _aligned(self, embeddings: Any, places: Tensor) -> Tensor:
        """Return the squared distances (B, B) by matched states."""
        squared = alignment_block(places, self.log_temperature.exp())
        weight = self.network.pooled_weight
        return squared + weight * squared_distances(embeddings) if weight else squared

    def _sampled(self, batch: _Batch, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return squared distances (B, B) of coupled runs, and which pairs were run."""
        rows, columns = sample_pairs(labels, self.pairs_per_sequence, self.generator)
        squared = self.squared(batch, rows, columns)
        n = len(labels)
        block = squared.new_zeros(n, n).index_put((rows, columns), squared)
        valid = torch.zeros(n, n, dtype=torch.bool, device=squared.device)
        valid[rows, columns] = True
        return block + block.T, valid | valid.T


def _apart(targets: Tensor) -> Tensor:
    """Return a mask (B, B) of all pairs of two sequences."""
    return ~torch.eye(len(targets), dtype=torch.bool, device=targets.device)


class PairObjective(_Distances):
    """The loss of given pairs that are known to belong together or not, for `fit_pairs`."""

    def __init__(
        self, network: SiameseNetwork, task: Pairs, *, embedding_weight: float, generator: torch.Generator
    ) -> None:
        super().__init__(
            network,
            learn_scale=task.kind == "logistic",
            margin=task.margin,
            embedding_weight=embedding_weight,
            generator=generator,
        )
        self.task = task

    def forward(self, values: Tensor, lengths: Tensor, same: Tensor) -> Tensor:
        batch, embeddings, places = self.read(values.flatten(0, 1), lengths.flatten())
        total = values.new_zeros(())
        if self.embedding_weight:
            total = self.embedding_weight * self._loss(_squared_pairs(embeddings), lengths, same)
        if not self.coupled:
            return total
        if places is None:
            rows = torch.arange(0, 2 * len(same), 2, dtype=torch.int64, device=values.device)
            squared = self.squared(batch, rows, rows + 1)
        else:
            rows = torch.arange(0, len(places), 2, dtype=torch.int64, device=places.device)
            squared = alignment_pairs(places, rows, rows + 1, self.log_temperature.exp())
            squared = squared + self.network.pooled_weight * _squared_pairs(embeddings)
        return total + self._loss(squared, lengths, same)

    def _loss(self, squared: Tensor, lengths: Tensor, same: Tensor) -> Tensor:
        return self.task.loss(self.scale * squared, lengths, same).mean()


def _squared_pairs(embeddings: Any) -> Tensor:
    """Return the squared distances (P,) of the embeddings (2 P, E) of both sequences of every pair."""
    first, second = embeddings.unflatten(0, (-1, 2)).unbind(1)
    return (first - second).square().sum(1)


class TaskObjective(nn.Module):
    """The loss of a task on the outputs of a network, weighted by sequence.

    network(values, lengths, generator) returns outputs (B, K) or (B, T, K). Weights are divided by their mean over the
    training data. A batch of sequences with large weights thus counts more than one with small weights.
    """

    def __init__(self, network: nn.Module, task: Task, generator: torch.Generator) -> None:
        super().__init__()
        self.network, self.task, self.generator = network, task, generator

    def forward(self, values: Tensor, lengths: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        ranks = RANKS.get() if self.training else None
        if ranks is None:
            outputs = self.network(values, lengths, self.generator if self.training else None).float()
            losses = self.task.loss(outputs, lengths, targets)
        else:
            own = ranks.own_rows(values, lengths, targets)
            outputs = self.network(*own[:2], ranks.noise(self.generator)).float()
            losses = ranks.all_rows(self.task.loss(outputs, *own[1:]), len(values))
        return (losses * weights).mean() / self.task.mean_weight
