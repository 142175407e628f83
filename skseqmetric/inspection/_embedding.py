"""A map of the embedding of labelled sequences."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.manifold import TSNE

from skseqmetric._input import as_array, one_label_each
from skseqmetric.inspection._drawing import make_axes, style
from skseqmetric.inspection._reduction import placed


class EmbeddingDisplay:
    """A map of sequences: near points have near embeddings, and the colour is the class.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Place of every sequence.
    labels : ndarray of shape (n,)
        Class of every sequence.
    method : str, default="t-SNE"
        What placed the points; names the axes.

    Attributes
    ----------
    ax_, figure_ : matplotlib objects
        Set by `plot`.
    """

    def __init__(self, *, points: np.ndarray, labels: np.ndarray, method: str = "t-SNE") -> None:
        self.points = points
        self.labels = labels
        self.method = method

    @classmethod
    def from_estimator(
        cls, metric: Any, X: Any, y: Any, *, reducer: Any = None, random_state: Any = 0, ax: Any = None
    ) -> Self:
        """Embed X with the fitted `metric`, reduce the embeddings to two numbers, and plot.

        Parameters
        ----------
        metric : fitted estimator with `transform`
            What embeds the sequences.
        X : n sequences
            What is drawn.
        y : array-like of shape (n,)
            Classes.
        reducer : object with `fit_transform`, default=None
            From the embedding to the plane. None: t-SNE.
        random_state : int, RandomState or None, default=0
            Of the default reducer.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        display : EmbeddingDisplay
        """
        embeddings = metric.transform(X)
        labels = one_label_each(y, len(embeddings), "y", "sequences")
        method = "t-SNE" if reducer is None else type(reducer).__name__
        if reducer is None:
            perplexity = min(30.0, max(1.0, (len(embeddings) - 1) / 3))
            reducer = TSNE(perplexity=perplexity, init="pca", random_state=random_state)
        points = placed(reducer, reducer.fit_transform(embeddings), len(embeddings), "sequences")
        return cls(points=points, labels=labels, method=method).plot(ax=ax)

    def plot(self, *, ax: Any = None, legend: bool = True) -> Self:
        """Draw every class with its own marker and colour, and its name above its points.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        legend : bool, default=True
            Explain colours and markers beside the map.

        Returns
        -------
        self
        """
        points = as_array(self.points, "points")
        labels = one_label_each(self.labels, len(points), "labels", "points")
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        for k, label in enumerate(np.unique(labels)):
            own = points[labels == label]
            self.ax_.scatter(*own.T, s=26, alpha=0.75, linewidths=0.5, label=str(label), **style(k))
            self._name(own, str(label), style(k)["color"])
        self.ax_.margins(0.12)
        self.ax_.set(xticks=[], yticks=[], title="Sequences by learned distance")
        self.ax_.set_xlabel(f"{self.method} axis 1 (no unit)")
        self.ax_.set_ylabel(f"{self.method} axis 2 (no unit)")
        if legend:
            self.ax_.legend(title="class", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        return self

    def _name(self, points: np.ndarray, text: str, colour: str) -> None:
        """Write the name just above most of the points, so that a few stray ones do not push it away."""
        place = np.median(points[:, 0]), np.quantile(points[:, 1], 0.9)
        self.ax_.annotate(
            text, place, (0, 9), textcoords="offset points", ha="center", va="bottom", weight="bold", color=colour
        )
