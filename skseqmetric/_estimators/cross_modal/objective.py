"""The loss of training on both modalities, and the weights of its parts from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skseqmetric._estimators.cross_modal.moving import MovingDistances
from skseqmetric._networks.cross_modal import CONVOLUTION, EMBEDDING, CrossModalNetwork, Points
from skseqmetric._ops.cross_modal_losses import cross_modal_loss
from skseqmetric._ops.loss_balance import task_weights
from skseqmetric._ops.margins import least_edit_distance
from skseqmetric._ops.ranks import RANKS
from skseqmetric._tasks import Task


class Course:
    """The progress of training with images: the epoch, the losses of all parts so far, and the weights of the parts.

    The batches begin and end its epochs. The objective records its losses here and reads the weights.

    Parameters
    ----------
    parts : names of the losses, in the order of the objective.
    how : "equal", "dynamic" (see `task_weights`), or the weights themselves.
    earlier : rows of an earlier history. "dynamic" starts from those that have all parts.
    epoch, max_epochs : the first epoch and the number of all epochs, for the curriculum.
    curriculum : whether training starts with far negatives (see `least_edit_distance`).
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
        """Compute the weights from the last epochs, and reset the sums."""
        rows = [*self._earlier, *self.rows][-2:]
        losses = [[row[part] for row in rows] for part in self.parts]
        self.weights = list(task_weights(losses, self.how)) if isinstance(self.how, str) else list(self.how)
        self._sums: Tensor | None = None
        self._count = 0

    def record(self, losses: Tensor, count: int) -> None:
        """Add the losses (P,) of a batch of `count` sequences."""
        total = losses.detach() * count
        self._sums = total if self._sums is None else self._sums + total
        self._count += count

    def end_epoch(self) -> None:
        """Store the mean losses of the epoch."""
        means = [math.nan] * len(self.parts) if self._sums is None else (self._sums / self._count).tolist()
        self.rows.append(dict(zip(self.parts, means, strict=True)))
        self.epoch += 1

    def state(self) -> dict[str, Any]:
        """Return what the course remembers between two epochs."""
        return {"epoch": self.epoch, "rows": self.rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state. Its rows are finished epochs."""
        self.epoch = int(state["epoch"])
        self.rows = [{part: float(row[part]) for part in self.parts} for row in state["rows"]]

    @property
    def least(self) -> float:
        """Smallest label distance that negatives should have."""
        return least_edit_distance(self.epoch, self.max_epochs) if self.curriculum else 0.0


SHARED_LAYERS = {EMBEDDING: (EMBEDDING,), CONVOLUTION: (CONVOLUTION,), "both": (EMBEDDING, CONVOLUTION)}
"""Layers that the loss between both modalities acts on."""


@dataclass(frozen=True)
class CrossTerm:
    """The loss between both modalities: its mean over the shared layers.

    `betas` holds a number for each of these layers. The margin is this number times the label distance if `margin` is
    None.
    """

    course: Course
    kind: str
    distance: str
    margin: float | None
    betas: dict[str, float]

    def __call__(self, points: Points, negatives: Tensor, apart: Tensor, weights: Tensor) -> Tensor:
        """Return the loss of series and images.

        negatives (B,) are rows of images, or -1 for none. apart (B,) are the label distances of the negatives.
        """
        losses = []
        for layer, beta in self.betas.items():
            margin = beta * apart if self.margin is None else self.margin
            series, images = points[layer]
            of_rows = series, images, images[negatives.clamp_min(0)], negatives >= 0
            losses.append(cross_modal_loss(self.kind, self.distance, *of_rows, margin, weights))
        return torch.stack(losses).mean()


class CrossModalObjective(nn.Module):
    """The loss w_s task(series) + w_i task(images) + w_x cross term, or the task of the series without images.

    Weights of sequences are divided by their mean over the training data in every part. A batch of sequences with
    large weights thus counts more. Each modality is encoded once. Validation and training without images use the loss
    of the task only. Embeddings and logits enter the losses in float32.
    """

    def __init__(
        self,
        network: CrossModalNetwork,
        task: Task,
        generator: torch.Generator,
        cross: CrossTerm | None = None,
        moving: MovingDistances | None = None,
    ) -> None:
        super().__init__()
        self.network, self.task, self.generator = network, task, generator
        self.cross, self.moving = cross, moving

    def forward(
        self,
        values: Tensor,
        lengths: Tensor,
        targets: Tensor,
        weights: Tensor,
        images: Tensor | None = None,
        **of_images: Tensor,
    ) -> Tensor:
        ranks, noise = (RANKS.get(), self.generator) if self.training else (None, None)
        weights, n = weights / self.task.mean_weight, len(values)
        if ranks is not None:
            noise = ranks.noise(self.generator)
            values, lengths = ranks.own_rows(values, lengths)
        cross, network = self.cross, self.network
        if images is None or cross is None:
            features, steps = network.encode_series(values, lengths, noise)
            logits = network.series_logits(features, steps)
            if ranks is not None:
                logits, steps = ranks.all_rows(logits, n), ranks.all_rows(steps, n)
            with torch.autocast(values.device.type, enabled=False):
                return (self.task.loss(logits.float(), steps, targets) * weights).mean()
        if ranks is not None:
            (images,) = ranks.own_rows(images)
        encoded = network.encode(values, lengths, images, noise, deep=CONVOLUTION in cross.betas)
        if ranks is not None:
            encoded = encoded.mapped(lambda rows: ranks.all_rows(rows, n))
        logits = network.series_logits(encoded.features, encoded.steps)
        # losses take differences and moments of similar numbers, so they need full precision
        with torch.autocast(values.device.type, enabled=False):
            task = (self.task.loss(logits.float(), encoded.steps, targets) * weights).mean()
            points = network.points(encoded)
            if self.moving is not None:
                self.moving.record(*points[EMBEDDING], logits.float(), targets, weights)
            scores = None if network.image_head is None else network.image_logits(encoded.vectors.float())
            losses = torch.stack([task, *self._of_images(cross, points, scores, targets, weights, **of_images)])
            cross.course.record(losses, n)
            return losses @ losses.new_tensor(cross.course.weights)

    def _of_images(
        self,
        cross: CrossTerm,
        points: Points,
        scores: Tensor | None,
        targets: Tensor,
        weights: Tensor,
        image_labels: Tensor,
        negatives: Tensor,
        apart: Tensor,
    ) -> Iterator[Tensor]:
        """Yield the parts of the loss from images: their own task, if they have one, and the cross term."""
        if scores is not None:
            yield (self._task_of_images(scores, targets, image_labels) * weights).mean()
        yield cross(points, negatives, apart, weights) * weights.mean()

    def _task_of_images(self, scores: Tensor, targets: Tensor, image_labels: Tensor) -> Tensor:
        """Return the losses (B,) of class scores (B, K), or of those of columns (B, S, K)."""
        if scores.ndim == 2:
            return cross_entropy(scores, image_labels, reduction="none")
        columns = torch.full((len(scores),), scores.shape[1], dtype=torch.int64, device=scores.device)
        # an image has the label of its sequence
        return self.task.loss(scores, columns, targets)
