"""The ensemble without given members: both are there, have names, can be set, seeded and searched."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from skseqmetric import (
    MetricEnsemble,
    NRNMMetric,
    RandomConvolutionMetric,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
)
from skseqmetric.datasets import make_shifted_sequences
from tests.every_estimator import LABELS, PAIRS, SAME, SMALL, X

FAST: dict[str, Any] = {"convolution__n_features": 84, **{f"alignment__{k}": v for k, v in SMALL.items()}}
UNSEEDED: dict[str, Any] = {**FAST, "alignment__random_state": None}


def small(**options: Any) -> MetricEnsemble:
    return MetricEnsemble(**options).set_params(**UNSEEDED)


def seeds(ensemble: Any) -> list[Any]:
    return [metric.random_state for metric in ensemble.metrics_]


# ------------------------------------------------------------------ names
def test_both_members_have_names_and_parameters_without_being_given() -> None:
    params = MetricEnsemble().get_params()
    assert params["metrics"] is None
    assert isinstance(params["convolution"], RandomConvolutionMetric)
    assert isinstance(params["alignment"], SyncGRUMetric)
    assert params["alignment__coupling"] == "alignment"
    plain = RandomConvolutionMetric().get_params(), SyncGRUMetric(coupling="alignment").get_params()
    for name, own in zip(("convolution", "alignment"), plain, strict=True):
        assert {k: params[f"{name}__{k}"] for k in own} == own
    assert repr(MetricEnsemble()) == "MetricEnsemble()"
    shown = MetricEnsemble()._repr_html_()
    assert "convolution" in shown
    assert "alignment" in shown


@pytest.mark.parametrize("copied", [clone, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_parameter_that_is_set_by_name_stays(copied: Any) -> None:
    model = copied(MetricEnsemble().set_params(alignment__max_updates=50, convolution__n_features=168))
    found = model.get_params()
    assert (found["alignment__max_updates"], found["convolution__n_features"]) == (50, 168)
    assert found["alignment__coupling"] == "alignment"
    model.set_params(alignment__max_updates=60)
    assert model.get_params()["alignment__max_updates"] == 60
    assert copied(MetricEnsemble()).get_params()["metrics"] is None


def test_parameters_of_the_ensemble_leave_the_members_unsaid() -> None:
    model = MetricEnsemble().set_params(weights=[3, 1], cv=2, n_jobs=1, random_state=3)
    assert model.metrics is None
    assert clone(model).weights == [3, 1]


def test_a_list_and_members_of_it_are_set_in_one_call() -> None:
    model = MetricEnsemble([("memory", NRNMMetric())]).set_params(metrics=None, alignment__n_units=7)
    assert [name for name, _ in model.metrics] == ["convolution", "alignment"]
    assert model.get_params()["alignment__n_units"] == 7
    assert model.set_params(metrics=None).get_params()["alignment__n_units"] == SyncGRUMetric().n_units


def test_a_default_member_is_replaced_or_dropped_by_name() -> None:
    model = MetricEnsemble().set_params(alignment=NRNMMetric(**SMALL), convolution__n_features=84).fit(X, LABELS)
    assert isinstance(model.named_metrics_.alignment, NRNMMetric)
    model.set_params(alignment="drop").fit(X, LABELS)
    assert list(model.named_metrics_) == ["convolution"]


@pytest.mark.parametrize("params", [{"alignment__steps": 3}, {"gru__n_units": 3}, {"gru": NRNMMetric()}])
def test_a_name_that_does_not_exist_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Invalid parameter"):
        MetricEnsemble().set_params(**params)


def test_a_search_over_a_default_member_needs_no_list() -> None:
    model = SequenceKNeighborsClassifier(MetricEnsemble(random_state=0), n_neighbors=1)
    model.set_params(**{f"metric__{name}": value for name, value in FAST.items() if name != "alignment__n_units"})
    search = GridSearchCV(model, {"metric__alignment__n_units": [3, 4]}, cv=2).fit(X, LABELS)
    assert search.best_estimator_.metric_.named_metrics_.alignment.n_units in (3, 4)


def test_neighbours_know_both_names() -> None:
    with pytest.raises(
        ValueError, match=r"'nothing' is not known.*'alignment', .*'dtw', 'ensemble', .*'random_convolution'"
    ):
        SequenceKNeighborsClassifier("nothing").fit(X, LABELS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alignment", "ensemble"])
def test_a_name_stands_for_the_defaults_with_a_seed(name: str) -> None:
    first, second = (SequenceKNeighborsClassifier(name, n_neighbors=1).fit(X, LABELS) for _ in range(2))
    np.testing.assert_array_equal(first.metric_.pairwise_distances(X), second.metric_.pairwise_distances(X))
    assert type(first.metric_) is {"alignment": SyncGRUMetric, "ensemble": MetricEnsemble}[name]


# ------------------------------------------------------------------ weights, and the fits that there are
def test_members_count_equally() -> None:
    assert small(random_state=0).fit(X, LABELS).weights_.tolist() == [0.5, 0.5]
    assert small(random_state=0, weights=[3, 1]).fit(X, LABELS).weights_.tolist() == [0.75, 0.25]
    assert MetricEnsemble(weights=[1, 2, 3]).get_params()["weights"] == [1, 2, 3]
    with pytest.raises(ValueError, match=r"weights has shape \(3,\): pass one weight for each of 2 members"):
        MetricEnsemble(weights=[1, 2, 3]).fit(X, LABELS)


def test_it_learns_from_labels_from_pairs_and_in_parts() -> None:
    model = MetricEnsemble()
    assert all(hasattr(model, name) for name in ("fit", "fit_pairs", "partial_fit"))
    assert not hasattr(model, "transform")
    model = small(random_state=0).fit_pairs(X, PAIRS, SAME)
    assert model.calibrate_threshold(X, PAIRS, SAME).predict_pairs(X, PAIRS).shape == (4,)
    assert small(random_state=0).partial_fit(X, LABELS).partial_fit(X, LABELS).named_metrics_.alignment.n_iter_ == 2


# ------------------------------------------------------------------ seeds
@pytest.mark.parametrize("state", [0, np.random.RandomState, np.random.default_rng])
def test_one_seed_repeats_all_members(state: Any) -> None:
    first, second = (small(random_state=state if state == 0 else state(5)).fit(X, LABELS) for _ in range(2))
    np.testing.assert_array_equal(first.pairwise_distances(X), second.pairwise_distances(X))
    assert len({*seeds(first)}) == 2
    assert None not in seeds(first)


def test_seeds_differ_with_the_seed_of_the_ensemble() -> None:
    assert seeds(small(random_state=0).fit(X, LABELS)) != seeds(small(random_state=1).fit(X, LABELS))


def test_a_member_keeps_a_seed_of_its_own_and_a_frozen_one_everything() -> None:
    frozen = RandomConvolutionMetric(n_features=84).fit(X, LABELS)
    members = [("own", SyncGRUMetric(**SMALL)), ("none", RandomConvolutionMetric(n_features=84))]
    model = MetricEnsemble([*members, ("frozen", FrozenEstimator(frozen)), ("dtw", "dtw")], random_state=0)
    model.fit(X, LABELS)
    assert model.metrics_[0].random_state == 0
    assert isinstance(model.metrics_[1].random_state, int)
    assert model.metrics_[2].random_state is None
    assert [metric.random_state for _, metric in members] == [0, None]


def test_without_a_seed_members_stay_as_they_are() -> None:
    assert seeds(small().fit(X, LABELS)) == [None, None]


def test_seeds_reach_the_members_of_members() -> None:
    inner = MetricEnsemble([("convolution", RandomConvolutionMetric(n_features=84))])
    first, second = (MetricEnsemble([("inner", inner)], random_state=0).fit(X, LABELS) for _ in range(2))
    np.testing.assert_array_equal(first.transform(X), second.transform(X))


def test_a_seed_repeats_the_folds() -> None:
    first, second = (small(random_state=0, cv=2).fit(X, LABELS).scales_ for _ in range(2))
    np.testing.assert_array_equal(first, second)


# ------------------------------------------------------------------ search
@pytest.fixture(scope="module")
def searched() -> tuple[MetricEnsemble, list[np.ndarray], np.ndarray, list[np.ndarray]]:
    sequences, classes = make_shifted_sequences(140, n_classes=4, length=(20, 30), random_state=0)
    model = MetricEnsemble(random_state=0).set_params(
        convolution__n_features=420, alignment__n_units=8, alignment__n_filters=8, alignment__max_epochs=4
    )
    return model.fit(sequences[:100], classes[:100]), sequences[:100], classes[:100], sequences[100:]


def neighbours(searched: Any, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    model, references, classes, queries = searched
    knn = SequenceKNeighborsClassifier(FrozenEstimator(model), n_neighbors=5, **options).fit(references, classes)
    return knn.kneighbors(queries)


def test_the_distance_is_the_weighted_root_of_both_squares(searched: Any) -> None:
    model, references, _, queries = searched
    parts = [m.pairwise_distances(queries, references) / s for m, s in zip(model.metrics_, model.scales_, strict=True)]
    expected = np.sqrt(0.5 * parts[0] ** 2 + 0.5 * parts[1] ** 2)
    np.testing.assert_allclose(model.pairwise_distances(queries, references), expected, rtol=1e-5)


def test_an_exact_search_is_that_of_all_distances(searched: Any) -> None:
    model, references, _, queries = searched
    distances, indices = neighbours(searched)
    everything = model.pairwise_distances(queries, references)
    np.testing.assert_array_equal(indices, np.argsort(everything, axis=1, kind="stable")[:, :5])
    np.testing.assert_array_equal(distances, np.sort(everything, axis=1)[:, :5])


def test_a_shortlist_by_both_embeddings_finds_nearly_all_neighbours(searched: Any) -> None:
    exact_distances, exact = neighbours(searched)
    distances, found = neighbours(searched, algorithm="rerank", n_candidates=20)
    recall = np.mean([np.isin(a, b).mean() for a, b in zip(exact, found, strict=True)])
    assert recall >= 0.95
    same = found == exact
    np.testing.assert_array_equal(distances[same], exact_distances[same])
    distances, found = neighbours(searched, algorithm="rerank", n_candidates=100)
    np.testing.assert_array_equal(found, exact)
    np.testing.assert_array_equal(distances, exact_distances)
