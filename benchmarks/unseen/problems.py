"""The problems: from a folder of data, and one that is made and needs none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.activity import BASIC_CLASSES, cut_windows
from benchmarks.unseen.design import Collection, Parts, Sizes, mixed, parted

PEN_STEPS, MOST_REST = 32, 10
"""Steps of a character, and steps of rest before it at most."""

TEST_ALPHABETS = ("Greek", "Latin")
WALKING = 1

Make = Callable[[Path | None, Sizes, int], Parts]
"""The parts of a problem from the folder of data and a seed, which draws what the problem leaves open."""


@dataclass(frozen=True)
class Problem:
    """file : what it reads of the folder; None where it is made."""

    name: str
    about: str
    file: str | None
    make: Make


def omniglot(data: Path | None, sizes: Sizes, seed: int, most_rest: int = 0) -> Parts:
    """Characters of two alphabets to test on; of the others twelve, drawn by seed, for the threshold."""
    with np.load(_in(data, "omniglot_pairs.npz")) as file:
        pens = np.split(file["stroke_values"], np.cumsum(file["stroke_lengths"])[:-1])
        labels, alphabets, drawers = file["character"], file["alphabet"], file["drawer"]
    rng = np.random.default_rng(seed)
    X = [pen_steps(pen[:, :2], pen[:, 3]) for pen in pens]
    X = [after_rest(x, int(rng.integers(most_rest + 1))) for x in X] if most_rest else X
    unseen = np.isin(alphabets, TEST_ALPHABETS)
    calibration = rng.permutation(np.unique(labels[~unseen]))[:12]
    return parted(Collection(X, labels, drawers), np.unique(labels[unseen]), calibration, sizes, rng)


def pen_digits(data: Path | None, sizes: Sizes, seed: int) -> Parts:
    """Five digits to test on, two for the threshold, three to train on, drawn by seed."""
    with np.load(_in(data, "pendigits_strokes.npz")) as file:
        pens = np.split(file["values"], np.cumsum(file["lengths"])[:-1])
        labels, writers = file["labels"], file["writer"]
    rng = np.random.default_rng(seed)
    X = [pen_steps(pen[:, :2], pen[:, 2]) for pen in pens]
    order = rng.permutation(np.unique(labels))
    return parted(Collection(X, labels, writers), order[:5], order[5:7], sizes, rng)


def activities(data: Path | None, sizes: Sizes, seed: int) -> Parts:
    """Twelve activities and changes of posture: five to test on, two for the threshold; sources are subjects."""
    X, windows = _activity_windows(data)
    rng = np.random.default_rng(seed)
    labels = windows[:, 2]
    rare = np.setdiff1d(labels, BASIC_CLASSES)
    order = mixed([rare.tolist(), list(BASIC_CLASSES)], rng)
    return parted(Collection(X, labels, windows[:, 1]), order[:5], order[5:7], sizes, rng)


def walkers(data: Path | None, sizes: Sizes, seed: int) -> Parts:
    """Who walks: five subjects to test on, four for the threshold; sources are recordings, of which each has two."""
    X, windows = _activity_windows(data)
    rng = np.random.default_rng(seed)
    walking = np.flatnonzero(windows[:, 2] == WALKING)
    collection = Collection(X, windows[:, 1], windows[:, 0]).take(walking)
    order = rng.permutation(np.unique(collection.labels))
    return parted(collection, order[:5], order[5:9], sizes, rng)


def made(data: Path | None, sizes: Sizes, seed: int) -> Parts:
    """Closed curves of a few waves, fifty classes of eight, drawn by an unsteady hand after a rest."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(50), 8)
    waves = _waves(rng, 50)[labels] + 0.4 * _waves(rng, len(labels))
    X = [after_rest(_curve(of, rng), int(rng.integers(MOST_REST + 1))) for of in waves]
    collection = Collection(X, labels, np.arange(len(labels)))
    return parted(collection, range(20), range(20, 26), sizes, rng)


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("Omniglot", "characters of Greek and Latin, aligned", "omniglot_pairs.npz", omniglot),
        Problem(
            "Omniglot, shifted",
            f"the same after up to {MOST_REST} steps of rest",
            "omniglot_pairs.npz",
            partial(omniglot, most_rest=MOST_REST),
        ),
        Problem("activities", "activities and changes of posture left out", "hapt.npz", activities),
        Problem("walkers", "who walks: subjects left out", "hapt.npz", walkers),
        Problem("pen digits", "digits left out", "pendigits_strokes.npz", pen_digits),
        Problem("made", "random closed curves after a rest", None, made),
    )
}


# ----------------------------------------------------------------------------------------------------------- sequences


def pen_steps(xy: np.ndarray, stroke: np.ndarray, n_steps: int = PEN_STEPS) -> np.ndarray:
    """Channels x, y, change of x, change of y and pen-up (n_steps, 5), in steps of equal way, the air included.

    Centred, the longer side of the box is 1. Pen-up is 1 at the first step of every stroke but the first.
    """
    low, high = xy.min(axis=0), xy.max(axis=0)
    points = (xy - (low + high) / 2) / (float((high - low).max()) or 1.0)
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.linspace(0, way[-1], n_steps)
    x, y = (np.interp(at, way, points[:, k]) for k in (0, 1))
    now = np.round(np.interp(at, way, stroke))
    lifted = np.diff(now, prepend=now[:1]) != 0
    return np.column_stack([x, y, np.diff(x, prepend=x[0]), np.diff(y, prepend=y[0]), lifted])


def after_rest(x: np.ndarray, n_steps: int) -> np.ndarray:
    """The sequence after so many steps of zeros: nothing moves, in the middle of the box."""
    return np.vstack([np.zeros((n_steps, x.shape[1])), x])


def _waves(rng: np.random.Generator, n: int) -> np.ndarray:
    """Amplitudes (n, 4, 4) of sines and cosines in x and y, of four frequencies."""
    return rng.normal(size=(n, 4, 4)) / np.arange(1, 5)[:, np.newaxis]


def _curve(waves: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Channels x and y (PEN_STEPS, 2) of one of `_waves`, at a speed of its own, with noise."""
    time = np.cumsum(rng.uniform(0.5, 1.5, PEN_STEPS))
    phase = 2 * np.pi * np.outer(time / time[-1], np.arange(1, len(waves) + 1))
    noise = 0.1 * rng.normal(size=(PEN_STEPS, 2))
    return np.sin(phase) @ waves[:, :2] + (np.cos(phase) - 1) @ waves[:, 2:] + noise


def _activity_windows(data: Path | None) -> tuple[list[np.ndarray], np.ndarray]:
    """Windows (128, 6), every channel divided by its deviation, and their rows (experiment, subject, label, ...)."""
    with np.load(_in(data, "hapt.npz")) as file:
        content = {name: file[name] for name in file.files}
    windows = content["windows128"]
    deviation = (content["values_int16"] * content["scale"]).std(axis=0)
    return [cut / deviation for cut in cut_windows(content, windows)], windows


def _in(data: Path | None, name: str) -> Path:
    if data is None:
        raise ValueError(f"{name} is in no folder: pass --data DIR.")
    return data / name


def find_problems(data: Path | None) -> tuple[list[str], dict[str, str]]:
    """Names of the problems whose file is in the folder, and why others are left out; without a folder what is made."""
    names = [p.name for p in PROBLEMS.values() if (p.file is None) == (data is None)]
    missing = {name: PROBLEMS[name].file for name in names if data and not (data / str(PROBLEMS[name].file)).exists()}
    return [name for name in names if name not in missing], {n: f"no {file} in {data}" for n, file in missing.items()}
