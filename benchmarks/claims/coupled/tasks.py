"""Tasks with a part to train on, one to choose by, and one that is tested once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.activity import BASIC_CLASSES, cut_windows
from benchmarks.unseen.design import Collection, Sizes
from benchmarks.unseen.problems import omniglot, walkers

STEPS = 32
MOST_TRAIN, MOST_REFERENCES, MOST_QUERIES = 600, 150, 200
N_PAIRS = 2000
LOST = 1 / 3


@dataclass(frozen=True)
class Task:
    """What is learned from, and what is asked.

    asked : with `classify`, sequences whose class is that of the nearest reference, from other subjects or recordings.
    Otherwise pairs of them are verified; their classes are not in `train`.
    loses : whether the first half of a pair loses a third of its steps.
    """

    train: Collection
    asked: Collection
    classify: bool
    loses: bool = False


def activity(data: Path, stage: str, seed: int, loses: bool = False) -> Task:
    """Six activities, by subject: 11 to train on, 5 to choose by, 5 to test on. In the test, 16 train."""
    with np.load(data / "hapt.npz") as file:
        content = {name: file[name] for name in file.files}
    windows = content["windows128"]
    windows = windows[np.isin(windows[:, 2], BASIC_CLASSES)]
    subjects = np.random.default_rng(0).permutation(np.unique(windows[:, 1]))
    deviation = (content["values_int16"] * content["scale"]).std(axis=0)

    def of(chosen: np.ndarray, most: int) -> Collection:
        rng = np.random.default_rng([seed, most])
        rows = np.flatnonzero(np.isin(windows[:, 1], chosen))
        part = windows[rng.permutation(rows)[:most]]
        X = [coarse(cut / deviation) for cut in cut_windows(content, part)]
        return Collection(X, part[:, 2], part[:, 1])

    return _split(of, subjects[:5], subjects[5:10], subjects[10:], stage, loses)


def transport(data: Path, stage: str, seed: int) -> Task:
    """Five modes of transport, by recording: folds 0 and 1 to train on, 2 to choose by, 3 to test on."""
    with np.load(data / "transport_modes.npz") as file:
        values, labels, folds = file["windows"], file["labels"], file["fold"]

    def of(chosen: np.ndarray, most: int) -> Collection:
        rng = np.random.default_rng([seed, most])
        rows = rng.permutation(np.flatnonzero(np.isin(folds, chosen)))[:most]
        return Collection([coarse(values[row]) for row in rows], labels[rows], folds[rows])

    return _split(of, np.array([3]), np.array([2]), np.array([0, 1]), stage, False)


def _split(
    of: Callable[[np.ndarray, int], Collection],
    tested: np.ndarray,
    chosen_by: np.ndarray,
    trained: np.ndarray,
    stage: str,
    loses: bool,
) -> Task:
    if stage == "test":
        return Task(of(np.concatenate([trained, chosen_by]), MOST_TRAIN), of(tested, MOST_QUERIES), True, loses)
    return Task(of(trained, MOST_TRAIN), of(chosen_by, MOST_QUERIES), True, loses)


def unseen(make: Callable[..., object], data: Path, stage: str, seed: int, coarser: bool = False) -> Task:
    """Classes never seen: those of the calibration part to choose by, those of the test part to test on."""
    parts: object = make(data, Sizes(most_a_class=60), seed)
    asked = getattr(parts, "test" if stage == "test" else "calibration")
    train = parts.train  # type: ignore[attr-defined]
    if coarser:
        train, asked = (Collection([coarse(x) for x in part.X], part.labels, part.sources) for part in (train, asked))
    return Task(train, asked, False)


def coarse(x: np.ndarray) -> np.ndarray:
    """Means of as many steps as leave `STEPS`."""
    size = len(x) // STEPS
    return np.asarray(x[: size * STEPS], dtype=np.float64).reshape(STEPS, size, -1).mean(axis=1)


def without_a_third(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The sequence without a random third of its steps, which are not marked."""
    kept = np.sort(rng.permutation(len(x))[: max(2, round(len(x) * (1 - LOST)))])
    return x[kept]


TASKS: dict[str, Callable[[Path, str, int], Task]] = {
    "activity": activity,
    "transport": transport,
    "activity, a third lost": partial(activity, loses=True),
    "Omniglot": partial(unseen, omniglot),
    "Omniglot, shifted": partial(unseen, partial(omniglot, most_rest=10)),
    "walkers": partial(unseen, walkers, coarser=True),
}
