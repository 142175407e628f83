"""Metrics so simple that a test can say what they must give, and brute force beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skseqmetric import Metric, check_sequences

TILE_SHAPES: list[tuple[int, int]] = []
"""Shapes of the tiles that a `MeanMetric` was asked for; a test that reads it empties it first."""


@dataclass(frozen=True)
class PreparedMeans:
    embeddings: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def joined(self, other):
        return PreparedMeans(*map(np.concatenate, zip(vars(self).values(), vars(other).values(), strict=True)))

    def taken(self, rows):
        return PreparedMeans(self.embeddings[rows], self.lengths[rows])


class MeanMetric(Metric):
    """|mean(x) - mean(y)| if `euclidean`, else that plus half the difference in length."""

    def __init__(self, scale: float = 1.0, *, euclidean: bool = True) -> None:
        self.scale = scale
        self.euclidean = euclidean

    def fit(self, X, y=None):
        sequences = check_sequences(X, estimator=self)
        self.center_ = sequences.values.mean(axis=0)
        return self

    def _prepare(self, sequences):
        means = np.stack([x.mean(axis=0) for x in sequences.to_list()])
        return PreparedMeans((self.scale * (means - self.center_)).astype(np.float32), sequences.lengths)

    def _embeddings(self, prepared):
        return prepared.embeddings

    def _tile(self, left, rows, right, columns):
        TILE_SHAPES.append((len(rows), len(columns)))
        return np.stack([self._rows(left, np.full(len(columns), row), right, columns) for row in rows])

    def _rows(self, left, rows, right, columns):
        difference = left.embeddings[rows].astype(np.float64) - right.embeddings[columns]
        gap = np.abs(left.lengths[rows] - right.lengths[columns])
        return np.sqrt((difference**2).sum(axis=1)) + (0.0 if self.euclidean else 0.5 * gap)

    def _nearest(self, queries, references, k, *, exclude, n_candidates):
        # nothing but the embedding counts if euclidean: a shortlist by it would change nothing
        n_candidates = None if self.euclidean else n_candidates
        return self._nearest_by_pairs(queries, references, k, exclude=exclude, n_candidates=n_candidates)


class SupervisedMean(MeanMetric):
    """A `MeanMetric` that insists on classes and remembers what its fit was given."""

    def fit(self, X, y=None, sample_weight=None, groups=None):
        super().fit(X)
        if y is None:
            raise ValueError("SupervisedMean learns from classes")
        self.classes_, self.labels_ = np.unique(y, return_inverse=True)
        self.sample_weight_, self.groups_ = sample_weight, groups
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def mean_tile(Q, R):
    """The distance of `MeanMetric(euclidean=True)` as a callable on a tile."""
    means = [np.stack([x.mean(axis=0) for x in side]) for side in (Q, R)]
    return np.sqrt(((means[0][:, None] - means[1]) ** 2).sum(axis=-1))


def random_sequences(rng, n, *, n_channels=2, longest=9, copies=0, grid=None):
    """n sequences, the last `copies` of them equal to some of the others; on a grid their means tie often."""
    lengths = rng.integers(1, longest + 1, size=n)
    X = [rng.normal(size=(steps, n_channels)) for steps in lengths]
    if grid is not None:
        X = [np.broadcast_to(np.round(x[:1] / grid) * grid, x.shape).copy() for x in X]
    for i in range(n - copies, n):
        X[i] = X[rng.integers(0, n - copies)].copy()
    return X


def brute_neighbors(distances, k, *, leave_out_self=False):
    """Neighbours of every row of a distance matrix by (distance, index), one row at a time."""
    rows = []
    for q, row in enumerate(distances):
        order = sorted(range(len(row)), key=lambda i, row=row: (row[i], i))
        rows.append([i for i in order if not (leave_out_self and i == q)][:k])
    indices = np.array(rows)
    return np.take_along_axis(np.asarray(distances), indices, axis=1), indices
