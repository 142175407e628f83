"""Factors of sequences: labels of every step, or of every sequence, as whole numbers at the states of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skseqmetric._input import is_missing, joined_labels, label_array, positional
from skseqmetric.inspection._unit_analyses import check_step_values

_MOST_FACTORS = 10  # every set of them gets a model
_FORMS = "Pass a mapping from a group to a mapping from the name of a factor to its labels."


def names_of_factors(factors: Any) -> dict[str, str]:
    """Return the group of every factor by the name of the factor."""
    if not isinstance(factors, Mapping) or not all(isinstance(own, Mapping) for own in factors.values()):
        raise ValueError(f"factors is no mapping of mappings. {_FORMS}")
    names = [(str(name), str(group)) for group, own in factors.items() for name in own]
    if not 1 <= len(names) <= _MOST_FACTORS:
        raise ValueError(f"factors has {len(names)} factors, but 1 to {_MOST_FACTORS} can be told apart.")
    groups = dict(names)
    if len(groups) < len(names):
        raise ValueError(f"factors has a factor in two groups: the names {[name for name, _ in names]} must differ.")
    return groups


def codes_at_states(factors: Mapping[str, Mapping[str, Any]], steps: list[np.ndarray]) -> np.ndarray:
    """Return codes (N, F) of int at all states of all sequences; -1 where a factor has no value."""
    columns = [
        _codes(own[name], steps, f"factors[{group!r}][{name!r}]") for group, own in factors.items() for name in own
    ]
    return np.stack(columns, axis=1)


def _codes(values: Any, steps: list[np.ndarray], name: str) -> np.ndarray:
    values = positional(values, name, "Pass a list with one array of labels, or with one label, for each sequence.")
    if len(values) and not any(isinstance(own, (list, tuple)) or np.ndim(own) for own in values):
        if isinstance(values, np.ndarray) and values.dtype.kind == "V":
            label_array(values, name)  # refuses records
        values = [[own] * int(read[-1]) for own, read in zip(_as_many(values, steps, name), steps, strict=True)]
    arrays = check_step_values(values, [int(read[-1]) for read in steps], name)
    parts = [own[read - 1] for own, read in zip(arrays, steps, strict=True)]
    known = np.array([not is_missing(value) for part in parts for value in part.tolist()])
    codes = np.full(len(known), -1)
    if known.any():
        first = next(value for part in parts for value in part.tolist() if not is_missing(value))
        filled = [filled_labels(part.tolist(), first, f"{name}[{i}]") for i, part in enumerate(parts)]
        codes[known] = np.unique(joined_labels(filled, name=name), return_inverse=True)[1].ravel()[known]
    return codes


def _as_many(values: Any, steps: list[np.ndarray], name: str) -> Any:
    if len(values) != len(steps):
        raise ValueError(f"{name} has {len(values)} entries, but X has {len(steps)} sequences: give each of them one.")
    return values


def filled_labels(labels: list[Any], instead: Any, name: str) -> np.ndarray:
    """Return checked labels with another one instead of missing ones, so that a message still names the right place."""
    found = label_array([instead if is_missing(label) else label for label in labels], name)
    if found.ndim != 1:
        raise ValueError(f"{name} has shape {found.shape}, but labels are single strings or numbers.")
    return found
