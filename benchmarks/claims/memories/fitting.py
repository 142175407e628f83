"""One fit of the memory or of its backbone, the backbone's size at equal parameters, and their seconds an update."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claims.memories.tasks import TASKS, Task
from benchmarks.jobs import Job
from skseqmetric import NRNMClassifier, NRNMRegressor

Settings = dict[str, Any]

MEMORY, PARAMETERS, SECONDS, PACE = "memory", "equal parameters", "equal seconds", "pace"

SHARED: Settings = {
    "n_units": 32,
    "n_filters": None,
    "max_recurrent_steps": None,
    "instance_channels": False,
    "augment": None,
    "pooling": "last",
}
TRIED: dict[str, list[Settings]] = {
    MEMORY: [
        {},
        {"learning_rate": 1e-2},
        {"n_slots": 4, "stride": 2, "window": 8},
        {"n_slots": 8, "memory_dropout": 0.0},
    ],
    "backbone": [
        {},
        {"learning_rate": 1e-2},
        {"zoneout": 0.0},
        {"learning_rate": 1e-2, "zoneout": 0.0},
    ],
}
"""Changes to the estimator's defaults, as many for either."""

N_HEADS = 4
"""Which have to divide the units, even where no memory needs them."""

PACE_UPDATES, PACE_ROUNDS = 8, 5


def run_job(job: Job, data: Path | None) -> dict[str, float]:
    """The score on what the task asks, the best constant answer's, parameters in use, seconds of the processor."""
    of = dict(job.settings)
    task = TASKS[job.task](data, of["stage"], job.seed, of["share"])
    memory, backbone = TRIED[MEMORY][of["memory"]], {**TRIED["backbone"][of["backbone"]], "window": None}
    if job.arm == PACE:
        return {"ratio": pace(task, memory, backbone, of["updates"])}
    settings = memory if job.arm == MEMORY else backbone
    if job.arm == PARAMETERS:
        settings = {**settings, "n_units": units_of_as_many(parameters_of(task, memory, job.seed), task)}
    model = estimator(task, settings, of["updates"], job.seed)
    start = time.process_time()
    model.fit(*task.train)
    fitted = time.process_time() - start
    n_parameters = count(model) if job.arm == MEMORY else backbone_parameters(task, model.n_units)
    score = float(model.score(*task.asked))
    return {"score": score, "constant": task.constant, "parameters": float(n_parameters), "fit_s": fitted}


def estimator(task: Task, settings: Settings, updates: int, seed: int) -> Any:
    """Train for so many updates."""
    budget = {"max_updates": updates, "max_epochs": updates, "batch_size": task.batch_size, "random_state": seed}
    made = task.silent is not None and task.silent < 0
    given = {**SHARED, **budget, **({"scaling": None} if made or task.kind == "number" else {}), **settings}
    if task.kind == "number":
        return NRNMRegressor(**given)
    if task.kind == "step":
        return NRNMClassifier(target="step", ignore_label=task.silent, **given)
    return NRNMClassifier(**given)


def count(model: Any) -> int:
    """Parameters of a fitted network."""
    return sum(p.numel() for p in model.module_.parameters())


def parameters_of(task: Task, settings: Settings, seed: int) -> int:
    """Parameters of a network with these settings."""
    return count(estimator(task, settings, 1, seed).fit(*task.train))


def backbone_parameters(task: Task, n_units: int) -> int:
    """Parameters that an LSTM and its linear map use. A network without memory holds others, which nothing reads."""
    n_inputs = task.train[0][0].shape[1]
    labels = np.concatenate(task.train[1]) if task.kind == "step" else task.train[1]
    n_outputs = 1 if task.kind == "number" else len(set(np.unique(labels).tolist()) - {task.silent})
    return 4 * n_units * (n_inputs + n_units + 1) + (n_units + 1) * n_outputs


def units_of_as_many(n_parameters: int, task: Task) -> int:
    """The fewest units with which the backbone uses at least as many parameters."""
    n_units = N_HEADS
    while backbone_parameters(task, n_units) < n_parameters:
        n_units += N_HEADS
    return n_units


def pace(task: Task, memory: Settings, backbone: Settings, updates: int) -> float:
    """Seconds of an update with memory by those of the backbone with as many units: median of rounds in turn."""

    def seconds(settings: Settings, n: int) -> float:
        start = time.process_time()
        estimator(task, settings, n, 0).fit(*task.train)
        return time.process_time() - start

    n = min(updates, PACE_UPDATES)
    sums = np.array([[seconds(of, 2 * n) - seconds(of, n) for of in (memory, backbone)] for _ in range(PACE_ROUNDS)])
    return float(max(1.0, np.median(sums[:, 0]) / max(np.median(sums[:, 1]), 1e-9)))
