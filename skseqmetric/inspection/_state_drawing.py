"""Drawing for all layers of a state map: the cloud of all states, points by category or number, legends."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric.inspection._drawing import make_axes, style

PALE = "#CFCFCF"
INCHES = (9.0, 6.0)
# In inches
_MAP_WIDTH = 6.0  # of a figure, without the legend
_MAP_HEIGHTS = 4.0, 6.5
_AROUND = 0.9  # title and names of the axes

_MOST_CATEGORIES = 20  # of whole numbers; more get a colour bar
_LEGEND_ROWS = 22


def state_axes(ax: Any, method: str, title: str) -> Any:
    """Prepare the given axes or new ones for a map: axes with names and without a scale."""
    own = make_axes(ax)
    if ax is None:
        own.figure.set_size_inches(*INCHES)
    own.set(xticks=[], yticks=[], title=title)
    own.set_xlabel(f"{method} axis 1 (no unit)")
    own.set_ylabel(f"{method} axis 2 (no unit)")
    own.margins(0.06)
    return own


def fit_figure(ax: Any, points: np.ndarray) -> None:
    """Set the height of the figure so that a unit has about the same length along both axes of points (N, 2)."""
    width, height = np.maximum(np.ptp(points, axis=0), 1e-9)
    ax.figure.set_figheight(float(np.clip(_MAP_WIDTH * height / width, *_MAP_HEIGHTS)) + _AROUND)


def fit_legend(ax: Any) -> None:
    """Make the figure as high as its legend, if this is higher."""
    legend, figure = ax.get_legend(), ax.figure
    if legend is not None:
        needed = legend.get_window_extent(figure.canvas.get_renderer()).height / figure.dpi + _AROUND
        figure.set_figheight(max(figure.get_figheight(), needed))


def draw_cloud(ax: Any, points: np.ndarray, label: str | None = None) -> Any:
    """Draw all states (N, 2) in pale grey, each place once."""
    return ax.scatter(*np.unique(points, axis=0).T, s=_area(points), color=PALE, linewidths=0, zorder=1, label=label)


def draw_values(
    ax: Any,
    points: np.ndarray,
    values: np.ndarray,
    title: str,
    *,
    area: float | None = None,
    scale: bool | None = None,
) -> None:
    """Draw points (N, 2) coloured by their values (N,), with a legend for categories or a colour bar for numbers."""
    area = 2 * _area(points) if area is None else area
    if is_scale(values) if scale is None else scale:
        numbers = values.astype(np.float64)
        drawn = ax.scatter(*points.T, c=numbers, cmap=dark_viridis(), s=area, linewidths=0, zorder=2)
        ax.figure.colorbar(drawn, ax=ax, label=title)
        return
    categories = in_order(values)
    members = [values == category for category in categories]
    handles: dict[int, Any] = {}
    for k in sorted(range(len(members)), key=lambda k: -members[k].sum()):  # rare ones on top
        handles[k] = ax.scatter(
            *points[members[k]].T, s=area, linewidths=0, zorder=2, label=str(categories[k]), **style(k)
        )
    outside_legend(ax, [handles[k] for k in range(len(members))], title)


def is_scale(values: np.ndarray) -> bool:
    """Tell whether values belong on a scale (fractions, or many numbers) or name categories."""
    if not all(isinstance(value, (int, float, np.number)) for value in values.tolist()):
        return False
    distinct = np.unique(values.astype(np.float64))
    return len(distinct) > _MOST_CATEGORIES or not np.array_equal(distinct, np.round(distinct))


def in_order(values: np.ndarray) -> list[Any]:
    """Return the distinct values: numbers by size, others in the order of their first appearance."""
    distinct = list(dict.fromkeys(values.tolist()))
    return sorted(distinct) if all(isinstance(value, (int, float)) for value in distinct) else distinct


def dark_viridis() -> Any:
    """Return the colour map viridis without its palest end, which is hard to see on white paper."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(0, 0.92, 256)))


def outside_legend(ax: Any, handles: list[Any], title: str | None = None, **options: Any) -> None:
    """Draw a legend to the right of the map, with large markers."""
    columns = -(-len(handles) // _LEGEND_ROWS)
    legend = ax.legend(
        handles=handles,
        title=title,
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
        frameon=False,
        ncols=columns,
        alignment="left",
        **options,
    )
    for handle in legend.legend_handles:
        if hasattr(handle, "set_sizes"):
            handle.set_sizes([40])


def _area(points: np.ndarray) -> float:
    """Area of a marker in points squared; the more points, the smaller."""
    return float(np.clip(20000 / max(len(points), 1), 5, 24))
