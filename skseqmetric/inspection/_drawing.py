"""What the displays share: axes, and colours safe for colour-blind readers. matplotlib is imported when it is used."""

from __future__ import annotations

from typing import Any

# Okabe and Ito's palette (2008), its yellow darkened for white paper, and two greys
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#B8A800",
    "#000000",
    "#999999",
    "#5D3A9B",
)
MARKERS = "osD^vP*Xh<"
# Colour and marker of two or three codes, from bad to good
CODE_LOOKS = {
    2: ((COLOURS[1], "X"), (COLOURS[0], "o")),
    3: ((COLOURS[1], "X"), (COLOURS[5], "s"), (COLOURS[0], "o")),
}


def make_axes(ax: Any) -> Any:
    """Return the given axes, or those of a new figure."""
    return make_figure((7, 5)).subplots() if ax is None else ax


def make_figure(size: tuple[float, float]) -> Any:
    """Return a new figure of that size in inches."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError('Drawing needs matplotlib: pip install "skseqmetric[viz]".') from error
    return pyplot.figure(figsize=size, layout="constrained")


def style(k: int) -> dict[str, Any]:
    """Return colour and marker of class k; the pair repeats after ten times ten classes."""
    return {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[(k + k // len(COLOURS)) % len(MARKERS)]}
