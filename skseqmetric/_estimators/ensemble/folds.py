"""What members make of sequences that they were not fitted to, by cross-validation inside the training data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, check_cv

from skseqmetric._estimators.ensemble.scales import root_mean_square
from skseqmetric._input import Sequences, are_numbers, check_labels, check_real_targets
from skseqmetric._metrics.hooks import distance_tile, prepare

_BLOCK = 512  # held-out sequences whose distances are in memory
_STEPS = 4  # of the grid of weights, from 0 to 1


@dataclass(frozen=True)
class Outcome:
    """What y says of every sequence: `values` (n,) or (n, K), class labels if there are `codes` of them, or nothing."""

    values: Any
    codes: np.ndarray | None = None

    @classmethod
    def of(cls, y: Any, n: int) -> Self:
        if y is None:
            return cls(None)
        if are_numbers(y):
            values, one_column = check_real_targets(y, n)
            return cls(values[:, 0] if one_column else values)
        labels, codes = check_labels(y, n)
        return cls(labels[codes], codes)

    def take(self, rows: np.ndarray) -> Any:
        """Return y of some sequences."""
        return None if self.values is None else self.values[rows]

    def losses(self, nearest: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return what it costs (G, Q) to predict the values of the rows (Q,) by those of their nearest (G, Q)."""
        if self.codes is not None:
            return (self.codes[nearest] != self.codes[rows]).astype(np.float64)
        values = self.values.reshape(len(self.values), -1)
        scale = values.std(axis=0)
        scaled = values / np.where(scale > 0, scale, 1.0)
        return ((scaled[nearest] - scaled[rows]) ** 2).mean(axis=-1)


class Fold(NamedTuple):
    """Rows that members are fitted to, and rows that are held out."""

    kept: np.ndarray
    held_out: np.ndarray


def make_folds(cv: Any, codes: np.ndarray | None, groups: np.ndarray | None, n: int) -> list[Fold]:
    """Return the folds of n sequences. With a number of them, classes are spread evenly, and groups stay together.

    Raises
    ------
    ValueError
        There are fewer sequences, or groups, than folds.
    """
    splitter = _splitter(int(cv), codes, groups, n) if isinstance(cv, int | np.integer) else check_cv(cv)
    with warnings.catch_warnings():
        # a class of fewer members than folds is not in all of them, and there may be many such classes
        warnings.filterwarnings(
            "ignore", message="The (least populated class|number of unique classes)", category=UserWarning
        )
        return [Fold(*rows) for rows in splitter.split(np.empty((n, 1)), codes, groups)]


def _splitter(cv: int, codes: np.ndarray | None, groups: np.ndarray | None, n: int) -> Any:
    what, most = ("sequences", n) if groups is None else ("groups", len(np.unique(groups)))
    if cv > most:
        raise ValueError(f"{cv} folds need as many {what}, and there are {most}: pass fewer by cv, or cv=None.")
    if codes is not None and np.bincount(codes).max() >= cv:
        return StratifiedKFold(cv) if groups is None else StratifiedGroupKFold(cv)
    return KFold(cv) if groups is None else GroupKFold(cv)


class HeldOut:
    """Distances of the held-out sequences of a fold to those that the members were fitted to."""

    def __init__(self, fold: Fold, metrics: list[Any], sequences: Sequences, weights: np.ndarray) -> None:
        self.fold, self.metrics = fold, metrics
        held_out, kept = (
            [(prepare(metric, side), weights[rows]) for metric in metrics]
            for rows, side in ((rows, sequences.take(rows)) for rows in (fold.held_out, fold.kept))
        )
        self._sides = list(zip(held_out, kept, strict=True))
        pairs = list(zip(metrics, self._sides, strict=True))
        self.scales = np.array([root_mean_square(m, *sides) or 1.0 for m, sides in pairs])
        within = np.array([root_mean_square(m, kept) for m, (_, kept) in pairs])
        # how much smaller distances are to sequences that a member has not seen
        self.shrinkage = np.where(within > 0, self.scales / np.where(within > 0, within, 1.0), 1.0)

    def nearest(self, grid: np.ndarray) -> np.ndarray:
        """Return the nearest kept sequence (G, Q) of every held-out one, under all weights (G, M)."""
        columns = np.arange(len(self.fold.kept))
        found = [
            np.stack([(weights @ squares).reshape(-1, len(columns)).argmin(axis=1) for weights in grid])
            for squares in self._squares(columns)
        ]
        return self.fold.kept[np.hstack(found)]

    def _squares(self, columns: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the squared distances (M, rows * columns) of blocks of held-out sequences, in units of the scales."""
        n = len(self.fold.held_out)
        for rows in (np.arange(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)):
            tiles = [
                distance_tile(metric, held_out[0], rows, kept[0], columns).ravel() / scale
                for metric, (held_out, kept), scale in zip(self.metrics, self._sides, self.scales, strict=True)
            ]
            yield np.stack(tiles) ** 2


# ------------------------------------------------------------------ weights


def chosen_weights(folds: list[HeldOut], outcome: Outcome, weights: np.ndarray) -> np.ndarray:
    """Return the weights (M,) of the members by the loss of the nearest neighbour of every held-out sequence."""
    grid = weight_grid(len(folds[0].metrics))
    losses = np.hstack([outcome.losses(part.nearest(grid), part.fold.held_out) for part in folds])
    shares = np.concatenate([weights[part.fold.held_out] for part in folds])
    if not shares.any():
        raise ValueError('weights="cv" needs a held-out sequence of positive sample_weight: pass other folds by cv.')
    return simplest_of_the_best(losses, shares / shares.sum(), grid)


def weight_grid(n_members: int) -> np.ndarray:
    """Return weights (G, M) that sum to 1: equal ones, and all multiples of a quarter."""
    places = combinations_with_replacement(range(n_members), _STEPS)
    grid = [np.bincount(chosen, minlength=n_members) / _STEPS for chosen in places]
    return np.unique([np.full(n_members, 1 / n_members), *grid], axis=0)


def simplest_of_the_best(losses: np.ndarray, shares: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the weights nearest to equal ones among those that are as good as the best.

    They may be worse than the best weights by two standard errors of the difference. The best of a grid is ahead of
    others by one in a third of all draws, even if all are alike.

    Parameters
    ----------
    losses : ndarray (G, n)
        Loss of every sequence under every weights.
    shares : ndarray (n,)
        Weights of the sequences, which sum to 1.
    grid : ndarray (G, M)
        The weights.
    """
    means = losses @ shares
    differences = losses - losses[np.argmin(means)]
    excess = differences @ shares
    errors = np.sqrt((differences - excess[:, np.newaxis]) ** 2 @ shares**2)
    good = np.flatnonzero(excess <= 2 * errors)
    distance = ((grid[good] - 1 / grid.shape[1]) ** 2).sum(axis=1)
    return grid[good[np.lexsort((means[good], distance.round(9)))[0]]]
