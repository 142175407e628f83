"""The real problems of `--data DIR`: names, bars, and how a file is read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from skseqmetric.datasets import read_sequences

# folder, and the accuracy that 1-NN by SyncGRUMetric(coupling=None) with its defaults is to reach, mean of 3 seeds
PROBLEMS = {
    "JapaneseVowels": ("uea", 0.975),
    "RacketSports": ("uea", 0.88),
    "Libras": ("uea", 0.91),
    "BasicMotions": ("uea", 0.975),
    "GunPoint": ("ucr", 0.96),
    "ECG200": ("ucr", 0.88),
    "SyntheticControl": ("ucr", 0.985),
    "SwedishLeaf": ("ucr", 0.92),
    "CBF": ("ucr", 0.99),
    "TwoLeadECG": ("ucr", 0.93),
    "ECGFiveDays": ("ucr", 0.82),
    "ArrowHead": ("ucr", 0.71),
    "ItalyPowerDemand": ("ucr", 0.94),
}

# the same for SyncGRUMetric(coupling="symmetric"), one seed
COUPLED_BARS = {"JapaneseVowels": 0.97, "RacketSports": 0.85, "Libras": 0.88, "BasicMotions": 0.975}

TUNED_ON = frozenset(PROBLEMS)
SEEN = frozenset({"Chinatown", "Coffee", "PenDigits", "ShakeGestureWiimoteZ", "Trace"})
GROUPS = {
    "tuned on": "defaults of our networks were chosen by looking at these test splits",
    "seen": "penalty and blend of the random convolutions were set on these and the ones above, but for one of them",
    "not tuned on": "nothing of ours was chosen on these",
}
CHOSEN_ON = {
    **dict.fromkeys(("SyncGRUMetric", "NRNMMetric", "NRNMClassifier", "RecurrentClassifier"), TUNED_ON),
    **dict.fromkeys(("RandomConvolutionMetric", "RandomConvolutionTransformer", "MetricEnsemble"), TUNED_ON | SEEN),
}
"""Problems whose test splits a contender's settings were chosen on, or may have been. Those of EchoStateClassifier were
chosen by cross-validation inside training splits. Those of the other packages are their own."""

Split = tuple[list[np.ndarray], np.ndarray]


def load_problem(data: Path, name: str) -> tuple[Split, Split]:
    """(train, test), each (sequences, labels), of DIR/uea or DIR/ucr in the form of `read_sequences`."""
    splits = read_sequences(data / PROBLEMS[name][0] / f"{name}.npz")
    return splits["train"], splits["test"]


def group_of(problem: str) -> str:
    """One of `GROUPS`, by the file's name."""
    name = problem.rsplit("/", 1)[-1]
    return "tuned on" if name in TUNED_ON else "seen" if name in SEEN else "not tuned on"


def is_chosen_on(contender: str, problem: str) -> bool:
    """Whether settings of the contender were chosen by looking at the problem's test split."""
    return problem.rsplit("/", 1)[-1] in CHOSEN_ON.get(contender, ())


def timed_accuracy(model: Any, train: Split, test: Split) -> dict[str, float]:
    """Accuracy of a classifier on the test split, seconds of fit and of predict."""
    start = time.perf_counter()
    model.fit(*train)
    fitted = time.perf_counter()
    accuracy = float(np.mean(model.predict(test[0]) == test[1]))
    return {"accuracy": accuracy, "fit_s": fitted - start, "predict_s": time.perf_counter() - fitted}
