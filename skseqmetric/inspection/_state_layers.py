"""What is drawn over the cloud of all states: trajectories, outputs and their histogram, codes."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from skseqmetric.inspection._drawing import CODE_LOOKS, style
from skseqmetric.inspection._state_drawing import dark_viridis, outside_legend
from skseqmetric.inspection._state_labels import PointLabel

START = "start"
"""Name of the state before the first step."""


def numbered(i: int) -> str:
    """Name a sequence that has no name of its own."""
    return f"sequence {i}"


Trajectory = tuple[str, np.ndarray, list[str]]
"""Name, places (S, 2), and a text for each place."""

_MOST_LABELS = 20  # of a trajectory, by default
_LINE = 34  # characters of a line in a legend
_SHARED = "#333333"  # a label of several trajectories


def draw_trajectories(ax: Any, cloud: Any, trajectories: list[Trajectory], label_every: int | None) -> list[PointLabel]:
    """Draw lines through the states of some sequences, and a legend; return the labels of the states."""
    handles, labels = [cloud], []
    for k, (name, points, texts) in enumerate(trajectories):
        look = style(k)
        (line,) = ax.plot(*points.T, lw=1.4, ms=5, label=textwrap.fill(name, _LINE), zorder=3, **look)
        ax.plot(*points[0], mfc="white", ms=7, zorder=4, ls="", **look)
        ax.plot(*points[-1], mec="black", ms=9, zorder=4, ls="", **look)
        handles.append(line)
        labels += [PointLabel(texts[s], _pair(points[s]), look["color"]) for s in _labelled(len(points), label_every)]
    grey = {"ls": "", "marker": "o", "color": "#555555"}
    handles += ax.plot([], [], mfc="white", ms=7, label="first state", **grey)
    handles += ax.plot([], [], mec="black", ms=9, label="last state", **grey)
    outside_legend(ax, handles, labelspacing=0.9)
    return _merged(labels)


def _labelled(n: int, every: int | None) -> list[int]:
    """Choose which of n states get a label."""
    every = -(-n // _MOST_LABELS) if every is None else every
    chosen = list(range(0, n, every))
    return chosen if chosen[-1] == n - 1 else [*chosen, n - 1]


def _pair(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _merged(labels: list[PointLabel]) -> list[PointLabel]:
    """Keep equal texts at one point once, in dark grey if they belong to several trajectories."""
    colours: dict[tuple[str, tuple[float, float]], set[str]] = {}
    for label in labels:
        colours.setdefault((label.text, label.point), set()).add(label.colour)
    return [PointLabel(text, point, own.pop() if len(own) == 1 else _SHARED) for (text, point), own in colours.items()]


def draw_activations(ax: Any, points: np.ndarray, values: np.ndarray, name: str, bins: int) -> None:
    """Draw points (N, 2) coloured by values (N,), and to the right their histogram as the colour bar."""
    from matplotlib.colorbar import make_axes
    from matplotlib.colors import Normalize

    colours = dark_viridis()
    scale = Normalize(*np.quantile(values, [0.01, 0.99]))
    order = np.argsort(values, kind="stable")  # large ones on top
    ax.scatter(*points[order].T, c=values[order], cmap=colours, norm=scale, s=12, linewidths=0, zorder=2)
    side, _ = make_axes(ax, location="right", fraction=0.25, aspect=3, pad=0.03)
    counts, edges = np.histogram(values, bins)
    middles = (edges[1:] + edges[:-1]) / 2
    side.barh(middles, counts, height=np.diff(edges), color=colours(scale(middles)))
    side.set(ylim=(edges[0], edges[-1]), xlabel="states", ylabel=name)
    side.spines[["top", "right"]].set_visible(False)


def draw_codes(
    ax: Any, points: list[np.ndarray], codes: list[np.ndarray], names: list[str], marked: list[tuple[int, str]]
) -> list[PointLabel]:
    """Draw states coloured by their codes, worse ones on top; the last state of every sequence is larger and framed.

    The sequences `marked` (number and name) get a ring, and their names appear in the legend. Labels with their
    numbers are returned.
    """
    every, own = np.concatenate(points), np.concatenate(codes)
    last, final = np.stack([p[-1] for p in points]), np.array([c[-1] for c in codes])
    handles = []
    for k in reversed(range(len(names))):
        colour, marker = CODE_LOOKS[len(names)][k]
        look = {"color": colour, "marker": marker}
        ax.scatter(*every[own == k].T, s=12, linewidths=0, zorder=2, **look)
        framed = ax.scatter(*last[final == k].T, s=34, linewidths=0.7, edgecolors="black", zorder=3, **look)
        framed.set_label(f"{names[k]}: {np.mean(own[own >= 0] == k):.0%} of states")
        handles.append(framed)
    outside_legend(ax, handles + _rings(ax, last, marked), labelspacing=0.9)
    return [PointLabel(str(i), _pair(last[i]), "black") for i, _ in marked]


def _rings(ax: Any, last: np.ndarray, marked: list[tuple[int, str]]) -> list[Any]:
    """Draw a ring around the last state of each marked sequence; return the entries of the legend."""
    look = {"ls": "", "marker": "o", "mfc": "none", "mec": "black", "mew": 1.3, "ms": 11, "zorder": 4}
    for i, _ in marked:
        ax.plot(*last[i], **look)
    ring = ax.plot([], [], label="most difficult:", **look) if marked else []
    texts = [name if name == numbered(i) else f"{i}  {name}" for i, name in marked]
    return ring + [ax.plot([], [], ls="", label=textwrap.fill(text, _LINE))[0] for text in texts]
