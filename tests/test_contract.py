"""scikit-learn's own checks, for every public estimator: a new one is tested because it exists."""

from __future__ import annotations

import inspect

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

import skseqmetric
from skseqmetric import (
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    SyncGRUMetric,
)

ESTIMATORS = [
    public
    for name in skseqmetric.__all__
    if inspect.isclass(public := getattr(skseqmetric, name)) and issubclass(public, BaseEstimator)
]

# Small settings for estimators whose defaults train for long; everything else is checked as it comes.
SMALL = {"n_units": 4, "stem_channels": 4, "max_epochs": 2, "min_batches": 2, "random_state": 0}


def instances() -> list[BaseEstimator]:
    """Every public estimator, the trained ones with small settings, and the variants that go other ways."""
    made = [cls(**SMALL) if cls is SyncGRUMetric else cls() for cls in ESTIMATORS]
    made.append(SyncGRUMetric(**SMALL, coupling=None, bidirectional=False, readout="last"))
    metric = SyncGRUMetric(**SMALL, coupling="symmetric")
    made.append(metric)
    made.append(SequenceKNeighborsClassifier(metric, n_neighbors=1))
    made.append(SequenceKNeighborsClassifier(metric, algorithm="rerank"))
    made.append(SequenceKNeighborsRegressor(metric, n_neighbors=2))
    made.append(SequenceNeighborsTransformer(SyncGRUMetric(**SMALL, coupling=None)))
    return made


@pytest.mark.global_rng
@parametrize_with_checks(instances())
def test_scikit_learn_contract(estimator: BaseEstimator, check: object) -> None:
    check(estimator)  # type: ignore[operator]


def test_discovery_finds_every_estimator() -> None:
    assert {c.__name__ for c in ESTIMATORS} >= {"DTWMetric", "SequenceKNeighborsClassifier", "SyncGRUMetric"}
