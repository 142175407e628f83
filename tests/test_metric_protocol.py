"""The public methods that every metric shares."""

from __future__ import annotations

import math
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import balanced_accuracy_score, f1_score

from skseqmetric import SequenceKNeighborsClassifier, SyncGRUMetric
from tests.fake_metrics import TILE_SHAPES, MeanMetric, random_sequences

METRICS = [MeanMetric(0.5), MeanMetric(2.0, euclidean=False)]


def one_pair(metric, x, y):
    """The definition of a fake distance, from the two sequences alone."""
    a, b = (np.float32(metric.scale * (s.mean(axis=0) - metric.center_)).astype(np.float64) for s in (x, y))
    gap = 0.0 if metric.euclidean else 0.5 * abs(len(x) - len(y))
    return math.sqrt(math.fsum((a - b) ** 2)) + gap


@pytest.fixture
def X(rng):
    return random_sequences(rng, 23, copies=4)


@pytest.fixture(params=METRICS, ids=["euclidean", "pairwise"])
def metric(request, X):
    return clone(request.param).fit(X)


# ---------------------------------------------------------------------------------------------------------- distances


def test_every_form_gives_the_definition(metric, X, rng):
    expected = np.array([[one_pair(metric, x, y) for y in X] for x in X])
    np.testing.assert_allclose(metric.pairwise_distances(X), expected, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(metric.pairwise_distances(X[:5], X), expected[:5], rtol=1e-14, atol=1e-15)
    p = rng.permutation(len(X))
    shuffled = [X[i] for i in p]
    np.testing.assert_allclose(
        metric.pair_distance(X, shuffled), expected[np.arange(len(X)), p], rtol=1e-14, atol=1e-15
    )
    pairs = rng.integers(0, len(X), size=(40, 2))
    np.testing.assert_allclose(metric.score_pairs(X, pairs), -expected[tuple(pairs.T)], rtol=1e-14, atol=1e-15)
    callable_metric = metric.get_metric()
    assert callable_metric(X[2], X[7]) == pytest.approx(expected[2, 7], rel=1e-14)
    assert isinstance(callable_metric(X[2], X[7]), float)


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 65, 513, 1100])
def test_distances_do_not_depend_on_the_blocks(metric, rng, n):
    X = random_sequences(rng, n)
    distances = metric.pairwise_distances(X)
    rows, columns = np.indices((n, n)).reshape(2, -1)
    one_by_one = -metric.score_pairs(X, np.stack([rows, columns], axis=1)).reshape(n, n)
    np.testing.assert_array_equal(distances, one_by_one)
    np.testing.assert_array_equal(distances, distances.T)
    assert not distances.diagonal().any()
    np.testing.assert_array_equal(metric.pairwise_distances(X, X[:7]), distances[:, :7])


def test_each_unordered_pair_is_computed_once(rng):
    X = random_sequences(rng, 300)
    metric = MeanMetric(euclidean=False).fit(X)
    TILE_SHAPES.clear()
    metric.pairwise_distances(X)
    computed = sum(rows * columns for rows, columns in TILE_SHAPES)
    assert 300 * 299 / 2 <= computed <= 300 * (299 / 2 + 32)  # blocks on the diagonal are computed whole
    TILE_SHAPES.clear()
    metric.pairwise_distances(random_sequences(rng, 700), X)
    assert sum(rows * columns for rows, columns in TILE_SHAPES) == 700 * 300
    assert max(max(shape) for shape in TILE_SHAPES) <= 512


def test_tiles_hold_sequences_of_like_length(rng):
    seen = []

    class Spy(MeanMetric):
        def _tile(self, left, rows, right, columns):
            seen.append((left.lengths[rows], right.lengths[columns]))
            return np.zeros((len(rows), len(columns)))

    X, Y = random_sequences(rng, 700, longest=200), random_sequences(rng, 1100, longest=200)
    Spy().fit(X).pairwise_distances(X, Y)
    for lengths, of_tiles in zip((X, Y), zip(*seen, strict=True), strict=True):
        ordered = np.sort([len(x) for x in lengths])
        assert {tuple(tile) for tile in of_tiles} == {tuple(ordered[s : s + 512]) for s in range(0, len(ordered), 512)}


def test_embeddings_of_many_pairs_are_taken_in_pieces(rng):
    X = random_sequences(rng, 4, n_channels=8)
    metric = SyncGRUMetric(24, coupling=None, n_filters=None, max_epochs=1, random_state=0).fit(X, [0, 0, 1, 1])
    pairs, width = rng.integers(4, size=(2**18, 2)), metric.transform(X).nbytes // 4
    tracemalloc.start()
    scores = metric.score_pairs(X, pairs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # one side of all pairs would be as large
    assert peak < len(pairs) * width
    np.testing.assert_array_equal(scores, -metric.pairwise_distances(X)[tuple(pairs.T)])


def test_pair_distance_refuses_unequal_counts(metric, X):
    with pytest.raises(ValueError, match="X has 23 sequences and Y has 22"):
        metric.pair_distance(X, X[:-1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["pairwise_distances", "pair_distance"])
def test_a_distance_that_is_not_finite_names_its_pair(X, bad, method):
    class Broken(MeanMetric):
        def _rows(self, left, rows, right, columns):
            value = super()._rows(left, rows, right, columns)
            return np.where((rows == 3) & ((columns == 5) | (rows == columns)), bad, value)

    metric = Broken(euclidean=False).fit(X)
    with pytest.raises(ValueError, match=r"sequence 3 .*sequence [35] .*(nan|inf)"):
        getattr(metric, method)(X[:6], X[5::-1] if method == "pairwise_distances" else X[:6])


# ----------------------------------------------------------------------------------------------------------- callable


def test_get_metric_is_picklable_and_keeps_its_moment(metric, X):
    distance = metric.get_metric()
    before = distance(X[0], X[1])
    assert pickle.loads(pickle.dumps(distance))(X[0], X[1]) == before
    metric.set_params(scale=100.0).fit(X)
    assert distance(X[0], X[1]) == before
    assert metric.get_metric()(X[0], X[1]) != before


def test_get_metric_takes_rows_of_a_table(rng):
    table = rng.normal(size=(6, 4))
    metric = MeanMetric().fit(table)
    distances = metric.pairwise_distances(table)
    assert metric.get_metric()(table[1], table[4]) == distances[1, 4]


# ---------------------------------------------------------------------------------------------------------- threshold

SCORES = {
    "accuracy": lambda same, called: np.mean(same == called),
    "balanced_accuracy": lambda same, called: balanced_accuracy_score(same, called),
    "f1": lambda same, called: f1_score(same, called, zero_division=0.0),
}


def gap_of_values(Q, R):
    """|x - y| of sequences of one value, exact in float64."""
    return np.abs(np.ravel(Q)[:, np.newaxis] - np.ravel(R))


def calibrated(distances, same, strategy="accuracy", min_rate=None):
    """The threshold for pairs of these distances."""
    metric = SequenceKNeighborsClassifier(gap_of_values, n_neighbors=1).fit([[[0.0]], [[1.0]]], [0, 1]).metric_
    pairs = [(0, i) for i in range(1, len(distances) + 1)]
    X = np.append(0.0, distances)[:, np.newaxis, np.newaxis]
    return metric.calibrate_threshold(X, pairs, np.where(same, 1, -1), strategy=strategy, min_rate=min_rate).threshold_


def all_cuts(distances):
    levels = np.unique(distances)
    return [levels[0] - 1, *((levels[1:] + levels[:-1]) / 2), levels[-1] + 1]


@pytest.mark.parametrize("strategy", SCORES)
@given(data=st.data())
def test_threshold_is_the_best_of_all_cuts(strategy, data):
    n = data.draw(st.integers(2, 25))
    distances = np.array(data.draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))) / 4
    same = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    same[:2] = True, False
    found = calibrated(distances, same, strategy)
    best = max(SCORES[strategy](same, distances <= t) for t in all_cuts(distances))
    assert SCORES[strategy](same, distances <= found) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("strategy", ["max_tpr", "max_tnr"])
@given(data=st.data())
def test_rate_threshold_keeps_the_other_rate(strategy, data):
    n = data.draw(st.integers(2, 25))
    distances = np.array(data.draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))) / 4
    same = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    same[:2] = True, False
    floor = data.draw(st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))

    def rates(t):
        pair = float((distances[same] <= t).mean()), float((distances[~same] > t).mean())
        return pair if strategy == "max_tpr" else pair[::-1]

    found = rates(calibrated(distances, same, strategy, floor))
    assert found == max((wanted, kept) for wanted, kept in map(rates, all_cuts(distances)) if kept >= floor)


def test_threshold_ties_go_to_the_wider_gap():
    distances = np.array([1.0, 2.0, 3.0, 10.0, 11.0, 12.0])
    same = np.array([True, True, True, False, False, False])
    assert calibrated(distances, same) == 6.5
    # one error each at a cut in (1, 2), in (3, 10) and in (11, 12): the middle gap is the widest
    mixed = np.array([True, False, True, False, True, False])
    assert calibrated(np.array([1.0, 2.0, 3.0, 10.0, 11.0, 12.0]), mixed) == 6.5


def test_threshold_between_neighbouring_floats_still_separates():
    first, second, third = 1.0, 1.0 + 2.0**-52, 1.0 + 2.0**-51  # a middle is rounded down here, up there
    for low, high in [(first, second), (second, third)]:
        threshold = calibrated(np.array([low, high]), np.array([True, False]))
        assert low <= threshold < high


def test_threshold_of_reversed_pairs_lies_outside():
    same = np.array([False, False, False, True])
    assert calibrated(np.array([1.0, 2.0, 3.0, 4.0]), same) < 1.0
    assert calibrated(np.array([0.0, 2.0, 3.0, 4.0]), same) < 0.0
    assert calibrated(np.array([1.0, 2.0, 3.0, 4.0]), ~same, "max_tpr", 0.0) >= 3.0
    assert calibrated(np.array([1.0, 2.0, 3.0, 4.0]), same, "max_tpr", 0.0) == 4.0  # no larger one was ever seen


def test_calibrated_metric_tells_classes_apart(metric):
    X = [np.full((steps, 2), level) for level in (0.0, 50.0) for steps in (3, 4, 5)]
    metric.fit(X)
    pairs = [(i, j) for i in range(6) for j in range(i)]
    same = [1 if (i < 3) == (j < 3) else -1 for i, j in pairs]
    assert metric.calibrate_threshold(X, pairs, same) is metric
    np.testing.assert_array_equal(metric.predict_pairs(X, pairs), same)
    within = max(-metric.score_pairs(X, [p for p, s in zip(pairs, same, strict=True) if s == 1]))
    between = min(-metric.score_pairs(X, [p for p, s in zip(pairs, same, strict=True) if s == -1]))
    assert metric.threshold_ == pytest.approx((within + between) / 2)
    # equality counts as the same
    metric.threshold_ = between
    assert (metric.predict_pairs(X, pairs) == 1).sum() > same.count(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "auc"}, "strategy='auc' is not one of 'accuracy'"),
        ({"strategy": "max_tpr"}, "'max_tpr' needs min_rate"),
        ({"strategy": "max_tnr", "min_rate": 1.5}, "needs min_rate in"),
        ({"min_rate": 0.5}, "min_rate is for strategy"),
    ],
)
def test_bad_strategies_are_named(metric, X, options, message):
    with pytest.raises(ValueError, match=message):
        metric.calibrate_threshold(X, [[0, 1], [0, 2]], [1, -1], **options)


def test_pairs_of_one_kind_do_not_calibrate(metric, X):
    with pytest.raises(ValueError, match="at least one pair with -1"):
        metric.calibrate_threshold(X, [[0, 1], [0, 2]], [1, 1])


# ------------------------------------------------------------------------------------------------------------- states


@pytest.mark.parametrize(
    "call",
    [
        lambda m, X: m.pair_distance(X, X),
        lambda m, X: m.pairwise_distances(X),
        lambda m, X: m.get_metric(),
        lambda m, X: m.score_pairs(X, [[0, 1]]),
        lambda m, X: m.calibrate_threshold(X, [[0, 1], [0, 2]], [1, -1]),
        lambda m, X: m.predict_pairs(X, [[0, 1]]),
    ],
)
def test_unfitted_metrics_say_so(call, X):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        call(MeanMetric(), X)


def test_other_channels_are_refused(metric, rng):
    with pytest.raises(ValueError, match="fitted with 2"):
        metric.pairwise_distances(random_sequences(rng, 3, n_channels=3))


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match=r"'dtv' is not known.*'dtw'"):
        SequenceKNeighborsClassifier("dtv").fit([[[0.0]], [[1.0]]], [0, 1])
