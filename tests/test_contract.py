"""scikit-learn's own checks, for every public estimator: a new one is tested because it exists."""

from __future__ import annotations

import inspect

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import skseqmetric
from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    NRNMClassifier,
    NRNMMetric,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
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
TRAINED = (SyncGRUMetric, NRNMMetric)
# checked below: a classifier or regressor is to learn something in these checks, and labels of steps or of symbols are
# not what they pass
OTHERWISE = (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    NRNMClassifier,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
)
SMALL = {"n_units": 4, "n_filters": 4, "max_epochs": 2, "min_batches": 2, "random_state": 0}


def instances() -> list[BaseEstimator]:
    """Every public estimator, the trained ones with small settings, and the variants that go other ways."""
    made = [cls(**SMALL) if cls in TRAINED else cls() for cls in ESTIMATORS if cls not in OTHERWISE]
    made.append(NRNMClassifier(**{**SMALL, "n_units": 8, "max_epochs": 30}))
    made.append(CrossModalTripletEmbedder(8, n_filters=8, n_units=8, max_epochs=30, min_batches=2, random_state=0))
    fast = {"max_epochs": 20, "batch_size": 32, "random_state": 0}
    made.append(RecurrentClassifier(4, cell="gru", min_batches=2, learning_rate=0.05, **fast))
    made.append(RecurrentRegressor(8, learning_rate=0.1, **fast))
    made.append(SyncGRUMetric(**SMALL, coupling=None, bidirectional=False, pooling="last"))
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


GENERAL_CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_get_params_invariance",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.mark.parametrize("name", GENERAL_CHECKS)
@pytest.mark.parametrize(
    "estimator", [NRNMStepClassifier(**SMALL), CrossModalTranscriber(4, max_epochs=2, random_state=0)]
)
def test_estimators_of_label_sequences_pass_the_checks_that_need_no_labels(estimator: BaseEstimator, name: str) -> None:
    """All others pass one label a sequence, while these take one a step, or a string of symbols."""
    cls = type(estimator)
    check = getattr(estimator_checks, name)
    check(cls.__name__, cls() if name.startswith("check_parameters_default") else estimator)


def test_discovery_finds_every_estimator() -> None:
    assert {c.__name__ for c in ESTIMATORS} >= {"DTWMetric", "SequenceKNeighborsClassifier", "SyncGRUMetric"}
