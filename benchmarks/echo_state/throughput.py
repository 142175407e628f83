"""Fit and predict of an echo state network against reservoirpy's, on the same sequences, with the errors of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import Result, measure
from skseqmetric import EchoStateRegressor

N_SEQUENCES, STEPS, CHANNELS, OUTPUTS = 1000, 20, 20, 22
OURS, THEIRS = "EchoStateRegressor", "reservoirpy"
CASES = ((1000, 0.85, 20.0), (1000, 0.1, 5.0), (300, 0.85, 10.0), (300, 0.1, 10.0))
"""Units, density, and how many times as fast as reservoirpy it is to be."""

FADING = 0.7
"""What a symbol counts of the one after it."""

RADIUS, LEAK, PENALTY = 1.1, 0.05, 10**-3.5
TOLERANCE = 0.05
"""Of the errors, relative: both draw weights of their own, by the same rule."""

Data = tuple[np.ndarray, np.ndarray]


def title(units: int, density: float) -> str:
    """What a comparison is called."""
    return f"fit + predict, {N_SEQUENCES} + {N_SEQUENCES} sequences of {STEPS} steps, {units} units, density {density}"


def task(seed: int = 0) -> tuple[Data, Data]:
    """One-hot symbols (n, T, C), and of each sequence a random linear map of them that fades into the past."""
    rng = np.random.default_rng(seed)
    ages = np.repeat(np.arange(STEPS)[::-1], CHANNELS)
    weights = rng.normal(size=(STEPS * CHANNELS, OUTPUTS)) * (FADING**ages)[:, None]
    sides = []
    for _ in range(2):
        symbols = rng.integers(CHANNELS, size=(N_SEQUENCES, STEPS))
        X = np.eye(CHANNELS, dtype=np.float32)[symbols]
        sides.append((X, X.reshape(N_SEQUENCES, -1) @ weights))
    return sides[0], sides[1]


def throughput(units: int, density: float, *, threads: int, repeats: int) -> Result | None:
    """Both in turn; None where reservoirpy is not installed."""
    try:
        from reservoirpy.nodes import Reservoir, Ridge
    except ImportError:
        return None
    (X, y), (X_new, y_new) = task()

    def ours() -> np.ndarray:
        regressor = EchoStateRegressor(
            units,
            spectral_radius=RADIUS,
            leak=LEAK,
            density=density,
            input_scaling=1.0,
            bias_scaling=0.0,
            input_density=0.1,
            bidirectional=False,
            pooling="last",
            alpha=PENALTY,
            scaling=None,
            random_state=0,
        )
        return regressor.fit(X, y).predict(X_new)

    def theirs() -> np.ndarray:
        reservoir = Reservoir(units, lr=LEAK, sr=RADIUS, rc_connectivity=density, input_connectivity=0.1, seed=0)
        readout = Ridge(ridge=PENALTY)
        readout.fit(np.asarray(reservoir.run(X, workers=threads))[:, -1], y)
        reservoir.reset()  # a run starts from the last state of the one before
        return np.asarray(readout.run(np.asarray(reservoir.run(X_new, workers=threads))[:, -1]))

    def check(answers: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
        errors = {name: float(np.square(answer - y_new).mean() ** 0.5) for name, answer in answers.items()}
        if abs(errors[OURS] / errors[THEIRS] - 1) > TOLERANCE:
            raise ValueError(f"The errors differ: {errors}.")
        return {name: {"rmse": error} for name, error in errors.items()}

    contenders: dict[str, Callable[[], Any]] = {THEIRS: theirs, OURS: ours}
    return measure(
        title(units, density),
        contenders,
        check=check,
        repeats=repeats,
        items=2 * N_SEQUENCES,
        unit="sequences",
        threads=threads,
        memory=False,
    )
