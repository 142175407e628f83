"""One fit of the panel, for the processes of `benchmarks.jobs`: each loads, compiles and warms up once."""

from __future__ import annotations

import functools
import inspect
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.jobs import Job
from benchmarks.panel.contenders import CONTENDERS, Contender
from benchmarks.panel.cost import costed
from benchmarks.panel.problems import Problem, read_problem
from benchmarks.peers.aeon_process import AeonProcess

AEON_WORKER = "benchmarks.panel.aeon_worker"
WARM_A_CLASS = 3
"""Sequences a class of the call that nobody measures."""


@dataclass(frozen=True)
class Place:
    """Where problems and peers are, and how they run."""

    files: tuple[tuple[str, Path], ...]
    threads: int
    quick: bool
    aeon_python: Path | None = None


def run_job(job: Job, place: Place) -> dict[str, Any]:
    """Accuracy on the test split, and cost of fit and of predict, after a call that nobody measures."""
    contender, problem = CONTENDERS[job.arm], _problem(job.task, dict(place.files)[job.task])
    _warm_up(job.arm, place, problem.is_ragged, problem.train[0][0].shape[1] > 1)
    predicted, cost = measured(contender, problem, job.seed, place)
    return {"accuracy": float(np.mean(predicted == problem.test[1])), **cost}


def measured(contender: Contender, problem: Problem, seed: int, place: Place) -> tuple[np.ndarray, dict[str, float]]:
    """The predicted codes, and what they cost."""
    if contender.build is None:
        return _by_aeon(contender, problem, seed, place)
    return answers(contender.build(seed, place.threads, place.quick), problem)


def answers(model: Any, problem: Problem) -> tuple[np.ndarray, dict[str, float]]:
    """The codes that a classifier predicts after its fit, and what both cost."""
    groups = {"groups": problem.groups} if problem.groups is not None and _takes_groups(model) else {}
    _, fit = costed(lambda: model.fit(*problem.train, **groups), "fit")
    predicted, predict = costed(lambda: model.predict(problem.test[0]), "predict")
    return np.asarray(predicted), {**fit, **predict}


def _takes_groups(model: Any) -> bool:
    """Whether its fit takes the recordings; a neighbour estimator passes them on to its metric."""
    return "groups" in inspect.signature(getattr(model, "metric", model).fit).parameters


@functools.lru_cache(maxsize=1)
def _problem(name: str, path: Path) -> Problem:
    return read_problem(name, path)


@functools.cache
def _warm_up(name: str, place: Place, ragged: bool, multivariate: bool) -> None:
    """Load and compile what the contender needs for sequences of this kind, on made ones."""
    measured(CONTENDERS[name], warm_up_problem(ragged, multivariate), 0, replace(place, quick=True))


def warm_up_problem(ragged: bool, multivariate: bool) -> Problem:
    """A few made sequences."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(2), WARM_A_CLASS)
    lengths = 20 + ragged * np.arange(len(y))
    X = [rng.normal(size=(t, 1 + multivariate)).cumsum(axis=0) * (1 + k) for t, k in zip(lengths, y, strict=True)]
    return Problem("warm-up", (X, y), (X, y))


def _by_aeon(contender: Contender, problem: Problem, seed: int, place: Place) -> tuple[np.ndarray, dict[str, float]]:
    if place.aeon_python is None:
        raise ValueError(f"{contender.name} needs --aeon-python PATH")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        np.savez(path, **_arrays(problem))
        order = {"classifier": contender.name, "problem": str(path), "seed": seed, "quick": place.quick}
        found = _aeon(place.aeon_python, place.threads).order(json.dumps(order))
    if "error" in found:
        raise RuntimeError(f"{contender.name} of aeon: {found['error']}")
    return np.array(found["predicted"]), found["cost"]


@functools.cache
def _aeon(python: Path, threads: int) -> AeonProcess:
    """It ends with this process, whose pipe it reads."""
    return AeonProcess(python, AEON_WORKER, [str(threads)], threads)


def _arrays(problem: Problem) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for side, (X, y) in (("train", problem.train), ("test", problem.test)):
        arrays[f"{side}_values"] = np.concatenate(X)
        arrays[f"{side}_lengths"] = np.array([len(x) for x in X])
        arrays[f"{side}_labels"] = y
    return arrays
