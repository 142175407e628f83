"""How pairs of sequences synchronize: the gap between the two halves of a coupled network over time."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from skseqmetric._input import Sequences, one_label_each
from skseqmetric.inspection._drawing import COLOURS, make_axes
from skseqmetric.inspection._with_gaps import sequences_with_gaps

GRID = 50


def sample_pairs_of_labels(y: np.ndarray, n_pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw up to n_pairs index pairs (P, 2) with equal classes, and as many with different classes, each pair once."""
    rows, columns = np.triu_indices(len(y), 1)
    same = y[rows] == y[columns]
    chosen = [rng.permutation(np.flatnonzero(mask))[:n_pairs] for mask in (same, ~same)]
    first, second = (np.stack([rows[c], columns[c]], axis=1) for c in chosen)
    return first, second


class SynchronizationDisplay:
    """The gap |h1 - h2| of coupled pairs over relative time, for pairs of one class and of different classes.

    Parameters
    ----------
    same, different : ndarray of shape (P, 50)
        Gap of every pair at 50 times from the start to the end of the longer sequence.

    Attributes
    ----------
    ax_, figure_ : matplotlib objects
        Set by `plot`.
    """

    def __init__(self, *, same: np.ndarray, different: np.ndarray) -> None:
        self.same = same
        self.different = different

    @classmethod
    def from_estimator(
        cls, metric: Any, X: Any, y: Any, *, n_pairs: int = 200, random_state: int | None = 0, ax: Any = None
    ) -> Self:
        """Draw pairs from X, run them through the fitted coupled `metric`, and plot.

        Parameters
        ----------
        metric : fitted SyncGRUMetric
            What runs the pairs.
        X : list of n sequences
            What pairs are drawn from.
        y : array-like of shape (n,)
            Classes.
        n_pairs : int, default=200
            Most pairs of each kind.
        random_state : int or None, default=0
            Seed for the choice of pairs.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        display : SynchronizationDisplay
        """
        sequences = sequences_with_gaps(X, metric)
        labels = one_label_each(y, len(sequences), "y", "sequences")
        pairs = sample_pairs_of_labels(labels, n_pairs, np.random.default_rng(random_state))
        curves = [_curves(metric, sequences, chosen) for chosen in pairs]
        return cls(same=curves[0], different=curves[1]).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the median and the band between the quartiles for each kind of pair.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        self
        """
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        time = np.linspace(0, 100, GRID)
        kinds = (("same class", self.same, COLOURS[0], "-"), ("different classes", self.different, COLOURS[1], "--"))
        for name, curves, colour, dash in kinds:
            if len(curves):
                low, middle, high = np.quantile(curves, [0.25, 0.5, 0.75], axis=0)
                self.ax_.fill_between(time, low, high, color=colour, alpha=0.2, linewidth=0)
                self.ax_.plot(time, middle, dash, color=colour, lw=2, label=f"{name} ({len(curves)} pairs)")
        self.ax_.set(
            xlabel="time (% of the longer sequence)",
            ylabel="gap between the two halves  |h¹ − h²|",
            title="Gap between the two halves of coupled pairs",
            xlim=(0, 100),
        )
        self.ax_.set_ylim(bottom=0)
        self.ax_.legend(frameon=False, title="median and quartiles of")
        return self


def _curves(metric: Any, X: Sequences, pairs: np.ndarray) -> np.ndarray:
    """Return the gaps of the pairs on a common grid of relative time, (P, 50)."""
    if not len(pairs):
        return np.empty((0, GRID))
    gaps = metric.synchronization(X.take(pairs[:, 0]), X.take(pairs[:, 1]))
    grid = np.linspace(0, 1, GRID)
    return np.stack([np.interp(grid, np.linspace(0, 1, len(gap)), gap) for gap in gaps])
