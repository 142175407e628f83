"""Labels next to points of a drawing; they cover neither each other nor the lines.

adjustText solves the same task by iteration. On maps of 23 and 39 labels it took 16 to 130 times as long, and it put
labels on the markers of their own lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# In points of 1/72 inch
_GAPS = (3.0, 7.0, 13.0, 21.0, 31.0, 43.0, 57.0, 73.0, 91.0, 115.0, 145.0)  # from a point to its label
_LEADER = 9.0  # a label farther away gets a line to its point
_PADDING = 1.0  # around a label
_ALONG = 5.0  # between two points of a line that labels should not cover

_N_DIRECTIONS = 24
# Cost of a position; each covered point of a line costs 1
_DISTANCE = 1 / 12  # for every point of 1/72 inch
_CROSSING = 5.0  # for a leader behind another label


@dataclass(frozen=True)
class PointLabel:
    """A text, its point in data coordinates, and the colour of both."""

    text: str
    point: tuple[float, float]
    colour: str


def draw_labels(ax: Any, labels: list[PointLabel], lines: list[np.ndarray], *, clearance: float = 0.0) -> int:
    """Write labels next to their points; return how many labels had no room and were left out.

    Each label takes the nearest position around its point that covers no other label. It covers as little as possible
    of the lines (each (T, 2) in data coordinates) and of the leaders of other labels. The layout of the figure is
    fixed first: labels do not move if the figure changes size later. The clearance, in points of 1/72 inch, stays
    free around every point.
    """
    from matplotlib.patheffects import withStroke

    ax.figure.draw_without_rendering()
    unit = ax.figure.dpi / 72  # pixels per point
    room = _Room(ax.get_window_extent().extents, _kept_free(ax, lines, _ALONG * unit), unit, clearance)
    left_out = 0
    for label in labels:
        x, y = ax.transData.transform(label.point)
        size = _size(ax, label.text)
        place = room.take(np.array([x, y]), size)
        if place is None:
            left_out += 1
            continue
        offset = (place - (x, y)) / unit
        ax.annotate(
            label.text,
            label.point,
            offset,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize="small",
            color=label.colour,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            zorder=5,
        )
        if room.last_gap > _LEADER:
            _draw_leader(ax, label, offset, size / unit)
    return left_out


def _draw_leader(ax: Any, label: PointLabel, offset: np.ndarray, size: np.ndarray) -> None:
    """Draw a thin line, behind all labels, from the edge of this label to its point."""
    edge = offset * (1 - np.min(size / 2 / np.maximum(np.abs(offset), 1e-9)))
    line = {"arrowstyle": "-", "color": label.colour, "lw": 0.6, "shrinkA": 0, "shrinkB": 2}
    ax.annotate("", label.point, edge, textcoords="offset points", arrowprops=line, zorder=3.5)


def _size(ax: Any, text: str) -> np.ndarray:
    """Return width and height of a label in pixels."""
    written = ax.text(0.5, 0.5, text, fontsize="small", transform=ax.transAxes)
    box = written.get_window_extent()
    written.remove()
    return np.array([box.width, box.height])


def _kept_free(ax: Any, lines: list[np.ndarray], along: float) -> np.ndarray:
    """Return points (N, 2) along the lines, in pixels."""
    places = [np.empty((0, 2))]
    for line in lines:
        ends = ax.transData.transform(line)
        lengths = np.hypot(*np.diff(ends, axis=0).T)
        at = np.append(0, np.cumsum(lengths))
        where = np.append(np.arange(0, at[-1], along), at)
        places.append(np.column_stack([np.interp(where, at, axis) for axis in ends.T]))
    return np.concatenate(places)


class _Room:
    """The free room of the axes, in pixels: inside `extents`, outside of other labels, away from `kept_free`."""

    def __init__(self, extents: np.ndarray, kept_free: np.ndarray, unit: float, clearance: float) -> None:
        self.extents, self.kept_free, self.unit = extents, kept_free, unit
        self.gaps = [clearance + gap for gap in _GAPS]
        self.boxes = np.empty((0, 4))  # left, bottom, right, top
        angles = 2 * np.pi * np.arange(_N_DIRECTIONS) / _N_DIRECTIONS + np.pi / 4
        self.directions = np.column_stack([np.cos(angles), np.sin(angles)])
        self.last_gap = 0.0

    def take(self, point: np.ndarray, size: np.ndarray) -> np.ndarray | None:
        """Reserve the nearest good position for a label of that size; return its centre, or None without room."""
        best: tuple[float, float, np.ndarray] | None = None
        for gap in self.gaps:
            if best is not None and best[0] <= _DISTANCE * gap:
                break  # nothing farther away can be better
            centres = point + self._offsets(size, gap * self.unit)
            boxes = _boxes(centres, size + 2 * _PADDING * self.unit)
            costs = self._covered(boxes) + _DISTANCE * gap + _CROSSING * self._crossed(point, centres, gap)
            costs[~self._inside(boxes) | self._over_labels(boxes)] = np.inf
            i = int(np.argmin(costs))
            if costs[i] < (np.inf if best is None else best[0]):
                best = float(costs[i]), gap, centres[i]
        if best is None:
            return None
        _, self.last_gap, centre = best
        self._occupy(point, centre, size)
        return centre

    def _offsets(self, size: np.ndarray, gap: float) -> np.ndarray:
        """Vectors from a point to the centre of a label whose edge is a gap away, one for every direction."""
        half = size / 2 + gap
        reach = np.min(half / np.maximum(np.abs(self.directions), 1e-9), axis=1)
        return self.directions * reach[:, np.newaxis]

    def _inside(self, boxes: np.ndarray) -> np.ndarray:
        left, bottom, right, top = self.extents
        return (boxes[:, 0] > left) & (boxes[:, 1] > bottom) & (boxes[:, 2] < right) & (boxes[:, 3] < top)

    def _over_labels(self, boxes: np.ndarray) -> np.ndarray:
        meet = (boxes[:, np.newaxis, :2] < self.boxes[:, 2:]) & (boxes[:, np.newaxis, 2:] > self.boxes[:, :2])
        return np.asarray(np.any(np.all(meet, axis=2), axis=1))

    def _crossed(self, point: np.ndarray, centres: np.ndarray, gap: float) -> np.ndarray:
        """Count the labels that a leader to each of the centres (N, 2) would cross, (N,)."""
        if gap <= _LEADER:
            return np.zeros(len(centres))
        along = point + np.linspace(0.05, 0.95, 19)[:, np.newaxis, np.newaxis] * (centres - point)
        return np.asarray(np.any(_within(along, self.boxes), axis=0).sum(axis=1))

    def _covered(self, boxes: np.ndarray) -> np.ndarray:
        """Count the points of lines and leaders that each box covers."""
        return _within(self.kept_free, boxes).sum(axis=0).astype(np.float64)

    def _occupy(self, point: np.ndarray, centre: np.ndarray, size: np.ndarray) -> None:
        self.boxes = np.concatenate([self.boxes, _boxes(centre[np.newaxis], size)])
        if self.last_gap > _LEADER:
            leader = point + np.linspace(0, 1, 12)[:, np.newaxis] * (centre - point)
            self.kept_free = np.concatenate([self.kept_free, leader])


def _boxes(centres: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.concatenate([centres - size / 2, centres + size / 2], axis=1)


def _within(places: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Tell which of the points (..., 2) are in which of the boxes (N, 4), (..., N) of bool."""
    at = places[..., np.newaxis, :]
    return np.asarray(np.all((at > boxes[:, :2]) & (at < boxes[:, 2:]), axis=-1))
