"""What other tools make of a model: skops trusts classes of this package alone, and MLflow's default format works."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from sklearn.pipeline import Pipeline

from tests.every_estimator import Case
from tests.small_models import STORABLE, fitted, same

QUICK = {"EchoStateClassifier", "SequenceKNeighborsClassifier", "SyncGRUMetric"}


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=() if c.name in QUICK else pytest.mark.slow) for c in STORABLE], ids=str
)
def test_skops_reads_a_pipeline_of_classes_of_this_package(case: Case) -> None:
    skops = pytest.importorskip("skops.io")
    model = fitted(case.name)
    data = skops.dumps(Pipeline([("model", model)]))
    types = skops.get_untrusted_types(data=data)
    assert [name for name in types if not name.startswith("skseqmetric.")] == []
    loaded = skops.loads(data, trusted=types)["model"]
    assert same(case.answers(loaded), case.answers(model))


@pytest.mark.slow
@pytest.mark.parametrize("case", STORABLE, ids=str)
def test_mlflow_keeps_a_model_in_its_default_format(case: Case, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow.sklearn")
    skops = pytest.importorskip("skops.io")
    model = fitted(case.name)
    types = skops.get_untrusted_types(data=skops.dumps(model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.save_model(model, tmp_path / "model", pip_requirements=[], skops_trusted_types=types)
        loaded = mlflow.load_model(str(tmp_path / "model"))
    assert same(case.answers(loaded), case.answers(model))
