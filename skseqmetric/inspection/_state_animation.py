"""A map of recurrent states over the stages of learning, as a GIF, a video or an interactive page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from skseqmetric._files import replacing
from skseqmetric._input import as_array, joined_labels, label_array, positional
from skseqmetric._ops.progress import titled
from skseqmetric.inspection._state_film import StageDrawing, save_film
from skseqmetric.inspection._state_frames import (
    CODE_NAMES,
    StateFrame,
    StateRows,
    readout_values,
    stage_names,
)
from skseqmetric.inspection._state_map import RecurrentStateMap
from skseqmetric.inspection._state_page import make_page
from skseqmetric.inspection._state_stages import StageColours, Stages
from skseqmetric.inspection._unit_analyses import check_step_values


class StateAnimation:
    """The states of n sequences as points of one map, a frame for every stage of learning.

    With `from_readouts` the points stay and every stage colours them anew. This suits an echo state network, whose
    states do not depend on its readout. With `from_stages` the points move in one map that is fitted on all stages
    together. This suits a trained network. Colours mean the same in all frames.

    Parameters
    ----------
    points : list of n arrays (S_i, 2), or None
        Places of the states. None: every frame has its own.
    frames : sequence of tuples (stage, values) or (stage, values, points)
        The name of each stage, n arrays (S_i,) of values, and n arrays (S_i, 2) of points if these move. A colour
        scale shows fractions, or more than 20 different numbers; other values are categories.
    steps : list of n arrays (S_i,) of int, or None, default=None
        The step before each state. None: 1 to S_i.
    step_labels : list of n arrays (S_i,), or None, default=None
        A word or another label of these steps. The page shows it when the pointer is on a point.
    value_name : str, default="value"
        What the colours show.
    value_names : mapping from value to str, or None, default=None
        The values are categories, with these names, in the order of the legend.
    limits : (float, float) or None, default=None
        Ends of the colour scale; values beyond an end have its colour. None: the 1st and 99th percentile of all
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
        """Colour a map that stays by the output of successive readouts at every state, x_t . w_k + b_k.

        Parameters
        ----------
        states : list of n arrays (S_i, H)
            All states of every sequence.
        points : list of n arrays (S_i, 2)
            Their places, as `RecurrentStateMap.transform` returns them.
        readouts : sequence of pairs (coef (K, H), intercept (K,)), or of estimators with `coef_` and `intercept_`
            One for every stage.
        output : int, default=0
            Which output k is shown.
        judge : callable or None, default=None
            judge(outputs (S_i, K), i) returns codes (S_i,) that are shown instead: how good the outputs of sequence i
            are. By default the codes are 0 (invalid), 1 (valid) and 2 (exact); `value_names` names other codes.
        stages : sequence of names or None, default=None
            None: "stage 1" and so on.
        steps, step_labels : lists of n arrays, default=None
            The steps as `hidden_states` returns them; a label of every input step. States before the first step (with
            step 0) are left out.
        **options
            As in the class.

        Returns
        -------
        animation : StateAnimation

        Raises
        ------
        ValueError
            If points, codes or labels do not match the states, or a readout has another size.
        """
        readouts = list(positional(readouts, "readouts", "Pass one readout for each stage."))
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
        """Map the states of all stages together, so that you can follow the points while a network learns.

        Parameters
        ----------
        states : sequence of F lists of n arrays (S_i, H)
            The states of the same sequences at every stage.
        values : sequence of F lists of n arrays (S_i,), list of n arrays (S_i,), or None, default=None
            What the colours show, for every stage or for all of them. None: relative time in %.
        reducer : RecurrentStateMap, another object with `fit_transform`, or None, default=None
            As in `RecurrentStateMap`. A map that is given is fitted.
        random_state : default=42
            Of the default reducer.
        stages : sequence of names or None, default=None
            None: "stage 1" and so on.
        steps, step_labels : lists of n arrays, default=None
            The steps as `hidden_states` returns them; a label of every input step. States before the first step (with
            step 0) are left out.
        **options
            As in the class.

        Raises
        ------
        ValueError
            If the stages have different sequences, or values or labels do not match the states.
        """
        states = list(positional(states, "states", "Pass one list of states for each stage."))
        names = stage_names(stages, len(states))
        rows = StateRows.of(states[0], steps, step_labels)
        kept = [rows.of_kept(own, f"states of {name}") for name, own in zip(names, states, strict=True)]
        if values is None:
            values = [[100 * read / read[-1] for read in rows.steps]] * len(kept)
            options = {"value_name": "relative time (%)", **options}
        else:
            values = list(positional(values, "values"))
            if values and np.ndim(positional(values[0], "values[0]")[0]) == 0:  # one list of n arrays for all stages
                values = [values] * len(kept)
            if len(values) != len(kept):
                raise ValueError(f"values has {len(values)} stages, but states has {len(kept)}.")
            values = [rows.of_kept(own, f"values of {name}") for name, own in zip(names, values, strict=True)]
        if not isinstance(reducer, RecurrentStateMap):
            reducer = RecurrentStateMap(reducer, random_state=random_state)
        reducer.fit([x for stage in kept for x in stage])
        frames = [
            StateFrame(name, own, reducer.transform(stage))
            for name, own, stage in zip(names, values, kept, strict=True)
        ]
        options = {"method": type(reducer.reducer_).__name__, **options}
        return cls(None, frames, steps=rows.steps, step_labels=rows.labels, **options)

    # ------------------------------------------------------------------------------------------------ what is shown

    def points_at(self, frame: int) -> np.ndarray:
        """Return the places of all states at a stage.

        Parameters
        ----------
        frame : int
            Number of the stage.

        Returns
        -------
        points : ndarray of shape (N, 2)
            One sequence after the other.
        """
        return np.concatenate(self._places(self.frames[frame]))

    def values_at(self, frame: int) -> np.ndarray:
        """Return the values of all states at a stage.

        Parameters
        ----------
        frame : int
            Number of the stage.

        Returns
        -------
        values : ndarray of shape (N,)
            One sequence after the other.
        """
        stage, values, *_ = self.frames[frame]
        name = f"values of {stage}"
        values = check_step_values(values, [len(p) for p in self._places(self.frames[frame])], name)
        if all(own.dtype.kind in "biuf" for own in values):
            return np.concatenate(values)
        return joined_labels([label_array(own, f"{name}[{i}]") for i, own in enumerate(values)], name=name)

    def colours(self) -> StageColours:
        """Return what the colours mean in all frames.

        Returns
        -------
        colours : StageColours
        """
        return self._stages().colours

    def extent(self) -> np.ndarray:
        """Return the part of the map that all frames show, ((x_low, x_high), (y_low, y_high)).

        Returns
        -------
        extent : ndarray of shape (2, 2)
        """
        return self._stages().extent

    def _places(self, frame: StateFrame) -> Sequence[np.ndarray]:
        own = StateFrame(*frame).points
        return [as_array(p, "points") for p in positional(self.points if own is None else own, "points")]

    def _stages(self) -> Stages:
        frames = [StateFrame(*frame) for frame in self.frames]
        values = [self.values_at(k) for k in range(len(frames))]
        lengths = [len(p) for p in self._places(frames[0])]
        steps = [np.arange(1, length + 1) for length in lengths] if self.steps is None else list(self.steps)
        who = [np.repeat(np.arange(len(lengths)), lengths).tolist(), np.concatenate(steps).tolist()]
        if self.step_labels is not None:
            who.append([str(label) for labels in self.step_labels for label in labels])
        return Stages(
            names=[frame.stage for frame in frames],
            points=[self.points_at(k) for k in range(len(frames))],
            values=values,
            colours=StageColours.of(np.concatenate(values), self.value_names, self.limits),
            who=list(zip(*who, strict=True)),
            value_name=self.value_name,
            method=self.method,
            moving=any(frame.points is not None for frame in frames),
        )

    # ------------------------------------------------------------------------------------------------ drawing

    def plot(self, stage: int = -1, *, ax: Any = None) -> Self:
        """Draw one frame, by default the last one; a bar below the map shows how far learning has come.

        Parameters
        ----------
        stage : int, default=-1
            Number of the frame.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        self
        """
        drawing = StageDrawing(self._stages(), ax)
        drawing.show(range(len(self.frames))[stage])
        self.ax_ = drawing.ax
        self.figure_ = self.ax_.figure
        return self

    def save_gif(self, path: str | Path, *, fps: float = 4, dpi: float = 100, verbose: int = 0) -> None:
        """Write a film of all frames; the last frame stays longer, and a bar below the map shows the stage.

        Parameters
        ----------
        path : str or Path
            With the ending ".gif" or ".mp4". A video needs the program ffmpeg. The file is replaced in one step: even
            after a crash it holds either the old or the new film.
        fps : float, default=4
            Stages per second.
        dpi : float, default=100
            Pixels per inch; the picture is 9 inches wide.
        verbose : int, default=0
            1 shows a progress bar while the frames are drawn.

        Raises
        ------
        ValueError
            If `path` has another ending.
        RuntimeError
            If a video is asked for and ffmpeg is missing.
        ImportError
            If matplotlib is missing.
        """
        with titled(type(self).__name__, wanted=bool(verbose)):
            save_film(self._stages(), Path(path), fps, dpi)

    def to_plotly(self, *, fps: float = 2, verbose: int = 0) -> Any:
        """Return the animation as a plotly figure, for a notebook; `save_html` writes it to a file.

        Parameters
        ----------
        fps : float, default=2
            Stages per second.
        verbose : int, default=0
            1 shows a progress bar while the frames are made.

        Returns
        -------
        figure : plotly Figure

        Raises
        ------
        ImportError
            If plotly is missing.
        """
        with titled(type(self).__name__, wanted=bool(verbose)):
            return make_page(self._stages(), fps)

    def save_html(self, path: str | Path, *, fps: float = 2, verbose: int = 0) -> None:
        """Write one interactive page: a slider over the stages, a play button, and names under the pointer.

        The page contains plotly's script and all data, and needs no network. Its size is about 5 MB plus 10 bytes for
        every state and stage, or 25 bytes if points move. A browser shows some thousand states smoothly.

        Parameters
        ----------
        path : str or Path
            The file. It is replaced in one step: even after a crash it holds either the old or the new page.
        fps : float, default=2
            Stages per second.
        verbose : int, default=0
            1 shows a progress bar while the frames are made.

        Raises
        ------
        ImportError
            If plotly is missing.
        """
        figure = self.to_plotly(fps=fps, verbose=verbose)
        page = figure.to_html(include_plotlyjs=True, auto_play=False, config={"displaylogo": False}, div_id="map")
        with replacing(path) as file:
            file.write(page.encode())
