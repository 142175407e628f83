"""Few labelled sequences with many images, parted by who drew them: to train on, to choose by, to test once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.cross_modal.tasks import (
    Problem,
    chosen,
    digit_channels,
    drawings,
    pen_digits,
    rank_in_group,
    scanned,
    words_of,
)

WRITERS, DRAWERS = (8, 6), (6, 4)
"""People of the test and of the development; the others are trained on. In the test those of the development too."""

A_CLASS = (1, 2, 5, 10)
N_WORDS, N_ASKED_WORDS, WORD_WRITERS = 1000, 200, 5


def sides(people: np.ndarray, held: tuple[int, int], stage: str) -> tuple[np.ndarray, np.ndarray]:
    """People to train on, and people that are asked."""
    test, development, train = np.split(np.random.default_rng(0).permutation(np.unique(people)), np.cumsum(held))
    return (np.concatenate([development, train]), test) if stage == "test" else (train, development)


def digits(data: Path, stage: str, seed: int, share: float, n: int) -> Problem:
    """So many pen movements of every digit by any of the training writers, and all scanned digits."""
    X, y, writers = digit_channels(data)
    known, asked = sides(writers, WRITERS, stage)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(writers, known)))
    rows = rows[rank_in_group(y[rows]) < n]
    return _with_scans(data, (X, y), rows, np.flatnonzero(np.isin(writers, asked)), share)


def few_writers(data: Path, stage: str, seed: int, share: float, n: int) -> Problem:
    """All pen movements by so many of the training writers, and all scanned digits."""
    X, y, writers = digit_channels(data)
    known, asked = sides(writers, WRITERS, stage)
    rows = np.flatnonzero(np.isin(writers, np.random.default_rng(seed).permutation(known)[:n]))
    return _with_scans(data, (X, y), rows, np.flatnonzero(np.isin(writers, asked)), share)


def _with_scans(
    data: Path, labelled: tuple[list[np.ndarray], np.ndarray], rows: np.ndarray, asked: np.ndarray, share: float
) -> Problem:
    images, labels = scanned(data)
    every = round(1 / share)
    return Problem(chosen(labelled, rows), chosen(labelled, asked[::every]), images[::every], labels[::every])


def omniglot(data: Path, stage: str, seed: int, share: float, n: int) -> Problem:
    """The pen movements of so many of the training drawers, one a character each; the drawings of all of them."""
    X, y, drawers, images = drawings(data)
    known, asked = sides(drawers, DRAWERS, stage)
    few = np.isin(drawers, np.random.default_rng(seed).permutation(known)[:n])
    pool, every = np.isin(drawers, known), round(1 / share)
    rows = np.flatnonzero(np.isin(drawers, asked))[::every]
    return Problem(chosen((X, y), few), chosen((X, y), rows), images[pool], y[pool])


def words(data: Path, stage: str, seed: int, share: float) -> Problem:
    """Numbers of three to six digits by five of the training writers each, with their pictures."""
    _, _, writers = drawn = pen_digits(data)
    known, asked = sides(writers, WRITERS, stage)
    few = np.random.default_rng(seed).permutation(known)[:WORD_WRITERS]
    masks = np.isin(writers, few), np.isin(writers, asked)
    sizes = round(share * N_WORDS), round(share * N_ASKED_WORDS)
    return words_of(drawn, masks, seed, *sizes)


Make = Callable[[Path, str, int, float], Problem]
"""A problem from the folder of data, the stage, a seed, and the share of the scans, questions and words above."""

ONLINE, OFFLINE = "online words", "offline words"
TASKS: dict[str, Make] = {
    **{f"digits, {n} a class": partial(digits, n=n) for n in A_CLASS},
    **{f"digits of {n} writer(s)": partial(few_writers, n=n) for n in (1, 2)},
    **{f"Omniglot, {n} a class": partial(omniglot, n=n) for n in A_CLASS},
    ONLINE: words,
    OFFLINE: words,
}
