"""Tasks in which what comes late depends on what came many steps before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.activity import at_most
from benchmarks.cross_modal.tasks import chosen, scanned
from benchmarks.nrnm.tasks import steps_of

Labelled = tuple[list[np.ndarray], Any]

N_TRAIN, N_ASKED = 2000, 500
LENGTHS = (200, 400, 800)

STEPS, N_PIECES, N_ASKED_PIECES = 512, 400, 80
"""Steps of a piece of a recording of activities (ten seconds), and pieces to train on and to ask."""

N_SYMBOLS, N_LETTERS, SILENT = 5, 4, -1
"""What is to be copied, and the label of all other steps."""

TRAIN_VIDEOS, DEVELOPMENT_VIDEOS, TEST_VIDEOS = (0, 1, 3, 5), (4,), (2, 6)
"""Of a1, a2, a3, b1, b3, c1, c3: every person is in the training and, but for one, in the test."""


@dataclass(frozen=True)
class Task:
    """kind : "class" or "number" of a sequence, or "step", a class each step. silent : label of unlabelled steps."""

    train: Labelled
    asked: Labelled
    kind: str
    silent: Any = None
    batch_size: int = 32

    @property
    def constant(self) -> float:
        """What the best constant answer scores: a share of labels, or 0 of R2."""
        if self.kind == "number":
            return 0.0
        labels = np.concatenate(self.asked[1]) if self.kind == "step" else self.asked[1]
        labels = labels[labels != self.silent] if self.silent is not None else labels
        return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def digits(data: Path, stage: str, seed: int, share: float, pixels: bool) -> Task:
    """Scanned digits: pixel by pixel (256, 1), or row by row (16, 16)."""
    images, y = scanned(data)
    rows = np.random.default_rng(0).permutation(len(y))
    test, development, train = np.split(rows, [1500, 2300])
    if stage == "test":
        train, asked = np.concatenate([development, train]), test
    else:
        asked = development
    train = train[at_most(len(train), round(share * N_TRAIN), np.random.default_rng(seed))]
    asked = asked[: round(share * len(asked))]
    X = list((images / np.float32(255)).reshape(len(y), *((256, 1) if pixels else (16, 16))))
    return Task(chosen((X, y), train), chosen((X, y), asked), "class")


def activities(data: Path, stage: str, seed: int, share: float) -> Task:
    """Activities and changes of posture at every step of 50 Hz: 12 subjects to train on, 4 to choose by, 5 to test."""
    with np.load(data / "hapt.npz") as file:
        ends, subjects = np.cumsum(file["lengths"])[:-1], file["subject"]
        values = np.split(file["values_int16"] * file["scale"].astype(np.float32), ends)
        labels = np.split(file["step_labels"].astype(np.int64), ends)
    people = np.random.default_rng(0).permutation(np.unique(subjects))
    test, development, train = np.split(people, [5, 9])
    sides = (np.concatenate([train, development]), test) if stage == "test" else (train, development)
    found = []
    for side, n, rng in zip(sides, (N_PIECES, N_ASKED_PIECES), map(np.random.default_rng, (seed, 0)), strict=True):
        starts = [
            (i, start)
            for i in np.flatnonzero(np.isin(subjects, side))
            for start in range(0, len(values[i]) - STEPS + 1, STEPS // 2)
            if np.mean(labels[i][start : start + STEPS] != 0) > 0.5
        ]
        cuts = [starts[j] for j in at_most(len(starts), round(share * n), rng)]
        found.append(
            (
                [values[i][start : start + STEPS] for i, start in cuts],
                [labels[i][start : start + STEPS] for i, start in cuts],
            )
        )
    return Task(found[0], found[1], "step", silent=0, batch_size=16)


def gestures(data: Path, stage: str, seed: int, share: float) -> Task:
    """Phases of gestures, recordings whole (1,073 to 1,834 steps). The seed draws nothing but the network."""
    folds = list(steps_of(data, "gesture_phase"))
    keep = round(share * 2000)

    def of(videos: tuple[int, ...]) -> Labelled:
        return [folds[k].test[0][0][:keep] for k in videos], [folds[k].test[1][0][:keep] for k in videos]

    if stage == "test":
        return Task(of((*TRAIN_VIDEOS, *DEVELOPMENT_VIDEOS)), of(TEST_VIDEOS), "step", batch_size=5)
    return Task(of(TRAIN_VIDEOS), of(DEVELOPMENT_VIDEOS), "step", batch_size=4)


def adding(data: Path | None, stage: str, seed: int, share: float, n_steps: int) -> Task:
    """The sum of two marked numbers, one in either half (Hochreiter and Schmidhuber 1997)."""
    rng = _made_by(stage, seed, n_steps)

    def draw(n: int) -> Labelled:
        X = np.zeros((n, n_steps, 2), dtype=np.float32)
        X[..., 0] = rng.uniform(size=(n, n_steps))
        rows, half = np.arange(n), n_steps // 2
        for first in (0, half):
            X[rows, first + rng.integers(half, size=n), 1] = 1.0
        return list(X), (X[..., 0] * X[..., 1]).sum(axis=1, dtype=np.float64)

    return Task(draw(round(share * N_TRAIN)), draw(round(share * N_ASKED)), "number")


def copying(data: Path | None, stage: str, seed: int, share: float, n_steps: int) -> Task:
    """Five symbols of four letters at the start, silence, a mark, and the symbols are asked in the last five steps."""
    rng = _made_by(stage, seed, n_steps)

    def draw(n: int) -> Labelled:
        letters = rng.integers(N_LETTERS, size=(n, N_SYMBOLS))
        X = np.zeros((n, n_steps, N_LETTERS + 1), dtype=np.float32)
        X[:, :N_SYMBOLS, :N_LETTERS] = np.eye(N_LETTERS, dtype=np.float32)[letters]
        X[:, -N_SYMBOLS - 1, N_LETTERS] = 1.0
        y = np.full((n, n_steps), SILENT)
        y[:, -N_SYMBOLS:] = letters
        return list(X), list(y)

    return Task(draw(round(share * N_TRAIN)), draw(round(share * N_ASKED)), "step", silent=SILENT)


def _made_by(stage: str, seed: int, n_steps: int) -> np.random.Generator:
    return np.random.default_rng([seed, n_steps, stage == "test"])


Make = Callable[[Any, str, int, float], Task]
"""A task from the folder of data, the stage, a seed, and the share of the sizes above."""

TASKS: dict[str, Make] = {
    "digits by row": partial(digits, pixels=False),
    "digits by pixel": partial(digits, pixels=True),
    "activities": activities,
    "gestures": gestures,
    **{f"adding, {n} steps": partial(adding, n_steps=n) for n in LENGTHS},
    **{f"copying, {n} steps": partial(copying, n_steps=n) for n in LENGTHS},
}
