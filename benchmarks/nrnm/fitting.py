"""One fit of one arm: memory or its plain backbone, same units, same epochs, same seed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.jobs import Job
from benchmarks.nrnm.long import LONG_ARMS, long_folds
from benchmarks.nrnm.tasks import Fold, classification, long_memory, steps_of
from benchmarks.nrnm.text import TEXT_ARMS, chunks, questions, text_scores
from benchmarks.problems import timed_accuracy
from skseqmetric import NRNMClassifier, NRNMMetric, SequenceKNeighborsClassifier
from skseqmetric.metrics import step_accuracy, step_f1_score

ARMS: dict[str, dict[str, Any]] = {"memory": {}, "backbone": {"window": None}}
LINEAR = "logistic regression"
"""Of what a single step shows, with the penalty 1 / 0.05."""


class StepByStep:
    """Logistic regression of the channels of a step, whatever lies around it."""

    def fit(self, X: list[np.ndarray], y: list[np.ndarray]) -> StepByStep:
        """Learn from all steps of all sequences."""
        self.regression = LogisticRegression(C=0.05, max_iter=1000).fit(np.concatenate(X), np.concatenate(y))
        return self

    def predict(self, X: list[np.ndarray]) -> list[np.ndarray]:
        """Return the labels of every step."""
        return [self.regression.predict(x) for x in X]


def run_job(job: Job, data: Path | None) -> dict[str, Any]:
    """Scores, averaged over the folds of the task, and seconds.

    The part is a key of `TASKS` in `run_nrnm`.
    """
    if job.part in TEXT_ARMS:
        model = TEXT_ARMS[job.part][job.arm](random_state=job.seed, **dict(job.settings))
        return text_scores(job.part, model, *_folds(job, data))
    if job.arm == LINEAR:
        return _mean([_step_scores(StepByStep(), fold) for fold in _folds(job, data)])
    settings = {**dict(job.settings), **(LONG_ARMS if job.part == "long" else ARMS)[job.arm], "random_state": job.seed}
    return _mean([_run_fold(job, fold, settings) for fold in _folds(job, data)])


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _folds(job: Job, data: Path | None) -> Any:
    if job.part == "memory":
        return [long_memory(2000, job.seed)]
    if data is None:
        raise ValueError("--data DIR is needed for real tasks.")
    if job.part in TEXT_ARMS:
        return [questions(data) if job.part == "questions" else chunks(data)]
    if job.part == "long":
        return long_folds(data, job.task, job.seed)
    return steps_of(data, job.task) if job.part == "steps" else classification(data, job.task)


def _run_fold(job: Job, fold: Fold, settings: dict[str, Any]) -> dict[str, float]:
    if job.part == "steps":
        return _step_scores(NRNMClassifier(target="step", **settings), fold)
    model: Any = NRNMClassifier(**settings)
    if job.part == "similarity":
        model = SequenceKNeighborsClassifier(NRNMMetric(**settings), n_neighbors=1)
    return timed_accuracy(model, fold.train, fold.test)


def _step_scores(labeller: NRNMClassifier | StepByStep, fold: Fold) -> dict[str, float]:
    start = time.perf_counter()
    labeller.fit(*fold.train)
    fitted = time.perf_counter()
    predicted = labeller.predict(fold.test[0])
    return {
        "accuracy": step_accuracy(fold.test[1], predicted),
        "macro_f1": step_f1_score(fold.test[1], predicted),
        "fit_s": fitted - start,
        "predict_s": time.perf_counter() - fitted,
    }
