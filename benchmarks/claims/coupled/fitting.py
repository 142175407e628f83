"""One fit of a form in a setting, and what it answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor, nn

from benchmarks.claims.coupled.network import Shape, Siamese
from benchmarks.claims.coupled.tasks import MOST_REFERENCES, N_PAIRS, TASKS, Task, without_a_third
from benchmarks.jobs import Job
from benchmarks.unseen.design import Collection

SETTINGS = ("paper", "ours")
"""paper: a bare recurrence of one direction, contrastive loss on pairs known to be same or different. ours: a stem of
convolutions, both directions, a loss of neighbourhood components over all pairs of a batch, noise."""

RATE, MARGIN, CLIP = 3e-3, 1.0, 1.0
PAIRS_A_BATCH, CLASSES_A_BATCH, OF_A_CLASS = 32, 4, 4
NOISE = 0.1
TILE = 4096

Padded = tuple[Tensor, Tensor]


def run_job(job: Job, data: Path) -> dict[str, Any]:
    """Score of what the task asks: accuracy, or ROC-AUC with the equal error rate; and seconds."""
    settings = dict(job.settings)
    setting, form, readout = job.arm.split("/")
    task = TASKS[job.task](data, settings["stage"], job.seed)
    start = time.process_time()
    network = fit(task, setting, form, readout, job.seed, settings["updates"])
    fitted = time.process_time()
    figures = classified(network, task, job.seed) if task.classify else verified(network, task, job.seed)
    return {**figures, "fit_s": fitted - start, "ask_s": time.process_time() - fitted}


def fit(task: Task, setting: str, form: str, readout: str, seed: int, updates: int) -> Siamese:
    """Train a network for a number of updates."""
    ours, n_channels = setting == "ours", task.train.X[0].shape[1]
    shape = Shape(n_channels, n_filters=64, n_directions=2) if ours else Shape(n_channels)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        network = Siamese(shape, form, readout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=updates)
    rng = np.random.default_rng([seed, 1])
    scaling = scaled_by(task.train)
    for _ in range(updates):
        optimizer.zero_grad()
        loss = (neighbour_loss if ours else contrastive_loss)(network, task, scaling, rng)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        schedule.step()
    network.scaling = scaling  # type: ignore[assignment]
    return network.eval()


def contrastive_loss(network: Siamese, task: Task, scaling: Any, rng: np.random.Generator) -> Tensor:
    """y d^2 + (1 - y) max(0, margin - d)^2 over pairs, half of them of one class."""
    labels = task.train.labels
    first = rng.integers(len(labels), size=PAIRS_A_BATCH)
    same = np.arange(PAIRS_A_BATCH) < PAIRS_A_BATCH // 2
    second = [rng.choice(np.flatnonzero((labels == labels[i]) == s)) for i, s in zip(first, same, strict=True)]
    left = [task.train.X[i] for i in first]
    right = [task.train.X[j] for j in second]
    values, lengths = padded([*(_lossy(left, rng) if task.loses else left), *right], scaling)
    half = torch.arange(PAIRS_A_BATCH)
    squared = network.distances(values, lengths, half, half + PAIRS_A_BATCH)
    y = torch.from_numpy(same).float()
    apart = (MARGIN - (squared + 1e-12).sqrt()).clamp_min(0).square()
    return (y * squared + (1 - y) * apart).mean()


def neighbour_loss(network: Siamese, task: Task, scaling: Any, rng: np.random.Generator) -> Tensor:
    """-log of the softmax share of the same class, over squared distances to all others of the batch."""
    labels, classes = task.train.labels, np.unique(task.train.labels)
    chosen = rng.permutation(classes)[:CLASSES_A_BATCH]
    rows = np.concatenate([rng.choice(np.flatnonzero(labels == c), OF_A_CLASS) for c in chosen])
    X = [task.train.X[i] for i in rows]
    if task.loses:
        X = [*_lossy(X[::2], rng), *X[1::2]]
        rows = np.concatenate([rows[::2], rows[1::2]])
    values, lengths = padded(X, scaling)
    values = values + NOISE * torch.from_numpy(rng.normal(size=values.shape)).float()
    n = len(rows)
    i, j = np.triu_indices(n, 1)
    squared = network.distances(values, lengths, torch.from_numpy(i), torch.from_numpy(j))
    table = squared.new_zeros(n, n)
    table[i, j] = squared
    logits = -(table + table.T) * network.log_scale.exp()
    logits = logits - torch.diag(torch.full((n,), 1e9))
    same = torch.from_numpy((labels[rows][:, None] == labels[rows]) & ~np.eye(n, dtype=bool))
    shares = logits.log_softmax(1).masked_fill(~same, -torch.inf).logsumexp(1)
    return -shares[same.any(1)].mean()


def _lossy(X: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    return [without_a_third(x, rng) for x in X]


# ------------------------------------------------------------------------------------------------------------ answers


def classified(network: Siamese, task: Task, seed: int) -> dict[str, float]:
    """Share of the queries whose nearest training sequence has their class."""
    rng = np.random.default_rng([seed, 2])
    kept = rng.permutation(len(task.train.labels))[:MOST_REFERENCES]
    references = task.train.take(kept)
    queries = _lossy(list(task.asked.X), rng) if task.loses else list(task.asked.X)
    n, m = len(queries), len(references.labels)
    i, j = np.divmod(np.arange(n * m), m)
    table = distances(network, [*queries, *references.X], i, n + j).reshape(n, m)
    return {"score": float(np.mean(references.labels[table.argmin(1)] == task.asked.labels))}


def verified(network: Siamese, task: Task, seed: int) -> dict[str, float]:
    """ROC-AUC and equal error rate of pairs, half of them of one class, never from one source."""
    rng = np.random.default_rng([seed, 2])
    i, j, same = pairs_of(task.asked, rng)
    scores = -distances(network, list(task.asked.X), i, j)
    false, true, _ = roc_curve(same, scores)
    return {"score": float(roc_auc_score(same, scores)), "eer": float(false[np.argmin(np.abs(1 - true - false))])}


def pairs_of(asked: Collection, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of both halves, and whether they are of one class."""
    left, right = np.triu_indices(len(asked.labels), 1)
    apart = asked.sources[left] != asked.sources[right]
    left, right = left[apart], right[apart]
    same = asked.labels[left] == asked.labels[right]
    n = min(N_PAIRS // 2, int(same.sum()), int((~same).sum()))
    chosen = np.concatenate([rng.permutation(np.flatnonzero(side))[:n] for side in (same, ~same)])
    return left[chosen], right[chosen], same[chosen]


@torch.no_grad()
def distances(network: Siamese, X: list[np.ndarray], i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Squared distances of the pairs (X[i], X[j])."""
    values, lengths = padded(X, network.scaling)
    found = [
        network.distances(values, lengths, torch.from_numpy(i[s : s + TILE]), torch.from_numpy(j[s : s + TILE]))
        for s in range(0, len(i), TILE)
    ]
    return torch.cat(found).numpy()


def scaled_by(train: Collection) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of every channel."""
    steps = np.concatenate(list(train.X))
    deviation = steps.std(axis=0)
    return steps.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def padded(X: list[np.ndarray], scaling: tuple[np.ndarray, np.ndarray]) -> Padded:
    """Scaled values (B, T, C), 0 past the ends, and lengths (B,)."""
    lengths = np.array([len(x) for x in X])
    values = np.zeros((len(X), lengths.max(), X[0].shape[1]), dtype=np.float32)
    for row, x in zip(values, X, strict=True):
        row[: len(x)] = (x - scaling[0]) / scaling[1]
    return torch.from_numpy(values), torch.from_numpy(lengths)
