"""Layers over a map of recurrent states: trajectories, final states, places in the sequence, outputs, errors."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import clone

from skseqmetric._input import as_array, label_array, one_label_each, positional
from skseqmetric.inspection._hidden_states import final_estimator, hidden_states, mapped_by_default
from skseqmetric.inspection._state_drawing import draw_cloud, draw_values, fit_figure, fit_legend, state_axes
from skseqmetric.inspection._state_labels import draw_labels
from skseqmetric.inspection._state_layers import START, draw_activations, draw_codes, draw_trajectories, numbered
from skseqmetric.inspection._state_map import RecurrentStateMap
from skseqmetric.inspection._state_outputs import (
    Judge,
    by_difficulty,
    class_judge,
    codes_of_part,
    judged,
    labels_of,
    names_of,
    of_states,
    step_outputs,
    values_of_output,
)

LAYERS = ("trajectories", "final", "places", "output", "errors")
CODE_NAMES = ("invalid", "valid", "exact")
RIGHT_OR_WRONG = ("wrong", "right")
_MOST_TRAJECTORIES = 3  # by default
_RING = 3.0  # points of 1/72 inch that a ring needs
_LONGEST_NAME = 90  # of a sequence that gets its name from its steps


class DifficultExample(NamedTuple):
    """A sequence, the code of its last state, the share of its states with code 0, and its name."""

    sequence: int
    final_code: int
    wrong_share: float
    name: str


class RecurrentStateDisplay:
    """The states of a recurrent network after every prefix of n sequences, placed in one map: RSSviz.

    One call draws one of five layers: `plot_trajectories`, `plot_final`, `plot_places`, `plot_output`, `plot_errors`,
    or `plot` with the name of the layer. Lists hold an array of S_i entries for each sequence, one per state.

    Parameters
    ----------
    points : list of n arrays (S_i, 2)
        Place of every state.
    steps : list of n arrays (S_i,) of int
        Input steps read at every state; 0 at an initial state.
    step_names : list of n sequences of S_i names, or None, default=None
        Such as the last word. None: the number of steps is the name.
    places : list of n sequences of S_i labels, or None, default=None
        The place of a state in its sequence, such as "first clause". None for a state: no label.
    labels : array-like of shape (n,) or None, default=None
        Class, or a number, of every sequence.
    outputs : list of n arrays (S_i, K) or None, default=None
        Outputs of the network at every state; NaN if unknown.
    output_names : sequence of K names or None, default=None
        Of the outputs. None: numbers.
    codes : list of n arrays (S_i,) or (S_i, parts) of int, or None, default=None
        How good the outputs are: 0 is the worst code, -1 marks a state that is not judged. An output can have parts.
    code_names : sequence of 2 or 3 names, default=("invalid", "valid", "exact")
        Of the codes 0, 1 and 2.
    names : sequence of n names or None, default=None
        Of the sequences. None: their step names if these are short enough, else numbers.
    method : str, default="UMAP"
        What placed the states; names the axes.

    Attributes
    ----------
    ax_, figure_ : matplotlib objects
        Set by the methods that draw.
    map_ : RecurrentStateMap
        Set by `from_estimator`.

    References
    ----------
    A. Variengien, X. Hinaut, "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv 2012.01748, 2020.
    """

    def __init__(
        self,
        *,
        points: list[np.ndarray],
        steps: list[np.ndarray],
        step_names: Any = None,
        places: Any = None,
        labels: Any = None,
        outputs: list[np.ndarray] | None = None,
        output_names: Any = None,
        codes: list[np.ndarray] | None = None,
        code_names: Any = CODE_NAMES,
        names: Any = None,
        method: str = "UMAP",
    ) -> None:
        self.points = points
        self.steps = steps
        self.step_names = step_names
        self.places = places
        self.labels = labels
        self.outputs = outputs
        self.output_names = output_names
        self.codes = codes
        self.code_names = code_names
        self.names = names
        self.method = method

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        y: Any = None,
        map: Any = None,
        places: Any = None,
        step_names: Any = None,
        names: Any = None,
        labels: Any = None,
        output_names: Any = None,
        judge: Judge | None = None,
        code_names: Any = None,
        initial: bool = True,
        options: dict[str, Any] | None = None,
        layer: str = "trajectories",
        ax: Any = None,
        **drawing: Any,
    ) -> Self:
        """Collect the states of a fitted recurrent estimator and its outputs there, place the states, and plot a layer.

        Parameters
        ----------
        estimator : fitted recurrent estimator, or Pipeline that ends in one
            What has the states.
        X : n sequences
            What it reads.
        y : array-like of shape (n,), or list of n arrays (T_i,), or None, default=None
            Classes of the sequences or of their steps. They judge the states of a classifier: a state is right if the
            class of the largest output is that of y.
        map : RecurrentStateMap or None, default=None
            A fitted map is used as it is. Otherwise a copy is fitted on these states and stored in `map_`. None:
            ``RecurrentStateMap()``.
        places, step_names : list of n sequences of T_i entries, or None, default=None
            As in the class, but with one entry for every input step (or for every recurrent step).
        names : sequence of n names or None, default=None
            As in the class.
        labels : array-like of shape (n,) or None, default=None
            None: y, if it has one entry per sequence.
        output_names : sequence of K names or None, default=None
            None: the classes of a classifier.
        judge : callable or None, default=None
            judge(outputs, i) compares the outputs (T_i', K) at all states of sequence i with the target of the
            sequence. It returns codes (T_i',) or (T_i', parts): 0 (invalid), 1 (valid) or 2 (exact).
        code_names : sequence of 2 or 3 names or None, default=None
            None: "invalid", "valid", "exact" with `judge`, else "wrong", "right".
        initial : bool, default=True
            Show the state before the first step.
        options : dict or None, default=None
            Of the estimator's `hidden_states`. None: ``{"kind": "cell"}`` for a recurrent estimator with
            ``cell="lstm"``, as in the paper.
        layer : {"trajectories", "final", "places", "output", "errors"}, default="trajectories"
            What is drawn.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        **drawing
            As in `plot`.

        Returns
        -------
        display : RecurrentStateDisplay

        Raises
        ------
        TypeError
            If the estimator has no recurrent states.
        ValueError
            If names, places or codes do not match the states, or a layer needs something that is missing.

        Notes
        -----
        The outputs come from the estimator's `predict_prefixes`, or from its probabilities if it labels steps. For the
        layers "output" and "errors" and with `judge`, any other classifier predicts every prefix: one prediction per
        state. The initial state has no output.
        """
        _check_layer(layer)
        last, inputs = final_estimator(estimator, X)
        options = mapped_by_default(last) if options is None else options
        found = hidden_states(last, inputs, initial=initial, **options)
        if not hasattr(map, "states_"):
            map = (RecurrentStateMap() if map is None else clone(map)).fit(found.states)
        wanted = layer in ("output", "errors") or judge is not None
        outputs = step_outputs(last, inputs, found.steps, from_prefixes=wanted)
        chosen = class_judge(last, y, found.steps) if judge is None else judge
        code_names = (RIGHT_OR_WRONG if judge is None else CODE_NAMES) if code_names is None else code_names
        display = cls(
            points=map.transform(found.states),
            steps=found.steps,
            method=type(map.reducer_).__name__,
            step_names=of_states(step_names, found.steps, "step_names"),
            places=of_states(places, found.steps, "places"),
            labels=labels_of(labels, y, len(found.steps)),
            outputs=outputs,
            output_names=getattr(last, "classes_", None) if output_names is None else output_names,
            codes=None if chosen is None or outputs is None else judged(outputs, found.steps, chosen, len(code_names)),
            code_names=code_names,
            names=names,
        )
        display.map_ = map
        return display.plot(layer, ax=ax, **drawing)

    map_: RecurrentStateMap

    # ------------------------------------------------------------------ layers
    def plot(self, layer: str = "trajectories", *, ax: Any = None, **drawing: Any) -> Self:
        """Draw one layer.

        Parameters
        ----------
        layer : {"trajectories", "final", "places", "output", "errors"}, default="trajectories"
            The method `plot_` with this name draws it.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        **drawing
            Of the method of that layer.

        Returns
        -------
        self
        """
        _check_layer(layer)
        return getattr(self, f"plot_{layer}")(ax=ax, **drawing)

    def plot_trajectories(self, sequences: Any = None, *, ax: Any = None, label_every: int | None = None) -> Self:
        """Draw all states in grey, and the trajectories of some sequences, each point labelled with its step.

        Parameters
        ----------
        sequences : array-like of int or None, default=None
            None: the first sequence of each of the first three classes, or the first three sequences.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        label_every : int or None, default=None
            Label every such state, and the last one. None: about 20 labels per sequence at most.

        Returns
        -------
        self
        """
        chosen = self._first_sequences() if sequences is None else [int(i) for i in np.atleast_1d(sequences)]
        title = f"Trajectories of {len(chosen)} sequence{'s' if len(chosen) > 1 else ''}"
        self._begin(ax, title)
        cloud = self._cloud(f"all {len(self._stacked(self.points))} states")
        ways = [(self._titled(i), _array(self.points, i), self._step_texts(i)) for i in chosen]
        labels = draw_trajectories(self.ax_, cloud, ways, label_every)
        self._fit(ax)
        left_out = draw_labels(self.ax_, labels, [points for _, points, _ in ways])
        if left_out:
            self.ax_.set_title(f"{title} ({left_out} names left out: no room)")
        return self

    def plot_final(self, *, ax: Any = None) -> Self:
        """Draw all states in grey, and the last state of every sequence coloured by its label.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        self
        """
        self._begin(ax, f"Final states of {len(self.points)} sequences")
        self._cloud()
        last = np.stack([as_array(points, "points")[-1] for points in positional(self.points, "points")])
        labels = np.full(len(last), "final state") if self.labels is None else self._given_labels
        draw_values(self.ax_, last, labels, "" if self.labels is None else "label", area=26)
        self._fit(ax)
        return self

    def plot_places(self, *, by: str | None = None, ax: Any = None) -> Self:
        """Draw all states coloured by their place in the sequence.

        Parameters
        ----------
        by : {"place", "time", "step", "name"} or None, default=None
            The labels of `places`, the share of the sequence that was read, the number of steps read, or the name of
            the step. None: "place" if places are given, else "time".
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        self
        """
        by = ("time" if self.places is None else "place") if by is None else by
        values, title = self._place_values(by)
        self._begin(ax, f"States by {title}")
        known = np.array([value is not None for value in values])
        label_array(values[known], by)  # of one type, so that they can be sorted
        self._cloud()
        scale = True if by in ("time", "step") else None
        draw_values(self.ax_, self._stacked(self.points)[known], values[known], title, scale=scale)
        self._fit(ax)
        return self

    def plot_output(self, output: Any = 0, *, ax: Any = None, bins: int = 40) -> Self:
        """Draw all states coloured by one output; its histogram is the colour bar.

        Parameters
        ----------
        output : int or name, default=0
            Number or name of the output.
        ax : matplotlib axes, default=None
            The histogram appears to the right of them.
        bins : int, default=40
            Of the histogram. The colour scale ends at the 1st and 99th percentile of the values.

        Returns
        -------
        self
        """
        values, name = values_of_output(self.outputs, output, self.output_names)
        known = np.isfinite(values)
        self._begin(ax, f"Output '{name}' at every state")
        self._cloud()
        draw_activations(self.ax_, self._stacked(self.points)[known], values[known], f"output '{name}'", bins)
        self._fit(ax)
        return self

    def plot_errors(self, *, part: int | None = None, mark: int = 3, ax: Any = None) -> Self:
        """Draw all states by the quality of their output against the target of the whole sequence.

        The last state of every sequence is framed.

        Parameters
        ----------
        part : int or None, default=None
            Part of the output. None: the worst of all parts.
        mark : int, default=3
            Number of the most difficult sequences to name. Sequences whose last state has the best code are not named.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        self
        """
        codes, names = codes_of_part(self._all_codes, part), list(map(str, self.code_names))
        if len(names) not in (2, 3):
            raise ValueError(f"code_names has {len(names)} names: there are 2 or 3 codes.")
        finals = np.array([own[-1] for own in codes])
        shares = ", ".join(f"{np.mean(finals == k):.1%} {names[k]}" for k in reversed(range(len(names))))
        of_part = "" if part is None else f", part {part}"
        self._begin(ax, f"Outputs against the target{of_part}\nfinal states: {shares}")
        self._cloud()
        ranked = by_difficulty(self._all_codes if part is None else codes)[:mark]
        worst = [i for i, code, _ in ranked if code < len(names) - 1]
        points, marked = [_array(self.points, i) for i in range(len(codes))], [(i, self._name(i)) for i in worst]
        labels = draw_codes(self.ax_, points, codes, names, marked)
        self._fit(ax)
        draw_labels(self.ax_, labels, [], clearance=_RING)
        return self

    # ------------------------------------------------------------------ what the layers show
    def difficult_examples(self, n: int = 10) -> list[DifficultExample]:
        """Return the sequences that the network finds most difficult, the worst first.

        Parameters
        ----------
        n : int, default=10
            Most sequences that are returned.

        Returns
        -------
        examples : list of up to n DifficultExample (sequence, final_code, wrong_share, name)
            Ordered by the code of the last state (its worst part, then the sum of all parts), then by the share of
            states with code 0.
        """
        ranked = by_difficulty(self._all_codes)[:n]
        return [DifficultExample(i, code, share, self._name(i)) for i, code, share in ranked]

    @property
    def _all_codes(self) -> list[np.ndarray]:
        if self.codes is None:
            raise ValueError(
                "There are no errors to show: pass y for a classifier, or judge for any estimator with outputs."
            )
        return [as_array(own, "codes") for own in positional(self.codes, "codes")]

    def _place_values(self, by: str) -> tuple[np.ndarray, str]:
        """Return a value of every state (None if it has none), and what the values are."""
        if by == "time":
            return np.concatenate([100 * steps / steps[-1] for steps in self._all_steps]), "time (% of the sequence)"
        if by == "step":
            return np.concatenate(self._all_steps), "number of steps read"
        given = {
            "place": ("places", self.places, "place in the sequence"),
            "name": ("step_names", self.step_names, "step read last"),
        }
        if by not in given:
            raise ValueError(f"by={by!r} must be 'place', 'time', 'step' or 'name'.")
        name, values, title = given[by]
        if values is None:
            raise ValueError(f"by={by!r} needs {name}, and none are given.")
        return _objects([value for own in positional(values, name) for value in positional(own, name)]), title

    # ------------------------------------------------------------------ drawing
    def _begin(self, ax: Any, title: str) -> None:
        self.ax_ = state_axes(ax, self.method, title)
        self.figure_ = self.ax_.figure

    def _fit(self, ax: Any) -> None:
        """Set the height of a figure that was made here."""
        if ax is None:
            fit_figure(self.ax_, self._stacked(self.points))
            fit_legend(self.ax_)

    def _cloud(self, label: str | None = None) -> Any:
        return draw_cloud(self.ax_, self._stacked(self.points), label)

    @staticmethod
    def _stacked(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([as_array(part, "points") for part in positional(parts, "points")])

    def _first_sequences(self) -> list[int]:
        n = len(self.points)
        first = range(n) if self.labels is None else np.sort(np.unique(self._given_labels, return_index=True)[1])
        return [int(i) for i in first[:_MOST_TRAJECTORIES]]

    @property
    def _given_labels(self) -> np.ndarray:
        return one_label_each(self.labels, len(self.points), "labels", "sequences")

    @property
    def _all_steps(self) -> list[np.ndarray]:
        return [as_array(steps, "steps") for steps in positional(self.steps, "steps")]

    def _name(self, i: int) -> str:
        if self.names is not None:
            return names_of(self.names, len(self.points), "names", "sequences")[i]
        read = [] if self.step_names is None else [str(name) for name in _item(self.step_names, i) if name is not None]
        joined = " ".join(read)
        return joined if 0 < len(joined) <= _LONGEST_NAME else numbered(i)

    def _titled(self, i: int) -> str:
        return self._name(i) if self.labels is None else f"{self._name(i)} ({_item(self.labels, i)})"

    def _step_texts(self, i: int) -> list[str]:
        """Return the labels of the states of sequence i."""
        if self.step_names is None:
            return [str(step) for step in self._all_steps[i]]
        return [START if name is None else str(name) for name in _item(self.step_names, i)]


def _item(container: Any, i: int) -> Any:
    """Return what belongs to sequence i, by position."""
    return positional(container, "a list of the display")[i]


def _array(container: Any, i: int) -> np.ndarray:
    return as_array(_item(container, i), "an array of the display")


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _check_layer(layer: str) -> None:
    if layer not in LAYERS:
        raise ValueError(f"layer={layer!r} must be one of {', '.join(map(repr, LAYERS))}.")
