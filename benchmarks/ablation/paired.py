"""Tests of paired differences.

Two arms are compared where they share problem and seed. Then they share the training data, the pairs sampled for weak
supervision and the seed of everything random. Within one problem the few seeds allow a paired t test.

Over all problems every (problem, seed) block gives one difference. If an arm changes nothing, each difference is as
likely as its negative. So their sum gets an exact sign-flip test. Blocks of one problem share its test set, and the
answer is about these problems. The differences of the single problems say whether it may carry over to others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

MOST_EXACT = 40
"""Differences up to which all sign patterns are counted: two halves of 2^20 sums each."""

N_RANDOM = 100_000


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p: how many of the 2^n sign patterns give a sum at least as far from 0 as the one observed.

    Exact up to 40 non-zero differences, by counting over the sums of two halves; beyond that from 100,000 random
    patterns and the observed one. Differences of 0 count for nothing: flipping them changes no sum. 1 without any.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    if not len(values):
        return 1.0
    # accuracies are ratios of small integers: sums that should tie differ by rounding only
    bound = abs(values.sum()) * (1 - 1e-9) - 1e-12
    if len(values) > MOST_EXACT:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], (N_RANDOM, len(values)))
        return float((1 + np.count_nonzero(np.abs(signs @ values) >= bound)) / (1 + N_RANDOM))
    half = len(values) // 2
    left, right = _signed_sums(values[:half]), np.sort(_signed_sums(values[half:]))
    above = len(right) - np.searchsorted(right, bound - left, side="left")
    below = np.searchsorted(right, -bound - left, side="right")
    return min(1.0, float((above + below).sum() / (len(left) * len(right))))


def _signed_sums(values: np.ndarray) -> np.ndarray:
    """The 2^n sums of +-values."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def paired_t_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of the paired t test; None where it is not defined (one difference, or all of them equal)."""
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2 or np.ptp(values) < 1e-12:
        return None
    return float(stats.ttest_1samp(values, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment: the largest p that each may have while no true hypothesis of the family is rejected."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted.tolist()
