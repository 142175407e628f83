"""One-shot trials and verification: which pairs are asked, and what the distances say of a metric.

A query is never compared with a sequence of its own source. So no metric gains by knowing who drew, wore or recorded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from benchmarks.unseen.design import WAYS, Collection, Parts, Sizes


def one_shot_trials(data: Collection, n_ways: int, n_trials: int, rng: np.random.Generator) -> np.ndarray:
    """Rows (query, reference) of every trial, (n_trials, n_ways, 2), one reference a class, that of the query first."""
    rows = _rows_by_class(data)
    trials = np.empty((n_trials, n_ways, 2), dtype=np.int64)
    for trial in trials:
        drawn = rng.choice(len(rows), n_ways, replace=False)
        query = rng.choice(rows[drawn[0]])
        trial[:, 0] = query
        trial[:, 1] = [_elsewhere(data, query, rows[k], rng) for k in drawn]
    return trials


def verification_pairs(data: Collection, n_pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows (P, 2), and +1 where both are of one class or -1: half of each kind, classes drawn evenly."""
    rows = _rows_by_class(data)
    same = np.where(np.arange(n_pairs) % 2 == 0, 1, -1)
    pairs = np.empty((n_pairs, 2), dtype=np.int64)
    for pair, kind in zip(pairs, same, strict=True):
        one, other = rng.choice(len(rows), 2, replace=False)
        pair[0] = rng.choice(rows[one])
        pair[1] = _elsewhere(data, pair[0], rows[one if kind > 0 else other], rng)
    return pairs, same


def _rows_by_class(data: Collection) -> list[np.ndarray]:
    return [np.flatnonzero(data.labels == label) for label in np.unique(data.labels)]


def _elsewhere(data: Collection, row: int, rows: np.ndarray, rng: np.random.Generator) -> int:
    """One of the rows of a class, of another source than that of `row`."""
    others = rows[data.sources[rows] != data.sources[row]]
    if not len(others):
        raise ValueError(f"class {data.labels[rows[0]]} has no sequence of another source than {data.sources[row]}.")
    return int(rng.choice(others))


# ------------------------------------------------------------------------------------------------------------- figures


def hit_rate(distances: np.ndarray) -> float:
    """The share of trials (n, ways) whose first reference is nearest. Of k equally near ones each counts 1 / k."""
    nearest = distances == distances.min(axis=1, keepdims=True)
    return float(np.mean(nearest[:, 0] / nearest.sum(axis=1)))


def equal_error_rate(distances: np.ndarray, same: np.ndarray) -> float:
    """Where as large a share of the different pairs is accepted as of the same pairs refused, between thresholds."""
    accepted, recalled, _ = roc_curve(same > 0, -distances, drop_intermediate=False)
    excess = accepted + recalled - 1  # accepted less refused: from -1 to 1, never falling
    at = int(np.argmax(excess >= 0))
    before, after = excess[at - 1], excess[at]
    share = -before / (after - before)
    return float(accepted[at - 1] + share * (accepted[at] - accepted[at - 1]))


def judged(metric: Any, parts: Parts, sizes: Sizes, seed: int) -> dict[str, float]:
    """Every figure of a fitted metric on classes that it has not seen. The trials are those of the seed.

    one_shot_5, one_shot_20 : share of right answers.
    auc, eer : of the pairs' distances.
    accuracy : of `predict_pairs` on as many same pairs as different ones, with the threshold of the calibration part.
    """
    rng = np.random.default_rng([seed, 1])
    test, n_classes = parts.test, len(np.unique(parts.test.labels))
    found = {}
    for n_ways in (ways for ways in WAYS if ways <= n_classes):
        trials = one_shot_trials(test, n_ways, sizes.trials, rng)
        distances = -metric.score_pairs(test.X, trials.reshape(-1, 2)).reshape(trials.shape[:2])
        found[f"one_shot_{n_ways}"] = hit_rate(distances)
    pairs, same = verification_pairs(test, sizes.pairs, rng)
    distances = -metric.score_pairs(test.X, pairs)
    found |= {"auc": float(roc_auc_score(same > 0, -distances)), "eer": equal_error_rate(distances, same)}
    metric.calibrate_threshold(parts.calibration.X, *verification_pairs(parts.calibration, sizes.pairs, rng))
    return {**found, "accuracy": float(np.mean(metric.predict_pairs(test.X, pairs) == same))}
