"""The data of an animated state map: what each stage of learning shows at every state, and in which colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from skseqmetric.inspection._drawing import COLOURS, style
from skseqmetric.inspection._state_drawing import in_order, is_scale
from skseqmetric.inspection._unit_analyses import check_step_values

# viridis without its palest end: the paper is white
SCALE = ("#440154", "#482979", "#3e4c8a", "#2f6b8e", "#24868e", "#1fa287", "#3fbc73", "#7fd34e", "#cae11f")
# of codes from bad to good, as in a map of errors that does not move
_CODE_LOOKS = {
    2: ((COLOURS[1], "X"), (COLOURS[0], "o")),
    3: ((COLOURS[1], "X"), (COLOURS[5], "s"), (COLOURS[0], "o")),
}
CODE_NAMES = {0: "invalid", 1: "valid", 2: "exact"}
_INNER = (1, 99)  # percentiles between which a colour scale spans by default: early stages may be far off


class StateFrame(NamedTuple):
    """One stage of learning: its name, n arrays (S_i,) of values, and n arrays (S_i, 2) of points where these move."""

    stage: str
    values: Sequence[np.ndarray]
    points: Sequence[np.ndarray] | None = None


@dataclass(frozen=True)
class StateRows:
    """Which states of every sequence are shown, those after the first step on, and what is known of them.

    kept: n arrays (S_i,) of bool; steps, labels: n arrays of the kept ones.
    """

    kept: list[np.ndarray]
    steps: list[np.ndarray]
    labels: list[np.ndarray] | None

    @classmethod
    def of(cls, states: Sequence[np.ndarray], steps: Any, step_labels: Any) -> Self:
        """Of states (S_i, H), the step that each is the state after, and one label for every input step."""
        lengths = [len(x) for x in states]
        steps = [np.arange(1, length + 1) for length in lengths] if steps is None else [np.asarray(s) for s in steps]
        check_step_values(steps, lengths, "steps")
        kept = [read > 0 for read in steps]
        steps = [read[own] for read, own in zip(steps, kept, strict=True)]
        if step_labels is not None:
            check_step_values(step_labels, [read[-1] for read in steps], "step_labels")
            step_labels = [np.asarray(own)[read - 1] for own, read in zip(step_labels, steps, strict=True)]
        return cls(kept, steps, step_labels)

    def of_kept(self, arrays: Sequence[Any], name: str) -> list[np.ndarray]:
        """Of arrays with one row for every state those of the shown ones."""
        arrays = [np.asarray(own) for own in arrays]
        check_step_values([np.zeros(own.shape[:1]) for own in arrays], [len(own) for own in self.kept], name)
        return [own[kept] for own, kept in zip(arrays, self.kept, strict=True)]


def readout_values(
    states: Sequence[np.ndarray], readout: Any, output: int, judge: Callable[[np.ndarray, int], Any] | None, name: str
) -> list[np.ndarray]:
    """Output k of a read-out at every state, n arrays (S_i,), or what `judge` makes of all its outputs."""
    coef, intercept = (readout.coef_, readout.intercept_) if hasattr(readout, "coef_") else readout
    coef, intercept = np.asarray(coef), np.asarray(intercept)
    if coef.ndim != 2 or coef.shape[1] != states[0].shape[1]:
        raise ValueError(f"coef of {name} has shape {coef.shape}, but must be (outputs, {states[0].shape[1]} units).")
    if judge is not None:
        codes = [np.asarray(judge(x @ coef.T + intercept, i)) for i, x in enumerate(states)]
        check_step_values(codes, [len(x) for x in states], "what judge returned")
        return codes
    if not 0 <= output < len(coef):
        raise ValueError(f"output={output} must be from 0 to {len(coef) - 1}: {name} has {len(coef)} outputs.")
    return [x @ coef[output] + np.broadcast_to(intercept, len(coef))[output] for x in states]


def stage_names(names: Sequence[Any] | None, n_stages: int) -> list[str]:
    """One name for every stage, or an error."""
    if not n_stages:
        raise ValueError("There are no stages: an animation needs at least one.")
    if names is None:
        return [f"stage {k + 1}" for k in range(n_stages)]
    if len(names) != n_stages:
        raise ValueError(f"stages has {len(names)} names, but there are {n_stages} stages.")
    return [str(name) for name in names]


def at_every_stage(values: Any, n_stages: int) -> list[Any]:
    """S lists of n arrays, from these or from one list of n arrays (S_i,) that holds for all stages."""
    if np.ndim(values[0][0]) == 0:
        return [values] * n_stages
    if len(values) != n_stages:
        raise ValueError(f"values has {len(values)} stages, but states has {n_stages}.")
    return list(values)


@dataclass(frozen=True)
class StageColours:
    """What colours mean in all frames: numbers from `low` to `high`, or categories and their names.

    `beyond` tells whether there are numbers outside of the limits ("neither", "min", "max" or "both"); `looks` are
    colour and marker of every category.
    """

    low: float
    high: float
    beyond: str = "neither"
    categories: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()
    looks: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, values: np.ndarray, names: Mapping[Any, str] | None, limits: tuple[float, float] | None) -> Self:
        """Of the values of all frames, (N,)."""
        if names is None and is_scale(values):
            return cls._scale(values.astype(np.float64), limits)
        names = {} if names is None else names
        categories = tuple(dict.fromkeys([*names, *in_order(values)]))
        n = len(categories)
        looks = tuple((style(k)["color"], style(k)["marker"]) for k in range(n))
        if list(names) == list(range(n)):
            looks = _CODE_LOOKS.get(n, looks)
        return cls(-0.5, n - 0.5, "neither", categories, tuple(str(names.get(c, c)) for c in categories), looks)

    @classmethod
    def _scale(cls, values: np.ndarray, limits: tuple[float, float] | None) -> Self:
        low, high = np.nanpercentile(values, _INNER) if limits is None else limits
        if low == high:
            low, high = low - 0.5, high + 0.5
        outside = bool(np.nanmin(values) < low), bool(np.nanmax(values) > high)
        beyond = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
        return cls(float(low), float(high), beyond[outside])

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Numbers as they are, (N,) of float; of categories their place in the legend, (N,) of int."""
        if not self.categories:
            return values.astype(np.float64)
        place = {category: k for k, category in enumerate(self.categories)}
        return np.array([place[value] for value in values.tolist()], dtype=np.int64)

    @property
    def colours(self) -> list[str]:
        """Those of the categories, or some along the scale."""
        return [colour for colour, _ in self.looks] or list(SCALE)
