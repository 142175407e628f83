"""Every public estimator after each of its fits, small, and what of it may be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skseqmetric import CrossModalTranscriber, CrossModalTripletEmbedder, SequenceKNeighborsClassifier, SyncGRUMetric
from tests.every_estimator import CASES, LABELS, QUICK, SMALL, Case

_OWN = {**QUICK, "n_filters": 4, "n_units": 4, "max_epochs": 1}
_MADE = {
    # the encoders of the package, in place of modules of the user
    "CrossModalTripletEmbedder": lambda: CrossModalTripletEmbedder(3, **_OWN),
    "CrossModalTranscriber": lambda: CrossModalTranscriber(3, **_OWN),
}
STORABLE = [
    replace(case, make=_MADE.get(case.name, case.make)) for case in CASES if case.name != "MetricEnsemble in tiles"
]
"""All of them but that with a function, which no model file holds."""

STORABLE.append(
    Case(
        "SequenceKNeighborsClassifier coupled",
        lambda: SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL, coupling="symmetric"), n_neighbors=2),
        {"fit": {"y": LABELS}},
    )
)

FITS = [
    pytest.param(case, method, marks=() if method == "fit" else pytest.mark.slow)
    for case in STORABLE
    for method in case.fits
]


@cache
def fitted(name: str, method: str = "fit") -> Any:
    """One of them, fitted once. Nobody may change it."""
    case = case_named(name)
    made = case.make()
    getattr(made, method)(case.X, **case.fits[method])
    return made


def case_named(name: str) -> Case:
    return next(case for case in STORABLE if case.name == name)


def same(left: Any, right: Any) -> bool:
    """Whether two states have the same types and bits everywhere."""
    if type(left) is not type(right):
        return False
    if isinstance(left, BaseEstimator):
        return same(left.__getstate__(), right.__getstate__())
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        if left.dtype != right.dtype or left.shape != right.shape:
            return False
        return same(left.tolist(), right.tolist()) if left.dtype == object else left.tobytes() == right.tobytes()
    return bool(left == right or (left != left and right != right))


def parts(value: Any) -> Iterator[Any]:
    """All that a state holds: the entries of its lists and dictionaries, and of estimators in it."""
    if isinstance(value, BaseEstimator):
        value = value.__getstate__()
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *parts(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from parts(item)
    else:
        yield value
