"""Images of sequences: those a fit is given, the pool they form, and the columns they add to batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skseqmetric._estimators.cross_modal.objective import Course
from skseqmetric._input import Images, check_images
from skseqmetric._ops.margins import choose_negatives
from skseqmetric._tasks import Targets, Task

LabelDistances = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(labels (B,), labels (M,)) -> distance of each to each (B, M) in float64; labels are numbers of them."""


@dataclass(frozen=True)
class ImagePool:
    """m images beside n sequences.

    Attributes
    ----------
    images : Images of length m
    of_images : ndarray (m,) int64, the label of every image, as a number
    of_sequences : ndarray (n,) int64, the label of every sequence, by the same numbers
    own : ndarray (n,) int64, the image of every sequence; None where any image of its label may stand beside it
    spelled : what the numbers stand for, arrays of symbols, where labels are sequences themselves
    """

    images: Images
    of_images: np.ndarray
    of_sequences: np.ndarray
    own: np.ndarray | None = None
    spelled: Sequence[np.ndarray] = ()

    @classmethod
    def paired(cls, images: Images, labels: np.ndarray, spelled: Sequence[np.ndarray] = ()) -> ImagePool:
        """Image i belongs to sequence i and has its label."""
        return cls(images, labels, labels, np.arange(len(images)), spelled)

    @classmethod
    def matched(
        cls, images: Images, of_images: np.ndarray, of_sequences: np.ndarray, spelled: Sequence[np.ndarray] = ()
    ) -> ImagePool:
        """Images that share nothing but labels with the sequences; their order does not matter.

        Those with a negative number, as no sequence has their label, are left out.
        """
        order = np.lexsort((images.digests(), of_images))
        order = order[of_images[order] >= 0]
        return cls(images.take(order), of_images[order], of_sequences, spelled=spelled)

    def tags(self) -> list[bytes]:
        """For every sequence what its own image is."""
        if self.own is None:
            return [b""] * len(self.of_sequences)
        return [digest.tobytes() for digest in self.images.digests()[self.own]]

    def __getitem__(self, rows: np.ndarray) -> ImagePool:
        own = None if self.own is None else self.own[rows]
        return replace(self, of_sequences=self.of_sequences[rows], own=own)

    def positives(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """An image for every sequence in rows (B,): its own, or one drawn among those of its label."""
        if self.own is not None:
            return self.own[rows]
        labels = self.of_sequences[rows]
        # sorted by label
        first, behind = (np.searchsorted(self.of_images, labels, side=side) for side in ("left", "right"))
        return rng.integers(first, behind)


NumberLabels = Callable[[Any, Targets, Any, int], tuple[np.ndarray, np.ndarray, Sequence[np.ndarray]]]
"""(task, targets, image labels, number of images) -> labels of sequences and of images as numbers, and the spelled."""


@dataclass(frozen=True)
class GivenImages:
    """What a fit was given beside X and y: images of the sequences, or images with labels of their own.

    number_labels : gives every label a number and refuses labels that do not suit.
    earlier : the configuration of the network that goes on, None for a new one.
    """

    images: Any
    labels: Any
    number_labels: NumberLabels
    earlier: dict[str, Any] | None

    def checked(self, task: Task, targets: Targets) -> ImagePool:
        """The pool of valid images."""
        like = None if self.earlier is None else self.earlier["image_shape"]
        if self.earlier is not None and like is None:
            raise ValueError(
                "This estimator was first fitted without images, so its network has no image encoder: fit a new one "
                "with images."
            )
        paired = self.labels is None
        images = check_images(self.images, n_expected=len(targets) if paired else None, like=like)
        of_sequences, of_images, spelled = self.number_labels(task, targets, self.labels, len(images))
        if paired:
            return ImagePool.paired(images, of_images, spelled)
        return ImagePool.matched(images, of_images, of_sequences, spelled)


@dataclass
class ImageColumns:
    """What images add to every batch, drawn anew each time.

    images (B, c, h, w), the i-th of which belongs to sequence i; image_labels (B,); negatives (B,), a row of the same
    images whose label is another, -1 where there is none; apart (B,), the label distances of these.
    distances : what margins follow, and what negatives are chosen by unless there are others for `choosing`.
    """

    pool: ImagePool
    distances: LabelDistances
    choosing: LabelDistances | None
    course: Course
    rng: np.random.Generator
    device: torch.device

    def __post_init__(self) -> None:
        self._pixels = torch.from_numpy(self.pool.images.values).to(self.device)

    def begin_epoch(self) -> None:
        self.course.begin_epoch()

    def end_epoch(self) -> None:
        self.course.end_epoch()

    def losses(self) -> dict[str, float]:
        """The parts of the loss in the last epoch."""
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
