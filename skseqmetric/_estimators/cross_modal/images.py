"""Images of sequences: the arguments of a fit, the pool of images, and the entries that they add to batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skseqmetric._estimators.cross_modal.moving import MovingDistances
from skseqmetric._estimators.cross_modal.objective import Course
from skseqmetric._input import Images, check_images
from skseqmetric._ops.margins import choose_negatives
from skseqmetric._tasks import Targets, Task
from skseqmetric._tensors.flat import tensor_of

LabelDistances = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A function of labels (B,) and labels (M,), given as numbers, that returns their distances (B, M) in float64."""


@dataclass(frozen=True)
class ImagePool:
    """m images for n sequences.

    Attributes
    ----------
    images : Images of length m
    of_images : ndarray (m,) int64, the label of every image as a number
    of_sequences : ndarray (n,) int64, the label of every sequence as a number
    own : ndarray (n,) int64, the image of every sequence; None if a sequence may get any image of its label
    spelled : the labels of the numbers as arrays of symbols, if labels are sequences of symbols
    """

    images: Images
    of_images: np.ndarray
    of_sequences: np.ndarray
    own: np.ndarray | None = None
    spelled: Sequence[np.ndarray] = ()

    @classmethod
    def paired(cls, images: Images, labels: np.ndarray, spelled: Sequence[np.ndarray] = ()) -> ImagePool:
        """Return a pool in which image i belongs to sequence i and has its label."""
        return cls(images, labels, labels, np.arange(len(images)), spelled)

    @classmethod
    def matched(
        cls, images: Images, of_images: np.ndarray, of_sequences: np.ndarray, spelled: Sequence[np.ndarray] = ()
    ) -> ImagePool:
        """Return a pool of images that share only labels with the sequences. The order of images does not matter.

        Images with a negative number are left out, because no sequence has their label.
        """
        order = np.lexsort((images.digests(), of_images))
        order = order[of_images[order] >= 0]
        return cls(images.take(order), of_images[order], of_sequences, spelled=spelled)

    def tags(self) -> list[bytes]:
        """Return a hash of the own image of every sequence."""
        if self.own is None:
            return [b""] * len(self.of_sequences)
        return [digest.tobytes() for digest in self.images.digests()[self.own]]

    def identity(self) -> list[Any]:
        """Return what a fit learns from, beside the own images of sequences."""
        return [] if self.own is not None else [self.images.values, self.of_images]

    def __getitem__(self, rows: np.ndarray) -> ImagePool:
        own = None if self.own is None else self.own[rows]
        return replace(self, of_sequences=self.of_sequences[rows], own=own)

    def positives(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return an image for every sequence in rows (B,): its own, or a random one of its label."""
        if self.own is not None:
            return self.own[rows]
        labels = self.of_sequences[rows]
        # sorted by label
        first, behind = (np.searchsorted(self.of_images, labels, side=side) for side in ("left", "right"))
        return rng.integers(first, behind)


NumberLabels = Callable[[Any, Targets, Any, int], tuple[np.ndarray, np.ndarray, Sequence[np.ndarray]]]
"""A function (task, targets, image labels, number of images) like `CrossModalEstimator._number_labels`."""


@dataclass(frozen=True)
class GivenImages:
    """The images that a fit was given: images of the sequences, or images with their own labels.

    number_labels : gives every label a number and refuses labels that do not fit.
    earlier : the configuration of the network that is trained further, None for a new one.
    divided : whether the images of the earlier fit were uint8, None for a new network.
    """

    images: Any
    labels: Any
    number_labels: NumberLabels
    earlier: dict[str, Any] | None
    divided: bool | None = None

    def checked(self, task: Task, targets: Targets) -> ImagePool:
        """Check the images and return them as a pool."""
        like = None if self.earlier is None else self.earlier["image_shape"]
        if self.earlier is not None and like is None:
            raise ValueError(
                "This estimator was first fitted without images, so its network has no image encoder: fit a new one "
                "with images."
            )
        paired = self.labels is None
        images = check_images(self.images, n_expected=len(targets) if paired else None, like=like, divided=self.divided)
        of_sequences, of_images, spelled = self.number_labels(task, targets, self.labels, len(images))
        if paired:
            return ImagePool.paired(images, of_images, spelled)
        return ImagePool.matched(images, of_images, of_sequences, spelled)


@dataclass
class ImageColumns:
    """The entries that images add to every batch. They are drawn anew for every batch.

    - images (B, c, h, w): image i belongs to sequence i.
    - image_labels (B,): the labels of these images.
    - negatives (B,): for every sequence, the row of an image with another label, or -1 if there is none.
    - apart (B,): the label distances of the negatives.

    `distances` gives the label distances of margins. `choosing` gives those for the choice of negatives; None means
    the same.
    """

    pool: ImagePool
    distances: LabelDistances
    choosing: LabelDistances | None
    course: Course
    rng: np.random.Generator
    device: torch.device

    def __post_init__(self) -> None:
        self._pixels = tensor_of(self.pool.images.values).to(self.device)

    def begin_epoch(self) -> None:
        self.course.begin_epoch()

    def end_epoch(self) -> None:
        self.course.end_epoch()
        if isinstance(self.distances, MovingDistances):
            self.distances.end_epoch()

    def state(self) -> dict[str, Any]:
        """Return what the columns remember between two epochs."""
        moving = self.distances.matrix if isinstance(self.distances, MovingDistances) else None
        return {"numpy": self.rng.bit_generator.state, "course": self.course.state(), "distances": moving}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.rng.bit_generator.state = state["numpy"]
        self.course.restore(state["course"])
        if isinstance(self.distances, MovingDistances):
            self.distances.restore(state["distances"])

    def losses(self) -> dict[str, float]:
        """Return the parts of the loss in the last epoch."""
        return self.course.rows[-1]

    def __call__(self, rows: np.ndarray) -> dict[str, Tensor]:
        chosen = self.pool.positives(rows, self.rng)
        own, labels = self.pool.of_sequences[rows], self.pool.of_images[chosen]
        table = self.distances(own, labels)
        choosing = table if self.choosing is None else self.choosing(own, labels)
        negatives = choose_negatives(choosing, self.course.least, self.rng)
        apart = np.where(negatives >= 0, table[np.arange(len(rows)), negatives], 0.0).astype(np.float32)
        numbers = {"image_labels": labels, "negatives": negatives, "apart": apart}
        return {
            "images": self._pixels[torch.from_numpy(chosen).to(self.device)],
            **{name: torch.from_numpy(values).to(self.device) for name, values in numbers.items()},
        }
