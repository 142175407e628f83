"""Levels of clusters within clusters: the last words of every sequence, or other labels, as codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from skseqmetric._input import is_missing, positional
from skseqmetric.inspection._sequence_factors import filled_labels
from skseqmetric.inspection._unit_analyses import check_step_categories


class Nesting(NamedTuple):
    """Codes (n, D), the words that they stand for, and the names of the D levels."""

    codes: np.ndarray
    words: list[Any]
    levels: list[str]


def levels_of_words(step_names: Any, lengths: list[int], leave_out: Any, depth: int) -> Nesting:
    """Return levels by the last `depth` words of every sequence, the last one first."""
    names = check_step_categories(step_names, lengths, "step_names")
    omitted = list(positional(leave_out, "leave_out", "Pass a list of names."))
    endings = [[word for word in own.tolist() if word not in omitted][::-1] for own in names]
    padded = [[*own[:depth], *[None] * (depth - len(own))] for own in endings]
    levels = ["last word", "word before", *(f"{k} words before" for k in range(2, depth))][:depth]
    return _encoded([list(column) for column in zip(*padded, strict=True)], levels, f"depth={depth}")


def levels_of_labels(levels: Any, n: int) -> Nesting:
    """Return levels by given labels, one for every sequence and level."""
    if not isinstance(levels, Mapping) or not levels:
        raise ValueError("levels is no mapping, or empty: pass a mapping from names of levels to n labels each.")
    columns = []
    for level, labels in levels.items():
        name = f"levels[{level!r}]"
        own = list(positional(labels, name, "Pass one label for every sequence."))
        if len(own) != n:
            raise ValueError(f"{name} has {len(own)} labels, but there are {n} sequences: give each of them one.")
        known = [label for label in own if not is_missing(label)]
        if known:
            found = filled_labels(own, known[0], name).tolist()
            own = [None if is_missing(old) else label for old, label in zip(own, found, strict=True)]
        columns.append(own)
    return _encoded(columns, [str(level) for level in levels], "levels")


def _encoded(columns: list[list[Any]], levels: list[str], asked: str) -> Nesting:
    words = list(dict.fromkeys(label for own in columns for label in _sorted(own)))
    numbers = {word: k for k, word in enumerate(words)}
    codes = np.array([[-1 if is_missing(label) else numbers[label] for label in own] for own in columns]).T
    if not (codes >= 0).all(axis=1).any():
        raise ValueError(f"{asked}: no sequence has a label of every level. Ask for fewer levels.")
    return Nesting(codes, words, levels)


def _sorted(labels: list[Any]) -> list[Any]:
    """Return the distinct labels, None left out; labels of one level are of one type."""
    return sorted({label for label in labels if not is_missing(label)})
