"""What single units of a recurrent network do: their changes from step to step and their weight on every output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


def state_changes(states: np.ndarray, *, bidirectional: bool = False) -> np.ndarray:
    """How far every unit moves when it reads a step, |x_t - x_{t-1}| with x_0 = 0, (T, H) of states (T, H).

    With `bidirectional`, the second half of the units has read from the end: |x_t - x_{t+1}| with x_{T+1} = 0.
    """
    n_forward = states.shape[1] // 2 if bidirectional else states.shape[1]
    zero = np.zeros((), dtype=states.dtype)
    forward = np.diff(states[:, :n_forward], axis=0, prepend=zero)
    return np.abs(np.concatenate([forward, np.diff(states[:, n_forward:], axis=0, append=zero)], axis=1))


def winglets(coef: np.ndarray) -> np.ndarray:
    """|sort(w_k)| of the weights w_k of every output, (K, H) of coef (K, H).

    Sorted with their sign and drawn without it, the weights of an output are two wings: the negative ones fall from the
    left, the positive ones rise to the right. High, narrow wings are an output that a few units carry.
    """
    return np.abs(np.sort(coef, axis=1))


class PolyvalentUnits(NamedTuple):
    """Units that many outputs lean on: `units` (P,), and `roles` (P, K), +1, -1 or 0.

    A role says whether the weight of an output is among its largest (+1), its smallest (-1) or neither (0).
    """

    units: np.ndarray
    roles: np.ndarray

    @property
    def n_lists(self) -> np.ndarray:
        """In the lists of how many outputs each unit is, (P,)."""
        return np.count_nonzero(self.roles, axis=1)

    def to_frame(self, output_names: Sequence[Any] | None = None) -> Any:
        """A pandas DataFrame: a row a unit, a column an output, and the column "n_lists"."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("A data frame needs pandas: pip install pandas.") from error
        frame = pd.DataFrame(self.roles, index=pd.Index(self.units, name="unit"), columns=output_names)
        return frame.assign(n_lists=self.n_lists)


def polyvalent_units(coef: Any, *, n_extreme: int = 5, min_lists: int = 5) -> PolyvalentUnits:
    """Find the units that are among the extreme weights of many outputs.

    Parameters
    ----------
    coef : array-like of shape (K, H)
        Weight of every unit on every output.
    n_extreme : int, default=5
        An output's list holds its n_extreme smallest and its n_extreme largest weights; equal ones count as ascending.
    min_lists : int, default=5
        A unit is polyvalent that is in the lists of at least so many outputs.

    Returns
    -------
    PolyvalentUnits
        Those in most lists first; of equally many, by number.

    Raises
    ------
    ValueError
        The two ends of a list overlap, 2 n_extreme > H.
    """
    coef = np.asarray(coef)
    n_outputs, n_units = coef.shape
    if not 1 <= n_extreme <= n_units // 2:
        raise ValueError(
            f"n_extreme={n_extreme} must be at least 1 and at most half of the {n_units} units: a list holds so many "
            "of the largest and so many of the smallest weights."
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


def specific_units(coef: Any, output: int, *, n_units: int = 10) -> np.ndarray:
    """The units of the largest |weight| on one output, the largest first, (n_units,); all, where there are fewer."""
    coef = np.asarray(coef)
    if not 0 <= output < len(coef):
        raise ValueError(f"output={output} must be from 0 to {len(coef) - 1}: there are {len(coef)} outputs.")
    return np.argsort(-np.abs(coef[output]), kind="stable")[:n_units]


def relative_time(n_steps: int, n_bins: int = 10) -> np.ndarray:
    """The part of a sequence that each of its T steps is in, (T,): the middle of that part, in % of the sequence.

    Step t (from 0) is at (t + 1/2) / T; with ten bins the parts are named 5, 15, ..., 95.
    """
    bins = (np.arange(n_steps) + 0.5) * n_bins // n_steps
    return 100 * (bins + 0.5) / n_bins


class CategoryActivity(NamedTuple):
    """Activity by category of step, all (C,), the categories in order: `mean`, `std` and `n_sequences` of each."""

    categories: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    n_sequences: np.ndarray


def activity_by_category(
    states: Sequence[Any], categories: Sequence[Any], units: Any = None, *, bidirectional: bool = False
) -> CategoryActivity:
    """How much a group of units moves at every category of step.

    The activity at a step is the sum over the units of |x_t - x_{t-1}|, in units of the states; that of a sequence at a
    category is its mean over the steps of that category.

    Parameters
    ----------
    states : list of n arrays (T_i, H)
    categories : list of n arrays (T_i,)
        A word or any other label of every step.
    units : array-like of int or None, default=None
        Whose activity. None: of all.
    bidirectional : bool, default=False
        As in `state_changes`.

    Returns
    -------
    CategoryActivity
        Mean and (population) standard deviation over the sequences that have a category, and how many these are.

    Raises
    ------
    ValueError
        There is not one label for every step.
    """
    check_step_values(categories, [len(x) for x in states], "categories")
    units = slice(None) if units is None else np.asarray(units)
    changes = (state_changes(np.asarray(x), bidirectional=bidirectional)[:, units] for x in states)
    activity = np.concatenate([own.sum(axis=1, dtype=np.float64) for own in changes])
    names, codes = np.unique(np.concatenate([np.asarray(c) for c in categories]), return_inverse=True)
    sequence = np.repeat(np.arange(len(states)), [len(x) for x in states])
    shape = len(states), len(names)
    cell = np.ravel_multi_index((sequence, codes.ravel()), shape)
    counts = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
    sums = np.bincount(cell, weights=activity, minlength=np.prod(shape)).reshape(shape)
    means = np.ma.masked_array(sums, counts == 0) / np.maximum(counts, 1)
    return CategoryActivity(names, means.mean(axis=0).data, means.std(axis=0).data, np.count_nonzero(counts, axis=0))


def check_step_values(values: Sequence[Any], lengths: Sequence[int], name: str) -> None:
    """Refuse anything but one value for every step of every sequence, naming the first sequence that is wrong."""
    if len(values) != len(lengths):
        raise ValueError(f"{name} has {len(values)} sequences, but X has {len(lengths)}: give one array for each.")
    for i, (own, length) in enumerate(zip(values, lengths, strict=True)):
        if np.shape(own) != (length,):
            raise ValueError(
                f"{name}[{i}] has shape {np.shape(own)}, but sequence {i} has {length} steps: give each step one value."
            )
