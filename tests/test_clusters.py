"""Searches and cross-validations by joblib's backends, and partitions by Dask: the bits of one process."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from skseqmetric import (
    NRNMClassifier,
    RandomConvolutionMetric,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
    from_long,
    to_long,
)
from skseqmetric.datasets import make_shifted_sequences

X, Y = make_shifted_sequences(24, n_classes=2, length=(12, 20), random_state=0)
SHORT: dict[str, Any] = {"max_epochs": 2, "min_batches": 2, "n_units": 8, "random_state": 0}


def searched() -> dict[str, np.ndarray]:
    """Scores and answers of a search over a trained metric, and of a cross-validation of a classifier."""
    metric = SyncGRUMetric(**SHORT)
    search = GridSearchCV(SequenceKNeighborsClassifier(metric), {"n_neighbors": [1, 3]}, cv=2, n_jobs=2, refit=True)
    search.fit(X, Y)
    scores = cross_val_score(NRNMClassifier(**SHORT), X, Y, cv=2, n_jobs=2)
    results = search.cv_results_
    return {
        "search": np.stack([results["split0_test_score"], results["split1_test_score"]]),
        "distances": search.best_estimator_.kneighbors(X)[0],
        "cross-validation": scores,
    }


@pytest.fixture(scope="module")
def serial() -> dict[str, np.ndarray]:
    with joblib.parallel_config("sequential"):
        return searched()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    folder = str(tmp_path_factory.mktemp("workers"))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=folder, silence_logs=50
        ) as made,
        distributed.Client(made) as client,
    ):
        yield client


def ray_backend() -> AbstractContextManager[Any]:
    pytest.importorskip("ray")
    importlib.import_module("ray.util.joblib").register_ray()
    return joblib.parallel_config("ray")


BACKENDS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "threading": lambda: joblib.parallel_config("threading"),
    "loky": lambda: joblib.parallel_config("loky", inner_max_num_threads=1),
    "ray": ray_backend,
}


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_of_joblib_give_the_same_bits(backend: str, serial: dict[str, np.ndarray]) -> None:
    with BACKENDS[backend]():
        found = searched()
    for name, wanted in serial.items():
        np.testing.assert_array_equal(found[name], wanted)


@pytest.mark.slow
def test_dask_gives_the_same_bits(cluster: Any, serial: dict[str, np.ndarray]) -> None:
    with joblib.parallel_config("dask"):
        found = searched()
    for name, wanted in serial.items():
        np.testing.assert_array_equal(found[name], wanted)


@pytest.fixture(scope="module")
def model() -> SequenceKNeighborsClassifier:
    return SequenceKNeighborsClassifier(RandomConvolutionMetric(84, random_state=0), n_neighbors=1).fit(X, Y)


@pytest.mark.slow
def test_bags_and_delayed_partitions_on_workers(cluster: Any, model: SequenceKNeighborsClassifier) -> None:
    bag, dask = pytest.importorskip("dask.bag"), pytest.importorskip("dask")
    parts = bag.from_sequence(X, npartitions=3)
    np.testing.assert_array_equal(parts.map_partitions(model.predict).compute(), model.predict(X))
    delayed = [dask.delayed(model.metric_.transform)(X[start : start + 8]) for start in range(0, len(X), 8)]
    np.testing.assert_array_equal(np.concatenate(dask.compute(*delayed)), model.metric_.transform(X))


@pytest.mark.slow
def test_partitioned_parquet_on_workers(cluster: Any, model: SequenceKNeighborsClassifier, tmp_path: Path) -> None:
    frames, pandas = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    table = pandas.DataFrame(to_long(X, case_ids=np.arange(len(X))))
    for start in range(0, len(X), 8):
        table[table["case"].between(start, start + 7)].to_parquet(tmp_path / f"part-{start:03}.parquet")

    named = clone(model).fit(from_long(table, case="case", time="time").X, Y)

    def predicted(part: Any) -> Any:
        found = from_long(part, case="case", time="time")
        return pandas.DataFrame({"case": found.case_ids, "label": named.predict(found.X)})

    meta = {"case": "int64", "label": Y.dtype}
    answers = frames.read_parquet(tmp_path).map_partitions(predicted, meta=meta).compute().sort_values("case")
    np.testing.assert_array_equal(answers["label"], model.predict(X))
