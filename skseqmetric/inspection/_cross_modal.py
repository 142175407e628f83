"""Pictures of a joint embedding of sequences and images: a retrieval sheet, and a map of both."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.decomposition import PCA

from skseqmetric._input import as_array, check_images, joined_labels, one_label_each, positional
from skseqmetric.inspection._drawing import COLOURS, make_axes
from skseqmetric.inspection._reduction import placed
from skseqmetric.inspection._unit_analyses import check_step_values
from skseqmetric.inspection._with_gaps import sequences_with_gaps

_RIGHT, _WRONG, _PALE = COLOURS[0], COLOURS[1], "#BBBBBB"
# Lengths in a sheet are multiples of the height of a cell.
_GAP = 0.3  # between two cells: room for a frame and a line of text
_INCHES = 0.95  # height of a cell in a new figure
_MOST_QUERIES = 8  # by default


class CrossModalRetrievalDisplay:
    """A sheet of sequences: each row has a sequence and its nearest images; a frame marks images of its class.

    Parameters
    ----------
    queries : list of Q arrays (T_i, C)
        The sequences.
    labels : array-like of shape (Q,)
        Class of every sequence.
    images : ndarray of shape (Q, K, h, w, c)
        The K nearest images of every sequence, the nearest first; c is 1 (grey), 2 (grey and alpha; only the grey is
        drawn), 3 (RGB) or 4 (RGBA).
    image_labels : array-like of shape (Q, K)
        Class of every image.
    strokes : list of Q arrays (T_i,) or None, default=None
        Stroke of the pen at every step. There is no line between two strokes. None: one stroke.

    Attributes
    ----------
    ax_, figure_ : matplotlib objects
        Set by `plot`.
    """

    def __init__(
        self, *, queries: list[np.ndarray], labels: Any, images: np.ndarray, image_labels: Any, strokes: Any = None
    ) -> None:
        self.queries = queries
        self.labels = labels
        self.images = images
        self.image_labels = image_labels
        self.strokes = strokes

    @property
    def right(self) -> np.ndarray:
        """Whether each image has the class of its query, (Q, K) of bool."""
        return as_array(self.image_labels, "image_labels") == as_array(self.labels, "labels")[:, np.newaxis]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        images: Any,
        image_labels: Any = None,
        rows: Any = None,
        n_neighbors: int = 6,
        strokes: Any = None,
        view: str = "auto",
        y_axis: str = "up",
        cmap: str = "gray",
        ax: Any = None,
    ) -> Self:
        """Find the nearest images of some of the sequences, and plot.

        Parameters
        ----------
        estimator : fitted CrossModalTripletEmbedder
            What finds the images.
        X : n sequences
            Some of them are the queries.
        y : array-like of shape (n,)
            Their classes.
        images : m images
            The images to search, in any form that the estimator's fit accepts.
        image_labels : array-like of shape (m,) or None, default=None
            Their classes. None: images[i] belongs to X[i] and has class y[i].
        rows : array-like of int or None, default=None
            Numbers of the queries. None: the first sequence of each of the first eight classes, in order of class.
        n_neighbors : int, default=6
            Number K of images for each query.
        strokes : int, list of n arrays (T_i,) or None, default=None
            Stroke of every step of every sequence, or the channel that holds it.
        view, y_axis, cmap : str
            As in `plot`.
        ax : matplotlib axes, default=None
            As in `plot`.

        Returns
        -------
        display : CrossModalRetrievalDisplay

        Raises
        ------
        ValueError
            If a sequence or an image has no class, or there are fewer images than n_neighbors.
        """
        checked = sequences_with_gaps(X, estimator)
        sequences = checked.to_list()
        pixels = np.moveaxis(check_images(images).values, 1, -1)
        y = one_label_each(y, len(sequences), "y", "sequences")
        image_labels = one_label_each(
            y if image_labels is None else image_labels, len(pixels), "image_labels", "images"
        )
        rows = np.unique(y, return_index=True)[1][:_MOST_QUERIES] if rows is None else _rows(rows, len(sequences))
        found = estimator.kneighbors(checked.take(rows), n_neighbors, gallery=images, return_distance=False)
        queries = [sequences[i] for i in rows]
        if isinstance(strokes, (int, np.integer)) and not isinstance(strokes, bool):
            if not 0 <= strokes < checked.n_channels:
                raise ValueError(f"strokes={strokes} is none of the {checked.n_channels} channels.")
            strokes = [x[:, strokes] for x in queries]
        elif strokes is not None:
            every = positional(strokes, "strokes", "Pass a list of arrays (T_i,), or a channel.")
            check_step_values(every, checked.lengths.tolist(), "strokes")
            strokes = [every[i] for i in rows]
        display = cls(
            queries=queries, labels=y[rows], images=pixels[found], image_labels=image_labels[found], strokes=strokes
        )
        return display.plot(ax=ax, view=view, y_axis=y_axis, cmap=cmap)

    def plot(self, *, ax: Any = None, view: str = "auto", y_axis: str = "up", cmap: str = "gray") -> Self:
        """Draw the queries in a column and their images to the right; images of another class show their class below.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Drawn into; otherwise a new figure of fitting size.
        view : {"auto", "path", "series"}, default="auto"
            "path": the first two channels of a query as the path of a pen, dark at its beginning and lighter with time.
            "series": all channels over time. "auto": a path if there are two channels or more.
        y_axis : {"up", "down"}, default="up"
            Direction of larger y in a path.
        cmap : str, default="gray"
            matplotlib's colour map for images of one channel. "gray_r" turns bright ink on black into ink on paper.

        Returns
        -------
        self
        """
        as_path = _is_path(view, y_axis, self.queries)
        pictures = _drawable(self.images)
        n_rows, n_columns, height, width = pictures.shape[:4]
        widths = np.r_[_query_width(self.queries, width / height, as_path), np.full(n_columns, width / height)]
        lefts = np.cumsum(widths + _GAP) - widths - _GAP
        lefts[1:] += _GAP  # separates the queries from the images
        tops = np.arange(n_rows) * (1 + _GAP)
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        if ax is None:
            margin = 0.6 + 0.11 * max(len(str(label)) for label in self.labels)  # for the names of the classes
            size = np.array([lefts[-1] + widths[-1] + margin, tops[-1] + 2])
            self.figure_.set_size_inches(*np.maximum(size * _INCHES, (6, 2)))
        self._draw_queries(tops, widths[0], as_path, -1 if y_axis == "up" else 1)
        self._draw_images(pictures, lefts[1:], tops, cmap)
        self._finish(lefts, tops, widths)
        return self

    def _draw_queries(self, tops: np.ndarray, width: float, as_path: bool, y_sign: int) -> None:
        values = np.concatenate(self.queries)
        low, high = values.min(axis=0), values.max(axis=0)
        strokes = None if self.strokes is None else positional(self.strokes, "strokes")
        for i, (x, top) in enumerate(zip(self.queries, tops, strict=True)):
            if as_path:
                stroke = np.zeros(len(x)) if strokes is None else np.asarray(strokes[i])
                _draw_path(self.ax_, x[:, :2] * [1, y_sign], stroke, top, width)
            else:
                scaled = (x - low) / np.where(high > low, high - low, 1)
                _draw_series(self.ax_, scaled, top, width)

    def _draw_images(self, pictures: np.ndarray, lefts: np.ndarray, tops: np.ndarray, cmap: str) -> None:
        from matplotlib.patches import Rectangle

        width = pictures.shape[3] / pictures.shape[2]
        limits = {"vmin": pictures.min(), "vmax": pictures.max()}
        for (i, k), right in np.ndenumerate(self.right):
            left, top = float(lefts[k]), float(tops[i])
            extent = (left, left + width, top + 1, top)
            self.ax_.imshow(pictures[i, k], extent=extent, cmap=cmap, interpolation="nearest", **limits)
            pad, colour, thickness = (0.035, _RIGHT, 3.5) if right else (0.0, _PALE, 0.8)
            corner = left - pad, top - pad
            self.ax_.add_patch(
                Rectangle(corner, width + 2 * pad, 1 + 2 * pad, fill=False, edgecolor=colour, linewidth=thickness)
            )
            if not right:
                name = str(np.asarray(self.image_labels)[i, k])
                self.ax_.text(left + width / 2, top + 1.03, name, color=_WRONG, ha="center", va="top", fontsize="small")

    def _finish(self, lefts: np.ndarray, tops: np.ndarray, widths: np.ndarray) -> None:
        self.ax_.set(xlim=(lefts[0] - 0.1, lefts[-1] + widths[-1] + 0.1), ylim=(tops[-1] + 1.3, -0.1), aspect="equal")
        self.ax_.spines[:].set_visible(False)
        self.ax_.tick_params(length=0)
        self.ax_.xaxis.tick_top()
        ranks = ["nearest", *map(str, range(2, len(lefts)))]
        self.ax_.set_xticks(lefts + widths / 2, ["query", *ranks])
        self.ax_.set_yticks(tops + 0.5, [str(label) for label in self.labels], weight="bold")
        self.ax_.set_title(
            f"Sequences and their nearest images: {self.right.sum()} of {self.right.size} of the same class (framed)",
            pad=12,
        )


class CrossModalMapDisplay:
    """Sequences and images as points of one plane: colours show the class, markers tell sequences from images.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Place of every sequence.
    labels : array-like of shape (n,)
        Class of every sequence.
    image_points : ndarray of shape (m, 2)
        Place of every image.
    image_labels : array-like of shape (m,)
        Class of every image.
    method : str, default="PCA"
        What placed the points; names the axes.

    Attributes
    ----------
    ax_, figure_ : matplotlib objects
        Set by `plot`.
    """

    def __init__(
        self, *, points: np.ndarray, labels: Any, image_points: np.ndarray, image_labels: Any, method: str = "PCA"
    ) -> None:
        self.points = points
        self.labels = labels
        self.image_points = image_points
        self.image_labels = image_labels
        self.method = method

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        images: Any,
        image_labels: Any = None,
        reducer: Any = None,
        ax: Any = None,
    ) -> Self:
        """Embed sequences and images, reduce all embeddings together to two numbers, and plot.

        Parameters
        ----------
        estimator : fitted CrossModalTripletEmbedder
            What embeds both.
        X : n sequences
            In any form that the estimator's `fit` accepts.
        y : array-like of shape (n,)
            Their classes.
        images : m images
            In any form that the estimator's `fit` accepts.
        image_labels : array-like of shape (m,) or None, default=None
            Their classes. None: images[i] belongs to X[i] and has class y[i].
        reducer : object with `fit_transform`, default=None
            From the embedding to the plane. None: the two main axes of a principal component analysis, which keeps a
            gap between the modalities. Many classes need a nonlinear map, such as scikit-learn's TSNE.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        display : CrossModalMapDisplay

        Raises
        ------
        ValueError
            If a sequence or an image has no class.
        """
        parts = estimator.transform(X), estimator.transform_images(images)
        y = one_label_each(y, len(parts[0]), "y", "sequences")
        image_labels = one_label_each(
            y if image_labels is None else image_labels, len(parts[1]), "image_labels", "images"
        )
        reducer = PCA(2, svd_solver="full") if reducer is None else reducer
        n, every = len(y), np.concatenate(parts)
        points = placed(reducer, reducer.fit_transform(every), len(every), "sequences and images")
        display = cls(
            points=points[:n],
            labels=y,
            image_points=points[n:],
            image_labels=image_labels,
            method=type(reducer).__name__,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None, legend: bool = True) -> Self:
        """Draw sequences as filled points, images as open squares, and the name of each class above its sequences.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        legend : bool, default=True
            Explain the markers. Names explain the colours, which repeat after ten classes.

        Returns
        -------
        self
        """
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        modalities = (
            ("sequence", *_of_points(self.points, self.labels, "labels")),
            ("image", *_of_points(self.image_points, self.image_labels, "image_labels")),
        )
        classes = np.unique(joined_labels([labels for _, _, labels in modalities], name="labels"))
        for kind, points, labels in modalities:
            for k, label in enumerate(classes):
                self.ax_.scatter(*points[labels == label].T, **_marker(kind, COLOURS[k % len(COLOURS)]))
        for k, label in enumerate(classes):
            self._name([points[labels == label] for _, points, labels in modalities], str(label), k)
        self.ax_.margins(0.08)
        self.ax_.set(xticks=[], yticks=[], title="Sequences and images in their joint embedding")
        self.ax_.set_xlabel(f"{self.method} axis 1 (no unit)")
        self.ax_.set_ylabel(f"{self.method} axis 2 (no unit)")
        if legend:
            kinds = [self.ax_.scatter([], [], label=kind, **_marker(kind, "#444444")) for kind, _, _ in modalities]
            self.ax_.legend(handles=kinds, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        return self

    def _name(self, parts: list[np.ndarray], text: str, k: int) -> None:
        """Write a name just above the sequences of a class, or above its images if it has no sequences."""
        from matplotlib.patheffects import withStroke

        own = np.concatenate(parts)
        middle = np.median(next(points for points in parts if len(points)), axis=0)
        span = np.ptp(np.concatenate([self.points, self.image_points]), axis=0)
        near = (abs(own - middle) <= 0.1 * span).all(axis=1)
        place = middle[0], own[near, 1].max(initial=middle[1])
        self.ax_.annotate(
            text,
            place,
            (0, 6),
            textcoords="offset points",
            ha="center",
            va="bottom",
            weight="bold",
            size="large",
            color=COLOURS[k % len(COLOURS)],
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


def _marker(kind: str, colour: str) -> dict[str, Any]:
    if kind == "sequence":
        return {"marker": "o", "s": 30, "color": colour, "alpha": 0.75, "linewidths": 0}
    return {"marker": "s", "s": 34, "facecolors": "none", "edgecolors": colour, "linewidths": 1.3}


def _of_points(points: Any, labels: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    points = as_array(points, "points")
    return points, one_label_each(labels, len(points), name, "points")


def _rows(rows: Any, n: int) -> np.ndarray:
    """Numbers of sequences, in range."""
    array = as_array(positional(rows, "rows", "Pass a list of numbers of sequences."), "rows")
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array) or (array < -n).any() or (array >= n).any():
        raise ValueError(f"rows must be a list of integers, the numbers of sequences from 0 to {n - 1}, got {rows!r}.")
    return array


def _is_path(view: str, y_axis: str, queries: list[np.ndarray]) -> bool:
    if view not in ("auto", "path", "series"):
        raise ValueError(f"view={view!r} must be 'auto', 'path' or 'series'.")
    if y_axis not in ("up", "down"):
        raise ValueError(f"y_axis={y_axis!r} must be 'up' or 'down'.")
    has_path = queries[0].shape[1] > 1
    if view == "path" and not has_path:
        raise ValueError("view='path' draws the first two channels, but the sequences have only one: view='series'.")
    return has_path and view != "series"


def _query_width(queries: list[np.ndarray], image_width: float, as_path: bool) -> float:
    """Return the width of the column of queries: that of the widest path, at most twice an image's width."""
    if not as_path:
        return max(1.6, image_width)
    extents = np.array([np.ptp(x[:, :2], axis=0) for x in queries])
    needed = max((width / max(height, 1e-3 * width) for width, height in extents if width > 0), default=1.0)
    return float(np.clip(needed, 1.0, max(1.0, 2 * image_width)))


def _drawable(images: Any) -> np.ndarray:
    """Prepare images for matplotlib: (Q, K, h, w) as they are, or (Q, K, h, w, 3 or 4) scaled to [0, 1]."""
    pictures = np.asarray(images)
    if pictures.shape[-1] <= 2:
        return pictures[..., 0]
    low, high = min(0.0, pictures.min()), max(1.0, pictures.max())
    return (pictures - low) / (high - low)


def _draw_path(ax: Any, points: np.ndarray, stroke: np.ndarray, top: float, width: float) -> None:
    """Draw the path of a pen (T, 2), y downwards, as large as fits into the cell; its colour is the time."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    room = np.array([width, 1.0])
    scale = min((r / e for r, e in zip(room * 0.92, extent, strict=True) if e > 0), default=1.0)
    placed = (points - low) * scale + (room - extent * scale) / 2 + [0, top]
    colours = colormaps["viridis"](np.linspace(0, 0.8, len(points)))  # paler colours vanish on white paper
    joined = np.append(False, stroke[1:] == stroke[:-1])
    before = np.arange(len(points)) - joined  # a stroke begins with a line of length 0, drawn as a dot
    lines = np.stack([placed[before], placed], axis=1)
    ax.add_collection(LineCollection(list(lines), colors=colours, linewidths=2.6, capstyle="round"))


def _draw_series(ax: Any, values: np.ndarray, top: float, width: float) -> None:
    """Draw channels in [0, 1] over time (T, C), one line per channel."""
    time = np.linspace(0, width, len(values)) if len(values) > 1 else np.array([width / 2])
    marker = "" if len(values) > 1 else "."
    for c, channel in enumerate(values.T):
        ax.plot(time, top + 0.96 - 0.92 * channel, color=COLOURS[c % len(COLOURS)], lw=1.1, marker=marker)
