"""scikit-learn's own checks, for every public estimator: a new one is tested because it exists."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import skseqmetric
from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    MetricEnsemble,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
    SequenceDistances,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    SyncGRUMetric,
)

# settings of estimators whose defaults train for long; everything else is checked as it comes
QUICK = {"min_batches": 2, "random_state": 0}
SMALL = {**QUICK, "n_units": 4, "n_filters": 4, "max_epochs": 2}
# a regressor is to explain half of what one step of ten says: without noise, and of the last state
QUIET = {"augment": None, "zoneout": 0.0, "memory_dropout": 0.0, "instance_channels": False, "pooling": "last"}
FAST: dict[type[BaseEstimator], dict[str, Any]] = {
    CrossModalTripletEmbedder: {
        **QUICK,
        "n_components": 8,
        "n_filters": 8,
        "n_units": 8,
        "max_epochs": 4,
        "batch_size": 64,
        "learning_rate": 0.02,
    },
    MetricEnsemble: {
        "metrics": MetricEnsemble()
        .set_params(convolution__n_features=84, **{f"alignment__{name}": value for name, value in SMALL.items()})
        .metrics
    },
    NRNMClassifier: {**SMALL, "max_epochs": 5, "batch_size": 64, "learning_rate": 0.03},
    NRNMMetric: SMALL,
    NRNMRegressor: {
        **SMALL,
        **QUIET,
        "n_slots": 1,
        "n_filters": 8,
        "max_recurrent_steps": 3,
        "max_epochs": 12,
        "batch_size": 64,
        "learning_rate": 0.05,
    },
    RecurrentClassifier: {
        **QUICK,
        "cell": "gru",
        "max_epochs": 10,
        "batch_size": 32,
        "learning_rate": 0.1,
    },
    RecurrentRegressor: {**QUICK, "max_epochs": 20, "batch_size": 32, "learning_rate": 0.1},
    SyncGRUMetric: SMALL,
}
# labels of steps or of symbols are not what scikit-learn's checks pass
OF_LABEL_SEQUENCES = {NRNMStepClassifier: SMALL, CrossModalTranscriber: {"n_units": 4, "max_epochs": 2}}


def estimators() -> list[type[BaseEstimator]]:
    """Every public estimator that can be made: `Metric` is a base, and an index has no fit."""
    public = [getattr(skseqmetric, name) for name in skseqmetric.__all__]
    found = [c for c in public if inspect.isclass(c) and issubclass(c, BaseEstimator) and not inspect.isabstract(c)]
    return [c for c in found if hasattr(c, "fit")]


def instances() -> list[BaseEstimator]:
    """All of them but those of label sequences."""
    return [cls(**FAST.get(cls, {})) for cls in estimators() if cls not in OF_LABEL_SEQUENCES]


def variants() -> list[BaseEstimator]:
    """Some that go other ways."""
    metric = SyncGRUMetric(**SMALL, coupling="symmetric")
    return [
        SyncGRUMetric(**SMALL, coupling=None, bidirectional=False, pooling="last"),
        metric,
        SyncGRUMetric(**SMALL, coupling="alignment", pooled_weight=1.0),
        NRNMMetric(**SMALL, coupling="alignment"),
        MetricEnsemble([("coupled", metric), ("dtw", "dtw")], weights=[2, 1]),
        MetricEnsemble([("gru", SyncGRUMetric(**SMALL)), ("memory", NRNMMetric(**SMALL))]),
        SequenceDistances(metric, kernel="rbf"),
        SequenceKNeighborsClassifier(metric, n_neighbors=1),
        SequenceKNeighborsClassifier(metric, algorithm="rerank"),
        SequenceKNeighborsRegressor(metric, n_neighbors=2),
        SequenceNeighborsTransformer(SyncGRUMetric(**SMALL, coupling=None)),
    ]


@pytest.mark.global_rng
@parametrize_with_checks(instances())
def test_scikit_learn_contract(estimator: BaseEstimator, check: object) -> None:
    check(estimator)  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.global_rng
@parametrize_with_checks(variants())
def test_variants_keep_the_scikit_learn_contract(estimator: BaseEstimator, check: object) -> None:
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
@pytest.mark.parametrize("cls", OF_LABEL_SEQUENCES)
def test_estimators_of_label_sequences_pass_the_checks_that_need_no_labels(cls: type[BaseEstimator], name: str) -> None:
    """All others pass one label a sequence, while these take one a step, or a string of symbols."""
    settings = {} if name.startswith("check_parameters_default") else OF_LABEL_SEQUENCES[cls]
    getattr(estimator_checks, name)(cls.__name__, cls(**settings))


def test_every_public_estimator_is_checked() -> None:
    assert {*map(type, instances()), *OF_LABEL_SEQUENCES} == set(estimators())
    assert {*FAST, *OF_LABEL_SEQUENCES} <= set(estimators())
    assert skseqmetric.Metric not in estimators()


@pytest.mark.parametrize("cls", estimators())
def test_names_are_listed_of_an_estimator_that_is_not_fitted(cls: type[BaseEstimator]) -> None:
    """As completion in a shell does, which asks for every attribute."""
    assert "fit" in dir(cls(**FAST.get(cls, {})))


def test_a_new_estimator_is_checked_because_it_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    new = type("New", (BaseEstimator,), {"fit": lambda self, X, y=None: self})
    monkeypatch.setattr(skseqmetric, "New", new, raising=False)
    monkeypatch.setattr(skseqmetric, "__all__", [*skseqmetric.__all__, "New"])
    assert new in map(type, instances())
