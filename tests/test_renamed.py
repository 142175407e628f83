"""Former names of parameters and methods: each is an error that names the new one."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skseqmetric import (
    EchoStateClassifier,
    EchoStateRegressor,
    EchoStateTransformer,
    NRNMClassifier,
    NRNMMetric,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
    SyncGRUMetric,
)

MEMORY = {"readout": "pooling", "stem_channels": "n_filters"}
RECURRENT = {"readout": "pooling", "predict_steps": "predict_prefixes"}
RESERVOIR = {"summary": "pooling", "predict_steps": "predict_prefixes"}
RENAMED: dict[Any, dict[str, str]] = {
    SyncGRUMetric: MEMORY,
    NRNMClassifier: MEMORY,
    NRNMStepClassifier: MEMORY,
    NRNMMetric: {**MEMORY, "n_outputs": "n_components"},
    RecurrentClassifier: RECURRENT,
    RecurrentRegressor: RECURRENT,
    EchoStateClassifier: RESERVOIR,
    EchoStateRegressor: RESERVOIR,
    EchoStateTransformer: {"summary": "pooling"},
}
EACH = pytest.mark.parametrize(
    ("estimator", "old", "new"), [(cls, old, new) for cls, names in RENAMED.items() for old, new in names.items()]
)
X = [np.random.default_rng(n).normal(size=(n + 2, 1)) for n in range(8)]
Y = np.arange(8) % 2


def error(old: str, new: str) -> str:
    return f"has no '{old}' any more: it is called '{new}' now"


@EACH
def test_a_former_name_in_the_constructor_is_refused(estimator: Any, old: str, new: str) -> None:
    with pytest.raises(TypeError, match=error(old, new)):
        estimator(**{old: "last"})


@EACH
def test_a_former_name_in_set_params_is_refused(estimator: Any, old: str, new: str) -> None:
    before = estimator().get_params()
    with pytest.raises(ValueError, match=error(old, new)):
        (made := estimator()).set_params(**{old: "last", "random_state": 3})
    with pytest.raises(ValueError, match=error(old, new)):
        Pipeline([("it", made)]).set_params(**{f"it__{old}": "last"})
    assert made.get_params() == before


@EACH
def test_a_former_name_in_a_search_is_refused(estimator: Any, old: str, new: str) -> None:
    search = GridSearchCV(estimator(), {old: ["last", "mean"]}, cv=2, scoring=lambda *_: 0.0)
    with pytest.raises(ValueError, match=error(old, new)):
        search.fit(X, Y)


@EACH
def test_a_former_name_is_no_attribute(estimator: Any, old: str, new: str) -> None:
    made = estimator()
    for owner in (estimator, made):
        assert not hasattr(owner, old)
        with pytest.raises(AttributeError, match=error(old, new)):
            getattr(owner, old)
    with pytest.raises(AttributeError, match=error(old, new)):
        setattr(made, old, "last")
    assert hasattr(made, new)


@pytest.mark.parametrize("estimator", RENAMED)
def test_parameters_have_the_new_names_alone(estimator: Any) -> None:
    names = RENAMED[estimator]
    parameters = {new for new in names.values() if not new.startswith("predict")}
    signature = set(inspect.signature(estimator).parameters)
    assert signature == set(estimator().get_params())
    assert signature >= parameters
    assert not signature & set(names)
    assert estimator(pooling="last").get_params()["pooling"] == "last"
    for copied in (clone, lambda made: pickle.loads(pickle.dumps(made))):
        made = copied(estimator(pooling="last", random_state=5))
        assert (made.pooling, made.random_state) == ("last", 5)
        assert made.get_params() == estimator(pooling="last", random_state=5).get_params()


def test_readout_of_an_echo_state_classifier_is_its_output_layer() -> None:
    assert EchoStateClassifier(readout="logistic").set_params(readout="ridge").readout == "ridge"
