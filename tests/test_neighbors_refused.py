"""A refused fit of an estimator of neighbours or of a metric changes nothing, and bad hooks of a metric are named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skseqmetric import DTWMetric, SequenceKNeighborsClassifier
from tests.fake_metrics import MeanMetric, SupervisedMean, mean_tile, random_sequences
from tests.small_neighbors import ESTIMATORS

Y = np.arange(20) % 2
ANSWERS = ("predict", "predict_proba", "transform", "kneighbors")


class Failing(SupervisedMean):
    """Fails in a hook with an error."""

    def __init__(self, hook: str = "fit", error: type[BaseException] = ValueError) -> None:
        super().__init__()
        self.hook, self.error = hook, error

    def get_params(self, deep=True):
        return {"hook": self.hook, "error": self.error}

    def set_params(self, **params):
        vars(self).update(params)
        return self

    def fit(self, X, y=None, sample_weight=None, groups=None):
        super().fit(X, y)
        if self.hook == "fit":
            raise self.error("no more")
        return self

    def _prepare(self, sequences):
        if self.hook == "_prepare":
            raise self.error("no more")
        if self.hook == "lengths":
            return SimpleNamespace(lengths=[1.0])
        return super()._prepare(sequences)

    def _embeddings(self, prepared):
        return prepared.embeddings[:, 0] if self.hook == "_embeddings" else None


def no_pair(x, y):
    return None


def interrupted(x, y):
    raise KeyboardInterrupt


def exhausted(x, y):
    raise MemoryError


OTHER = MeanMetric().fit([np.zeros((3, 5)), np.ones((2, 5))])
REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], type[BaseException]]] = {
    "input": ({}, {"X": [np.full((3, 3), np.nan)] * 4}, ValueError),
    "parameter": ({"n_neighbors": 0}, {}, ValueError),
    "unknown fit_param": ({}, {"colour": "red"}, TypeError),
    "name": ({"metric": "dtv"}, {}, ValueError),
    "metric.fit": ({"metric": Failing()}, {}, ValueError),
    "metric.fit interrupted": ({"metric": Failing(error=KeyboardInterrupt)}, {}, KeyboardInterrupt),
    "metric.fit without memory": ({"metric": Failing(error=MemoryError)}, {}, MemoryError),
    "_prepare": ({"metric": Failing("_prepare")}, {}, ValueError),
    "_prepare interrupted": ({"metric": Failing("_prepare", KeyboardInterrupt)}, {}, KeyboardInterrupt),
    "lengths": ({"metric": Failing("lengths")}, {}, ValueError),
    "_embeddings": ({"metric": Failing("_embeddings"), "algorithm": "rerank"}, {}, ValueError),
    "no embedding": ({"metric": Failing("none"), "algorithm": "rerank"}, {}, ValueError),
    "shortlist": ({"algorithm": "rerank", "n_candidates": 1}, {}, ValueError),
    "frozen, unfitted": ({"metric": FrozenEstimator(MeanMetric())}, {}, NotFittedError),
    "frozen, of other channels": ({"metric": FrozenEstimator(OTHER)}, {}, ValueError),
    "get_metric() of other channels": ({"metric": OTHER.get_metric()}, {}, ValueError),
    "without hooks": ({"metric": FrozenEstimator(SequenceKNeighborsClassifier())}, {}, ValueError),
    "function": ({"metric": no_pair}, {}, ValueError),
    "function interrupted": ({"metric": interrupted}, {}, KeyboardInterrupt),
    "function without memory": ({"metric": exhausted}, {}, MemoryError),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_refused_fit_changes_neither_attributes_nor_answers(cls, table, name, rng):
    X = rng.normal(size=(20, 4)) if table else random_sequences(rng, 20)
    model = cls(SupervisedMean(), n_neighbors=2).fit(X, Y)
    params, state = model.get_params(deep=False), joblib.hash(vars(model))
    before = [getattr(model, answer)(X[:5]) for answer in ANSWERS if hasattr(model, answer)]
    changed, arguments, error = REFUSALS[name]
    new = {"X": random_sequences(rng, 9, n_channels=3), "y": np.arange(9) % 3 + 5.0, **arguments}
    with pytest.raises(error):
        model.set_params(**changed).fit(**{**new, "y": new["y"][: len(new["X"])]})
    vars(model).update(params)
    assert joblib.hash(vars(model)) == state
    after = [getattr(model, answer)(X[:5]) for answer in ANSWERS if hasattr(model, answer)]
    assert joblib.hash(after) == joblib.hash(before)
    assert len(before) >= 2


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("name", ["metric.fit", "function interrupted", "frozen, unfitted"])
def test_a_refused_first_fit_leaves_nothing(cls, name, rng):
    model = cls(**REFUSALS[name][0])
    with pytest.raises(REFUSALS[name][2]):
        model.fit(rng.normal(size=(20, 4)), Y)
    assert vars(model).keys() == cls().get_params().keys()


@pytest.mark.parametrize("metric", ["dtw", mean_tile], ids=["dtw", "function"])
def test_a_refused_fit_or_calibration_of_a_metric_changes_nothing(metric, rng, monkeypatch):
    X = rng.normal(size=(20, 4))
    metric = SequenceKNeighborsClassifier(metric).fit(X, Y).metric_
    pairs, same = np.stack([np.arange(19), np.arange(1, 20)], axis=1), np.where(np.arange(19) % 2, 1, -1)
    metric.calibrate_threshold(X, pairs, same)
    state = joblib.hash(vars(metric))
    for X_bad, pairs_bad, same_bad, options in [
        (X[:5], pairs, same, {}),
        (X[:, :3], pairs, same, {}),
        (X, pairs, np.ones(19), {}),
        (X, pairs, same, {"strategy": "auc"}),
    ]:
        with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
            metric.calibrate_threshold(X_bad, pairs_bad, same_bad, **options)
        assert joblib.hash(vars(metric)) == state
    parameter, bad = ("window", 1.5) if isinstance(metric, DTWMetric) else ("function", no_pair)
    kept = getattr(metric, parameter)
    for X_bad in (X[:, :3], np.full((3, 3), np.nan)):
        with pytest.raises(ValueError):  # noqa: PT011
            metric.set_params(**{parameter: bad}).fit(X_bad)
        assert joblib.hash(vars(metric.set_params(**{parameter: kept}))) == state
    if isinstance(metric, DTWMetric):
        monkeypatch.setattr(type(metric), "_radius", interrupted)
        with pytest.raises(KeyboardInterrupt):
            metric.fit(X[:, :3])
        assert joblib.hash(vars(metric)) == state


# -------------------------------------------------------------------------------------------------------------- hooks

TILES: dict[str, tuple[Any, str]] = {
    "nan": (lambda tile: tile * np.nan, "is nan: distances must be finite"),
    "inf": (lambda tile: tile + np.inf, "is inf: distances must be finite"),
    "flat": (lambda tile: tile.ravel()[:-1], "returned ndarray of shape"),
    "None": (lambda tile: None, "returned NoneType of shape"),
    "number": (lambda tile: 1.0, "returned float of shape"),
    "text": (lambda tile: tile.astype(str), "dtype <U"),
    "objects": (lambda tile: tile.astype(object), "dtype object"),
    "complex": (lambda tile: tile + 1j, "dtype complex128"),
}


class Bent(MeanMetric):
    """A `MeanMetric` whose hooks return something else."""

    def _rows(self, left, rows, right, columns):
        found = super()._rows(left, rows, right, columns)
        return TILES[self.bend][0](found) if self.hook == "_rows" else found

    def _tile(self, left, rows, right, columns):
        found = MeanMetric(euclidean=self.euclidean)._tile(left, rows, right, columns)
        return TILES[self.bend][0](found) if self.hook == "_tile" else found

    def _nearest(self, queries, references, k, *, exclude, n_candidates):
        distances, indices = super()._nearest(queries, references, k, exclude=exclude, n_candidates=n_candidates)
        return (TILES[self.bend][0](distances), indices) if self.hook == "_nearest" else (distances, indices)


@pytest.mark.parametrize("bend", TILES)
@pytest.mark.parametrize("hook", ["_rows", "_tile", "_nearest"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_hook_that_returns_something_else_is_named(cls, hook, bend, rng):
    X = random_sequences(rng, 20)
    metric = Bent(euclidean=False).fit(X)
    metric.hook, metric.bend = hook, bend
    message = TILES[bend][1]
    message = message if "distances" in message else f"Bent.{hook} .*{message}"
    algorithm = "rerank" if hook == "_rows" else "exact"
    model = cls(FrozenEstimator(metric), n_neighbors=2, algorithm=algorithm, n_candidates=5).fit(X, Y)
    calls = [lambda: model.kneighbors(X[:3]), lambda: model.kneighbors_graph(), lambda: model.rerank_recall(X[:3])]
    if hook == "_rows":
        calls += [lambda: metric.pair_distance(X, X), lambda: metric.score_pairs(X, [[0, 1]])]
        calls += [lambda: metric.calibrate_threshold(X, [[0, 1], [2, 3]], [1, -1])]
    if hook == "_tile":
        calls += [lambda: metric.pairwise_distances(X), lambda: metric.pairwise_distances(X, X[:2])]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("bad", [lambda i: i - 1, lambda i: i + 20, lambda i: i * 1.0])
def test_indices_of_a_search_are_checked(bad, rng):
    class Astray(MeanMetric):
        def _nearest(self, *arguments, **options):
            distances, indices = super()._nearest(*arguments, **options)
            return distances, bad(indices)

    X = random_sequences(rng, 20)
    model = SequenceKNeighborsClassifier(Astray(), n_neighbors=20).fit(X, Y)
    with pytest.raises(ValueError, match="not all integers from 0 to 19"):
        model.predict(X)
