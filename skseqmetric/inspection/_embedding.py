"""A map of the embedding of labelled sequences."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.manifold import TSNE

from skseqmetric.inspection._drawing import make_axes, style


class EmbeddingDisplay:
    """Sequences as points of the plane, near where their embeddings are near, coloured by class.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Place of every sequence.
    labels : ndarray of shape (n,)
        Class of every sequence.

    Attributes
    ----------
    ax_, figure_ : matplotlib objects
        Set by `plot`.
    """

    def __init__(self, *, points: np.ndarray, labels: np.ndarray) -> None:
        self.points = points
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, metric: Any, X: Any, y: Any, *, reducer: Any = None, random_state: Any = 0, ax: Any = None
    ) -> Self:
        """Embed X by the fitted `metric`, reduce to two numbers, and plot.

        Parameters
        ----------
        metric : fitted estimator with `transform`
        X : n sequences
        y : array-like of shape (n,)
            Classes.
        reducer : object with `fit_transform`, default=None
            From the embedding to the plane; t-SNE by default.
        random_state : int, RandomState or None, default=0
            Of the default reducer.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        """
        embeddings = metric.transform(X)
        if reducer is None:
            perplexity = min(30.0, max(1.0, (len(embeddings) - 1) / 3))
            reducer = TSNE(perplexity=perplexity, init="pca", random_state=random_state)
        points = np.asarray(reducer.fit_transform(embeddings))
        return cls(points=points, labels=np.asarray(y)).plot(ax=ax)

    def plot(self, *, ax: Any = None, legend: bool = True) -> Self:
        """Draw one marker and colour a class, its name written at the median of its points."""
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        for k, label in enumerate(np.unique(self.labels)):
            own = self.points[self.labels == label]
            self.ax_.scatter(*own.T, s=22, alpha=0.8, linewidths=0, label=str(label), **style(k))
            self._name(np.median(own, axis=0), str(label))
        self.ax_.set(xticks=[], yticks=[], title="Embedding of the sequences: near means alike")
        self.ax_.set_xlabel("t-SNE axis 1 (no unit)")
        self.ax_.set_ylabel("t-SNE axis 2 (no unit)")
        if legend:
            self.ax_.legend(title="class", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        return self

    def _name(self, place: np.ndarray, text: str) -> None:
        box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.75}
        self.ax_.text(*place, text, ha="center", va="center", weight="bold", bbox=box)
