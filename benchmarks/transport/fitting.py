"""One fit and its accuracies, for the processes of `benchmarks.jobs`."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import NearestCentroid

from benchmarks.jobs import Job
from benchmarks.panel.contenders import nearest
from benchmarks.panel.fitting import Place, answers, measured, warm_up_problem
from benchmarks.panel.problems import Problem
from benchmarks.transport.contenders import CONTENDERS, METRICS
from benchmarks.transport.problem import load_fold


@dataclass(frozen=True)
class Recordings:
    """Where the recordings are, and how contenders run."""

    data: Path
    place: Place


def run_job(job: Job, recordings: Recordings) -> dict[str, Any]:
    """Accuracies on the fold, and cost of fit and of predict, after a call that nobody measures."""
    _warm_up(job.arm, recordings.place)
    return judged(job.arm, _fold(recordings.data, job.task), job.seed, recordings.place)


def judged(name: str, problem: Problem, seed: int, place: Place) -> dict[str, Any]:
    """A metric answers by the nearest training window, and by the nearest mean of a class where it has an embedding."""
    contender = CONTENDERS[name]
    if contender.build is None or contender not in METRICS:
        predicted, cost = measured(contender, problem, seed, place)
        return {"accuracy": _share(predicted, problem), **cost}
    model = nearest(contender.build(seed, place.threads, place.quick))
    predicted, cost = answers(model, problem)
    return {"accuracy": _share(predicted, problem), **_by_means(model.metric_, problem), **cost}


def _by_means(metric: Any, problem: Problem) -> dict[str, float]:
    if not hasattr(metric, "transform"):
        return {}
    (X, y), (X_new, _) = problem.train, problem.test
    means = NearestCentroid().fit(metric.transform(X), y)
    return {"class_means": _share(means.predict(metric.transform(X_new)), problem)}


def _share(predicted: np.ndarray, problem: Problem) -> float:
    return float(np.mean(predicted == problem.test[1]))


@functools.lru_cache(maxsize=1)
def _fold(data: Path, name: str) -> Problem:
    return load_fold(data, name)


@functools.cache
def _warm_up(name: str, place: Place) -> None:
    """Load and compile what the contender needs, on made sequences."""
    quick = Place(place.files, place.threads, True, place.aeon_python)
    judged(name, warm_up_problem(ragged=False, multivariate=True), 0, quick)
