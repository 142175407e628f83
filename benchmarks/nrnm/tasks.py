"""The tasks: real sequences to classify, steps to label, pairs to compare, and a synthetic cue to remember."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from benchmarks.activity import BASIC_CLASSES, cut_windows, held_out_subjects, load_activity
from benchmarks.problems import load_problem
from skseqmetric.datasets import read_sequences

Sequences = list[np.ndarray]
CUE_STEPS, ALL_STEPS = 10, 400
PIECE = 256
"""Long recordings are cut into pieces of this many steps to train on; they are labelled whole."""

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
NEIGHBOURS = 6
"""Residues on either side that a step of a protein shows, as in the input of Qian and Sejnowski (1988)."""

HEAD, SPINE, LAG = 2, 3, 3
"""Points of a gesture's recording, and the steps between the two positions that give a velocity."""

HALF_SECOND = 25
"""Steps (half a second) of a recording that become one step of means and deviations."""


N_ACTIVITY_FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """Sequences to train on and to test on; y is one label a sequence, or one array of labels a sequence."""

    name: str
    train: tuple[Sequences, Any]
    test: tuple[Sequences, Any]


def classification(data: Path, name: str) -> Iterator[Fold]:
    """One label a sequence, on the original split or by subject."""
    if name.startswith("activity, fold "):
        yield _activity_fold(data, int(name.rsplit(" ", 1)[1]))
        return
    if name == "activity":
        train, test = load_activity(data, n_test=1000)
    elif name in ("character_trajectories_half", "ecg_olszewski"):
        splits = read_sequences(data / f"{name}.npz")
        train, test = splits["train"], splits["test"]
    else:
        train, test = load_problem(data, name)
    yield Fold(name, train, test)


def _activity_fold(data: Path, number: int) -> Fold:
    """All windows of the six basic activities, a fifth of the subjects to test on."""
    with np.load(data / "hapt.npz") as file:
        content = {key: file[key] for key in file.files}
    windows = content["windows128"]
    windows = windows[np.isin(windows[:, 2], BASIC_CLASSES)]
    X, y = cut_windows(content, windows), windows[:, 2].astype(np.int64)
    train, test = list(GroupKFold(N_ACTIVITY_FOLDS).split(X, y, windows[:, 1]))[number]
    sides = [([X[i] for i in rows], y[rows]) for rows in (train, test)]
    return Fold(f"activity, fold {number}", sides[0], sides[1])


def long_memory(n: int, seed: int) -> Fold:
    """Four classes, told apart by the sign of two channels in the first 10 of 400 steps, noise ever after."""
    rng = np.random.default_rng(seed)

    def draw(count: int) -> tuple[Sequences, np.ndarray]:
        y = rng.integers(0, 4, count)
        X = rng.normal(size=(count, ALL_STEPS, 2)).astype(np.float32)
        X[:, :CUE_STEPS] = 0.3 * X[:, :CUE_STEPS] + np.stack([y % 2 * 2 - 1, y // 2 * 2 - 1], 1)[:, None]
        return list(X), y

    return Fold("long memory", draw(n), draw(500))


def steps_of(data: Path, name: str) -> Iterator[Fold]:
    """One label a step."""
    yield from STEP_TASKS[name](data)


def _gesture(data: Path) -> Iterator[Fold]:
    """Phases of gestures (Madeo et al. 2013), a video left out at a time: how hands, wrists and head move."""
    with np.load(data / "gesture_phase.npz") as file:
        ends = np.cumsum(file["lengths"])[:-1]
        videos, labels = np.split(file["values"], ends), np.split(file["step_labels"], ends)
    videos = [_movements(v) for v in videos]
    for out in range(len(videos)):
        rest = [i for i in range(len(videos)) if i != out]
        train = pieces([videos[i] for i in rest], [labels[i] for i in rest])
        yield Fold(f"gesture_phase, video {out + 1} left out", train, ([videos[out]], [labels[out]]))


def _movements(points: np.ndarray) -> np.ndarray:
    """Points relative to the spine, their velocities over LAG steps, and the speeds: (T, 18) -> (T, 35).

    Widths and heights are in units that differ from video to video, so they are divided by the distance from spine to
    head at the start; depths are in one unit.
    """
    points = points.reshape(len(points), 6, 3)
    points = points - points[:, SPINE : SPINE + 1]
    points[..., :2] /= np.linalg.norm(points[:LAG, HEAD, :2], axis=1).mean()
    points = np.delete(points, SPINE, axis=1)
    before = np.concatenate([np.repeat(points[:1], LAG, axis=0), points])[: len(points)]
    velocities = points - before
    speeds = np.linalg.norm(velocities, axis=2)
    return np.concatenate([points.reshape(len(points), -1), velocities.reshape(len(points), -1), speeds], axis=1)


def _protein(data: Path) -> Iterator[Fold]:
    """Secondary structure of proteins (Qian and Sejnowski 1988): a residue and its 6 neighbours on either side."""
    with np.load(data / "protein_qian.npz") as file:
        sides = [
            (
                [_residues(s) for s in file[f"{side}_seq"].tolist()],
                [np.array(list(s)) for s in file[f"{side}_ss"].tolist()],
            )
            for side in ("train", "test")
        ]
    yield Fold("protein_qian", *sides)


def _residues(chain: str) -> np.ndarray:
    codes = np.array([RESIDUES.find(letter) for letter in chain])
    one_hot = np.eye(len(RESIDUES) + 1, dtype=np.float32)[codes]
    padded = np.pad(one_hot, ((NEIGHBOURS, NEIGHBOURS), (0, 0)))
    shifted = [padded[i : i + len(chain)] for i in range(2 * NEIGHBOURS + 1)]
    return np.concatenate(shifted, axis=1)


def _recordings(data: Path) -> Iterator[Fold]:
    """Activities and transitions (Reyes-Ortiz et al. 2016) every half second, six unseen subjects."""
    with np.load(data / "hapt.npz") as file:
        ends = np.cumsum(file["lengths"])[:-1]
        values = np.split(file["values_int16"] * file["scale"].astype(np.float32), ends)
        labels, subjects = np.split(file["step_labels"].astype(np.int64), ends), file["subject"]
    out = np.isin(subjects, held_out_subjects(subjects, 6, np.random.default_rng(0)))
    X = [_half_seconds(v) for v in values]
    y = [v[: len(v) // HALF_SECOND * HALF_SECOND].reshape(-1, HALF_SECOND)[:, HALF_SECOND // 2] for v in labels]
    train = pieces([x for x, o in zip(X, out, strict=True) if not o], [v for v, o in zip(y, out, strict=True) if not o])
    test = [x for x, o in zip(X, out, strict=True) if o], [v for v, o in zip(y, out, strict=True) if o]
    yield Fold("hapt steps", train, test)


def _half_seconds(values: np.ndarray) -> np.ndarray:
    blocks = values[: len(values) // HALF_SECOND * HALF_SECOND].reshape(-1, HALF_SECOND, values.shape[1])
    return np.concatenate([blocks.mean(axis=1), blocks.std(axis=1)], axis=1)


def _occupancy(data: Path) -> Iterator[Fold]:
    """Whether a room is occupied (Candanedo and Feldheim 2016): one recording to train, two to test."""
    with np.load(data / "occupancy.npz") as file:
        train = pieces([file["datatraining_values"]], [file["datatraining_labels"].astype(np.int64)])
        tests = [
            (file[f"{name}_values"], file[f"{name}_labels"].astype(np.int64)) for name in ("datatest", "datatest2")
        ]
    yield Fold("occupancy", train, ([x for x, _ in tests], [y for _, y in tests]))


def pieces(X: Sequences, y: list[np.ndarray]) -> tuple[Sequences, list[np.ndarray]]:
    """Long sequences cut into pieces of at most 256 steps."""
    starts = [(i, a) for i, x in enumerate(X) for a in range(0, len(x), PIECE)]
    return [X[i][a : a + PIECE] for i, a in starts], [y[i][a : a + PIECE] for i, a in starts]


STEP_TASKS: dict[str, Callable[[Path], Iterator[Fold]]] = {
    "gesture_phase": _gesture,
    "protein_qian": _protein,
    "hapt": _recordings,
    "occupancy": _occupancy,
}
CLASSIFICATION_TASKS = ("JapaneseVowels", "RacketSports", "Libras", "activity", "character_trajectories_half")
SIMILARITY_TASKS = ("Libras", "ecg_olszewski")
