"""Pictures of single units: traces over a sequence, weights on the outputs, reactions to steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from skseqmetric._input import as_array, positional, real_numbers
from skseqmetric.inspection._drawing import COLOURS, make_axes
from skseqmetric.inspection._hidden_states import final_estimator, hidden_states
from skseqmetric.inspection._state_outputs import names_of
from skseqmetric.inspection._unit_analyses import (
    CategoryActivity,
    PolyvalentUnits,
    activity_by_category,
    check_step_categories,
    polyvalent_units,
    relative_time,
    specific_units,
    state_changes,
)

KINDS = ("traces", "changes", "total_change", "winglets", "polyvalent", "specific")
_GREY, _PALE = "#999999", "#DDDDDD"
_LINES = [colour for colour in COLOURS if colour != _GREY]  # grey is for the other units
_DASHES = ("-", "--", ":", "-.")
_MOST_STEP_LABELS = 40  # more would not be legible below an axis
_MOST_UNIT_LABELS = 60
_MOST_LEGEND_ROWS = 20


class UnitActivityDisplay:
    """Single units of a recurrent network: four analyses, each as arrays and as a picture.

    Parameters
    ----------
    states : list of n arrays (T_i, H)
        State after every step of n sequences. The state before the first step is zero.
    step_labels : list of n arrays (T_i,) or None, default=None
        A word or another label of every step. None: the relative time of the step, in tenths.
    coef : ndarray of shape (K, H) or None, default=None
        Weight of every unit on every output. The kinds "traces", "changes" and "total_change" need no weights.
    output_names : sequence of K names or None, default=None
        None: numbers.
    groups : mapping from step label to str, or None, default=None
        Kinds of labels to compare, such as content words and structure words.
    bidirectional : bool, default=False
        The second half of the units reads from the end.

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
        *,
        states: Sequence[np.ndarray],
        step_labels: Any = None,
        coef: Any = None,
        output_names: Any = None,
        groups: Mapping[Any, str] | None = None,
        bidirectional: bool = False,
    ) -> None:
        self.states = states
        self.step_labels = step_labels
        self.coef = coef
        self.output_names = output_names
        self.groups = groups
        self.bidirectional = bidirectional

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        kind: str = "traces",
        step_labels: Any = None,
        coef: Any = None,
        output_names: Any = None,
        groups: Mapping[Any, str] | None = None,
        bidirectional: bool | None = None,
        state_options: Mapping[str, Any] | None = None,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Run the sequences through the network, take the weights of its readout, and plot.

        Parameters
        ----------
        estimator : fitted estimator with `hidden_states`
            An echo state network or a trained recurrent one, also in a Pipeline or a grid search. All states of X are
            in memory at once.
        X : n sequences
            What the network reads.
        kind : str, default="traces"
            As in `plot`.
        step_labels : list of n arrays (T_i,) or None, default=None
            As in the class.
        coef : array-like of shape (K, H) or None, default=None
            Weights of the outputs. None: the estimator's `coef_`, if it has one column per unit. An echo state network
            with pooling="both" has two: pass the columns of the last state, or of the mean.
        output_names : sequence of K names or None, default=None
            None: the estimator's classes, or numbers.
        groups : mapping or None, default=None
            As in the class.
        bidirectional : bool or None, default=None
            Whether the second half of the units reads from the end. None: the estimator's parameter of that name, or
            False.
        state_options : mapping or None, default=None
            For the estimator's `hidden_states`, such as {"kind": "cell"} for an LSTM.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        **options
            As in `plot`.

        Returns
        -------
        display : UnitActivityDisplay

        Raises
        ------
        ValueError
            If a step has no label, or `coef` does not have one weight for every unit and output.
        """
        network, X = final_estimator(estimator, X)
        run = hidden_states(network, X, initial=False, **(state_options or {}))
        if step_labels is not None:
            step_labels = check_step_categories(step_labels, [read[-1] for read in run.steps], "step_labels")
            step_labels = [own[read - 1] for own, read in zip(step_labels, run.steps, strict=True)]
        coef = weights_of_units(network, coef, run.states[0].shape[1])
        classes = getattr(network, "classes_", ())
        if output_names is None and coef is not None and len(classes) == len(coef):
            output_names = classes
        if bidirectional is None:
            bidirectional = bool(getattr(network, "bidirectional", False))
        display = cls(
            states=run.states,
            step_labels=step_labels,
            coef=coef,
            output_names=output_names,
            groups=groups,
            bidirectional=bidirectional,
        )
        return display.plot(kind, ax=ax, **options)

    # ------------------------------------------------------------------------------------------------ numbers

    def polyvalent(self, *, n_extreme: int = 5, min_lists: int = 5) -> PolyvalentUnits:
        """Return the units that are among the n_extreme smallest or largest weights of at least min_lists outputs.

        Parameters
        ----------
        n_extreme : int, default=5
            Units at either end of the weights of an output.
        min_lists : int, default=5
            Least number of outputs at whose ends a unit stands.

        Returns
        -------
        units : PolyvalentUnits
            `units` (P,), and `roles` (P, K): +1 among the largest weights of an output, -1 among the smallest, else 0.
        """
        return polyvalent_units(self._weights, n_extreme, min_lists)

    def specific(
        self, output: int = 0, *, n_units: int = 10, pooling: str = "sequence", leave_out: Any = ()
    ) -> CategoryActivity:
        """Return how much the n_units units of largest |weight| on one output move at every label of a step.

        Parameters
        ----------
        output : int, default=0
            Number of the output.
        n_units : int, default=10
            Number of units of largest ``|weight|`` on it.
        pooling : {"sequence", "step"}, default="sequence"
            What mean and standard deviation go over. "sequence": the sequences, each with the mean of its steps of that
            label. "step": every step of that label, so that a sequence counts as often as it has the label. The
            authors' code does the latter.
        leave_out : sequence of labels, default=()
            Labels that are not returned, such as "BEGIN", whose step starts from the zero state. The authors leave it
            out.

        Returns
        -------
        activity : CategoryActivity
            `categories` of the steps in order, and `mean`, `std` and `n_sequences` of each.

        Raises
        ------
        ValueError
            If no step has a label of `leave_out`, or if it has all labels.
        """
        labels = self.step_labels
        if labels is None:
            labels = [relative_time(len(x)) for x in positional(self.states, "states")]
        units = specific_units(self._weights, output, n_units)
        states = positional(self.states, "states")
        return activity_by_category(states, labels, units, self.bidirectional, pooling=pooling, leave_out=leave_out)

    @property
    def _weights(self) -> np.ndarray:
        if self.coef is None:
            raise ValueError(
                "This analysis needs the weights of the outputs, one for each unit: pass coef of shape (outputs, "
                'units). The readout of an echo state network with pooling="both" has the weights of the last state, '
                "coef_[:, :units], then those of the mean."
            )
        return as_array(self.coef, "coef")

    @property
    def _names(self) -> list[str]:
        n = len(self._weights)
        if self.output_names is None:
            return [f"output {k}" for k in range(n)]
        return names_of(self.output_names, n, "output_names", "outputs")

    # ------------------------------------------------------------------------------------------------ drawing

    def plot(
        self,
        kind: str = "traces",
        *,
        ax: Any = None,
        sequence: int = 0,
        output: int | None = None,
        n_units: int = 10,
        n_extreme: int = 5,
        min_lists: int = 5,
        pooling: str = "sequence",
        leave_out: Any = (),
    ) -> Self:
        """Draw one analysis.

        Parameters
        ----------
        kind : str, default="traces"
            - "traces": the states x_t of all units over one sequence;
            - "changes": how far each unit moves, |x_t - x_{t-1}|, over one sequence;
            - "total_change": the sum of the changes over the units;
            - "winglets": |sort(w_k)| for every output;
            - "polyvalent": a table of the units with extreme weights on many outputs;
            - "specific": how much the units of largest |weight| on one output move at every label of a step, as mean
              and standard deviation over the sequences.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        sequence : int, default=0
            For "traces", "changes" and "total_change".
        output : int or None, default=None
            For "specific" (None: 0). "traces" and "changes" colour the units of largest |weight| on it.
        n_units : int, default=10
            Number of units of largest |weight|.
        n_extreme, min_lists : int, default=5
            For "polyvalent": the list of an output has n_extreme units at either end. A unit must be in min_lists
            lists.
        pooling : {"sequence", "step"}, default="sequence"
            For "specific", as in `specific`.
        leave_out : sequence of labels, default=()
            For "specific", as in `specific`.

        Returns
        -------
        self
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r} must be one of {', '.join(map(repr, KINDS))}.")
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        if kind in ("traces", "changes"):
            self._draw_traces(sequence, output, n_units, changes=kind == "changes")
        elif kind == "total_change":
            self._draw_total_change(sequence)
        elif kind == "winglets":
            self._draw_winglets(ax is None)
        elif kind == "polyvalent":
            self._draw_polyvalent(self.polyvalent(n_extreme=n_extreme, min_lists=min_lists), min_lists, ax is None)
        else:
            self._draw_specific(output or 0, n_units, pooling, leave_out)
        return self

    def _draw_traces(self, sequence: int, output: int | None, n_units: int, *, changes: bool) -> None:
        curves = self._changes(sequence) if changes else np.asarray(positional(self.states, "states")[sequence])
        time = np.arange(1, len(curves) + 1)
        chosen = np.arange(0) if output is None else specific_units(self._weights, output, n_units)
        if output is None and curves.shape[1] <= len(_LINES):
            chosen = np.arange(curves.shape[1])
        marker = "o" if len(curves) == 1 else None
        opacity = float(np.clip(60 / curves.shape[1], 0.15, 0.6))
        self.ax_.plot(time, curves, color=_GREY, alpha=opacity, lw=0.8, marker=marker, ms=3, zorder=1)
        for i, unit in enumerate(chosen):
            self.ax_.plot(time, curves[:, unit], lw=1.7, marker=marker, label=str(unit), **_line(i))
        if len(chosen):
            which = "unit" if output is None else f"largest |weight|\non {self._names[output]}:\nunit"
            self._outer_legend(which)
        what = "change of a unit  |x(t) − x(t−1)|" if changes else "state of a unit  x(t)"
        self._finish_steps(sequence, f"{what}  (no unit)", f"All {curves.shape[1]} units over sequence {sequence}")

    def _changes(self, sequence: int) -> np.ndarray:
        return state_changes(np.asarray(positional(self.states, "states")[sequence]), self.bidirectional)

    def _draw_total_change(self, sequence: int) -> None:
        total = self._changes(sequence).sum(axis=1)
        marker = "o" if len(total) <= _MOST_STEP_LABELS else None
        self.ax_.plot(np.arange(1, len(total) + 1), total, color=COLOURS[0], lw=1.7, marker=marker, ms=4)
        self.ax_.set_ylim(bottom=0)
        ylabel = "sum over the units of  |x(t) − x(t−1)|  (no unit)"
        self._finish_steps(sequence, ylabel, f"How much the network moves at every step of sequence {sequence}")

    def _finish_steps(self, sequence: int, ylabel: str, title: str) -> None:
        n_steps = len(positional(self.states, "states")[sequence])
        self.ax_.set(xlabel="step", ylabel=ylabel, title=title, xlim=(0.5, n_steps + 0.5))
        if self.step_labels is not None and n_steps <= _MOST_STEP_LABELS:
            labels = [str(label) for label in positional(self.step_labels, "step_labels")[sequence]]
            self.ax_.set_xticks(np.arange(1, n_steps + 1), labels, **_slanted(labels))
            self.ax_.grid(axis="x", color=_PALE, lw=0.6)
        else:
            self.ax_.xaxis.get_major_locator().set_params(integer=True)

    def _draw_winglets(self, resize: bool) -> None:
        # the negative weights fall from the left, the positive ones rise to the right: high, narrow wings are few units
        wings = np.abs(np.sort(self._weights, axis=1))
        if resize and len(wings) > _MOST_LEGEND_ROWS // 2:
            self.figure_.set_size_inches(9, 5)
        for k, (name, wing) in enumerate(zip(self._names, wings, strict=True)):
            self.ax_.plot(np.linspace(0, 100, len(wing)), wing, lw=1.3, label=name, **_line(k))
        self.ax_.set(
            xlabel=f"units in order of their weight, the most negative first (% of {wings.shape[1]})",
            ylabel="|weight|  (output per unit of state)",
            title="Winglets: how the weights of every output are spread",
            xlim=(0, 100),
        )
        self.ax_.set_ylim(bottom=0)
        self._outer_legend("output")

    def _draw_polyvalent(self, found: PolyvalentUnits, min_lists: int, resize: bool) -> None:
        from matplotlib.colors import ListedColormap
        from matplotlib.patches import Patch

        names, n_found = self._names, len(found.units)
        rows = found.roles[:_MOST_UNIT_LABELS]
        if resize:
            self.figure_.set_size_inches(max(5.5, 3.2 + 0.3 * len(names)), 2.2 + 0.22 * max(len(rows), 3))
        colours = {
            "among the smallest weights": COLOURS[1],
            "in neither list": "white",
            "among the largest weights": COLOURS[0],
        }
        grid = {"edgecolors": _PALE, "linewidth": 0.8}
        if len(rows):
            self.ax_.pcolormesh(rows, cmap=ListedColormap(list(colours.values())), vmin=-1, vmax=1, **grid)
        self.ax_.set_xticks(np.arange(len(names)) + 0.5, names, rotation=90)
        units = [f"{unit}  ({n})" for unit, n in zip(found.units, found.n_lists, strict=True)][: len(rows)]
        self.ax_.set_yticks(np.arange(len(rows)) + 0.5, units)
        self.ax_.tick_params(length=0)
        shown = f", {len(rows)} of them shown" if len(rows) < n_found else ""
        self.ax_.set(ylabel="unit  (in how many lists)", xlim=(0, len(names)), ylim=(max(len(rows), 1), 0))
        self.ax_.set_title(f"Units in at least {min_lists} lists: {n_found}{shown}", loc="left")
        handles = [Patch(facecolor=c, edgecolor=_GREY, label=name) for name, c in colours.items()]
        self.ax_.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False)

    def _draw_specific(self, output: int, n_units: int, pooling: str, leave_out: Any) -> None:
        found = self.specific(output, n_units=n_units, pooling=pooling, leave_out=leave_out)
        order, kinds = _order_of_bars(found, self.groups)
        for k, kind in enumerate(dict.fromkeys(kinds)):
            at = np.flatnonzero([own == kind for own in kinds])
            mean, std = found.mean[order[at]], found.std[order[at]]
            whiskers = {"ecolor": "black", "capsize": 2.5, "error_kw": {"elinewidth": 0.9}}
            self.ax_.bar(at, mean, yerr=std, color=COLOURS[k % len(COLOURS)], label=kind, alpha=0.85, **whiskers)
        labels = [f"{name:g}" if isinstance(name, float) else str(name) for name in found.categories[order].tolist()]
        self.ax_.set_xticks(np.arange(len(labels)), labels, **_slanted(labels))
        n_units = min(n_units, self._weights.shape[1])
        self.ax_.set(
            xlabel="step" if self.step_labels is not None else "relative time (% of the sequence)",
            ylabel="sum over the units of  |x(t) − x(t−1)|  (no unit)",
            title=f"What moves the {n_units} units of largest |weight| on {self._names[output]}\n"
            f"(mean and standard deviation over {len(self.states)} sequences{', every step' * (pooling == 'step')})",
            xlim=(-0.6, len(labels) - 0.4),
        )
        self.ax_.set_ylim(bottom=0)
        if self.groups is not None:
            self._outer_legend("")

    def _outer_legend(self, title: str) -> None:
        n_columns = -(-len(self.ax_.get_legend_handles_labels()[0]) // _MOST_LEGEND_ROWS)
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "ncols": n_columns}
        self.ax_.legend(title=title, frameon=False, fontsize="small", **place)


def weights_of_units(network: Any, coef: Any, n_units: int) -> np.ndarray | None:
    """Return the given weights if they fit, else those of a readout with one weight for each unit, else None."""
    if coef is None:
        coef = getattr(network, "coef_", None)
        return coef if np.ndim(coef) == 2 and np.shape(coef)[1] == n_units else None
    weights = real_numbers(as_array(coef, "coef"), "coef")
    if weights.ndim != 2 or weights.shape[1] != n_units:
        raise ValueError(f"coef has shape {weights.shape}, but must be (outputs, {n_units} units).")
    return weights


def _line(k: int) -> dict[str, Any]:
    return {"color": _LINES[k % len(_LINES)], "ls": _DASHES[k // len(_LINES) % len(_DASHES)]}


def _slanted(labels: list[str]) -> dict[str, Any]:
    """Slant labels that are too long to stand next to each other."""
    if max(map(len, labels)) * len(labels) <= 50:
        return {}
    return {"rotation": 55, "ha": "right", "rotation_mode": "anchor"}


def _order_of_bars(found: CategoryActivity, groups: Mapping[Any, str] | None) -> tuple[np.ndarray, list[str]]:
    """Order bars by group, then names by descending mean and numbers by value; also return the group of each bar."""
    names = found.categories.tolist()
    kinds = ["other" if groups is None else groups.get(name, "other") for name in names]
    ranks = list(dict.fromkeys([*(() if groups is None else groups.values()), "other"]))
    within: np.ndarray = np.arange(len(names)) if found.categories.dtype.kind in "iuf" else -found.mean
    order = np.lexsort((within, np.array([ranks.index(kind) for kind in kinds])))
    return order, [kinds[i] for i in order.tolist()]
