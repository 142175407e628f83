"""Recordings with labelled places: those that a search learns from, and those of others in which it searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from skseqmetric.datasets import make_shifted_sequences

TRANSITIONS = range(7, 13)
"""Labels of the postural transitions of hapt."""

N_TEST_SUBJECTS = 7


@dataclass(frozen=True, eq=False)
class Place:
    """The steps of a recording from `start` to before `stop`, in which there is a pattern."""

    label: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Recording:
    """Values (T, C) float32, the label of every step (T,), the places of patterns, and whose recording it is."""

    values: np.ndarray
    steps: np.ndarray
    places: list[Place]
    owner: int

    def cut(self, place: Place) -> np.ndarray:
        """The values of a place."""
        return self.values[place.start : place.stop]


@dataclass(frozen=True, eq=False)
class Problem:
    """What a search may learn from, and what it is tested on. No owner has recordings of both."""

    name: str
    train: list[Recording]
    test: list[Recording]

    def examples(self) -> tuple[list[np.ndarray], np.ndarray]:
        """Every place of the training recordings, and their labels."""
        cut = [(recording.cut(place), place.label) for recording in self.train for place in recording.places]
        return [x for x, _ in cut], np.array([label for _, label in cut])

    def inner(self, n_folds: int, n_held_out: int) -> list[Problem]:
        """Splits of the training recordings by their owners, to choose settings by. The test is in none of them.

        So many of the recordings that a fold holds out are searched.
        """
        owners = np.unique([recording.owner for recording in self.train])
        parts = [_by_owner(self.train, set(owners[fold::n_folds].tolist())) for fold in range(n_folds)]
        return [Problem(self.name, train, held_out[:n_held_out]) for train, held_out in parts]


def _by_owner(recordings: Sequence[Recording], held_out: set[int]) -> tuple[list[Recording], list[Recording]]:
    return [r for r in recordings if r.owner not in held_out], [r for r in recordings if r.owner in held_out]


def postures(data: Path, *, seed: int = 0) -> Problem:
    """Postural transitions in smartphone recordings (Reyes-Ortiz et al. 2016), 6 channels; 7 unseen subjects.

    Two steps of 50 Hz are averaged to one, since transitions take seconds and warping takes long. hapt.npz has
    "values_int16" (steps, 6) of all recordings one after the other, "scale" (6,) of a count, "lengths", "subject", and
    "step_labels".
    """
    with np.load(data / "hapt.npz") as file:
        values = (file["values_int16"] * file["scale"]).astype(np.float32)
        labels, subjects = file["step_labels"].astype(np.int64), file["subject"]
        ends = np.cumsum(file["lengths"])[:-1]
    recordings = [
        _halved(x, steps, int(owner))
        for x, steps, owner in zip(np.split(values, ends), np.split(labels, ends), subjects, strict=True)
    ]
    unseen = np.random.default_rng(seed).choice(np.unique(subjects), N_TEST_SUBJECTS, replace=False)
    return Problem("posture transitions", *_by_owner(recordings, set(unseen.tolist())))


def _halved(values: np.ndarray, steps: np.ndarray, owner: int) -> Recording:
    n = len(values) // 2 * 2
    steps = steps[:n:2]
    return Recording(values[:n].reshape(-1, 2, values.shape[1]).mean(axis=1), steps, _runs(steps), owner)


def _runs(steps: np.ndarray) -> list[Place]:
    """The runs of steps with the label of a transition."""
    edges = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
    runs = [Place(int(steps[start]), start, stop) for start, stop in pairwise(edges)]
    return [run for run in runs if run.label in TRANSITIONS]


def planted(*, n_recordings: int = 12, n_steps: int = 8_000, n_gestures: int = 24, seed: int = 0) -> Problem:
    """Six made gestures, drawn at other sizes and paces, planted in drifts under noise. The last half is the test."""
    paths, labels = make_shifted_sequences(
        n_recordings * n_gestures, n_classes=6, n_channels=2, length=(60, 120), warp=0.6, noise=0.1, random_state=seed
    )
    rng = np.random.default_rng(seed)
    made = []
    for owner in range(n_recordings):
        values = rng.standard_normal((n_steps, 2)).cumsum(axis=0) * 0.05 + 0.1 * rng.standard_normal((n_steps, 2))
        steps, places = np.zeros(n_steps, dtype=np.int64), []
        for slot in range(n_gestures):
            path, label = paths[owner * n_gestures + slot], int(labels[owner * n_gestures + slot]) + 1
            start = slot * (n_steps // n_gestures) + int(rng.integers(n_steps // n_gestures - 120))
            stop = start + len(path)
            values[start:stop] += rng.uniform(0.6, 1.4) * path
            steps[start:stop] = label
            places.append(Place(label, start, stop))
        made.append(Recording(values.astype(np.float32), steps, places, owner))
    return Problem("planted gestures", made[: n_recordings // 2], made[n_recordings // 2 :])
