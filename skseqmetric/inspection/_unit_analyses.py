"""Analyses of single units of a recurrent network: their changes at every step and their weights on the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skseqmetric._input import as_array, joined_labels, label_array, positional


def state_changes(states: np.ndarray, bidirectional: bool) -> np.ndarray:
    """Return how far every unit moves at every step, |x_t - x_{t-1}| with x_0 = 0, (T, H) for states (T, H).

    With `bidirectional`, the second half of the units reads from the end: |x_t - x_{t+1}| with x_{T+1} = 0.
    """
    n_forward = states.shape[1] // 2 if bidirectional else states.shape[1]
    zero = np.zeros((), dtype=states.dtype)
    forward = np.diff(states[:, :n_forward], axis=0, prepend=zero)
    return np.abs(np.concatenate([forward, np.diff(states[:, n_forward:], axis=0, append=zero)], axis=1))


class PolyvalentUnits(NamedTuple):
    """Units with extreme weights on many outputs: `units` (P,), and `roles` (P, K), +1, -1 or 0.

    The role of a unit for an output: its weight is among the largest (+1), among the smallest (-1), or neither (0).
    """

    units: np.ndarray
    roles: np.ndarray

    @property
    def n_lists(self) -> np.ndarray:
        """Number of outputs that have each unit in their list, (P,)."""
        return np.count_nonzero(self.roles, axis=1)

    def to_frame(self, output_names: Sequence[Any] | None = None) -> Any:
        """Return a pandas DataFrame with a row per unit, a column per output, and the column "n_lists"."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("A data frame needs pandas: pip install pandas.") from error
        frame = pd.DataFrame(self.roles, index=pd.Index(self.units, name="unit"), columns=output_names)
        return frame.assign(n_lists=self.n_lists)


def polyvalent_units(coef: np.ndarray, n_extreme: int, min_lists: int) -> PolyvalentUnits:
    """Find the units in the lists of at least min_lists outputs: those in the most lists first, then by number.

    The list of an output has its n_extreme smallest and its n_extreme largest weights; equal ones are in the order of
    their units.
    """
    n_outputs, n_units = coef.shape
    if not 1 <= n_extreme <= n_units // 2:
        raise ValueError(
            f"n_extreme={n_extreme} must be at least 1 and at most half of the {n_units} units: a list has n_extreme "
            "of the largest and n_extreme of the smallest weights."
        )
    order = np.argsort(coef, axis=1, kind="stable")
    roles = np.zeros((n_units, n_outputs), dtype=np.int8)
    outputs = np.arange(n_outputs)[:, np.newaxis]
    roles[order[:, :n_extreme], outputs] = -1
    roles[order[:, -n_extreme:], outputs] = 1
    n_lists = np.count_nonzero(roles, axis=1)
    units = np.argsort(-n_lists, kind="stable")
    units = units[n_lists[units] >= min_lists]
    return PolyvalentUnits(units, roles[units])


def specific_units(coef: np.ndarray, output: int, n_units: int) -> np.ndarray:
    """Return the n_units units (or all, if fewer) with the largest |weight| on one output, the largest first."""
    if not 0 <= output < len(coef):
        raise ValueError(f"output={output} must be from 0 to {len(coef) - 1}: there are {len(coef)} outputs.")
    return np.argsort(-np.abs(coef[output]), kind="stable")[:n_units]


def relative_time(n_steps: int, n_bins: int = 10) -> np.ndarray:
    """Return the part of a sequence that contains each step, (T,): the middle of that part, in % of the sequence.

    Step t (from 0) lies at (t + 1/2) / T; ten parts have the names 5, 15, ..., 95.
    """
    bins = (np.arange(n_steps) + 0.5) * n_bins // n_steps
    return 100 * (bins + 0.5) / n_bins


POOLINGS = ("sequence", "step")


class CategoryActivity(NamedTuple):
    """Activity by category of step: `categories` in order, and `mean`, `std` and `n_sequences` of each, all (C,).

    `n_sequences` is the number of sequences that have the category.
    """

    categories: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    n_sequences: np.ndarray


def activity_by_category(
    states: Any,
    categories: Any,
    units: np.ndarray,
    bidirectional: bool,
    *,
    pooling: str = "sequence",
    leave_out: Any = (),
) -> CategoryActivity:
    """Return how much a group of units moves at every category of step; categories are n arrays (T_i,).

    The activity at a step is the sum over the units of |x_t - x_{t-1}|. Mean and (population) standard deviation are
    over the sequences, where the activity of a sequence at a category is the mean over its steps of that category. With
    pooling="step" they are over the steps of all sequences. Categories in `leave_out` are not returned; their steps
    still are the steps before others.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling={pooling!r} must be one of {', '.join(map(repr, POOLINGS))}.")
    categories = check_step_categories(categories, [len(x) for x in states], "categories")
    changes = (state_changes(np.asarray(x), bidirectional)[:, units] for x in states)
    activity = np.concatenate([own.sum(axis=1, dtype=np.float64) for own in changes])
    names, codes = np.unique(joined_labels(categories, name="categories"), return_inverse=True)
    sequence = np.repeat(np.arange(len(states)), [len(x) for x in states])
    cell = sequence * len(names) + codes.ravel() if pooling == "sequence" else np.arange(len(activity))
    value, code = _means(cell, activity), codes.ravel()[np.unique(cell, return_index=True)[1]]
    omitted = _numbers_of(leave_out, names)
    kept = [k for k in range(len(names)) if k not in omitted]
    by_category = [value[code == k] for k in kept]
    mean, std = (np.array([measure(own) for own in by_category]) for measure in (np.mean, np.std))
    n_sequences = np.array([len(np.unique(sequence[codes.ravel() == k])) for k in kept])
    return CategoryActivity(names[kept], mean, std, n_sequences)


def _means(cells: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of the values (N,) in every cell that has some, in the order of the cells."""
    _, back = np.unique(cells, return_inverse=True)
    return np.bincount(back, weights=values) / np.bincount(back)


def _numbers_of(leave_out: Any, names: np.ndarray) -> set[int]:
    """Return the positions in `names` of the labels to leave out: some label must remain."""
    known = names.tolist()
    wanted = list(positional(leave_out, "leave_out", "Pass a list of labels."))
    for label in wanted:
        if label not in known:
            raise ValueError(f"leave_out has {label!r}, but no step has this label: the labels are {known}.")
    found = {known.index(label) for label in wanted}
    if len(found) == len(known):
        raise ValueError(f"leave_out={wanted} leaves nothing: these are all labels of the steps.")
    return found


def check_step_values(values: Any, lengths: Sequence[int], name: str) -> list[np.ndarray]:
    """Return n arrays (T_i,) by position. An error names the first sequence without one value for every step."""
    values = positional(values, name, "Pass a list with one array for each sequence.")
    if len(values) != len(lengths):
        raise ValueError(f"{name} has {len(values)} sequences, but X has {len(lengths)}: give one array for each.")
    arrays = [_values_of(own, f"{name}[{i}]") for i, own in enumerate(values)]
    for i, (own, length) in enumerate(zip(arrays, lengths, strict=True)):
        if own.shape != (length,):
            raise ValueError(
                f"{name}[{i}] has shape {own.shape}, but sequence {i} has {length} steps: give each step one value."
            )
    return arrays


def check_step_categories(values: Any, lengths: Sequence[int], name: str) -> list[np.ndarray]:
    """`check_step_values` for labels: none is missing, and all are of one type."""
    arrays = [label_array(own, f"{name}[{i}]") for i, own in enumerate(check_step_values(values, lengths, name))]
    joined_labels(arrays, name=name)
    return arrays


def _values_of(values: Any, name: str) -> np.ndarray:
    """An array of the values of one sequence. Text and other objects are not mixed with numbers."""
    found = positional(values, name, "Pass one value for every step.")
    if isinstance(found, list) and any(isinstance(item, str) or item is None for item in found):
        array = np.empty(len(found), dtype=object)
        array[:] = found
        return array if {*map(type, found)} != {str} else array.astype(np.str_)
    return as_array(found, name)
