"""One fit with both modalities or with one, and the seconds of an update of either."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claims.pictures.tasks import OFFLINE, ONLINE, TASKS
from benchmarks.cross_modal.fitting import IMAGES, SERIES, Settings, TestCurve, fitted
from benchmarks.cross_modal.tasks import Problem
from benchmarks.jobs import Job
from skseqmetric import CrossModalTranscriber, CrossModalTripletEmbedder

BOTH, ALONE, LONGER, PACE = "both", "alone", "alone, equal seconds", "pace"

SHARED: Settings = {"n_filters": 64, "n_units": 32, "min_batches": 15}
OMNIGLOT: Settings = {"batch_size": 64}

TRIED: dict[str, list[Settings]] = {
    BOTH: [
        {},
        {"learning_rate": 1e-2},
        {"beta": 0.6, "loss_weights": (1.0, 1.0, 10.0)},
        {"loss": "pair"},
    ],
    ALONE: [
        {},
        {"learning_rate": 1e-2},
        {"learning_rate": 1e-3},
        {"dropout": 0.4},
    ],
}
"""Changes to the estimator's defaults, as many for either."""

CURVE_SEQUENCES = 300
"""Asked after every epoch."""

PACE_UPDATES, PACE_ROUNDS = 15, 5
OFFLINE_RATIO = 2.0
"""Images alone run the branch of the sequences too, so that their seconds say nothing: they get twice the updates."""


def run_job(job: Job, data: Path) -> dict[str, Any]:
    """The score on what unseen people drew, accuracy after every epoch where there are classes, and seconds."""
    of = dict(job.settings)
    problem = TASKS[job.task](data, of["stage"], job.seed, of["share"])
    if job.arm == PACE:
        return {"ratio": pace(job.task, problem, of)}
    arm = BOTH if job.arm == BOTH else ALONE
    model = estimator(job.task, arm, of[arm], of["updates"], job.seed)
    curve = None
    if job.task not in (ONLINE, OFFLINE):
        X, y = problem.test
        curve = TestCurve(X[:: -(-len(X) // CURVE_SEQUENCES)], y[:: -(-len(X) // CURVE_SEQUENCES)])
        curve.estimator = model.set_params(callbacks=[curve])
    _, seconds = fitted(model, problem, given(job.task, arm))
    score = (
        model.score_images(problem.test_images, problem.test[1]) if job.task == OFFLINE else model.score(*problem.test)
    )
    if curve is None:
        return {"score": float(score), "fit_s": seconds}
    return {"score": float(score), "fit_s": seconds - curve.seconds, "curve": curve.accuracies}


def given(task: str, arm: str) -> str:
    """What `fitted` is told: whether to give images."""
    return IMAGES if arm == BOTH or task == OFFLINE else SERIES


def estimator(task: str, arm: str, number: int, updates: int, seed: int) -> Any:
    """Train for so many updates. Images alone, where they are transcribed, are the only part of the loss."""
    budget = {"max_updates": updates, "max_epochs": updates, "random_state": seed}
    settings = {**SHARED, **(OMNIGLOT if task.startswith("Omniglot") else {}), **budget, **TRIED[arm][number]}
    if task not in (ONLINE, OFFLINE):
        return CrossModalTripletEmbedder(**settings)
    if (task, arm) == (OFFLINE, ALONE):
        settings["loss_weights"] = (0, 1, 0)
    return CrossModalTranscriber(**settings)


def pace(task: str, problem: Problem, of: dict[str, Any]) -> float:
    """Seconds of an update with both by those of one alone: median of rounds in turn."""
    if task == OFFLINE:
        return OFFLINE_RATIO

    def seconds(arm: str, n: int) -> float:
        start = time.process_time()
        fitted(estimator(task, arm, of[arm], n, 0), problem, given(task, arm))
        return time.process_time() - start

    n = min(of["updates"], PACE_UPDATES)
    sums = np.array([[seconds(arm, 2 * n) - seconds(arm, n) for arm in (BOTH, ALONE)] for _ in range(PACE_ROUNDS)])
    return float(max(1.0, np.median(sums[:, 0]) / max(np.median(sums[:, 1]), 1e-9)))
