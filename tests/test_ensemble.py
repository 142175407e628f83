"""Several metrics as one: beside the sum of their squares, whatever they are made of."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneOut, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skseqmetric import (
    DTWMetric,
    Metric,
    MetricEnsemble,
    NRNMMetric,
    RandomConvolutionMetric,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SyncGRUMetric,
)
from tests.every_estimator import CASES, LABELS, PAIRS, SAME, SMALL, X, count_of_steps
from tests.fake_metrics import MeanMetric, SupervisedMean, brute_neighbors, random_sequences

GRU, MEMORY = SyncGRUMetric(**SMALL, coupling=None), NRNMMetric(**SMALL)
COUPLED = SyncGRUMetric(**SMALL, coupling="symmetric")


class EuclideanMean(MeanMetric):
    """A `MeanMetric` that says that its distance is that of its embeddings."""

    _is_euclidean = True


class LastStep(EuclideanMean):
    """The distance of the last steps."""

    def _prepare(self, sequences):
        last = np.cumsum(sequences.lengths) - 1
        prepared = super()._prepare(sequences)
        return type(prepared)((self.scale * sequences.values[last]).astype(np.float32), sequences.lengths)


KINDS: dict[str, list[tuple[str, Any]]] = {
    "euclidean": [("gru", GRU), ("memory", MEMORY), ("mean", EuclideanMean(3.0))],
    "coupled": [("gru", GRU), ("coupled", COUPLED)],
    "tiles": [("mean", MeanMetric(2.0, euclidean=False)), ("steps", count_of_steps), ("last", LastStep())],
    "default": MetricEnsemble()
    .set_params(
        convolution=RandomConvolutionMetric(n_features=84, random_state=0),
        **{f"alignment__{name}": value for name, value in SMALL.items()},
    )
    .metrics,
    "nothing learned": [("steps", count_of_steps)],
    "nested": [
        ("inner", MetricEnsemble([("gru", GRU), ("mean", EuclideanMean())], weights=[1, 2])),
        ("last", LastStep()),
    ],
}


def fitted(kind: str, **options: Any) -> MetricEnsemble:
    return MetricEnsemble(KINDS[kind], **options).fit(X, LABELS)


@pytest.fixture(scope="module", params=KINDS)
def ensemble(request: Any) -> MetricEnsemble:
    return fitted(request.param, weights=np.arange(1, len(KINDS[request.param]) + 1))


# --------------------------------------------------------------------------------------------------------- the distance


def test_distances_are_the_weighted_root_of_the_squares(ensemble: MetricEnsemble, rng: Any) -> None:
    n = len(ensemble.metrics_)
    np.testing.assert_allclose(ensemble.weights_, np.arange(1, n + 1) / (n * (n + 1) / 2))
    others = random_sequences(rng, 9, longest=20)
    squares = [metric.pairwise_distances(others, X) ** 2 for metric in ensemble.metrics_]
    own = [(metric.pairwise_distances(X) ** 2).mean() for metric in ensemble.metrics_]
    np.testing.assert_allclose(ensemble.scales_**2, own, rtol=1e-5)
    expected = np.sqrt(sum(w * d / s for w, d, s in zip(ensemble.weights_, squares, own, strict=True)))
    np.testing.assert_allclose(ensemble.pairwise_distances(others, X), expected, rtol=1e-5, atol=1e-6)
    assert (ensemble.pairwise_distances(X) ** 2).mean() == pytest.approx(1, rel=1e-5)


def test_an_ensemble_is_a_metric(ensemble: MetricEnsemble) -> None:
    distances = ensemble.pairwise_distances(X)
    np.testing.assert_array_equal(distances, distances.T)
    assert not distances.diagonal().any()
    again = ensemble.pairwise_distances(X, [x.copy() for x in X])
    assert not again.diagonal().any()
    np.testing.assert_array_equal(ensemble.pair_distance(X, X[::-1]), ensemble.pair_distance(X[::-1], X))
    np.testing.assert_allclose(again, distances, rtol=1e-5, atol=1e-6)
    copied = pickle.loads(pickle.dumps(ensemble))
    np.testing.assert_array_equal(copied.pairwise_distances(X), distances)
    ensemble.calibrate_threshold(X, PAIRS, SAME)
    assert set(ensemble.predict_pairs(X, PAIRS)) <= {-1, 1}


@pytest.mark.parametrize("algorithm", ["exact", "rerank"])
def test_neighbours_are_those_of_the_distances(ensemble: MetricEnsemble, algorithm: str) -> None:
    options = {"n_neighbors": 3, "algorithm": algorithm, "n_candidates": len(X)}
    if algorithm == "rerank" and ensemble._embeddings(ensemble._prepared(X)) is None:
        with pytest.raises(ValueError, match="MetricEnsemble has none"):
            SequenceKNeighborsClassifier(FrozenEstimator(ensemble), **options).fit(X, LABELS)
        return
    knn = SequenceKNeighborsClassifier(FrozenEstimator(ensemble), **options).fit(X, LABELS)
    for queries in (None, X):
        distances, indices = knn.kneighbors(queries)
        expected = brute_neighbors(ensemble.pairwise_distances(X), 3, leave_out_self=queries is None)
        np.testing.assert_array_equal(indices, expected[1])
        np.testing.assert_allclose(distances, expected[0], rtol=1e-5, atol=1e-7)


def test_what_says_that_it_is_euclidean_is_so() -> None:
    claimed = []
    for case in CASES:
        metric = case.make()
        if not isinstance(metric, Metric) or not getattr(metric, "_is_euclidean", False):
            continue
        claimed.append(case.name)
        metric.fit(case.X, **case.fits["fit"])
        assert metric._is_euclidean
        points = metric.transform(case.X).astype(np.float64)
        gaps = np.linalg.norm(points[:, np.newaxis] - points, axis=2)
        np.testing.assert_allclose(metric.pairwise_distances(case.X), gaps, rtol=1e-12, atol=1e-12)
    assert {"SyncGRUMetric", "RandomConvolutionMetric", "CrossModalTripletEmbedder", "MetricEnsemble"} <= set(claimed)
    assert not {"SyncGRUMetric coupled", "DTWMetric", "MetricEnsemble in tiles"} & set(claimed)


def test_euclidean_members_have_one_embedding() -> None:
    model = fitted("euclidean", weights=[1, 0, 3])
    points = model.transform(X)
    widths = [metric.transform(X).shape[1] for metric in model.metrics_[:1]] + [X[0].shape[1]]
    assert points.shape == (len(X), sum(widths))
    assert points.dtype == np.float32
    assert model.get_feature_names_out().tolist() == [f"metricensemble{i}" for i in range(sum(widths))]
    np.testing.assert_array_equal(clone(model).fit_transform(X, LABELS), points)
    np.testing.assert_allclose(points[:, : widths[0]] * model.scales_[0] * 2, model.metrics_[0].transform(X), rtol=1e-6)


def test_an_embedding_is_offered_only_where_it_gives_the_distance() -> None:
    for kind in KINDS:
        made = MetricEnsemble(KINDS[kind])
        fitted_too = [clone(made).fit(X, LABELS)] if kind in ("tiles", "nested") else []
        for model in (made, *fitted_too):
            expected = kind in ("euclidean", "nested")
            assert [hasattr(model, name) for name in ("transform", "fit_transform")] == [expected] * 2


def test_the_output_may_be_a_frame() -> None:
    pytest.importorskip("pandas")
    model = MetricEnsemble(KINDS["euclidean"]).set_output(transform="pandas")
    assert list(model.fit_transform(X, LABELS).columns) == list(model.get_feature_names_out())


def test_a_member_without_weight_costs_nothing() -> None:
    calls = []

    def watched(x: np.ndarray, y: np.ndarray) -> float:
        calls.append(1)
        return 1.0

    model = MetricEnsemble([("gru", GRU), ("watched", watched)], weights=[1, 0]).fit(X, LABELS)
    calls.clear()
    found = model.pairwise_distances(X)
    assert calls == []
    np.testing.assert_allclose(found * model.scales_[0], model.metrics_[0].pairwise_distances(X), rtol=1e-6)


@pytest.mark.parametrize("value", [1e-170, 1e170])
def test_the_unit_of_a_distance_does_not_matter(value: float) -> None:
    """Squares of such distances vanish or overflow."""
    plain = MetricEnsemble([("steps", count_of_steps), ("last", LastStep())]).fit(X)
    scaled = MetricEnsemble([("steps", lambda x, y: value * count_of_steps(x, y)), ("last", LastStep())]).fit(X)
    np.testing.assert_allclose(scaled.pairwise_distances(X), plain.pairwise_distances(X), rtol=1e-12)


def test_distances_that_are_all_zero_have_scale_one() -> None:
    model = MetricEnsemble([("same", lambda x, y: 0.0), ("last", LastStep())]).fit(X)
    assert model.scales_[0] == 1
    same = MetricEnsemble([("last", LastStep()), ("mean", EuclideanMean())]).fit([X[0]] * 3)
    assert same.scales_.tolist() == [1, 1]
    assert not same.pairwise_distances([X[0]] * 3).any()


def test_scales_are_estimated_of_many_sequences(rng: Any) -> None:
    many = random_sequences(rng, 300)
    euclidean, drawn = (MetricEnsemble([("mean", cls())]).fit(many).scales_[0] for cls in (EuclideanMean, MeanMetric))
    assert drawn == pytest.approx(euclidean, rel=0.1)
    assert drawn != euclidean


@pytest.mark.parametrize("kind", [EuclideanMean, MeanMetric])
def test_a_weight_of_two_is_two_copies(kind: Any) -> None:
    class Weighted(kind):
        def fit(self, X, y=None, sample_weight=None):
            self.center_ = 0.0
            return self

    weights = np.array([2, 1, 1, 0, 1, 1, 3, 1])
    first = MetricEnsemble([("mean", Weighted())]).fit(X, LABELS, sample_weight=weights)
    second = MetricEnsemble([("mean", Weighted())]).fit([X[i] for i in np.repeat(np.arange(len(X)), weights)])
    np.testing.assert_allclose(first.scales_, second.scales_, rtol=1e-12)


# ---------------------------------------------------------------------------------------------------------- composition


def test_members_and_their_parameters_have_names() -> None:
    model = MetricEnsemble([("gru", GRU), ("dtw", DTWMetric())], weights=[1, 2])
    assert model.get_params()["gru__n_units"] == 4
    model.set_params(gru__n_units=5, dtw__window=2, weights=None)
    assert (model.metrics[0][1].n_units, model.metrics[1][1].window, model.weights) == (5, 2, None)
    GRU.set_params(n_units=4)
    copied = clone(model)
    assert copied.metrics[0][1] is not model.metrics[0][1]
    assert copied.get_params()["dtw__window"] == 2
    model.set_params(dtw="drop").fit(X, LABELS)
    assert list(model.named_metrics_) == ["gru"]
    assert model.named_metrics_.gru is model.metrics_[0]
    assert model.weights_.tolist() == [1]
    with pytest.raises(ValueError, match="Invalid parameter 'memory'"):
        model.set_params(memory=MEMORY)


def test_dropped_members_keep_their_weight_in_the_list() -> None:
    model = MetricEnsemble([("a", "drop"), ("b", LastStep()), ("c", EuclideanMean())], weights=[7, 1, 3]).fit(X)
    assert model.weights_.tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([], "leaves no member"),
        ([("a", "drop")], "leaves no member"),
        ([GRU], r"metrics\[0\] is SyncGRUMetric.*pass pairs"),
        ([("a", GRU, 1)], r"metrics\[0\] is .*pass pairs"),
        ([(1, GRU)], r"metrics\[0\] is .*a string as the name"),
        ([("a", GRU), ("b", MEMORY), ("a", GRU)], r"'a' is used for metrics\[0\] and metrics\[2\]"),
        ([("a__b", GRU)], "'a__b' of metrics.0. is empty or has '__'"),
        ([("", GRU)], "is empty"),
        ([("weights", GRU)], "'weights' of metrics.0. is that of a parameter"),
        ([("a", SyncGRUMetric)], "the member 'a' is <class .*pass a metric estimator"),
        ([("a", 3)], "the member 'a' is 3"),
        ([("a", None)], "the member 'a' is None"),
        ([("a", "no such metric")], "'no such metric' is not known"),
        ([("a", lambda x, y: "text")], "function of neither form"),
        ("gru", "The 'metrics' parameter"),
        ({"gru": GRU}, "The 'metrics' parameter"),
    ],
)
def test_what_is_no_list_of_named_metrics_is_refused(metrics: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        MetricEnsemble(metrics).fit(X, LABELS)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "weights has shape .1,.: pass one weight for each of 2 members"),
        ([[1, 2]], "weights has shape"),
        ([1, -1], r"weights\[1\] is -1"),
        ([np.nan, 1], r"weights\[0\] is nan"),
        ([np.inf, 1], r"weights\[0\] is inf"),
        ([0, 0], "gives every member the weight 0"),
        (["a", "b"], "weights"),
        ("loo", "The 'weights' parameter"),
        (2.0, "The 'weights' parameter"),
    ],
)
def test_wrong_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MetricEnsemble([("a", LastStep()), ("b", EuclideanMean())], weights=weights).fit(X)


def test_a_frozen_member_and_a_function_of_one_are_used_as_they_are() -> None:
    metric = SyncGRUMetric(**SMALL).fit(X, LABELS)
    for given in (FrozenEstimator(metric), metric.get_metric()):
        model = MetricEnsemble([("gru", given), ("last", LastStep())]).fit(X[:5])
        np.testing.assert_array_equal(model.metrics_[0].transform(X), metric.transform(X))
    assert model.metrics_[0].n_iter_ == 2
    frozen = MetricEnsemble([("gru", FrozenEstimator(metric))]).partial_fit(X, LABELS).fit_pairs(X, PAIRS, SAME)
    assert frozen.metrics_[0] is metric
    with pytest.raises(ValueError, match="SyncGRUMetric was fitted with 2"):
        MetricEnsemble([("gru", FrozenEstimator(metric))]).fit([x[:, :1] for x in X])
    with pytest.raises(NotFittedError):
        MetricEnsemble([("gru", FrozenEstimator(GRU))]).fit(X)


def test_names_stand_for_metrics() -> None:
    pytest.importorskip("tslearn")
    model = MetricEnsemble([("dtw", "dtw")]).fit(X)
    assert isinstance(model.metrics_[0], DTWMetric)


def test_there_are_the_fits_that_all_members_have() -> None:
    def fits(*members: Any) -> list[bool]:
        model = MetricEnsemble([(f"m{i}", member) for i, member in enumerate(members)])
        return [hasattr(model, name) for name in ("fit", "partial_fit", "fit_pairs")]

    assert fits(GRU, MEMORY) == [True, True, True]
    assert fits(GRU, "dtw") == [True, False, True]
    assert fits(GRU, count_of_steps, "drop") == [True, False, True]
    assert fits(GRU, SupervisedMean()) == [True, False, False]


def test_pairs_reach_every_member() -> None:
    model = MetricEnsemble([("gru", GRU), ("last", LastStep())]).fit_pairs(X, PAIRS, SAME)
    alone = clone(GRU).fit_pairs(X, PAIRS, SAME)
    np.testing.assert_array_equal(model.metrics_[0].transform(X), alone.transform(X))
    with pytest.raises(ValueError, match="at least one pair with -1"):
        model.fit_pairs(X, PAIRS, np.ones(len(PAIRS)))


def test_partial_fits_continue_those_of_the_members() -> None:
    model, alone = MetricEnsemble([("gru", GRU), ("memory", MEMORY)]), clone(GRU)
    for _ in range(2):
        model.partial_fit(X, LABELS)
        alone.partial_fit(X, LABELS)
    np.testing.assert_array_equal(model.metrics_[0].transform(X), alone.transform(X))
    distance = model.get_metric()
    before = distance(X[0], X[1])
    model.partial_fit(X, LABELS)
    assert distance(X[0], X[1]) == before
    with pytest.raises(ValueError, match=r"the members are \['gru'\], but \['gru', 'memory'\] were fitted"):
        model.set_params(memory="drop").partial_fit(X, LABELS)


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_jobs_change_no_bit(backend: str) -> None:
    with joblib.parallel_config(backend):
        members = [("gru", GRU), ("last", LastStep())]
        one, two = (MetricEnsemble(members, cv=2, weights="cv", n_jobs=n).fit(X, LABELS) for n in (None, 2))
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    np.testing.assert_array_equal(one.scales_, two.scales_)


def test_the_fit_needs_y_if_a_member_does() -> None:
    MetricEnsemble(KINDS["tiles"]).fit(X)
    with pytest.raises(ValueError, match="requires y"):
        MetricEnsemble(KINDS["coupled"]).fit(X)


def test_a_regressor_bins_its_targets_for_members_that_learn_classes() -> None:
    y = np.array([x.mean() for x in X])
    knn = SequenceKNeighborsRegressor(MetricEnsemble(KINDS["coupled"]), n_neighbors=2, n_bins=3).fit(X, y)
    assert knn.metric_.metrics_[0].classes_.tolist() == [0, 1, 2]
    assert np.isfinite(knn.predict(X)).all()


def test_a_search_sets_parameters_of_members() -> None:
    grid = {"metric__mean__scale": [1.0, 2.0], "metric__weights": [[1, 0], [0, 1]]}
    knn = SequenceKNeighborsClassifier(MetricEnsemble([("mean", EuclideanMean()), ("last", LastStep())]), n_neighbors=1)
    search = GridSearchCV(knn, grid, cv=2).fit(X, LABELS)
    assert set(search.best_params_) == set(grid)


def test_a_notebook_shows_the_members_side_by_side() -> None:
    shown = MetricEnsemble([("first", GRU), ("second", "drop")])._repr_html_()
    assert "sk-parallel" in shown
    assert "first" in shown
    assert "second" in shown


# ------------------------------------------------------------------------------------------------------------- metadata


def test_weights_and_groups_go_to_the_members_that_take_them() -> None:
    weights, groups = np.arange(1.0, 9.0), np.array(list("aabbccdd"))
    model = MetricEnsemble([("means", SupervisedMean()), ("last", LastStep())])
    model.fit(X, LABELS, sample_weight=weights, groups=groups)
    np.testing.assert_array_equal(model.metrics_[0].sample_weight_, weights)
    np.testing.assert_array_equal(model.metrics_[0].groups_, np.repeat(np.arange(4), 2))
    for name, given in (("sample_weight", weights), ("groups", groups)):
        with pytest.raises(TypeError, match=f"{name} is given, but no member"):
            MetricEnsemble([("last", LastStep())]).fit(X, LABELS, **{name: given})
    with pytest.raises(ValueError, match="groups has 7 entries, X has 8"):
        model.fit(X, LABELS, groups=groups[1:])


def test_metadata_are_routed_by_request() -> None:
    weights = np.arange(1.0, 9.0)
    with config_context(enable_metadata_routing=True):
        asks, refuses = (SupervisedMean().set_fit_request(sample_weight=wanted) for wanted in (True, False))
        model = MetricEnsemble([("asks", asks), ("refuses", refuses)]).fit(X, LABELS, sample_weight=weights)
        np.testing.assert_array_equal(model.metrics_[0].sample_weight_, weights)
        assert model.metrics_[1].sample_weight_ is None
        knn = SequenceKNeighborsClassifier(MetricEnsemble([("asks", asks), ("steps", count_of_steps)]), n_neighbors=1)
        knn.set_params(metric=knn.metric.set_fit_request(sample_weight=True)).fit(X, LABELS, sample_weight=weights)
        np.testing.assert_array_equal(knn.metric_.metrics_[0].sample_weight_, weights)


# ----------------------------------------------------------------------------------------------------- cross-validation


def separable(rng: Any, n: int = 100) -> tuple[list[np.ndarray], np.ndarray]:
    """Sequences whose last step tells which of ten classes they have, while their means are noise."""
    y = np.arange(n) % 10
    sequences = [rng.normal(size=(steps, 4)) + rng.normal(size=4) for steps in rng.integers(4, 9, size=n)]
    for x, label in zip(sequences, y, strict=True):
        x[-1] = np.eye(4)[0] * (label + 0.1 * rng.normal())
    return sequences, y


MEMBERS = [("mean", EuclideanMean()), ("last", LastStep())]


def test_weights_are_chosen_by_what_is_held_out(rng: Any) -> None:
    sequences, y = separable(rng)
    model = MetricEnsemble(MEMBERS, weights="cv").fit(sequences, y)
    assert model.weights_.tolist() == [0, 1]
    assert model.transform(sequences).shape == (100, 4)
    numbers = MetricEnsemble(MEMBERS, weights="cv").fit(sequences, y + 0.5 + rng.normal(0, 0.01, size=100))
    assert numbers.weights_[1] >= 0.75
    for shape in ((100, 1), (100, 2)):
        targets = np.broadcast_to(y[:, np.newaxis] * 1.5, shape)
        assert MetricEnsemble(MEMBERS, weights="cv").fit(sequences, targets).weights_[1] >= 0.75


def test_weights_are_equal_where_nothing_speaks_against_it(rng: Any) -> None:
    sequences, y = separable(rng)
    for members in (
        [("a", LastStep()), ("b", LastStep(2.0))],
        [("a", LastStep()), ("b", LastStep()), ("c", LastStep())],
    ):
        model = MetricEnsemble(members, weights="cv", cv=4).fit(sequences, y)
        assert model.weights_.tolist() == [1 / len(members)] * len(members)
    noise = MetricEnsemble(MEMBERS, weights="cv").fit(sequences, rng.permutation(y))
    assert noise.weights_.tolist() == [0.5, 0.5]


def test_chosen_weights_are_the_best_of_the_grid_by_brute_force(rng: Any) -> None:
    sequences, y = separable(rng, 24)
    y //= 3
    members = [("mean", MeanMetric(euclidean=False)), ("last", LastStep()), ("steps", count_of_steps)]
    model = MetricEnsemble(members, weights="cv", cv=LeaveOneOut()).fit(sequences, y)
    grid = [(a, b, 4 - a - b) for a in range(5) for b in range(5 - a)]

    squares, wrong = [], []
    for i in range(24):
        kept = np.flatnonzero(np.arange(24) != i)
        some = [sequences[j] for j in kept]
        own = [m.pairwise_distances([sequences[i]], some)[0] ** 2 for m in MetricEnsemble(members).fit(some).metrics_]
        squares.append([part / part.mean() for part in own])
        wrong.append(y[kept] != y[i])

    def errors(weights: Any) -> np.ndarray:
        return np.array(
            [w[np.argmin(np.dot(weights, own))] for own, w in zip(squares, wrong, strict=True)], dtype=float
        )

    found = {weights: errors(weights) for weights in [*map(tuple, np.array(grid) / 4), (1 / 3, 1 / 3, 1 / 3)]}
    best = min(found.values(), key=np.mean)
    good = {}
    for weights, wrong in found.items():
        gap = wrong - best
        if gap.mean() <= 2 * np.sqrt(((gap - gap.mean()) ** 2).sum()) / 24 + 1e-12:
            good[weights] = sum((w - 1 / 3) ** 2 for w in weights)
    assert good[tuple(model.weights_)] == pytest.approx(min(good.values()))


class Remembering(EuclideanMean):
    """Sequences that it was fitted to are ten times as far from each other as from those that it was not fitted to."""

    def fit(self, X, y=None, groups=None):
        super().fit(X)
        self.known_ = {x.tobytes() for x in X.to_list()}
        self.groups_ = groups
        return self

    def _prepare(self, sequences):
        prepared = super()._prepare(sequences)
        known = np.array([x.tobytes() in self.known_ for x in sequences.to_list()])
        return type(prepared)(prepared.embeddings * np.where(known, 10, 1)[:, np.newaxis].astype("f"), prepared.lengths)


def test_scales_are_those_of_sequences_that_members_have_not_seen(rng: Any) -> None:
    many = random_sequences(rng, 90, longest=5)
    plain = MetricEnsemble([("fair", EuclideanMean()), ("remembering", Remembering())]).fit(many)
    held_out = clone(plain).set_params(cv=5).fit(many)
    ratio = held_out.scales_ / plain.scales_
    assert ratio[0] == pytest.approx(1, rel=0.05)
    assert ratio[1] == pytest.approx(np.sqrt((100 + 1) / 2) / 10, rel=0.05)  # of variances 100 and 1, and of 100 twice


def test_folds_of_no_weight_do_not_count() -> None:
    weights = np.array([0, 0, 0, 0, 1, 1, 1, 1.0])
    members = [("gru", GRU), ("last", LastStep())]
    splits = [(np.arange(2, 8), np.arange(2)), (np.array([0, 1, 2, 3, 4, 5]), np.arange(6, 8))]
    model = MetricEnsemble(members, weights="cv", cv=splits).fit(X, LABELS, sample_weight=weights)
    assert np.isfinite(model.scales_).all()


def test_groups_stay_together(rng: Any) -> None:
    many, groups = random_sequences(rng, 30), np.arange(30) // 3
    fits: list[np.ndarray] = []

    class Watched(Remembering):
        def fit(self, X, y=None, groups=None):
            fits.append(groups)
            return super().fit(X)

    for cv in (5, GroupKFold(5)):
        fits.clear()
        MetricEnsemble([("watched", Watched())], cv=cv).fit(many, groups=groups)
        assert len(fits) == 6
        assert all(np.unique(found, return_counts=True)[1].min() == 3 for found in fits)
    fits.clear()
    MetricEnsemble([("watched", Watched())], cv=5, weights="cv").fit(many, np.arange(30) % 2, groups=groups)
    assert all(np.unique(found, return_counts=True)[1].min() == 3 for found in fits)


def test_rare_classes_are_no_obstacle(rng: Any) -> None:
    sequences, y = separable(rng, 22)
    for labels in ([*y[:-1], 99], np.arange(22) // 2):  # warnings would be errors here
        MetricEnsemble(MEMBERS, weights="cv").fit(sequences, labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(X), 'weights="cv" needs y'),
        (lambda m: m.fit_pairs(X, PAIRS, SAME), 'weights="cv" needs y.*fit_pairs has none'),
        (lambda m: m.fit(X, np.zeros(len(X))), "only one class"),
        (lambda m: m.fit(X, LABELS[1:]), "y"),
        (lambda m: m.fit(X[:2], [0, 1]), "3 folds need as many sequences, and there are 2"),
        (lambda m: m.set_params(cv=1).fit(X, LABELS), "The 'cv' parameter"),
        (lambda m: m.set_params(cv=9).fit(X, LABELS), "9 folds need as many sequences, and there are 8"),
        (lambda m: m.fit(X, LABELS, groups=LABELS), "3 folds need as many groups, and there are 2"),
    ],
)
def test_weights_cannot_be_chosen_without_folds_or_targets(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(MetricEnsemble([("fair", EuclideanMean()), ("remembering", Remembering())], weights="cv"))


def test_partial_fits_have_no_folds() -> None:
    with pytest.raises(ValueError, match='weights="cv" needs y for all sequences, and partial_fit'):
        MetricEnsemble([("gru", GRU)], weights="cv").partial_fit(X, LABELS)
    MetricEnsemble([("gru", GRU)], cv=2).partial_fit(X, LABELS)


# ------------------------------------------------------------------------------------------ refusals, and interruptions


class Refusing(MeanMetric):
    def fit(self, X, y=None):
        raise ValueError("no fit today")


def test_what_one_member_refuses_leaves_all_as_they_were() -> None:
    model = MetricEnsemble([("gru", GRU), ("last", LastStep())]).fit(X, LABELS).calibrate_threshold(X, PAIRS, SAME)
    before, state = model.pairwise_distances(X), joblib.hash(vars(model)["metrics_"])
    model.set_params(last=Refusing())
    with pytest.raises(ValueError, match="no fit today"):
        model.fit(X[:5], LABELS[:5])
    assert joblib.hash(vars(model)["metrics_"]) == state
    assert hasattr(model, "threshold_")
    np.testing.assert_array_equal(model.pairwise_distances(X), before)


def test_a_partial_fit_that_one_member_refuses_leaves_all_as_they_were() -> None:
    class Fussy(EuclideanMean):
        def partial_fit(self, X, y=None):
            if len(X) < 8:
                raise ValueError("too few")
            return self.fit(X)

    model = MetricEnsemble([("gru", GRU), ("fussy", Fussy())]).partial_fit(X, LABELS)
    before = model.transform(X)
    with pytest.raises(ValueError, match="too few"):
        model.partial_fit(X[:6], LABELS[:6])
    np.testing.assert_array_equal(model.transform(X), before)


def test_a_later_fit_forgets_the_threshold() -> None:
    model = fitted("nothing learned").calibrate_threshold(X, PAIRS, SAME)
    assert not hasattr(model.fit(X), "threshold_")


@pytest.mark.parametrize("answer", [np.nan, np.inf, 1e308])
def test_distances_that_are_not_finite_are_refused(answer: float) -> None:
    def distance(x: np.ndarray, y: np.ndarray) -> float:
        return answer if len(x) == 3 and len(y) == 5 else float(abs(len(x) - len(y))) * 1e-5

    with pytest.raises(ValueError, match="finite"):
        MetricEnsemble([("distance", distance)]).fit(X[1:4]).pairwise_distances(X)


@pytest.fixture
def keyboard() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Press(Callback):
    """Ctrl-C at the second batch of the process, once or more often."""

    batches, presses = 0, 1

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        Press.batches += 1
        if Press.batches == 2:
            for _ in range(Press.presses):
                signal.raise_signal(signal.SIGINT)


def pressed(*presses_at: Any, **options: Any) -> MetricEnsemble:
    Press.batches, Press.presses = 0, 1
    members = [
        (f"m{i}", SyncGRUMetric(**SMALL, coupling=None, callbacks=[Press()] if at else None))
        for i, at in enumerate(presses_at)
    ]
    return MetricEnsemble([*members, ("last", LastStep())], **options)


@pytest.mark.usefixtures("keyboard")
def test_ctrl_c_ends_the_fit_of_all_members_and_keeps_what_they_learned() -> None:
    model = pressed(True, False)
    with pytest.warns(ConvergenceWarning) as said:
        model.fit(X, LABELS)
    assert ["interrupted in epoch 1" in str(w.message) for w in said] == [True, True]
    assert [metric.n_iter_ for metric in model.metrics_[:2]] == [0, 0]
    assert np.isfinite(model.transform(X)).all()
    late = pressed(False, True)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        late.fit(X, LABELS)
    np.testing.assert_array_equal(late.metrics_[0].transform(X), clone(late.metrics_[0]).fit(X, LABELS).transform(X))


@pytest.mark.usefixtures("keyboard")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ctrl_c_twice_or_in_a_search_leaves_the_ensemble_as_it_was() -> None:
    model = pressed(True, False)
    Press.presses = 2
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS)
    assert not hasattr(model, "metrics_")
    knn = SequenceKNeighborsClassifier(pressed(True, False), n_neighbors=1)
    for use in (lambda: cross_val_score(knn, X, LABELS, cv=2), lambda: make_pipeline(knn).fit(X, LABELS)):
        Press.batches = 0
        with pytest.raises(KeyboardInterrupt):
            use()
        assert Press.batches == 2  # nothing was trained any more


@pytest.mark.usefixtures("keyboard")
def test_ctrl_c_in_the_folds_keeps_the_members() -> None:
    whole = pressed(True)
    Press.batches = 2  # nothing is pressed
    whole.fit(X, LABELS)
    model = pressed(True, cv=2, weights="cv")
    Press.batches = 1 - 4  # of the fit to all
    with pytest.warns(ConvergenceWarning) as said:
        model.fit(X, LABELS)
    assert "before the end of the cross-validation; all members are kept" in str(said[-1].message)
    np.testing.assert_array_equal(model.transform(X), whole.transform(X))
    assert model.weights_.tolist() == [0.5, 0.5]


def test_callbacks_follow_the_members(ragged: Any) -> None:
    callbacks = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    assert callbacks
    ended: list[str] = []

    class Follower:
        max_propagation_depth = None

        def setup(self, estimator: Any, context: Any) -> None: ...

        def teardown(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any = None, y: Any = None) -> None: ...

        def on_fit_task_end(self, estimator: Any, context: Any) -> None:
            above = "" if context.parent is None else f"{context.parent.estimator_name} > "
            ended.append(f"{above}{context.estimator_name}.{context.task_name}")

    model = MetricEnsemble([("gru", GRU), ("last", LastStep())], n_jobs=2).set_callbacks(Follower())
    model.fit(*ragged)
    assert ended == [
        "SyncGRUMetric > SyncGRUMetric.epoch",
        "SyncGRUMetric > SyncGRUMetric.epoch",
        "MetricEnsemble > SyncGRUMetric.fit",
        "MetricEnsemble > MetricEnsemble.fit-LastStep",
        "MetricEnsemble.fit",
    ]
