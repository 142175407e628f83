"""An animated state map as one interactive page that needs no network."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._ops.progress import tracked
from skseqmetric.inspection._state_stages import StageColours, Stages

_DIGITS = 4  # of a number in the page: the eye sees no more, and it takes half the bytes
_SYMBOLS = {"o": 0, "s": 1, "D": 2, "P": 3, "X": 4, "^": 5, "v": 6, "<": 7, "h": 14, "*": 17}  # plotly's numbers
_MOVE = 0.6  # share of a frame in which points move to their next place
_AT_ONCE = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}


def make_page(stages: Stages, fps: float) -> Any:
    """Return a plotly figure with a frame for every stage, a slider and buttons."""
    try:
        from plotly import graph_objects as graph
    except ImportError as error:
        raise ImportError('An interactive page needs plotly: pip install "skseqmetric[viz]".') from error
    shown = zip(stages.points, stages.codes, strict=True)
    data = [
        _shown(points if stages.moving else None, codes, stages.colours)
        for points, codes in tracked(shown, "drawing", len(stages.names), "frame")
    ]
    first = {**_places(stages.points[0]), **_fixed(stages), **data[0]}
    first["marker"] = {**_marker(stages), **data[0]["marker"]}
    traces = [graph.Scatter(**first), *(graph.Scatter(**entry) for entry in _legend(stages.colours))]
    return graph.Figure(
        data=traces,
        frames=[graph.Frame(data=[graph.Scatter(**own)], traces=[0], name=str(k)) for k, own in enumerate(data)],
        layout=_layout(stages, fps),
    )


def _shown(points: np.ndarray | None, codes: np.ndarray, colours: StageColours) -> dict[str, Any]:
    """What a frame changes in the trace: colours, and points (N, 2) if these move."""
    shown: dict[str, Any] = {} if points is None else _places(points)
    if not colours.categories:
        return {**shown, "marker": {"color": _rounded(codes)}}
    symbols = [_SYMBOLS[colours.looks[k][1]] for k in codes]
    return {**shown, "marker": {"color": codes.tolist(), "symbol": symbols}, "text": [colours.names[k] for k in codes]}


def _places(points: np.ndarray) -> dict[str, Any]:
    return {name: _rounded(axis) for name, axis in zip("xy", points.T, strict=True)}


def _fixed(stages: Stages) -> dict[str, Any]:
    """What all frames share: who the points are, and the text under the pointer."""
    value = "%{text}" if stages.colours.categories else "%{marker.color:.4g}"
    what = "sequence %{customdata[0]}, step %{customdata[1]}"
    what += ": %{customdata[2]}" if len(stages.who[0]) > 2 else ""
    hover = f"{what}<br>{stages.value_name}: {value}<extra></extra>"
    who = [list(row) for row in stages.who]
    return {"mode": "markers", "customdata": who, "hovertemplate": hover, "showlegend": False}


def _marker(stages: Stages) -> dict[str, Any]:
    colours = stages.colours
    size = float(np.clip(300 / np.sqrt(len(stages.points[0])), 4, 9))
    shared = {"size": size, "opacity": 0.85, "cmin": colours.low, "cmax": colours.high}
    n = len(colours.colours)
    if colours.categories:  # each has a constant part of the scale
        scale = [[(k + side) / n, colour] for k, colour in enumerate(colours.colours) for side in (0, 1)]
        return {**shared, "colorscale": scale, "showscale": False}
    scale = [[k / (n - 1), colour] for k, colour in enumerate(colours.colours)]
    return {**shared, "colorscale": scale, "showscale": True, "colorbar": {"title": {"text": stages.value_name}}}


def _legend(colours: StageColours) -> list[dict[str, Any]]:
    """Return a trace without points for every category, which only fills the legend."""
    return [
        {
            "x": [None],
            "y": [None],
            "mode": "markers",
            "name": name,
            "hoverinfo": "skip",
            "marker": {"color": colour, "symbol": _SYMBOLS[marker], "size": 9},
        }
        for name, (colour, marker) in zip(colours.names, colours.looks, strict=True)
    ]


def _layout(stages: Stages, fps: float) -> dict[str, Any]:
    x, y = stages.extent.tolist()
    axis = {"showticklabels": False, "showgrid": False, "zeroline": False, "mirror": True, "linecolor": "#888888"}
    names = [f"{stages.method} axis {k} (no unit)" for k in (1, 2)]
    return {
        "title": {"text": f"{stages.value_name} over the stages of learning"},
        "template": "plotly_white",
        "height": 680,
        "legend": {"title": {"text": stages.value_name}, "itemclick": False, "itemdoubleclick": False},
        "xaxis": {**axis, "title": {"text": names[0]}, "range": x},
        "yaxis": {**axis, "title": {"text": names[1]}, "range": y, "scaleanchor": "x"},
        "sliders": [_slider(stages.names)],
        "updatemenus": [_buttons(1000 / fps, stages.moving)],
    }


def _slider(names: list[str]) -> dict[str, Any]:
    steps = [{"method": "animate", "label": name, "args": [[str(k)], _AT_ONCE]} for k, name in enumerate(names)]
    return {"steps": steps, "x": 0.14, "len": 0.86, "pad": {"t": 60}, "currentvalue": {"prefix": "shown: "}}


def _buttons(duration: float, moving: bool) -> dict[str, Any]:
    play = {
        "frame": {"duration": duration, "redraw": True},
        "fromcurrent": True,
        "transition": {"duration": _MOVE * duration if moving else 0},
    }
    buttons = [
        {"label": "▶ play", "method": "animate", "args": [None, play]},
        {"label": "❚❚ pause", "method": "animate", "args": [[None], _AT_ONCE]},
    ]
    place = {"x": 0.1, "xanchor": "right", "y": 0, "yanchor": "top", "pad": {"t": 75, "r": 10}}
    return {"type": "buttons", "direction": "left", "showactive": False, "buttons": buttons, **place}


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]
