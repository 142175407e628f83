"""Comparison of a program with the estimator that it was made from."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._base.exporting.inputs import Trial
from skseqmetric._base.exporting.model import ExportedModel
from skseqmetric._base.exporting.programs import Run

TOLERANCE = 1e-5
"""Greatest difference from the estimator, in units of the largest number of an output."""

TRIALS = 6


def check_program(model: ExportedModel, run: Run) -> None:
    """Raise RuntimeError if a program does not answer as the estimator does."""
    worst = greatest_difference(model, run, np.random.default_rng(0), TRIALS)
    for name, difference in worst.items():
        if not difference <= TOLERANCE:
            raise RuntimeError(
                f"the exported program does not answer as the estimator: {name!r} differs by {difference:.2g} of its "
                f"largest value, and {TOLERANCE:g} is allowed. No file was written. Please report it."
            )


def greatest_difference(model: ExportedModel, run: Run, rng: np.random.Generator, n: int) -> dict[str, float]:
    """Return for every output the greatest difference in n trials, in units of the largest number of the output."""
    differences, sizes = dict.fromkeys(model.outputs, 0.0), dict.fromkeys(model.outputs, 0.0)
    for trial in model.inputs.trials(rng, n):
        found, true = run(trial.arrays), model.answers(trial.X)
        for name, mine, theirs in zip(model.outputs, found, true, strict=True):
            difference, size = _compared(mine, theirs, trial)
            differences[name] = max(differences[name], difference)
            sizes[name] = max(sizes[name], size)
    return {name: differences[name] / sizes[name] if sizes[name] else differences[name] for name in differences}


def _compared(found: np.ndarray, true: Any, trial: Trial) -> tuple[float, float]:
    """Return the greatest difference, infinity for other shapes, and the largest true number."""
    if not isinstance(true, list):
        return _difference(found, true), _largest(true)
    each = [
        (_difference(mine[: len(one)], one), _largest(mine[len(one) :])) for mine, one in zip(found, true, strict=True)
    ]
    past = max(rest for _, rest in each)
    return (np.inf if past else max(difference for difference, _ in each)), max(map(_largest, true))


def _difference(found: np.ndarray, true: np.ndarray) -> float:
    if found.shape != true.shape:
        return np.inf
    # a difference that is not a number is infinite
    return float(np.nan_to_num(np.abs(found - true).max(initial=0), nan=np.inf))


def _largest(numbers: np.ndarray) -> float:
    return float(np.abs(numbers).max(initial=0))
