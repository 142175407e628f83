"""Batches of sequences with their images: which image belongs to which sequence, which one is pushed away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from skseqmetric._estimators.cross_modal.margins import choose_negatives
from skseqmetric._estimators.cross_modal.objective import Course
from skseqmetric._input import Images
from skseqmetric._training.batches import LabelledBatches

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
    def paired(cls, images: Images, labels: np.ndarray) -> ImagePool:
        """Image i belongs to sequence i and has its label."""
        return cls(images, labels, labels, np.arange(len(images)))

    @classmethod
    def matched(cls, images: Images, of_images: np.ndarray, of_sequences: np.ndarray) -> ImagePool:
        """Images that share nothing but labels with the sequences; their order does not matter.

        Those with a negative number, as no sequence has their label, are left out.
        """
        order = np.lexsort((images.digests(), of_images))
        order = order[of_images[order] >= 0]
        return cls(images.take(order), of_images[order], of_sequences)

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


@dataclass(frozen=True)
class Pairing:
    """Everything that batches with images are made of, beside the sequences: an `ImagePool` in training.

    `distances` are what margins follow, and what negatives are chosen by unless there are others for `choosing`.
    """

    pool: ImagePool
    distances: LabelDistances
    course: Course
    rng: np.random.Generator
    choosing: LabelDistances | None = None


@dataclass
class CrossModalBatches:
    """Training batches of sequences and as many images: iterate to get one epoch, drawn anew each time.

    To the entries of `LabelledBatches` come images (B, c, h, w), the i-th of which belongs to sequence i, image_labels
    (B,), negatives (B,), a row of the same images whose label is another, -1 where there is none, and apart (B,), the
    label distances of these.
    """

    series: LabelledBatches
    pairing: Pairing

    def __post_init__(self) -> None:
        self._pixels = torch.from_numpy(self.pairing.pool.images.values).to(self.series.weights.device)

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        course = self.pairing.course
        course.begin_epoch()
        for rows in self.series.plan():
            yield {**self.series.batch(rows), **self._beside(rows)}
        course.end_epoch()

    def _beside(self, rows: np.ndarray) -> dict[str, Tensor]:
        pool, rng, choosing = self.pairing.pool, self.pairing.rng, self.pairing.choosing
        chosen = pool.positives(rows, rng)
        own, labels = pool.of_sequences[rows], pool.of_images[chosen]
        table = self.pairing.distances(own, labels)
        negatives = choose_negatives(
            table if choosing is None else choosing(own, labels), self.pairing.course.least, rng
        )
        apart = np.where(negatives >= 0, table[np.arange(len(rows)), negatives], 0.0).astype(np.float32)
        device = self._pixels.device
        numbers = {"image_labels": labels, "negatives": negatives, "apart": apart}
        return {
            "images": self._pixels[torch.from_numpy(chosen).to(device)],
            **{name: torch.from_numpy(values).to(device) for name, values in numbers.items()},
        }
