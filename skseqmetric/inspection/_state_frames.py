"""The data of an animated state map: what each stage of learning shows at every state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from skseqmetric._input import as_array, positional, real_numbers
from skseqmetric.inspection._unit_analyses import check_step_values

CODE_NAMES = {0: "invalid", 1: "valid", 2: "exact"}


class StateFrame(NamedTuple):
    """One stage of learning: its name, n arrays (S_i,) of values, and n arrays (S_i, 2) of points if these move."""

    stage: str
    values: Sequence[np.ndarray]
    points: Sequence[np.ndarray] | None = None


@dataclass(frozen=True)
class StateRows:
    """Which states of every sequence are shown (all after the first step), and their steps and labels.

    kept: n arrays (S_i,) of bool; steps, labels: n arrays with one entry for every shown state.
    """

    kept: list[np.ndarray]
    steps: list[np.ndarray]
    labels: list[np.ndarray] | None

    @classmethod
    def of(cls, states: Sequence[np.ndarray], steps: Any, step_labels: Any) -> Self:
        """Take n arrays (S_i, H) of states, the step before each state, and one label for every input step."""
        lengths = [len(x) for x in rows_of(states, "states")]
        if steps is None:
            steps = [np.arange(1, length + 1) for length in lengths]
        steps = check_step_values(steps, lengths, "steps")
        kept = [read > 0 for read in steps]
        steps = [read[own] for read, own in zip(steps, kept, strict=True)]
        if step_labels is not None:
            step_labels = check_step_values(step_labels, [read[-1] for read in steps], "step_labels")
            step_labels = [own[read - 1] for own, read in zip(step_labels, steps, strict=True)]
        return cls(kept, steps, step_labels)

    def of_kept(self, arrays: Sequence[Any], name: str) -> list[np.ndarray]:
        """Select the rows of the shown states from arrays with one row for every state."""
        arrays = rows_of(arrays, name)
        check_step_values([np.zeros(own.shape[:1]) for own in arrays], [len(own) for own in self.kept], name)
        return [own[kept] for own, kept in zip(arrays, self.kept, strict=True)]


def rows_of(arrays: Any, name: str) -> list[np.ndarray]:
    """Return n arrays of at least one dimension, by position; n >= 1."""
    found = [as_array(own, f"{name}[{i}]") for i, own in enumerate(positional(arrays, name, "Pass a list of arrays."))]
    if not found:
        raise ValueError(f"{name} is empty: at least one sequence is needed.")
    for i, own in enumerate(found):
        if own.ndim == 0:
            raise ValueError(f"{name}[{i}] has no dimensions: pass one array for each sequence.")
    return found


def readout_values(
    states: Sequence[np.ndarray], readout: Any, output: int, judge: Callable[[np.ndarray, int], Any] | None, name: str
) -> list[np.ndarray]:
    """Output k of a readout at every state, n arrays (S_i,), or what `judge` makes of all its outputs."""
    if not hasattr(readout, "coef_") and not (isinstance(readout, (tuple, list)) and len(readout) == 2):
        raise ValueError(f"The readout of {name} is {readout!r}: readouts are pairs (coef, intercept), or estimators.")
    coef, intercept = (readout.coef_, readout.intercept_) if hasattr(readout, "coef_") else readout
    coef = real_numbers(as_array(coef, f"coef of {name}"), f"coef of {name}")
    intercept = real_numbers(as_array(intercept, f"intercept of {name}"), f"intercept of {name}")
    if states[0].ndim != 2:
        raise ValueError(f"states[0] has shape {states[0].shape}, but must be (T, H).")
    if coef.ndim != 2 or coef.shape[1] != states[0].shape[1]:
        raise ValueError(f"coef of {name} has shape {coef.shape}, but must be (outputs, {states[0].shape[1]} units).")
    if judge is not None:
        codes = [np.asarray(judge(x @ coef.T + intercept, i)) for i, x in enumerate(states)]
        check_step_values(codes, [len(x) for x in states], "what judge returned")
        return codes
    if not 0 <= output < len(coef):
        raise ValueError(f"output={output} must be from 0 to {len(coef) - 1}: {name} has {len(coef)} outputs.")
    return [x @ coef[output] + np.broadcast_to(intercept, len(coef))[output] for x in states]


def stage_names(names: Any, n_stages: int) -> list[str]:
    """Return one name for every stage."""
    if not n_stages:
        raise ValueError("There are no stages: an animation needs at least one.")
    if names is None:
        return [f"stage {k + 1}" for k in range(n_stages)]
    names = positional(names, "stages", "Pass one name for each stage.")
    if len(names) != n_stages:
        raise ValueError(f"stages has {len(names)} names, but there are {n_stages} stages.")
    return [str(name) for name in names]
