"""A function as the metric of every neighbour estimator, of one pair or of two lists, and weights by a function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from tslearn.metrics import cdist_dtw, dtw

from skseqmetric import DTWMetric, SequenceKNeighborsClassifier, SequenceKNeighborsRegressor
from tests.fake_metrics import MeanMetric, mean_tile, random_sequences
from tests.small_neighbors import ESTIMATORS

PREDICTORS = [SequenceKNeighborsClassifier, SequenceKNeighborsRegressor]
Y = np.arange(12) % 3


def mean_gap(x, y):
    return np.linalg.norm(x.mean(axis=0) - y.mean(axis=0))


def gap_of_either(x, y):
    """The mean gap of arrays and lists alike."""
    return mean_tile(x, y) if isinstance(x, list) else float(mean_gap(x, y))


def quiet_liar(x, y):
    """A function of a pair that gives zeros of the right shape for lists."""
    return np.zeros((len(x), len(y))) if isinstance(x, list) else mean_gap(x, y)


FUNCTIONS: dict[str, tuple[Any, bool]] = {
    "lambda": (lambda x, y: np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)), False),
    "float": (lambda x, y: float(mean_gap(x, y)), False),
    "0-d": (lambda x, y: np.asarray(mean_gap(x, y)), False),
    "float32": (lambda x, y: np.float64(mean_gap(x, y)), False),
    "block": (mean_tile, True),
    "block as lists": (lambda Q, R: mean_tile(Q, R).tolist(), True),
    "either": (gap_of_either, True),
    "liar": (quiet_liar, False),
    "get_metric": (MeanMetric().fit(random_sequences(np.random.default_rng(0), 12)).get_metric(), None),
}


@pytest.fixture
def X(rng):
    return random_sequences(rng, 12)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_form_of_a_function_finds_the_same_neighbors(cls, name, X, rng):
    function, takes_lists = FUNCTIONS[name]
    others = random_sequences(rng, 5)
    model = clone(cls(function, n_neighbors=2)).fit(X, Y)
    expected = cls(mean_tile, n_neighbors=2).fit(X, Y)
    for queries in (others, None):
        (found, at), (wanted, there) = model.kneighbors(queries), expected.kneighbors(queries)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        np.testing.assert_array_equal(at, there)
    metric = model.metric_
    assert getattr(metric, "takes_lists_", None) == takes_lists
    np.testing.assert_allclose(metric.pairwise_distances(X), mean_tile(X, X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(-metric.score_pairs(X, [[0, 3]]), mean_gap(X[0], X[3]), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_functions_of_tslearn_are_metrics(cls, equal, rng):
    X = list(rng.normal(size=(12, 5, 2))) if equal else random_sequences(rng, 12)
    expected = cls(DTWMetric(), n_neighbors=2).fit(X, Y).kneighbors(X)
    for function in (dtw, cdist_dtw, DTWMetric().fit(X).get_metric()):
        found = cls(function, n_neighbors=2).fit(X, Y).kneighbors(X)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
        np.testing.assert_array_equal(found[1], expected[1])


def test_a_learned_function_prepares_every_sequence_once(X):
    class Counting(MeanMetric):
        calls: list[int] = []

        def _prepare(self, sequences):
            self.calls.append(len(sequences))
            return super()._prepare(sequences)

    metric = Counting(euclidean=False).fit(X)
    model = SequenceKNeighborsClassifier(metric.get_metric(), algorithm="rerank", n_candidates=6).fit(X, Y)
    model.kneighbors(X[:3])
    assert Counting.calls == [12, 3]


@pytest.mark.parametrize("equal", [True, False])
def test_shapes_decide_and_no_broadcast(equal, rng):
    """One step and two channels, where the mean over a list has the shape of 1 x 2 distances."""
    X = [rng.normal(size=(1, 2)) for _ in range(6)] if equal else [rng.normal(size=(1 + i % 2, 2)) for i in range(6)]
    broadcast = lambda x, y: np.abs(np.mean(x, axis=0) - np.mean(y, axis=0))  # noqa: E731
    with pytest.raises(ValueError, match="neither form"):
        SequenceKNeighborsClassifier(broadcast, n_neighbors=1).fit(X, [0, 1] * 3)
    total = lambda x, y: np.abs(np.sum(x) - np.sum(y))  # noqa: E731
    if equal:
        model = SequenceKNeighborsClassifier(total, n_neighbors=1).fit(X, [0, 1] * 3)
        assert model.kneighbors(X[:1])[0] == 0
        assert not model.metric_.takes_lists_


def test_one_sequence_is_enough_for_the_trial():
    metric = SequenceKNeighborsRegressor(mean_gap, n_neighbors=1).fit([[[1.0, 2.0]]], [3.0])
    assert metric.predict([[[5.0, 5.0]]]) == [3.0]


def raising(x, y):
    raise KeyError("no such feature")


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (raising, "no such feature"),
        (lambda x: 0.0, "positional argument"),
        (lambda x, y: None, "returned None"),
        (lambda x, y: np.nan, "returned nan"),
        (lambda x, y: np.inf, "returned inf"),
        (lambda x, y: "0.5", "returned '0.5'"),
        (lambda x, y: 1j, "returned 1j"),
        (lambda x, y: np.zeros(1), r"returned ndarray of shape \(1,\)"),
        (lambda x, y: np.zeros((len(x), len(y) + 1)), "returned ndarray of shape"),
        (lambda x, y: [[0.0], [1.0, 2.0]], r"returned \[\["),
        (dict, "dict"),
    ],
)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_function_of_neither_form_is_refused_at_fit_with_both_forms(cls, function, cause, X):
    with pytest.raises(ValueError, match=r"function of one pair takes .* function of two lists takes") as refused:
        cls(function, n_neighbors=2).fit(X, Y)
    assert refused.match(cause)
    assert refused.value.__cause__ is not None
    assert refused.value.__cause__.__context__ is not None  # what the lists gave
    assert "takes_lists_" not in vars(refused)


@pytest.mark.parametrize("bad", [None, np.nan, -np.inf, "0.5", np.zeros(2), [1.0]])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_pair_without_a_number_is_named(cls, bad, X):
    """Sequence 1 is met in the search only: the trial takes the shortest ones."""
    X = [*X[:1], np.full((20, 2), 7.0), *X[2:]]
    function = lambda x, y: bad if len(x) == 9 and y[0, 0] == 7.0 else mean_gap(x, y)  # noqa: E731
    model = cls(function, n_neighbors=2).fit(X, Y)
    queries = [np.zeros((3, 2)), np.zeros((9, 2))]
    with pytest.raises(
        ValueError, match=r"returned .* for sequence 1 \(of the first set\) and sequence 1 \(of the sec"
    ):
        model.kneighbors(queries)


def test_an_error_of_the_function_keeps_its_type_and_tells_the_pair(X):
    def broken(x, y):
        if len(x) == 30:
            raise KeyError("late")
        return mean_gap(x, y)

    model = SequenceKNeighborsClassifier(broken, n_neighbors=2).fit(X, Y)
    with pytest.raises(KeyError, match="late") as raised:
        model.kneighbors([np.zeros((30, 2))])
    assert "sequence 0 (of the first set)" in raised.value.__notes__[0]


# ------------------------------------------------------------------------------------------------------------ weights


@pytest.mark.parametrize("cls", PREDICTORS)
def test_no_weights_are_uniform_weights(cls, X, rng):
    others = random_sequences(rng, 7)
    expected = cls(mean_gap, n_neighbors=4).fit(X, Y)
    model = cls(mean_gap, n_neighbors=4, weights=None).fit(X, Y)
    np.testing.assert_array_equal(model.predict(others), expected.predict(others))
    assert KNeighborsClassifier(weights=None).fit(np.eye(5), np.arange(5) % 2).weights is None


BAD_WEIGHTS: dict[str, tuple[Any, str]] = {
    "nan": (lambda d: np.where(d == d[2, 1], np.nan, 1.0), "gave nan to neighbor 1 of query 2"),
    "inf": (lambda d: np.where(d == d[2, 1], np.inf, 1.0), 'gave inf to neighbor 1 of query 2.*weights="distance"'),
    "inverse": (lambda d: 1 / d, 'gave inf to neighbor 0 of query 0, at distance 0.0.*weights="distance"'),
    "negative": (lambda d: np.where(d == d[2, 1], -1e-3, 1.0), "gave -0.001 to neighbor 1 of query 2"),
    "cancelling": (lambda d: np.tile([1.0, -1.0, 0.0], (len(d), 1)), "gave -1.0 to neighbor 1 of query 0"),
    "none": (lambda d: None, "NoneType"),
    "text": (lambda d: np.full(d.shape, "a"), "not an array of numbers"),
    "ragged": (lambda d: [[1.0], [2.0, 3.0]], "not an array of numbers"),
    "scalar": (lambda d: 1.0, r"float of shape \(\), the distances have \(4, 3\)"),
    "transposed": (lambda d: np.ones(d.T.shape), r"shape \(3, 4\), the distances have \(4, 3\)"),
    "zero row": (lambda d: np.where(np.arange(4)[:, None] == 2, 0.0, 1.0) + 0 * d, "neighbors of query 2 get zero"),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
@pytest.mark.parametrize("cls", PREDICTORS)
def test_bad_weights_name_the_query(cls, name, X, rng):
    weights, message = BAD_WEIGHTS[name]
    model = cls(mean_gap, n_neighbors=3, weights=weights).fit(X, Y)
    queries = [X[0], *random_sequences(rng, 3)]
    for method in {"predict", "predict_proba"} & set(dir(model)):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(queries)


@pytest.mark.parametrize("scale", [1e-310, 5e-309, 1.0, 1e300])
@pytest.mark.parametrize("weights", ["distance", lambda d: np.full(d.shape, 1e308), lambda d: np.full(d.shape, 5e-324)])
def test_shares_are_finite_and_sum_to_one_at_any_scale(weights, scale):
    gap = lambda x, y: scale * abs(float(x[0, 0] - y[0, 0]))  # noqa: E731
    X = [[[float(i)]] for i in range(6)]
    model = SequenceKNeighborsClassifier(gap, n_neighbors=4, weights=weights).fit(X, [0, 1] * 3)
    shares = model.predict_proba([[[2.4]], [[3.0]], [[99.0]]])
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    values = SequenceKNeighborsRegressor(gap, n_neighbors=4, weights=weights).fit(X, np.arange(6.0)).predict(X)
    assert ((values >= 0) & (values <= 5)).all()


@pytest.mark.parametrize("cls", PREDICTORS)
def test_distances_below_zero_have_no_inverse_weights(cls, X):
    model = cls(lambda x, y: -1.0 - mean_gap(x, y), n_neighbors=2, weights="distance").fit(X, Y)
    with pytest.raises(ValueError, match="neighbor 0 of query 0 is at -"):
        model.predict(X)
