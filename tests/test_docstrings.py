"""Docstrings: one parameter has one description in a family; `make lint` checks that they are complete."""

from __future__ import annotations

import inspect
import re

import pytest

import skseqmetric
from tests.test_site import module_at

TRAINED = ["CrossModalTranscriber", "CrossModalTripletEmbedder", "NRNMClassifier", "NRNMMetric", "NRNMRegressor"]
TRAINED += ["RecurrentClassifier", "RecurrentRegressor", "SyncGRUMetric"]
DIFFERENT_DEFAULTS = ("max_epochs", "max_updates", "min_batches", "weight_decay")
FAMILIES = {
    "trained": (
        TRAINED,
        "augment batch_size device dropout early_stopping instance_channels learning_rate n_layers n_units precision "
        "random_state n_filters",
    ),
    "with a memory": (
        ["NRNMClassifier", "NRNMMetric", "NRNMRegressor"],
        "augment batch_size instance_channels max_recurrent_steps n_filters pooling",
    ),
    "recurrent": (["RecurrentClassifier", "RecurrentRegressor"], "target"),
    "reservoirs": (["EchoStateClassifier", "EchoStateRegressor", "EchoStateTransformer"], "pooling"),
    "reservoirs that predict": (["EchoStateClassifier", "EchoStateRegressor"], "learning target"),
    "cross-modal": (
        ["CrossModalTranscriber", "CrossModalTripletEmbedder"],
        "beta curriculum distance early_stopping image_encoder instance_channels loss loss_weights margin "
        "series_encoder",
    ),
    "labels of steps": (["NRNMClassifier", "RecurrentClassifier"], "*class_weight ignore_label"),
    "numbers of neighbours": (["SequenceKNeighborsClassifier", "SequenceKNeighborsRegressor"], "*n_candidates"),
}
"""Estimators, and those parameters whose descriptions must differ; after a star, those that must not."""


@pytest.mark.filterwarnings("ignore:Checking was skipped:UserWarning")  # of parameters that not all have
@pytest.mark.parametrize("family", FAMILIES)
def test_a_parameter_has_one_description_in_a_family(family: str) -> None:
    pytest.importorskip("numpydoc")
    testing = pytest.importorskip("sklearn.utils._testing")
    if not hasattr(testing, "assert_docstring_consistency"):
        pytest.skip("this scikit-learn does not compare docstrings")
    names, parameters = FAMILIES[family]
    chosen = parameters.removeprefix("*").split()
    which = {"include_params": chosen} if parameters[0] == "*" else {"include_params": True, "exclude_params": chosen}
    objects = [getattr(skseqmetric, name) for name in names]
    testing.assert_docstring_consistency(objects, **which, ignore_types=DIFFERENT_DEFAULTS)


def test_every_trained_estimator_is_compared() -> None:
    classes = [getattr(skseqmetric, name) for name in skseqmetric.__all__]
    found = [
        cls.__name__
        for cls in classes
        if inspect.isclass(cls) and "max_epochs" in inspect.signature(cls).parameters and "Parameters\n" in cls.__doc__
    ]
    assert found == TRAINED


def test_checks_see_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpydoc")
    pytest.importorskip("sphinx")
    check = module_at(".ci/check_docstrings.py")
    doc = skseqmetric.to_padded.__doc__
    monkeypatch.setattr(check, "public", lambda: ["skseqmetric.to_padded"])
    assert check.faults(check.chosen_checks()) == []
    monkeypatch.setattr(skseqmetric.to_padded, "__doc__", re.sub(r"Returns\n\s+-+\n", "", doc))
    assert ["RT01" in fault for fault in check.faults(check.chosen_checks())] == [True]
