"""The tasks: sequences with images of their own or of their classes, on both sides of a split by who drew them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.activity import held_out_subjects
from skseqmetric.datasets import make_sine_images, make_words

Sequences = list[np.ndarray]

NOISES = (0.3, 0.9, 1.5, 1.9)
N_TEST_SINES = 50
"""Sines of every class to test on."""

SINE_IMAGE_SIZE = 32
CHARACTER_SPACING, WORD_SPACING = 0.06, 0.1
"""Way of the pen from step to step, as part of the longer side of a character or of the height of a word."""

TEST_DRAWERS, TEST_WRITERS = 6, 8
N_WORDS, N_TEST_WORDS, WORD_HEIGHT = 2000, 400, 16
ADAPTED_WITH = (1, 5)
"""Trajectories of every digit by a new writer, that a model is adapted with."""

SCANS_TO_ADAPT = 20
"""More scans of every digit than those: after each epoch of an adaptation all of them are embedded."""

SYNTHETIC_TASKS = {f"noise {b}, {n} a class": (b, n) for n in (100, 20) for b in NOISES}
DIGIT_TASKS: dict[str, int | None] = {"10 a class": 10, "50 a class": 50, "all": None}
WORD_TASKS = {"5 writers": 5, "22 writers": 22}
ADAPTATION_TASKS = {"from 3 writers": 3, "from 22 writers": 22}


@dataclass(frozen=True)
class Problem:
    """Sequences to train on, with images, and sequences to test on.

    images[i] belongs to train[0][i], or, where there are image_labels, is one of a pool. test_people drew the test
    sequences; test_images, where there are any, belong to them.
    """

    train: tuple[Sequences, Any]
    test: tuple[Sequences, Any]
    images: np.ndarray
    image_labels: np.ndarray | None = None
    test_people: np.ndarray | None = None
    test_images: np.ndarray | None = None


def synthetic(noise: float, n_per_class: int, seed: int) -> Problem:
    """Ten sines told apart by frequency, with the Gramian angular fields of other draws."""
    X, y, images = make_sine_images(n_per_class, noise=noise, image_size=SINE_IMAGE_SIZE, random_state=seed)
    X_test, y_test, _ = make_sine_images(N_TEST_SINES, noise=noise, image_size=1, random_state=10_000 + seed)
    return Problem((list(X), y), (list(X_test), y_test), images)


def omniglot(data: Path, seed: int) -> Problem:
    """Drawings of characters (Lake et al. 2015) as image and as pen trajectory; six drawers, drawn by seed, to test."""
    X, y, drawers, images = drawings(data)
    out = np.isin(drawers, held_out_subjects(drawers, TEST_DRAWERS, np.random.default_rng(seed)))
    return Problem(
        chosen((X, y), ~out), chosen((X, y), out), images[~out], test_people=drawers[out], test_images=images[out]
    )


def digits(data: Path, n_per_class: int | None, seed: int) -> Problem:
    """Pen trajectories of digits by unseen writers (Alpaydin and Alimoglu 1998), and scanned digits of others.

    All training sequences, or so many of every class, drawn by seed.
    """
    X, y, writers = digit_channels(data)
    rng = np.random.default_rng(seed)
    out = np.isin(writers, held_out_subjects(writers, TEST_WRITERS, rng))
    rows = rng.permutation(np.flatnonzero(~out))
    if n_per_class is not None:
        rows = rows[rank_in_group(y[rows]) < n_per_class]
    return Problem(chosen((X, y), rows), chosen((X, y), np.flatnonzero(out)), *scanned(data), test_people=writers[out])


def adaptation(data: Path, n_writers: int, seed: int) -> Problem:
    """`digits`, all of them, by so many of the training writers, with fewer scans."""
    X, y, writers = digit_channels(data)
    known, out = _writers(writers, n_writers, seed)
    images, labels = scanned(data)
    few = rank_in_group(labels) < SCANS_TO_ADAPT
    return Problem(chosen((X, y), known), chosen((X, y), out), images[few], labels[few], test_people=writers[out])


def words(data: Path, n_writers: int, seed: int, n_words: int = N_WORDS, n_test: int = N_TEST_WORDS) -> Problem:
    """Numbers of three to six digits, put together from the pen trajectories of one writer each, with their picture.

    The words to train on are by so many of the training writers, those to test on by the unseen ones.
    """
    _, _, writers = drawn = pen_digits(data)
    return words_of(drawn, _writers(writers, n_writers, seed), seed, n_words, n_test)


def words_of(
    drawn: tuple[Sequences, np.ndarray, np.ndarray],
    sides_of: tuple[np.ndarray, np.ndarray],
    seed: int,
    n_words: int,
    n_test: int,
) -> Problem:
    """Words from `pen_digits`, to train on and to test on, each from the trajectories under a mask."""
    pens, y, writers = drawn
    sides = []
    for side, (rows, n) in enumerate(zip(sides_of, (n_words, n_test), strict=True)):
        found = make_words(
            [pens[i] for i in np.flatnonzero(rows)],
            y[rows],
            writers[rows],
            n_words=n,
            image_height=WORD_HEIGHT,
            random_state=10 * seed + side,
        )
        sides.append(([word_channels(x) for x in found[0]], *found[1:]))
    (X, labels, images, _), (X_test, labels_test, images_test, people) = sides
    return Problem((X, labels), (X_test, labels_test), images, test_people=people, test_images=images_test)


def drawings(data: Path) -> tuple[Sequences, np.ndarray, np.ndarray, np.ndarray]:
    """Pen movements as `pen_channels` (T, 5), characters, drawers, and the images (28, 28)."""
    with np.load(data / "omniglot_pairs.npz") as file:
        pens = np.split(file["stroke_values"], np.cumsum(file["stroke_lengths"])[:-1])
        images, y, drawers = file["images_28"], file["character"], file["drawer"]
    return [pen_channels(pen[:, :2], pen[:, 3], CHARACTER_SPACING) for pen in pens], y, drawers, images


def chosen(labelled: tuple[Sequences, Any], rows: np.ndarray) -> tuple[Sequences, Any]:
    """Sequences and labels at rows, given as indices or as a mask."""
    X, y = labelled
    indices = np.flatnonzero(rows) if rows.dtype == bool else rows
    return [X[i] for i in indices], y[indices]


def rank_in_group(groups: np.ndarray) -> np.ndarray:
    """How many of the same group stand before each."""
    order = np.argsort(groups, kind="stable")
    _, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(starts, counts)
    return ranks


def digit_channels(data: Path) -> tuple[Sequences, np.ndarray, np.ndarray]:
    """`pen_digits` as `pen_channels` (T, 5)."""
    pens, y, writers = pen_digits(data)
    return [pen_channels(pen[:, :2], pen[:, 2], CHARACTER_SPACING) for pen in pens], y, writers


def pen_digits(data: Path) -> tuple[Sequences, np.ndarray, np.ndarray]:
    """Trajectories (T, 3) of x, y, stroke; digits as strings; writers."""
    with np.load(data / "pendigits_strokes.npz") as file:
        pens = np.split(file["values"], np.cumsum(file["lengths"])[:-1])
        return pens, file["labels"], file["writer"]


def scanned(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Scanned digits (LeCun et al. 1990), 16 x 16, and what they are, as strings."""
    with np.load(data / "usps_digits.npz") as file:
        return file["images"], file["labels"].astype(str)


def _writers(writers: np.ndarray, n_writers: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks: by n of the training writers, by a test writer. The same seed tests the same ones for every n."""
    rng = np.random.default_rng(seed)
    unseen = held_out_subjects(writers, TEST_WRITERS, rng)
    known = rng.permutation(np.setdiff1d(writers, unseen))[:n_writers]
    return np.isin(writers, known), np.isin(writers, unseen)


# ------------------------------------------------------------------------------------------------------ trajectories


def pen_channels(xy: np.ndarray, stroke: np.ndarray, spacing: float) -> np.ndarray:
    """Channels x, y, change of x, change of y and pen-up (T, 5) of one character, in steps of equal way.

    Centred, the longer side of its box is 1. Pen-up is 1 at the first step of a stroke, whose change is the way
    through the air.
    """
    low, high = xy.min(axis=0), xy.max(axis=0)
    side = float((high - low).max()) or 1.0
    points, starts = equal_steps((xy - (low + high) / 2) / side, stroke, spacing)
    return np.column_stack([points, np.diff(points, axis=0, prepend=points[:1]), starts]).astype(np.float32)


def word_channels(word: np.ndarray) -> np.ndarray:
    """Channels y, change of x, change of y and pen-up (T, 4) of a word (T, 3) from `make_words`, in equal steps.

    The height of the word is 1. x itself says nothing but where in the word a symbol stands.
    """
    low, high = word[:, 1].min(), word[:, 1].max()
    height = float(high - low) or 1.0
    xy = (word[:, :2] - [0.0, (low + high) / 2]) / height
    points, starts = equal_steps(xy, np.cumsum(word[:, 2]), WORD_SPACING)
    return np.column_stack([points[:, 1], np.diff(points, axis=0, prepend=points[:1]), starts]).astype(np.float32)


def equal_steps(xy: np.ndarray, stroke: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (T, 2) along every stroke, as nearly `spacing` apart as divides it, both its ends among them.

    With 1 where a stroke begins, (T,). A stroke without length is one point.
    """
    borders = np.flatnonzero(stroke[1:] != stroke[:-1]) + 1
    strokes = [_along(piece, spacing) for piece in np.split(xy, borders)]
    starts = np.concatenate([np.arange(len(piece)) == 0 for piece in strokes])
    return np.concatenate(strokes), starts.astype(np.float64)


def _along(xy: np.ndarray, spacing: float) -> np.ndarray:
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    n = int(np.ceil(way[-1] / spacing - 1e-9)) + 1
    at = np.linspace(0, way[-1], n)
    return np.column_stack([np.interp(at, way, xy[:, k]) for k in (0, 1)])
