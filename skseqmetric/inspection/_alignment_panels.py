"""The panels of a matching: sequences, shares of their steps, lines between their places, and the matrix of costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._metrics.alignment import Alignment
from skseqmetric.inspection._drawing import COLOURS, make_figure

_SIZE = (11, 5)  # inches of a new figure
_MOST_LINES = 6  # more channels are drawn as an image
_LINES = (*COLOURS[:3], COLOURS[7], *COLOURS[3:5])
_DASHES = ("-", "--", "-.", ":")
_WIDTHS = (0.7, 3.5)  # points of the line of a match without a share, and of that with the largest
_PALEST = 0.85  # of the scale of colours: what comes after it is hard to see on white paper
_PANELS = {"x": 3.0, "x shares": 0.8, "links": 2.2, "y shares": 0.8, "y": 3.0}


def make_panels(ax: Any) -> tuple[Any, dict[str, Any]]:
    """Return the figure and its axes by name, of a new figure or in the place of the given axes."""
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    figure = make_figure(_SIZE) if ax is None else ax.figure
    place = figure.add_gridspec(1, 1)[0] if ax is None else ax.get_subplotspec()
    if place is None:
        raise ValueError("ax has no place in a grid: pass axes of pyplot.subplots or Figure.add_subplot, or None.")
    if ax is not None:
        ax.remove()
    halves = GridSpecFromSubplotSpec(1, 2, place, width_ratios=[1.6, 1])
    rows = GridSpecFromSubplotSpec(5, 1, halves[0], height_ratios=list(_PANELS.values()), hspace=0.02)
    axes: dict[str, Any] = {}
    for row, name in enumerate(_PANELS):
        axes[name] = figure.add_subplot(rows[row], sharex=axes.get("x"), sharey=axes["x"] if name == "y" else None)
    axes["costs"] = figure.add_subplot(halves[1])
    return figure, axes


def cost_colours(largest: float) -> Any:
    """Return the colours of costs from 0 to the largest."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, PowerNorm

    palette = ListedColormap(colormaps["plasma"](np.linspace(0, _PALEST, 256)))
    return ScalarMappable(PowerNorm(0.5, 0, largest), palette)  # in steps of distance: matches have small costs


# ------------------------------------------------------------------ left


def draw_channels(axes: list[Any], curves: list[np.ndarray], names: list[str], titles: list[str]) -> None:
    """Draw the channels (T, K) of both sequences: as lines, or as an image if there are many."""
    few = len(names) <= _MOST_LINES
    (_draw_lines if few else _draw_image)(axes, curves, names)
    for ax, title in zip(axes, titles, strict=True):
        ax.set_ylabel(title)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].tick_params(labelbottom=False)
    axes[0].set_xlim(-0.5, max(map(len, curves)) - 0.5)
    axes[1].set_xlabel("step")
    axes[1].xaxis.get_major_locator().set_params(integer=True)


def _draw_lines(axes: list[Any], curves: list[np.ndarray], names: list[str]) -> None:
    for ax, own in zip(axes, curves, strict=True):
        for k, (channel, name) in enumerate(zip(own.T, names, strict=True)):
            marker = "o" if len(channel) == 1 else None
            ax.plot(channel, _DASHES[k % len(_DASHES)], color=_LINES[k], marker=marker, lw=1.6, label=name)
        ax.margins(y=0.08)
    if len(names) > 1:
        axes[0].legend(frameon=False, ncols=3, fontsize="small", loc="best")


def _draw_image(axes: list[Any], curves: list[np.ndarray], names: list[str]) -> None:
    both = np.concatenate(curves)
    deviation = both.std(axis=0)
    scaled = [(own - both.mean(axis=0)) / np.where(deviation > 0, deviation, 1) for own in curves]
    for ax, own in zip(axes, scaled, strict=True):
        ax.imshow(own.T, aspect="auto", cmap="PuOr", vmin=-3, vmax=3, interpolation="nearest")
        shown = np.unique(np.linspace(0, len(names) - 1, 6).round().astype(int))
        ax.set_yticks(shown, [names[k] for k in shown], fontsize="small")


def draw_shares(axes: list[Any], alignment: Alignment) -> None:
    """Draw the share of every step of both sequences as bars, those of y downwards."""
    top = max(100 * max(shares.max() for shares in alignment.step_shares), 1e-9)
    for ax, shares, down in zip(axes, alignment.step_shares, (False, True), strict=True):
        ax.bar(np.arange(len(shares)), 100 * shares, width=1.0, color=COLOURS[1], linewidth=0)
        ax.set_ylim(*((1.1 * top, 0) if down else (0, 1.1 * top)))
        ax.set_ylabel("share\n(%)", fontsize="small")
        ax.tick_params(labelbottom=False, bottom=False)
        ax.spines[["right", "bottom" if down else "top"]].set_visible(False)


def draw_links(ax: Any, alignment: Alignment, colours: Any) -> None:
    """Draw a line for every match, from the place of x above to that of y below."""
    from matplotlib.collections import LineCollection

    (x, y), (forward, backward) = alignment.positions, alignment.matches
    ends = np.concatenate([np.column_stack([x, y[forward]]), np.column_stack([x[backward], y])])
    costs, shares = (np.concatenate(part) for part in (alignment.match_costs, alignment.place_shares))
    widths = np.interp(shares / (shares.max() or 1.0), (0, 1), _WIDTHS)
    order = np.argsort(shares, kind="stable")  # the thickest on top
    segments = [[(above, 1), (below, 0)] for above, below in ends[order]]
    drawn = LineCollection(segments, linewidths=widths[order], colors=colours.to_rgba(costs[order]))
    ax.add_collection(drawn)
    ax.set(ylim=(0, 1), yticks=[])
    ax.set_ylabel("matches", fontsize="small")
    ax.tick_params(labelbottom=False, bottom=False)
    ax.spines[:].set_visible(False)


# ------------------------------------------------------------------ right


def draw_costs(ax: Any, alignment: Alignment, colours: Any, titles: list[str]) -> None:
    """Draw the costs of all places, x downwards, with rings at the matches of x and crosses at those of y."""
    across, down = _edges(alignment.positions[1]), _edges(alignment.positions[0])
    ax.pcolormesh(across, down, alignment.costs, cmap=colours.cmap, norm=colours.norm, rasterized=True)
    x, y = ((edges[1:] + edges[:-1]) / 2 for edges in (down, across))
    forward, backward = alignment.matches
    marked: dict[str, Any] = {"color": "white", "linestyle": "none"}
    ax.plot(y[forward], x, marker="o", markerfacecolor="none", ms=6, **marked)
    ax.plot(y, x[backward], marker="x", ms=4, **marked)
    ax.invert_yaxis()
    ax.set_title(f"○ nearest in {titles[1]}    × nearest in {titles[0]}", fontsize="small")
    ax.set(xlabel=f"step of {titles[1]}", ylabel=f"step of {titles[0]}", box_aspect=1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.get_major_locator().set_params(integer=True)
    ax.figure.colorbar(colours, ax=ax, label="cost", shrink=0.75)


def _edges(positions: np.ndarray) -> np.ndarray:
    """Return the edges (P + 1,) of cells around the places, which may all lie at one step."""
    half = (positions[-1] - positions[0]) / (2 * max(1, len(positions) - 1)) or 0.5
    return np.linspace(positions[0] - half, positions[-1] + half, len(positions) + 1)
