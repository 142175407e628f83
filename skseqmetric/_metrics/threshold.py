"""The choice of a threshold from known pairs. Two sequences are called the same up to this distance."""

from __future__ import annotations

import numpy as np

STRATEGIES = ("accuracy", "balanced_accuracy", "f1", "max_tpr", "max_tnr")


def check_strategy(strategy: str, min_rate: float | None) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r} is not one of {', '.join(map(repr, STRATEGIES))}.")
    if strategy in ("max_tpr", "max_tnr"):
        if min_rate is None or not 0 <= min_rate <= 1:
            raise ValueError(f"strategy={strategy!r} needs min_rate in [0, 1], got {min_rate!r}.")
    elif min_rate is not None:
        raise ValueError(f'min_rate is for strategy "max_tpr" or "max_tnr", not {strategy!r}: leave it None.')


def best_threshold(distances: np.ndarray, same: np.ndarray, strategy: str, min_rate: float | None = None) -> float:
    """Return the threshold t of the best rule "same if distance <= t". See `calibrate_threshold`."""
    levels, place = np.unique(distances, return_inverse=True)
    n_same, n_other = int(same.sum()), int((~same).sum())
    # cut c calls the c smallest levels the same: none for c = 0, all for c = len(levels)
    called = np.bincount(place[same], minlength=len(levels)), np.bincount(place[~same], minlength=len(levels))
    tp, fp = (np.concatenate([[0], np.cumsum(counts)]) for counts in called)
    score, then = _cut_scores(tp, n_other - fp, n_same, n_other, strategy, min_rate)
    gaps = np.concatenate([[0.0], np.diff(levels), [0.0]])
    cut = int(np.lexsort((gaps, then, score))[-1])
    return _middle_of_cut(levels, cut)


def _cut_scores(
    tp: np.ndarray, tn: np.ndarray, n_same: int, n_other: int, strategy: str, min_rate: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of every cut, and a second score for ties. Scores are whole numbers where possible."""
    none = np.zeros(len(tp))
    if strategy == "accuracy":
        return tp + tn, none
    if strategy == "balanced_accuracy":
        return tp * n_other + tn * n_same, none
    if strategy == "f1":
        return 2 * tp / (tp + n_same + n_other - tn), none  # 2 TP / (2 TP + FP + FN)
    rates = {"max_tpr": (tp / n_same, tn / n_other), "max_tnr": (tn / n_other, tp / n_same)}
    wanted, kept = rates[strategy]
    return np.where(kept >= float(min_rate or 0), wanted, -1.0), kept


def _middle_of_cut(levels: np.ndarray, cut: int) -> float:
    if cut == len(levels):
        return float(levels[-1])
    if cut == 0:
        return float(levels[0] / 2 if levels[0] > 0 else -1.0)
    low, high = levels[cut - 1], levels[cut]
    return float(min(low + (high - low) / 2, np.nextafter(high, -np.inf)))
