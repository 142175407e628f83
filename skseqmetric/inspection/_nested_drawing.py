"""Drawing of clusters within clusters: a map whose outlined part is what the next panel shows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skseqmetric.inspection._drawing import COLOURS, MARKERS

_PALE = "#B0B0B0"
_LINE = "#808080"
_COLOURS = [colour for colour in COLOURS if colour not in ("#000000", "#999999")]  # black fades on dark paper
_MARGIN = 0.12  # of a panel around its states
_STRAY = 2  # percent of the states at either end of an axis, which a panel may cut off


class Panel(NamedTuple):
    """All `points` (n, 2), their `codes` (n,), which are `inside` the panel (n,), and which the next one shows."""

    points: np.ndarray
    codes: np.ndarray
    inside: np.ndarray
    outline: np.ndarray | None


def panel_looks(codes: np.ndarray) -> dict[int, dict[str, Any]]:
    """Return colour and marker of every word, equal in all panels."""
    n = len(_COLOURS)
    return {
        code: {"color": _COLOURS[k % n], "marker": MARKERS[(k + k // n) % len(MARKERS)]}
        for k, code in enumerate(codes.tolist())
    }


def draw_panel(ax: Any, panel: Panel, looks: dict[int, dict[str, Any]]) -> None:
    """Draw the states of one cluster by word, the others in grey, and the limits of the next panel."""
    ax.set(xticks=[], yticks=[])
    low, high = _limits(panel.points[panel.inside], 0 if panel.inside.all() else _STRAY)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    area = float(np.clip(4000 / max(panel.inside.sum(), 1), 8, 45))
    ax.scatter(*panel.points[~panel.inside].T, s=6, color=_PALE, alpha=0.5, linewidths=0, zorder=1)
    for code, look in looks.items():
        members = panel.points[panel.inside & (panel.codes == code)]
        if len(members):
            ax.scatter(*members.T, s=area, linewidths=0, alpha=0.85, zorder=2, **look)
    if panel.outline is not None:
        low, high = _limits(panel.points[panel.outline], _STRAY)
        box = {"fill": False, "ec": _LINE, "lw": 1.2, "ls": "--", "zorder": 3}
        ax.add_patch(_rectangle(low, high, box))


def _rectangle(low: np.ndarray, high: np.ndarray, look: dict[str, Any]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((float(low[0]), float(low[1])), *(high - low), **look)


def draw_words(figure: Any, looks: dict[int, dict[str, Any]], names: list[str]) -> None:
    """Draw the legend of the words."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], ls="", ms=7, label=names[code], **look) for code, look in looks.items()]
    figure.legend(handles=handles, loc="outside right center", frameon=False, alignment="left")


def _limits(points: np.ndarray, stray: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a box that holds most of the points: a stray one would hide the order of the others."""
    low, high = np.percentile(points, [stray, 100 - stray], axis=0)
    margin = (_MARGIN if stray else _MARGIN / 3) * np.maximum(high - low, 1e-6 * max(1.0, float(np.abs(points).max())))
    return low - margin, high + margin
