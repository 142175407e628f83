"""One job: read the problem, fit, and classify by both distances."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier
from skorch.callbacks import Callback

from benchmarks.ablation.design import SYNTHETIC, Job
from benchmarks.activity import load_activity
from benchmarks.problems import Split, load_problem
from skseqmetric import SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric._networks.sync_gru import SyncGRUCell
from skseqmetric._ops.dispatch import choose
from skseqmetric.datasets import make_shifted_sequences

N_SYNTHETIC_TRAIN, N_SYNTHETIC_TEST, N_SYNTHETIC_CLASSES = 80, 400, 8
SYNTHETIC_NOISE = 2.0  # enough that neither problem is solved


class GateStart(Callback):
    """Starts the bias of the coupling gate at `bias`, before training."""

    def __init__(self, bias: float) -> None:
        self.bias = bias

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Fill the bias of every coupled cell."""
        for module in net.module_.modules():
            if isinstance(module, SyncGRUCell) and module.gate_bias is not None:
                with torch.no_grad():
                    module.gate_bias.fill_(self.bias)


@functools.lru_cache(maxsize=8)
def load(data: Path, problem: str, seed: int) -> tuple[Split, Split]:
    """(train, test) of a problem; `seed` matters for the synthetic ones only."""
    if problem in SYNTHETIC:
        return synthetic(problem, seed)
    return load_activity(data) if problem == "activity" else load_problem(data, problem)


def synthetic(problem: str, seed: int) -> tuple[Split, Split]:
    """Noisy curves of few training sequences a class, lined up or not."""
    X, y = make_shifted_sequences(
        N_SYNTHETIC_TRAIN + N_SYNTHETIC_TEST,
        n_classes=N_SYNTHETIC_CLASSES,
        noise=SYNTHETIC_NOISE,
        random_state=seed,
        **SYNTHETIC[problem],
    )
    n = N_SYNTHETIC_TRAIN
    return (X[:n], y[:n]), (X[n:], y[n:])


def sample_constraints(labels: np.ndarray, per_class: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (P, 2) and same (P,) of +1 and -1: for every class half of two members, half of a member and a stranger.

    No pair comes twice; a class too small for its share of same pairs gives all it has.
    """
    taken: dict[tuple[int, int], int] = {}
    for label in np.unique(labels):
        members, strangers = np.flatnonzero(labels == label), np.flatnonzero(labels != label)
        n_same = min(per_class // 2, len(members) * (len(members) - 1) // 2)
        _add_pairs(taken, members, members, n_same, 1, rng)
        _add_pairs(taken, members, strangers, per_class - per_class // 2, -1, rng)
    return np.array(list(taken)), np.array(list(taken.values()))


def _add_pairs(
    taken: dict[tuple[int, int], int], left: np.ndarray, right: np.ndarray, n: int, same: int, rng: np.random.Generator
) -> None:
    """Draw until `n` new pairs have joined `taken`, or no more are left to draw."""
    possible = {(min(i, j), max(i, j)) for i in left.tolist() for j in right.tolist() if i != j}
    left_over = sorted(possible - taken.keys())
    for chosen in rng.permutation(len(left_over))[:n]:
        taken[left_over[chosen]] = same


def run_job(job: Job, data: Path) -> dict[str, Any]:
    """Accuracies of 1-NN by the metric's distance and by its embedding, seconds, and how training went."""
    train, test = load(data, job.problem, job.seed if job.problem in SYNTHETIC else 0)
    callbacks = None if job.gate_bias is None else [GateStart(job.gate_bias)]
    metric = SyncGRUMetric(coupling=job.coupling, random_state=job.seed, callbacks=callbacks, **job.settings)
    start = time.perf_counter()
    failure = _fit(metric, train, job)
    fitted = time.perf_counter()
    accuracy, embedding_accuracy = _accuracies(metric, train, test, failed=failure is not None)
    history = getattr(metric, "history_", [])
    return {
        "accuracy": accuracy,
        "embedding_accuracy": embedding_accuracy,
        "fit_s": fitted - start,
        "predict_s": time.perf_counter() - fitted,
        "epochs": len(history),
        "train_loss": history[-1]["train_loss"] if history else None,
        "implementation": choose("gru" if job.coupling is None else "sync_gru", torch.empty(0), 1),
        "failure": failure,
    }


def _accuracies(metric: SyncGRUMetric, train: Split, test: Split, *, failed: bool) -> tuple[float, float]:
    """By the distance and by the embedding; 0 for a failed fit that was undone."""
    if failed and not metric.__sklearn_is_fitted__():
        return 0.0, 0.0
    embedded = [(metric.transform(X), y) for X, y in (train, test)]
    search = SequenceKNeighborsClassifier(FrozenEstimator(metric), n_neighbors=1)
    return _accuracy(search, train, test), _accuracy(KNeighborsClassifier(n_neighbors=1), *embedded)


def _fit(metric: SyncGRUMetric, train: Split, job: Job) -> str | None:
    """Fit; a loss that diverged leaves the last finite weights or nothing, and its message."""
    try:
        if job.constraints is None:
            metric.fit(*train)
        else:
            # seeds beyond the metric's own, the same for every coupling
            rng = np.random.default_rng([job.seed, job.constraints])
            metric.fit_pairs(train[0], *sample_constraints(np.asarray(train[1]), job.constraints, rng))
    except FloatingPointError as error:
        return str(error)
    return None


def _accuracy(model: Any, train: Any, test: Any) -> float:
    return float(np.mean(model.fit(*train).predict(test[0]) == test[1]))
