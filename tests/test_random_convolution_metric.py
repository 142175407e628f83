"""RandomConvolutionMetric: its distance by the formula, weights, pieces, pairs, what it learns, and degenerate data."""

from __future__ import annotations

import pickle
import tracemalloc
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import eigh
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from skseqmetric import (
    RandomConvolutionMetric,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    check_sequences,
)

SMALL: dict[str, Any] = {"n_features": 84, "random_state": 0}
Data = tuple[list[np.ndarray], np.ndarray]


def waves(n: int, seed: int = 0, ragged: bool = False) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Waves (T, 2) of three frequencies and any phase under noise, their classes and their frequencies."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 3)
    frequencies = 0.3 + 0.2 * y + rng.uniform(0, 0.08, n)
    lengths = rng.integers(20, 40, n) if ragged else np.full(n, 30)
    phases = rng.uniform(0, 6, n)
    X = [
        np.sin(f * np.arange(t) + p)[:, None] * [1, 0.5] + 0.4 * rng.normal(size=(t, 2))
        for f, t, p in zip(frequencies, lengths, phases, strict=True)
    ]
    return X, y, frequencies


def features(metric: Any, X: Any) -> np.ndarray:
    return metric.convolutions_.features(check_sequences(X)).astype(np.float64)


def squared(coordinates: np.ndarray) -> np.ndarray:
    return np.square(coordinates[:, None] - coordinates[None]).sum(2)


def explicit(raw: np.ndarray, targets: np.ndarray, weights: np.ndarray, alpha: float, blend: float) -> np.ndarray:
    """All distances by the formula, with every principal direction, for features (n, P)."""
    share = weights / weights.sum()
    kept = np.ptp(raw, axis=0) > 0
    f = raw[:, kept] - share @ raw[:, kept]
    f /= np.sqrt(share @ f**2)
    penalty = alpha * kept.sum() * weights.mean()
    gram = f.T @ (weights[:, None] * f) + penalty * np.eye(kept.sum())
    ridge = np.linalg.solve(gram, f.T @ (weights[:, None] * (targets - share @ targets)))
    first, second = (part / (share @ part @ share) for part in (squared(f @ ridge), squared(f)))
    return np.sqrt((1 - blend) * first + blend * second)


@pytest.mark.parametrize("ragged_", [False, True])
@pytest.mark.parametrize("n", [20, 60, 200])
def test_the_distance_is_that_of_the_formula(n: int, ragged_: bool) -> None:
    """Few sequences by products of sequences, many by products of features."""
    X, y, _ = waves(n, ragged=ragged_)
    metric = RandomConvolutionMetric(**SMALL, n_components=400).fit(X, y)
    raw = features(metric, X)
    assert raw.shape == (n, 336 if ragged_ else 168)
    expected = explicit(raw, np.eye(3)[y], np.ones(n), 0.1, 0.2)
    np.testing.assert_allclose(metric.pairwise_distances(X), expected, rtol=2e-3, atol=1e-3)
    E = metric.transform(X).astype(np.float64)
    np.testing.assert_allclose(metric.pairwise_distances(X), np.sqrt(squared(E)), rtol=1e-4, atol=1e-4)
    assert (expected**2).mean() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("settings", [{"blend": 0.0}, {"blend": 1.0}, {"alpha": 10.0, "blend": 0.5}])
def test_parameters_are_those_of_the_formula(settings: dict[str, float]) -> None:
    X, y, _ = waves(40)
    metric = RandomConvolutionMetric(**SMALL, **settings, n_components=400).fit(X, y)
    full = {"alpha": 0.1, **settings}
    expected = explicit(features(metric, X), np.eye(3)[y], np.ones(40), full["alpha"], full["blend"])
    np.testing.assert_allclose(metric.pairwise_distances(X), expected, rtol=2e-3, atol=1e-3)


def test_principal_directions_are_at_most_n_components() -> None:
    X, y, _ = waves(60)
    for n in (1, 5, 64):
        metric = RandomConvolutionMetric(**SMALL, n_components=n).fit(X, y)
        assert metric.transform(X[:2]).shape == (2, min(3 + n, 3 + 59))
        assert len(metric.get_feature_names_out()) == min(3 + n, 3 + 59)


# ------------------------------------------------------------------------------------------------------------ weights


def distances(X: Any, *args: Any, of: Any = None, **settings: Any) -> np.ndarray:
    return RandomConvolutionMetric(**SMALL, **settings).fit(X, *args).pairwise_distances(of or waves(12, 9)[0])


@pytest.mark.parametrize("n", [30, 120])
def test_weights_count_copies(n: int) -> None:
    X, y, _ = waves(n)
    weights = np.random.default_rng(0).integers(0, 3, n)
    copies = np.repeat(np.arange(n), weights)
    order = np.random.default_rng(1).permutation(copies)
    weighted = distances(X, y, weights)
    np.testing.assert_array_equal(distances([X[i] for i in copies], y[copies]), weighted)
    np.testing.assert_array_equal(distances([X[i] for i in order], y[order]), weighted)
    assert np.abs(distances(X, y) - weighted).max() > 1e-3


@pytest.mark.parametrize("factor", [7.0, 1e-300, 1e300])
def test_only_ratios_of_weights_matter(factor: float) -> None:
    X, y, _ = waves(30)
    weights = np.random.default_rng(0).integers(1, 4, 30)
    np.testing.assert_allclose(distances(X, y, weights * factor), distances(X, y, weights), rtol=1e-4)


def test_weighted_distance_is_that_of_the_formula() -> None:
    X, y, _ = waves(40)
    weights = np.random.default_rng(0).uniform(0.5, 3, 40)
    metric = RandomConvolutionMetric(**SMALL, n_components=400).fit(X, y, weights)
    expected = explicit(features(metric, X), np.eye(3)[y], weights, 0.1, 0.2)
    np.testing.assert_allclose(metric.pairwise_distances(X), expected, rtol=2e-3, atol=1e-3)


def test_class_weights_are_weights_of_sequences() -> None:
    X, y, _ = waves(30)
    X, y = X[:24], y[:24]
    factors = np.array([1.0, 3.0, 0.5])
    np.testing.assert_array_equal(distances(X, y, class_weight=dict(enumerate(factors))), distances(X, y, factors[y]))
    weights = np.random.default_rng(0).uniform(1, 2, 24)
    balanced = weights.sum() / (3 * np.bincount(y, weights))
    np.testing.assert_allclose(
        distances(X, y, weights, class_weight="balanced"), distances(X, y, weights * balanced[y]), rtol=1e-5
    )
    for target in (None, np.linspace(0.1, 1, 24)):
        with pytest.raises(ValueError, match="class_weight needs classes"):
            RandomConvolutionMetric(class_weight="balanced").fit(X, target)


# ------------------------------------------------------------------------------------------------------ targets


def test_classes_bring_their_sequences_together() -> None:
    X, y, _ = waves(90, ragged=True)
    metric = RandomConvolutionMetric(random_state=0).fit(X[:45], y[:45])
    assert metric.classes_.tolist() == [0, 1, 2]
    D = metric.pairwise_distances(X[45:], X[:45])
    assert roc_auc_score((y[45:, None] == y[:45]).ravel(), -D.ravel()) > 0.97
    assert (y[:45][D.argmin(1)] == y[45:]).mean() > 0.95


def test_labels_of_any_type_are_classes() -> None:
    X, y, _ = waves(30)
    expected = distances(X, y)
    for labels in (y.astype(float), y.astype(str), y[:, None] > 0, y + 10):
        if labels.shape == (30, 1):
            labels = np.where(labels[:, 0], y, 0).astype(object)
        np.testing.assert_array_equal(distances(X, labels), expected)


def test_numbers_are_learned_as_numbers() -> None:
    X, _, frequencies = waves(150)
    learned = SequenceKNeighborsRegressor(RandomConvolutionMetric(**SMALL)).fit(X[:100], frequencies[:100])
    raw = SequenceKNeighborsRegressor(RandomConvolutionMetric(**SMALL, blend=1.0)).fit(X[:100], frequencies[:100])
    assert learned.score(X[100:], frequencies[100:]) > max(0.85, raw.score(X[100:], frequencies[100:]))
    assert not hasattr(learned.metric_, "classes_")


def test_several_columns_count_alike_whatever_their_units() -> None:
    X, y, frequencies = waves(40)
    columns = np.column_stack([frequencies, y * 1e6 + 1e9])
    metric = RandomConvolutionMetric(**SMALL, n_components=400).fit(X, columns)
    scaled = (columns - columns.mean(0)) / columns.std(0)
    expected = explicit(features(metric, X), scaled, np.ones(40), 0.1, 0.2)
    np.testing.assert_allclose(metric.pairwise_distances(X), expected, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("y", "target", "kind"),
    [
        ([0, 1, 2] * 4, "auto", "classes"),
        ([0.0, 1.0, 2.0] * 4, "auto", "classes"),
        ([0.5, 1.0, 2.0] * 4, "auto", "numbers"),
        ([[0], [1], [2]] * 4, "auto", "classes"),
        ([[0, 1], [1, 2], [2, 2]] * 4, "auto", "numbers"),
        (["a", "b", "c"] * 4, "auto", "classes"),
        ([0, 1, 2] * 4, "numbers", "numbers"),
        ([0.0, 1.0, 2.0] * 4, "classes", "classes"),
    ],
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_what_y_is(y: Any, target: str, kind: str) -> None:
    metric = RandomConvolutionMetric(**SMALL, target=target).fit(waves(12)[0], y)
    assert hasattr(metric, "classes_") == (kind == "classes")
    metric.set_params(target="auto").fit(waves(12)[0])
    assert not hasattr(metric, "classes_")


def test_neighbour_estimators_say_what_y_is() -> None:
    X, y, _ = waves(30)
    metric = RandomConvolutionMetric(**SMALL)
    whole = SequenceKNeighborsRegressor(metric).fit(X, y)
    assert whole.metric_.target == "numbers"
    of_floats = clone(metric).fit(X, y + 0.5).pairwise_distances(X)
    np.testing.assert_allclose(whole.metric_.pairwise_distances(X), of_floats, rtol=1e-3, atol=1e-4)
    assert SequenceKNeighborsClassifier(metric).fit(X, y).metric_.target == "classes"
    assert SequenceKNeighborsRegressor(clone(metric).set_params(target="classes")).fit(X, y).metric_.target == "classes"
    assert SequenceNeighborsTransformer(metric).fit(X, y).metric_.target == "auto"
    assert metric.target == "auto"


def test_constant_numbers_leave_the_principal_directions() -> None:
    X, _, _ = waves(20)
    constant = distances(X, np.full(20, 0.1), target="numbers")
    np.testing.assert_allclose(constant, distances(X), rtol=1e-6)


# ------------------------------------------------------------------------------------------------------ pieces


def explicit_of_pieces(metric: Any, X: Any, y: np.ndarray, weights: Any = None) -> np.ndarray:
    classes = np.unique(y)
    weights = np.ones(len(X)) if weights is None else weights
    return explicit(features(metric, X), (y[:, None] == classes).astype(float), weights, 0.1, 0.2)


@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_pieces_are_learned_like_one_set(first: str) -> None:
    """While sequences are few, when they become many, and after that; a class comes later."""
    X, y, _ = waves(150)
    order = np.argsort(y == 2, kind="stable")
    X, y = [X[i] for i in order], y[order]
    metric = RandomConvolutionMetric(**SMALL, n_components=400)
    getattr(metric, first)(X[:40], y[:40])
    for start, stop in ((40, 60), (60, 110), (110, 150)):
        metric.partial_fit(X[start:stop], y[start:stop])
        expected = explicit_of_pieces(metric, X[:stop], y[:stop])
        np.testing.assert_allclose(metric.pairwise_distances(X[:stop]), expected, rtol=2e-3, atol=1e-3)
        assert metric.classes_.tolist() == np.unique(y[:stop]).tolist()
    assert metric.classes_.tolist() == [0, 1, 2]


def test_weights_of_pieces_are_in_one_unit() -> None:
    X, y, _ = waves(60)
    weights = np.random.default_rng(0).uniform(0.5, 9, 60)
    metric = RandomConvolutionMetric(**SMALL, n_components=400)
    for part in (slice(0, 20), slice(20, 60)):
        metric.partial_fit(X[part], y[part], weights[part] * 1e200)
    np.testing.assert_allclose(
        metric.pairwise_distances(X), explicit_of_pieces(metric, X, y, weights), rtol=2e-3, atol=1e-3
    )


def test_pieces_of_numbers_and_of_sequences_alone() -> None:
    X, _, frequencies = waves(120)
    for y in (frequencies, None):
        pieces = RandomConvolutionMetric(**SMALL)
        for part in (slice(0, 100), slice(100, 120)):
            pieces.partial_fit(X[part], None if y is None else y[part])
        first = RandomConvolutionMetric(**SMALL).partial_fit(X[:100], None if y is None else y[:100])
        assert np.abs(pieces.pairwise_distances(X) - first.pairwise_distances(X)).max() > 1e-3
    with pytest.raises(ValueError, match="this call has class labels, and the earlier ones had no y"):
        pieces.partial_fit(X, np.arange(120) % 2)


def test_partial_fit_refuses_what_it_cannot_continue() -> None:
    X, y, _ = waves(60)
    with pytest.raises(ValueError, match="partial_fit cannot know how frequent classes will be"):
        RandomConvolutionMetric(class_weight="balanced").partial_fit(X, y)
    many = RandomConvolutionMetric(n_features=84, random_state=0).fit(*waves(100)[:2])
    pairs = RandomConvolutionMetric(n_features=84).fit_pairs(X, [[0, 1], [1, 2]], [1, -1])
    for fitted in (many, pairs):
        before = fitted.pairwise_distances(X)
        with pytest.raises(ValueError, match=r"keeps nothing of the sequences.*Begin with partial_fit"):
            fitted.partial_fit(X, y)
        np.testing.assert_array_equal(fitted.pairwise_distances(X), before)


@pytest.mark.parametrize("n", [20, 100])
def test_a_piece_that_fails_halfway_is_forgotten(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = waves(160)
    straight, disturbed = (RandomConvolutionMetric(**SMALL).partial_fit(X[:n], y[:n]) for _ in range(2))
    before, sums = disturbed.transform(X), resolve_name("skseqmetric._ops.ridge_metric:FeatureSums")
    for name in ("add", "form"):
        original = getattr(sums, name)

        def failing(self: Any, *args: Any, original: Any = original) -> Any:
            original(self, *args)
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(sums, name, failing)
            with pytest.raises(MemoryError):
                disturbed.partial_fit(X[60:], y[60:])
        np.testing.assert_array_equal(disturbed.transform(X), before)
    for metric in (straight, disturbed):
        metric.partial_fit(X[60:], y[60:])
    np.testing.assert_array_equal(straight.transform(X), disturbed.transform(X))


def test_a_pickle_goes_on_learning() -> None:
    X, y, _ = waves(160)
    for n in (20, 100):
        here = RandomConvolutionMetric(**SMALL).partial_fit(X[:n], y[:n])
        there = pickle.loads(pickle.dumps(here))
        for metric in (here, there):
            metric.partial_fit(X[n:], y[n:])
        np.testing.assert_array_equal(here.transform(X), there.transform(X))


# ------------------------------------------------------------------------------------------------------ pairs


@pytest.mark.parametrize("n", [30, 100])
def test_pairs_are_learned_by_the_generalised_eigenproblem(n: int) -> None:
    X, y, _ = waves(n)
    rng = np.random.default_rng(0)
    pairs = np.array([rng.choice(n, 2, replace=False) for _ in range(60)])
    same = y[pairs[:, 0]] == y[pairs[:, 1]]
    metric = RandomConvolutionMetric(**SMALL, n_components=400, blend=0.0).fit_pairs(X, pairs, same)
    raw = features(metric, X)
    f = raw[:, np.ptp(raw, axis=0) > 0]
    f = (f - f.mean(0)) / f.std(0)
    apart = f[pairs[:, 0]] - f[pairs[:, 1]]
    scatter = [apart[chosen].T @ apart[chosen] / chosen.sum() for chosen in (~same, same)]
    right = f.T @ f + 30 * 0.1 * f.shape[1] * np.eye(f.shape[1])
    values, vectors = eigh(scatter[0] - scatter[1], right)
    useful = values > 1e-5 * values.max()
    expected = squared(f @ (vectors[:, useful] * np.sqrt(values[useful])))
    np.testing.assert_allclose(metric.pairwise_distances(X), np.sqrt(expected / expected.mean()), rtol=5e-3, atol=5e-3)


def test_pairs_alone_teach_what_belongs_together() -> None:
    X, y, _ = waves(120)
    rng = np.random.default_rng(0)
    pairs = np.array([rng.choice(60, 2, replace=False) for _ in range(200)])
    same = np.where(y[pairs[:, 0]] == y[pairs[:, 1]], 1, -1)
    metric = RandomConvolutionMetric(random_state=0)
    left, right = np.triu_indices(60, 1)
    held_out, truth = np.column_stack([left, right]) + 60, y[left + 60] == y[right + 60]
    unlearned = roc_auc_score(truth, metric.fit(X).score_pairs(X, held_out))
    learned = roc_auc_score(truth, metric.fit_pairs(X, pairs, same).score_pairs(X, held_out))
    assert learned > unlearned + 0.02
    metric.calibrate_threshold(X, held_out[::2], np.where(truth, 1, -1)[::2])
    assert (metric.predict_pairs(X, held_out[1::2]) == np.where(truth, 1, -1)[1::2]).mean() > 0.75


# ------------------------------------------------------------------------------------------------------ degenerate data


def test_one_sequence_of_each_class_is_enough() -> None:
    X, y, _ = waves(60)
    first = np.array([np.flatnonzero(y == label)[0] for label in range(3)])
    knn = SequenceKNeighborsClassifier(RandomConvolutionMetric(random_state=0), n_neighbors=1)
    assert knn.fit([X[i] for i in first], y[first]).score(X, y) > 0.8


@pytest.mark.parametrize("n", [2, 3, 40])
def test_sequences_that_are_all_equal_are_at_distance_zero(n: int) -> None:
    X = np.tile(np.sin(np.arange(20)), (n, 1))[..., None]
    for y in (np.arange(n) % 2, None, np.linspace(0.1, 1, n)):
        metric = RandomConvolutionMetric(n_features=84, random_state=0).fit(X, y)
        np.testing.assert_array_equal(metric.pairwise_distances(X), np.zeros((n, n)))


def test_two_sequences_and_one() -> None:
    X, _, _ = waves(2)
    assert RandomConvolutionMetric(**SMALL).fit(X, [0, 1]).pair_distance(X[:1], X[1:]) > 0
    assert RandomConvolutionMetric(**SMALL).fit(X[:1]).transform(X).shape == (2, 1)


def test_sequences_of_one_step() -> None:
    X = [np.array([[float(i)]]) for i in range(6)]
    metric = RandomConvolutionMetric(**SMALL).fit(X, np.arange(6) % 2)
    assert np.isfinite(metric.pairwise_distances(X)).all()


def test_one_class_is_refused() -> None:
    X, y, _ = waves(12)
    with pytest.raises(ValueError, match="y holds only one class"):
        RandomConvolutionMetric().fit(X, np.zeros(12))
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="Only one class has sequences of positive sample_weight"):
            getattr(RandomConvolutionMetric(), method)(X, y, y == 1)
    metric = RandomConvolutionMetric(**SMALL).partial_fit(X, y)
    assert metric.partial_fit(X[:2], [7, 7]).classes_.tolist() == [0, 1, 2, 7]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_features": 83}, "n_features"),
        ({"alpha": 0.0}, "alpha"),
        ({"blend": 1.1}, "blend"),
        ({"n_components": 0}, "n_components"),
        ({"target": "step"}, "target"),
        ({"class_weight": "heavy"}, "class_weight"),
        ({"views": ["channels", "spectra"]}, "spectra"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"alpha": 1e-30}, "alpha is too small"),
    ],
)
def test_wrong_parameters_are_named(settings: dict[str, Any], message: str) -> None:
    X, y, _ = waves(12)
    metric = RandomConvolutionMetric(**{**SMALL, **settings})
    with pytest.raises(ValueError, match=message):
        metric.fit(X, y)
    assert not hasattr(metric, "components_")


# ------------------------------------------------------------------------------------------------------ reproducible


def test_the_order_of_sequences_changes_no_bit() -> None:
    X, y, _ = waves(40, ragged=True)
    order = np.random.default_rng(0).permutation(40)
    shuffled = RandomConvolutionMetric(**SMALL).fit([X[i] for i in order], y[order])
    np.testing.assert_array_equal(RandomConvolutionMetric(**SMALL).fit(X, y).transform(X), shuffled.transform(X))


def test_threads_change_no_bit_of_an_embedding() -> None:
    X, y, _ = waves(30, ragged=True)
    metric = RandomConvolutionMetric(random_state=0).fit(X, y)
    one = metric.transform(X)
    torch.set_num_threads(2)
    try:
        np.testing.assert_array_equal(metric.transform(X), one)
        np.testing.assert_array_equal(np.concatenate([metric.transform([x]) for x in X]), one)
    finally:
        torch.set_num_threads(1)


def test_a_pickle_has_the_components_once() -> None:
    X, y, _ = waves(20)
    metric = RandomConvolutionMetric(random_state=0).fit(X, y)
    data = pickle.dumps(metric)
    assert len(data) < 1.3 * metric.components_.nbytes
    np.testing.assert_array_equal(pickle.loads(data).transform(X), metric.transform(X))


def test_memory_of_many_sequences_is_that_of_the_products_of_features() -> None:
    """In float32: one array of P^2 numbers for the sums and all that is solved."""
    X = np.random.default_rng(0).normal(size=(1700, 12, 1)).astype(np.float32)
    y = np.arange(1700) % 3
    tracemalloc.start()
    try:
        metric = RandomConvolutionMetric(1596, n_components=8, random_state=0).fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    n_features = metric.convolutions_.n_features_out
    assert 2048 < n_features < 2 * 1700
    assert peak < 4 * n_features**2 + 40e6


# ------------------------------------------------------------------------------------------------------ the default


@pytest.mark.parametrize(
    "cls", [SequenceKNeighborsClassifier, SequenceKNeighborsRegressor, SequenceNeighborsTransformer]
)
def test_it_is_the_metric_of_neighbour_estimators(cls: Any) -> None:
    X, y, _ = waves(20)
    fitted = cls().fit(X, y)
    assert isinstance(fitted.metric_, RandomConvolutionMetric)
    assert fitted.metric_.random_state == 0
    np.testing.assert_array_equal(fitted.kneighbors(X)[0], cls().fit(X, y).kneighbors(X)[0])
    named = cls("random_convolution").fit(X, y)
    np.testing.assert_array_equal(fitted.kneighbors(X)[0], named.kneighbors(X)[0])


def test_the_default_needs_no_optional_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tslearn", None)
    monkeypatch.setitem(__import__("sys").modules, "tslearn.metrics", None)
    X, y, frequencies = waves(30)
    assert SequenceKNeighborsClassifier().fit(X, y).score(X, y) > 0.8
    assert SequenceKNeighborsRegressor().fit(X, frequencies).score(X, frequencies) > 0.5


def test_weights_reach_the_default_metric() -> None:
    X, y, _ = waves(30)
    weights = np.random.default_rng(0).uniform(0, 2, 30)
    plain, weighted = (
        SequenceKNeighborsClassifier().fit(X, y),
        SequenceKNeighborsClassifier().fit(X, y, sample_weight=weights),
    )
    expected = RandomConvolutionMetric(random_state=0).fit(X, y, weights).transform(X)
    np.testing.assert_array_equal(weighted.metric_.transform(X), expected)
    assert not np.array_equal(plain.metric_.transform(X), expected)


def test_a_search_over_its_parameters() -> None:
    X, y, _ = waves(30)
    knn = SequenceKNeighborsClassifier(RandomConvolutionMetric(**SMALL), n_neighbors=1)
    search = GridSearchCV(knn, {"metric__alpha": [0.01, 1.0], "metric__blend": [0.0, 0.5]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.6
