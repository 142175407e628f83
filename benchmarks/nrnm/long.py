"""Long sequences: settings of the NRNM compared by cross-validation inside training splits. No test split is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedKFold

from benchmarks.activity import BASIC_CLASSES, held_out_subjects
from benchmarks.nrnm.tasks import Fold
from skseqmetric.datasets import read_sequences

LONG_TASKS = ("Trace", "ShakeGestureWiimoteZ", "ArrowHead", "activity, 512 steps")
LONG_ARMS: dict[str, dict[str, Any]] = {
    "64 steps": {},
    "256 steps": {"max_recurrent_steps": 256},
    "256 steps, window 16": {"max_recurrent_steps": 256, "window": 16},
    "every step": {"max_recurrent_steps": None},
}
"""Settings beside the defaults. The window is a quarter of the recurrent steps where nothing is said of it."""

N_FOLDS = 2
STEPS = 512
N_WINDOWS = 240


def long_folds(data: Path, name: str, seed: int) -> Iterator[Fold]:
    """Halves of a training split, each once to train on and once to score. Activity is halved by subject."""
    if name == "activity, 512 steps":
        X, y, subjects = _activity(data, seed)
        splits = GroupKFold(N_FOLDS).split(X, y, subjects)
    else:
        X, y = read_sequences(data / "ucr" / f"{name}.npz")["train"]
        splits = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(X, y)
    for train, held_out in splits:
        sides = [([X[i] for i in rows], y[rows]) for rows in (train, held_out)]
        yield Fold(name, sides[0], sides[1])


def _activity(data: Path, seed: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Ten seconds of one of six activities at 50 Hz, of the subjects that no test of `benchmarks` holds out."""
    with np.load(data / "hapt.npz") as file:
        ends = np.cumsum(file["lengths"])[:-1]
        values = np.split(file["values_int16"] * file["scale"].astype(np.float32), ends)
        labels, subjects = np.split(file["step_labels"].astype(np.int64), ends), file["subject"]
    left_out = held_out_subjects(subjects, 6, np.random.default_rng(0))
    starts = [
        (i, start)
        for i in np.flatnonzero(~np.isin(subjects, left_out))
        for start in range(0, len(values[i]) - STEPS + 1, STEPS // 2)
        if labels[i][start] in BASIC_CLASSES and len(set(labels[i][start : start + STEPS].tolist())) == 1
    ]
    chosen = np.random.default_rng(seed).permutation(len(starts))[:N_WINDOWS]
    X = [values[i][start : start + STEPS] for i, start in (starts[j] for j in chosen)]
    y = np.array([labels[starts[j][0]][starts[j][1]] for j in chosen])
    return X, y, subjects[[starts[j][0] for j in chosen]]
