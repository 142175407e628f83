"""Ranks, wins and tests over problems, as the field compares classifiers (Demsar 2006; Benavoli et al. 2016).

A matrix of accuracies has a row a problem and a column a contender.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.stats import friedmanchisquare, rankdata, wilcoxon

LEVEL = 0.05


def mean_ranks(accuracies: np.ndarray) -> np.ndarray:
    """Mean over the problems of each contender's rank, 1 the best; ties share the mean of their ranks."""
    return rankdata(-accuracies, axis=1).mean(axis=0)


def outcomes(accuracies: np.ndarray, one: int, other: int) -> tuple[int, int, int]:
    """Problems on which `one` is better, equal and worse."""
    difference = accuracies[:, one] - accuracies[:, other]
    return int((difference > 0).sum()), int((difference == 0).sum()), int((difference < 0).sum())


def friedman_p(accuracies: np.ndarray) -> float:
    """Whether any two differ; 1 where there are too few to tell, or none differ at all."""
    if min(accuracies.shape) < 3 or (accuracies == accuracies[:, :1]).all():
        return 1.0
    return float(friedmanchisquare(*accuracies.T).pvalue)


def wilcoxon_holm(accuracies: np.ndarray) -> np.ndarray:
    """(k, k) p values of signed ranks, each pair against the others of the matrix adjusted by Holm."""
    k = accuracies.shape[1]
    pairs = list(combinations(range(k), 2))
    raw = np.array([_signed_rank_p(accuracies[:, i] - accuracies[:, j]) for i, j in pairs])
    adjusted = np.ones((k, k))
    running = 0.0
    for position, at in enumerate(np.argsort(raw, kind="stable")):
        running = max(running, min(1.0, raw[at] * (len(pairs) - position)))
        i, j = pairs[at]
        adjusted[i, j] = adjusted[j, i] = running
    return adjusted


def _signed_rank_p(differences: np.ndarray) -> float:
    if not differences.any():
        return 1.0
    method = "exact" if len(differences) <= 25 and _no_ties(differences) else "asymptotic"
    return float(wilcoxon(differences, zero_method="pratt", method=method).pvalue)


def _no_ties(differences: np.ndarray) -> bool:
    return bool(differences.all()) and len(np.unique(np.abs(differences))) == len(differences)


def cliques(ranks: Sequence[float], p: np.ndarray) -> list[list[int]]:
    """Largest runs of neighbours in rank of which no two differ: the bars of a critical-difference diagram.

    Indices of columns, best first; a contender alone is no clique.
    """
    order = list(np.argsort(ranks, kind="stable"))
    found: list[list[int]] = []
    last = 0
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and all(p[order[i], order[stop]] >= LEVEL for i in range(start, stop)):
            stop += 1
        if stop - start > 1 and stop > last:
            found.append([int(i) for i in order[start:stop]])
            last = stop
    return found
