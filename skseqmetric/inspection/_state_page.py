"""An animated state map as one interactive page, which needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from skseqmetric.inspection._state_frames import StageColours

if TYPE_CHECKING:
    from skseqmetric.inspection._state_animation import StateAnimation

_DIGITS = 4  # of a number in the page: as exact as the eye, and half the bytes
_SYMBOLS = {"o": 0, "s": 1, "D": 2, "P": 3, "X": 4, "^": 5, "v": 6, "<": 7, "h": 14, "*": 17}  # plotly's numbers
_MOVE = 0.6  # share of a frame in which points move to their next place


def make_page(animation: StateAnimation, fps: float, progress: bool) -> Any:
    """A plotly figure with a frame for every stage, a slider and buttons."""
    graph = _plotly()
    colours = animation.colours()
    frames = range(len(animation.frames))
    data = [_shown(animation, colours, k) for k in tqdm(frames, desc="frames", disable=not progress)]
    first = {**_fixed(animation, colours), **data[0], "marker": {**_marker(animation, colours), **data[0]["marker"]}}
    traces = [graph.Scatter(**first), *(graph.Scatter(**entry) for entry in _legend(colours))]
    return graph.Figure(
        data=traces,
        frames=[graph.Frame(data=[graph.Scatter(**own)], traces=[0], name=str(k)) for k, own in enumerate(data)],
        layout=_layout(animation, fps),
    )


def _shown(animation: StateAnimation, colours: StageColours, frame: int) -> dict[str, Any]:
    """What a frame changes of the trace."""
    codes = colours.codes(animation.values_at(frame))
    marker: dict[str, Any] = {"color": codes.tolist() if colours.categories else _rounded(codes)}
    shown: dict[str, Any] = {"marker": marker}
    if colours.categories:
        symbols = [_SYMBOLS[own] for _, own in colours.looks]
        marker["symbol"] = [symbols[k] for k in marker["color"]]
        shown["text"] = [colours.names[k] for k in marker["color"]]
    if animation.frames[frame].points is not None:
        shown |= _places(animation, frame)
    return shown


def _places(animation: StateAnimation, frame: int) -> dict[str, Any]:
    return {name: _rounded(axis) for name, axis in zip("xy", animation.points_at(frame).T, strict=True)}


def _fixed(animation: StateAnimation, colours: StageColours) -> dict[str, Any]:
    """What does not change, but for places: who the points are, and what is written where the pointer is."""
    value = "%{text}" if colours.categories else "%{marker.color:.4g}"
    what = "sequence %{customdata[0]}, step %{customdata[1]}"
    what += "" if animation.step_labels is None else ": %{customdata[2]}"
    hover = f"{what}<br>{animation.value_name}: {value}<extra></extra>"
    fixed = {"mode": "markers", "customdata": _who(animation), "hovertemplate": hover, "showlegend": False}
    return {**_places(animation, 0), **fixed}


def _who(animation: StateAnimation) -> list[list[Any]]:
    """Sequence, step and, where there is one, label of every state."""
    own = animation.frames[0].points
    lengths = [len(p) for p in (animation.points if own is None else own)]
    steps = animation.steps if animation.steps is not None else [np.arange(1, length + 1) for length in lengths]
    columns: list[list[Any]] = [np.repeat(np.arange(len(lengths)), lengths).tolist(), np.concatenate(steps).tolist()]
    if animation.step_labels is not None:
        columns.append([str(label) for labels in animation.step_labels for label in labels])
    return [list(row) for row in zip(*columns, strict=True)]


def _marker(animation: StateAnimation, colours: StageColours) -> dict[str, Any]:
    size = float(np.clip(300 / np.sqrt(len(animation.points_at(0))), 4, 9))
    shared = {"size": size, "opacity": 0.85, "cmin": colours.low, "cmax": colours.high}
    n = len(colours.colours)
    if colours.categories:  # a step of the scale for each
        edges = [(k + side) / n for k in range(n) for side in (0, 1)]
        scale = [[edge, colours.colours[i // 2]] for i, edge in enumerate(edges)]
        return {**shared, "colorscale": scale, "showscale": False}
    scale = [[k / (n - 1), colour] for k, colour in enumerate(colours.colours)]
    return {**shared, "colorscale": scale, "showscale": True, "colorbar": {"title": {"text": animation.value_name}}}


def _legend(colours: StageColours) -> list[dict[str, Any]]:
    """A trace without points for every category."""
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


def _layout(animation: StateAnimation, fps: float) -> dict[str, Any]:
    x, y = animation.extent().tolist()
    axis = {"showticklabels": False, "showgrid": False, "zeroline": False, "mirror": True, "linecolor": "#888888"}
    names = [f"{animation.method} axis {k} (no unit)" for k in (1, 2)]
    return {
        "title": {"text": f"{animation.value_name} over the stages of learning"},
        "template": "plotly_white",
        "height": 680,
        "legend": {"title": {"text": animation.value_name}, "itemclick": False, "itemdoubleclick": False},
        "xaxis": {**axis, "title": {"text": names[0]}, "range": x},
        "yaxis": {**axis, "title": {"text": names[1]}, "range": y, "scaleanchor": "x"},
        "sliders": [_slider(animation)],
        "updatemenus": [_buttons(animation, fps)],
    }


def _slider(animation: StateAnimation) -> dict[str, Any]:
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    steps = [
        {"method": "animate", "label": frame.stage, "args": [[str(k)], at_once]}
        for k, frame in enumerate(animation.frames)
    ]
    return {"steps": steps, "x": 0.14, "len": 0.86, "pad": {"t": 60}, "currentvalue": {"prefix": "shown: "}}


def _buttons(animation: StateAnimation, fps: float) -> dict[str, Any]:
    moving = any(frame.points is not None for frame in animation.frames)
    duration = 1000 / fps
    play = {
        "frame": {"duration": duration, "redraw": True},
        "fromcurrent": True,
        "transition": {"duration": _MOVE * duration if moving else 0},
    }
    pause = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    buttons = [
        {"label": "▶ play", "method": "animate", "args": [None, play]},
        {"label": "❚❚ pause", "method": "animate", "args": [[None], pause]},
    ]
    place = {"x": 0.1, "xanchor": "right", "y": 0, "yanchor": "top", "pad": {"t": 75, "r": 10}}
    return {"type": "buttons", "direction": "left", "showactive": False, "buttons": buttons, **place}


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]


def _plotly() -> Any:
    try:
        from plotly import graph_objects
    except ImportError as error:
        raise ImportError('An interactive page needs plotly: pip install "skseqmetric[viz]".') from error
    return graph_objects
