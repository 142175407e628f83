"""A map of recurrent states over the stages of learning, as a GIF, a video or an interactive page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from skseqmetric.inspection._state_film import StageDrawing, save_film
from skseqmetric.inspection._state_frames import (
    CODE_NAMES,
    StageColours,
    StateFrame,
    StateRows,
    at_every_stage,
    readout_values,
    stage_names,
)
from skseqmetric.inspection._state_map import RecurrentStateMap
from skseqmetric.inspection._state_page import make_page
from skseqmetric.inspection._unit_analyses import check_step_values

_MARGIN = 0.04  # around all points, in parts of their extent


class StateAnimation:
    """The states of n sequences as points of one map, a frame for every stage of learning.

    Either the points stay and the stages recolour them, as for an echo state network, whose states do not depend on its
    read-out (`from_readouts`); or they move, as for a trained network, in a map that is fitted on all stages together
    (`from_stages`). Colours mean the same in all frames.

    Parameters
    ----------
    points : list of n arrays (S_i, 2), or None
        Places of the states. None: every frame has its own.
    frames : sequence of StateFrame
        In order. Values that are fractions or many different numbers are placed on a colour scale; others are names.
    steps : list of n arrays (S_i,) of int, or None, default=None
        Which step each state is the state after. None: 1 to S_i.
    step_labels : list of n arrays (S_i,), or None, default=None
        A word or another label of these steps, shown where the pointer is on a point of the page.
    value_name : str, default="value"
        What the colours show.
    value_names : mapping from value to str, or None, default=None
        The values are categories, with these names, in the order of the legend.
    limits : (float, float) or None, default=None
        Ends of the colour scale; values beyond have the colour of the end. None: the 1st and 99th percentile of all
        frames together.
    method : str, default="map"
        What placed the points; names the axes.

    Attributes
    ----------
    ax_, figure_ : matplotlib objects
        Set by `plot`.

    References
    ----------
    Variengien and Hinaut (2020), "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv:2012.01748.
    """

    def __init__(
        self,
        points: Any,
        frames: Sequence[StateFrame],
        *,
        steps: Any = None,
        step_labels: Any = None,
        value_name: str = "value",
        value_names: Mapping[Any, str] | None = None,
        limits: tuple[float, float] | None = None,
        method: str = "map",
    ) -> None:
        self.points = points
        self.frames = frames
        self.steps = steps
        self.step_labels = step_labels
        self.value_name = value_name
        self.value_names = value_names
        self.limits = limits
        self.method = method

    @classmethod
    def from_readouts(
        cls,
        states: Sequence[np.ndarray],
        points: Sequence[np.ndarray],
        readouts: Sequence[Any],
        *,
        output: int = 0,
        judge: Callable[[np.ndarray, int], Any] | None = None,
        stages: Sequence[Any] | None = None,
        steps: Any = None,
        step_labels: Any = None,
        **options: Any,
    ) -> Self:
        """Recolour a map that stays by what successive read-outs say at every state, x_t . w_k + b_k.

        Parameters
        ----------
        states : list of n arrays (S_i, H)
        points : list of n arrays (S_i, 2)
            Their places, such as `RecurrentStateMap.transform` gives.
        readouts : sequence of pairs (coef (K, H), intercept (K,)), or of estimators with `coef_` and `intercept_`
            Snapshots: one for every stage.
        output : int, default=0
            Which output k is shown.
        judge : callable or None, default=None
            judge(outputs (S_i, K), i) -> (S_i,) codes, which are shown instead: how good the outputs of sequence i
            are, by default 0 (invalid), 1 (valid) or 2 (exact); `value_names` gives other codes their names.
        stages : sequence of names or None, default=None
            None: "stage 1" and so on.
        steps, step_labels : lists of n arrays, default=None
            The steps as `hidden_states` gives them; a label of every input step. States before the first step (steps
            of 0) are left out.
        **options
            As in the class.

        Raises
        ------
        ValueError
            For points, codes or labels that do not belong to the states, or a read-out of another size.
        """
        rows = StateRows.of(states, steps, step_labels)
        kept = rows.of_kept(states, "states")
        names = stage_names(stages, len(readouts))
        frames = [
            StateFrame(name, readout_values(kept, readout, output, judge, name))
            for name, readout in zip(names, readouts, strict=True)
        ]
        if judge is None:
            options = {"value_name": f"output {output}", **options}
        else:
            options = {"value_name": "judgement", "value_names": CODE_NAMES, **options}
        return cls(rows.of_kept(points, "points"), frames, steps=rows.steps, step_labels=rows.labels, **options)

    @classmethod
    def from_stages(
        cls,
        states: Sequence[Sequence[np.ndarray]],
        values: Any = None,
        *,
        reducer: Any = None,
        random_state: Any = 42,
        stages: Sequence[Any] | None = None,
        steps: Any = None,
        step_labels: Any = None,
        **options: Any,
    ) -> Self:
        """Map the states of all stages together, so that the points of a network in training can be followed.

        Parameters
        ----------
        states : sequence of F lists of n arrays (S_i, H)
            Those of the same sequences at every stage.
        values : sequence of F lists of n arrays (S_i,), list of n arrays (S_i,), or None, default=None
            What the colours show, at every stage or at all of them. None: relative time in %.
        reducer : RecurrentStateMap, another object with `fit_transform`, or None, default=None
            As in `RecurrentStateMap`; a given map is fitted.
        random_state : default=42
            Of the default reducer.
        stages : sequence of names or None, default=None
            None: "stage 1" and so on.
        steps, step_labels : lists of n arrays, default=None
            The steps as `hidden_states` gives them; a label of every input step. States before the first step (steps
            of 0) are left out.
        **options
            As in the class.

        Raises
        ------
        ValueError
            For stages that are not of the same sequences, or values or labels that do not belong to the states.
        """
        names = stage_names(stages, len(states))
        rows = StateRows.of(states[0], steps, step_labels)
        kept = [rows.of_kept(own, f"states of {name}") for name, own in zip(names, states, strict=True)]
        if values is None:
            values = [[100 * read / read[-1] for read in rows.steps]] * len(kept)
            options = {"value_name": "relative time (%)", **options}
        else:
            each = zip(names, at_every_stage(values, len(kept)), strict=True)
            values = [rows.of_kept(own, f"values of {name}") for name, own in each]
        mapped = (
            reducer if isinstance(reducer, RecurrentStateMap) else RecurrentStateMap(reducer, random_state=random_state)
        )
        mapped.fit([x for stage in kept for x in stage])
        frames = [
            StateFrame(name, own, mapped.transform(stage)) for name, own, stage in zip(names, values, kept, strict=True)
        ]
        options = {"method": type(mapped.reducer_).__name__, **options}
        return cls(None, frames, steps=rows.steps, step_labels=rows.labels, **options)

    # ------------------------------------------------------------------------------------------------ what is shown

    def points_at(self, frame: int) -> np.ndarray:
        """Places of all states at a stage, those of one sequence after the other, (N, 2)."""
        own = self.frames[frame].points
        return np.concatenate(self.points if own is None else own)

    def values_at(self, frame: int) -> np.ndarray:
        """Values of all states at a stage, (N,)."""
        stage, values, own = self.frames[frame]
        check_step_values(values, [len(p) for p in (self.points if own is None else own)], f"values of {stage}")
        return np.concatenate([np.asarray(v) for v in values])

    def colours(self) -> StageColours:
        """What the colours mean in all frames."""
        values = np.concatenate([self.values_at(k) for k in range(len(self.frames))])
        return StageColours.of(values, self.value_names, self.limits)

    def extent(self) -> np.ndarray:
        """The part of the map that all frames show, ((x_low, x_high), (y_low, y_high))."""
        places = np.concatenate([self.points_at(k) for k in range(len(self.frames))])
        low, high = places.min(axis=0), places.max(axis=0)
        pad = _MARGIN * np.where(high > low, high - low, 1)
        return np.stack([low - pad, high + pad], axis=1)

    # ------------------------------------------------------------------------------------------------ drawing

    def plot(self, stage: int = -1, *, ax: Any = None) -> Self:
        """Draw one frame, the last one by default, with a bar below that tells how far learning has come.

        Parameters
        ----------
        stage : int, default=-1
            Number of the frame.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        """
        drawing = StageDrawing(self, ax)
        drawing.show(range(len(self.frames))[stage])
        self.ax_ = drawing.ax
        self.figure_ = self.ax_.figure
        return self

    def save_gif(self, path: str | Path, *, fps: float = 4, dpi: float = 100, progress: bool = False) -> None:
        """Write a film of all frames, the last of which stays longer; a bar in the picture tells the stage.

        Parameters
        ----------
        path : str or Path
            A GIF where it ends in ".gif"; a video where it ends in ".mp4", which needs the program ffmpeg.
        fps : float, default=4
            Stages in a second.
        dpi : float, default=100
            Pixels an inch; the picture is 9 inches wide.
        progress : bool, default=False
            Show a progress bar while the frames are drawn.

        Raises
        ------
        ValueError
            `path` ends otherwise.
        RuntimeError
            There is no ffmpeg for a video.
        ImportError
            There is no matplotlib.
        """
        save_film(self, Path(path), fps, dpi, progress)

    def to_plotly(self, *, fps: float = 2, progress: bool = False) -> Any:
        """The animation as a figure of plotly, for a notebook; `save_html` writes it to a file."""
        return make_page(self, fps, progress)

    def save_html(self, path: str | Path, *, fps: float = 2, progress: bool = False) -> None:
        """Write one interactive page: a slider over the stages, a button that plays them, names where the pointer is.

        The page holds plotly's script and all data, and needs no network. It has about 5 MB and 10 bytes for every
        state and stage, 25 where points move; a browser shows some thousand states smoothly.

        Parameters
        ----------
        path : str or Path
        fps : float, default=2
            Stages in a second.
        progress : bool, default=False
            Show a progress bar while the frames are made.

        Raises
        ------
        ImportError
            There is no plotly.
        """
        figure = self.to_plotly(fps=fps, progress=progress)
        figure.write_html(path, include_plotlyjs=True, auto_play=False, config={"displaylogo": False}, div_id="map")
