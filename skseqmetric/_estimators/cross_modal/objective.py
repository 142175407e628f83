"""What training of both modalities minimises, and what its parts count from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skseqmetric._networks.cross_modal import CrossModalNetwork
from skseqmetric._ops.cross_modal_losses import cross_modal_loss
from skseqmetric._ops.loss_balance import task_weights
from skseqmetric._ops.margins import least_edit_distance
from skseqmetric._tasks import Task


class Course:
    """Where training with images stands: the epoch, the losses of its parts so far, and what each part counts now.

    Batches begin and end its epochs, the objective records losses in it and asks for their weights.

    Parameters
    ----------
    parts : names of the losses, in the order in which the objective has them.
    how : "equal", "dynamic" (see `task_weights`), or the weights themselves.
    earlier : rows of the history before, of which those with all parts are what "dynamic" starts from.
    epoch, max_epochs : the first epoch and the number of all, for the curriculum.
    curriculum : whether negatives are far ones first (see `least_edit_distance`).
    """

    def __init__(
        self,
        parts: Sequence[str],
        how: str | Sequence[float],
        *,
        earlier: list[dict[str, Any]],
        epoch: int,
        max_epochs: int,
        curriculum: bool,
    ) -> None:
        self.parts, self.how, self.curriculum = tuple(parts), how, curriculum
        self.epoch, self.max_epochs = epoch, max_epochs
        self.rows: list[dict[str, float]] = []
        self._earlier = [row for row in earlier if all(part in row for part in parts)]
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Settle the weights from the epochs before, and count afresh."""
        rows = [*self._earlier, *self.rows][-2:]
        losses = [[row[part] for row in rows] for part in self.parts]
        self.weights = list(task_weights(losses, self.how)) if isinstance(self.how, str) else list(self.how)
        self._sums: Tensor | None = None
        self._count = 0

    def record(self, losses: Tensor, count: int) -> None:
        """Losses (P,) of a batch of `count` sequences."""
        total = losses.detach() * count
        self._sums = total if self._sums is None else self._sums + total
        self._count += count

    def end_epoch(self) -> None:
        """Keep the mean losses of the epoch that ends."""
        means = [math.nan] * len(self.parts) if self._sums is None else (self._sums / self._count).tolist()
        self.rows.append(dict(zip(self.parts, means, strict=True)))
        self.epoch += 1

    @property
    def least(self) -> float:
        """Label distance that negatives should have at least."""
        return least_edit_distance(self.epoch, self.max_epochs) if self.curriculum else 0.0


@dataclass(frozen=True)
class CrossTerm:
    """The loss that draws both modalities together; `margin` None: `beta` times the label distance."""

    course: Course
    kind: str
    distance: str
    margin: float | None
    beta: float

    def __call__(self, series: Tensor, images: Tensor, negatives: Tensor, apart: Tensor, weights: Tensor) -> Tensor:
        """series, images (B, D); negatives (B,) rows of images, -1 for none; apart (B,) their label distances."""
        margin = self.beta * apart if self.margin is None else self.margin
        others = images[negatives.clamp_min(0)]
        return cross_modal_loss(self.kind, self.distance, series, images, others, negatives >= 0, margin, weights)


class CrossModalObjective(nn.Module):
    """Loss of the series' task and, of batches with images, w_s task + w_i cross-entropy of images + w_x cross term.

    Weights of sequences are relative to their mean over the training data, in every part: a batch of heavy sequences
    counts for more. Each modality is encoded once. Without images (training on series alone, validation) the loss is
    that of the task. Embeddings and logits enter the losses in float32.
    """

    def __init__(
        self,
        network: CrossModalNetwork,
        task: Task,
        generator: torch.Generator,
        cross: CrossTerm | None = None,
    ) -> None:
        super().__init__()
        self.network, self.task, self.generator = network, task, generator
        self.cross = cross

    def forward(
        self,
        values: Tensor,
        lengths: Tensor,
        targets: Tensor,
        weights: Tensor,
        images: Tensor | None = None,
        **of_images: Tensor,
    ) -> Tensor:
        noise = self.generator if self.training else None
        weights = weights / self.task.mean_weight
        features, steps = self.network.encode_series(values, lengths, noise)
        logits = self.network.series_logits(features, steps)
        vectors = None if images is None or self.cross is None else self.network.encode_images(images, noise)
        # the losses are differences and moments of close numbers: never in half precision
        with torch.autocast(values.device.type, enabled=False):
            task = (self.task.loss(logits.float(), steps, targets) * weights).mean()
            if vectors is None or self.cross is None:
                return task
            losses = torch.stack(
                [task, *self._of_images(features.float(), steps, vectors.float(), weights, **of_images)]
            )
            self.cross.course.record(losses, len(values))
            return losses @ losses.new_tensor(self.cross.course.weights)

    def _of_images(
        self,
        features: Tensor,
        steps: Tensor,
        vectors: Tensor,
        weights: Tensor,
        image_labels: Tensor,
        negatives: Tensor,
        apart: Tensor,
    ) -> Iterator[Tensor]:
        """The parts that images bring: their own task, where they have one, and the cross term."""
        if self.network.image_head is not None:
            scores = self.network.image_logits(vectors)
            yield (cross_entropy(scores, image_labels, reduction="none") * weights).mean()
        if self.cross is not None:
            points = self.network.embed_series(features, steps), self.network.embed_images(vectors)
            yield self.cross(*points, negatives, apart, weights) * weights.mean()
