"""How much of the variance of every unit each factor of the sequences explains, on sequences that were left out."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np

_RIDGE = 1e-10  # relative; the columns of a factor add up to zero
_VARIES = 1e-12  # least variance of a unit, relative to its mean square


def design(codes: np.ndarray, fold: np.ndarray) -> list[np.ndarray]:
    """Return the columns (N, L_f) of every factor for codes (N, F), -1 where a factor has no value.

    A column marks the rows with one value. Its mean over the rows that have a value is zero, so that a factor says
    which value it has and never whether it has one. A value in one fold alone counts as none: no model could know it.
    """
    columns = []
    for own in codes.T:
        found = [value for value in np.unique(own[own >= 0]) if len(np.unique(fold[own == value])) > 1]
        present = np.isin(own, found)
        marks = (own[:, np.newaxis] == np.array(found, dtype=own.dtype)).astype(np.float64)
        if found:
            marks[present] -= marks[present].mean(axis=0)
        columns.append(marks)
    return columns


def explained(values: np.ndarray, columns: list[np.ndarray], fold: np.ndarray) -> np.ndarray:
    """Return the share of the variance of H units that every set of F factors explains, (2^F, H).

    Row m holds the set of the factors f with bit f in m. A linear model of their columns is fitted to the rows outside
    of a fold and predicts those of the fold. The share is 1 - (squared error) / (squared error of the empty set), and
    NaN for a unit that does not vary.
    """
    n_rows = len(values)
    spread = values.std(axis=0)
    varies = spread**2 > _VARIES * np.mean(np.square(values), axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(varies, spread, 1.0)
    everything = np.concatenate([np.ones((n_rows, 1)), *columns], axis=1)
    belongs = np.repeat(np.arange(-1, len(columns)), [1, *(own.shape[1] for own in columns)])
    moments = [_moments(everything[fold == k], scaled[fold == k]) for k in np.unique(fold)]
    sums = [np.sum([own[i] for own in moments], axis=0) for i in range(2)]
    errors = np.zeros((2 ** len(columns), values.shape[1]))
    for mask in range(len(errors)):
        at = np.flatnonzero([f < 0 or mask >> f & 1 for f in belongs.tolist()])
        for products, targets, squares in moments:
            own = _solve((sums[0] - products)[np.ix_(at, at)], (sums[1] - targets)[at])
            errors[mask] += squares - np.sum(own * (2 * targets[at] - products[np.ix_(at, at)] @ own), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(varies, 1 - errors / errors[0], np.nan)


def _moments(columns: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return columns.T @ columns, columns.T @ values, np.sum(np.square(values), axis=0)


def _solve(products: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Least squares with so small a penalty that the columns may depend on each other."""
    penalty = _RIDGE * max(float(np.trace(products)), 1.0)
    return np.linalg.solve(products + penalty * np.eye(len(products)), targets)


def divided(shares: np.ndarray) -> np.ndarray:
    """Divide what all F factors explain among them, (H, F), from what every set explains, (2^F, H).

    The part of a factor is what it adds to the factors before it, averaged over all orders of the factors.
    """
    n_factors = len(shares).bit_length() - 1
    parts = np.zeros((shares.shape[1], n_factors))
    for f in range(n_factors):
        others = [k for k in range(n_factors) if k != f]
        for size in range(n_factors):
            weight = factorial(size) * factorial(n_factors - size - 1) / factorial(n_factors)
            for chosen in combinations(others, size):
                mask = sum(1 << k for k in chosen)
                parts[:, f] += weight * (shares[mask | 1 << f] - shares[mask])
    return parts


def folds_of(n_sequences: int, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of every sequence, drawn."""
    if not 2 <= n_splits <= n_sequences:
        raise ValueError(
            f"n_splits={n_splits} must be from 2 to the number of sequences, {n_sequences}: a model of the units is "
            "fitted to some sequences and tried on others."
        )
    return rng.permutation(np.arange(n_sequences) % n_splits)


def effective_number(parts: Any) -> np.ndarray:
    """Return how many units parts (K, H) are spread over: H for equal ones, 1 if one unit has all, (K,)."""
    sizes = np.abs(parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sizes.sum(axis=1) ** 2 / np.square(sizes).sum(axis=1)
