"""DTWMetric: what tslearn gives, on ragged input, through every form of the protocol, by either engine."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import tslearn.metrics
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from tslearn.metrics import cdist_dtw, dtw

from skseqmetric import DTWMetric, SequenceKNeighborsClassifier
from tests.fake_metrics import random_sequences
from tests.test_compiled import compiled


def plain_dtw(x, y, radius=None):
    """The recursion of Sakoe and Chiba as a plain loop; the band is widened by the difference of the lengths."""
    if len(x) > len(y):
        x, y = y, x
    extra = len(y) - len(x)
    cost = np.full((len(x) + 1, len(y) + 1), np.inf)
    cost[0, 0] = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            if radius is None or i - radius <= j <= i + extra + radius:
                before = min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
                cost[i + 1, j + 1] = ((x[i] - y[j]) ** 2).sum() + before
    return float(np.sqrt(cost[-1, -1]))


ENGINES = [
    pytest.param("compiled", marks=pytest.mark.skipif(compiled.obstacle() is not None, reason="not built")),
    pytest.param("tslearn", marks=pytest.mark.slow),  # numba compiles first
]


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def X(rng):
    return random_sequences(rng, 18, n_channels=3, longest=14, copies=3)


@pytest.fixture
def without_kernels(monkeypatch):
    monkeypatch.setattr(compiled, "obstacle", lambda: "it was not built")


@pytest.mark.parametrize(("window", "radius"), [(None, None), (0, 0), (2, 2), (50, 50), (0.25, 3), (0.0, 0), (1.0, 14)])
def test_distance_is_the_recursion(X, engine, window, radius):
    X = [*X, np.ones((14, 3))]
    metric = DTWMetric(window=window, engine=engine).fit(X)
    assert metric.radius_ == radius
    expected = [[plain_dtw(x, y, radius) for y in X[:7]] for x in X]
    np.testing.assert_allclose(metric.pairwise_distances(X, X[:7]), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("window", [None, 1])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_numbers_are_those_of_tslearn(X, engine, window, n_jobs):
    metric = DTWMetric(window=window, engine=engine, n_jobs=n_jobs).fit(X)
    band = {} if window is None else {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": window}
    expected = cdist_dtw(X, **band)
    np.testing.assert_array_equal(metric.pairwise_distances(X), expected)
    np.testing.assert_array_equal(metric.pairwise_distances(X[3:], X), expected[3:])
    np.testing.assert_array_equal(metric.pair_distance(X, X[::-1]), expected[:, ::-1].diagonal())
    assert metric.get_metric()(X[1], X[4]) == dtw(X[1], X[4], **band)


@pytest.mark.parametrize("window", [None, 2])
def test_laws(X, engine, window):
    metric = DTWMetric(window=window, engine=engine).fit(X)
    distances = metric.pairwise_distances(X, [x.copy() for x in X])  # every ordered pair by itself
    np.testing.assert_array_equal(distances, distances.T)
    assert not distances.diagonal().any()
    assert (distances >= 0).all()


def test_a_wider_band_never_makes_it_longer(X):
    by_radius = [DTWMetric(window=w).fit(X).pairwise_distances(X) for w in (0, 1, 3, None)]
    assert all((a >= b - 1e-12).all() for a, b in pairwise(by_radius))
    assert (by_radius[0] > by_radius[-1]).any()


def test_repeated_steps_cost_nothing(rng):
    x = rng.normal(size=(6, 2))
    assert DTWMetric().fit([x]).pair_distance([x], [np.repeat(x, 3, axis=0)]).item() == 0.0


def test_input_forms_agree(rng):
    padded = rng.normal(size=(6, 9, 2))
    padded[2, 5:], padded[4, 1:] = np.nan, np.nan
    ragged = [x[~np.isnan(x[:, 0])] for x in padded]
    expected = DTWMetric().fit(ragged).pairwise_distances(ragged)
    np.testing.assert_array_equal(DTWMetric().fit(padded).pairwise_distances(padded), expected)
    table = padded[:2, :, 0]
    one_channel = [row[:, np.newaxis] for row in table]
    metric = DTWMetric().fit(table)
    assert metric.pairwise_distances(table)[0, 1] == plain_dtw(*one_channel)


def test_float32_values_are_taken_as_they_are(X):
    narrow = [x.astype(np.float32) for x in X]
    wide = [x.astype(np.float64) for x in narrow]
    np.testing.assert_array_equal(
        DTWMetric().fit(narrow).pairwise_distances(narrow), DTWMetric().fit(wide).pairwise_distances(wide)
    )


def test_tslearn_gets_every_pair_once_in_calls_of_like_length(rng, monkeypatch):
    X = [np.zeros((steps, 1)) for steps in rng.integers(1, 60, size=500)]
    Y = [np.zeros((steps, 1)) for steps in rng.integers(1, 9, size=30)]
    calls = []

    def recorded(left, right, **options):
        calls.append([[len(x) for x in side] for side in (left, right)])
        return np.zeros((len(left), len(right)))

    monkeypatch.setattr(tslearn.metrics, "cdist_dtw", recorded)
    DTWMetric(engine="tslearn").fit(X).pairwise_distances(X, Y)
    assert sum(len(left) * len(right) for left, right in calls) == 500 * 30
    sides = [side for call in calls for side in call]
    assert max(max(side) - min(side) for side in sides) <= 3
    assert max(map(len, sides)) <= 64
    assert len(calls) <= (59 // 4 + 1 + 500 // 64) * (8 // 4 + 1)


def test_eight_threads_get_what_one_gets(X):
    metric = DTWMetric(n_jobs=2).fit(X)
    state = pickle.dumps(metric)
    expected = metric.pairwise_distances(X)
    with ThreadPoolExecutor(8) as pool:
        for distances in pool.map(lambda _: metric.pairwise_distances(X), range(16)):
            np.testing.assert_array_equal(distances, expected)
    assert pickle.dumps(metric) == state


@pytest.mark.parametrize("settings", [{"engine": "tslearn"}, {"engine": "auto"}])
def test_missing_tslearn_is_said_at_fit(monkeypatch, without_kernels, X, settings):
    monkeypatch.setitem(sys.modules, "tslearn.metrics", None)
    unfitted = clone(DTWMetric(window=3, **settings))
    with pytest.raises(ImportError, match=r'pip install "skseqmetric\[baselines\]"'):
        unfitted.fit(X)
    with pytest.raises(ImportError, match="pip install"):
        SequenceKNeighborsClassifier(unfitted).fit(X, np.arange(len(X)) % 2)


def test_the_kernels_need_no_tslearn(monkeypatch, X):
    if compiled.obstacle() is not None:
        pytest.skip("not built")
    expected = DTWMetric().fit(X).pairwise_distances(X)
    monkeypatch.setitem(sys.modules, "tslearn.metrics", None)
    np.testing.assert_array_equal(DTWMetric().fit(X).pairwise_distances(X), expected)
    with pytest.raises(ImportError, match=r'pip install "skseqmetric\[baselines\]"'):
        DTWMetric(engine="tslearn").fit(X)


def test_missing_kernels_are_said_where_they_are_asked_for(without_kernels, X):
    with pytest.raises(ImportError, match=r'needs the compiled kernels: it was not built\. Pass engine="auto"'):
        DTWMetric(engine="compiled").fit(X)


@pytest.mark.parametrize("window", [None, 2])
def test_a_model_answers_the_same_where_there_are_no_kernels(monkeypatch, X, window):
    y = np.arange(len(X)) % 3
    model = SequenceKNeighborsClassifier(DTWMetric(window=window), n_neighbors=4).fit(X, y)
    expected, state = [model.kneighbors(X[::-1]), model.kneighbors()], pickle.dumps(model)
    monkeypatch.setattr(compiled, "obstacle", lambda: "it was not built")
    for found, before in zip([pickle.loads(state).kneighbors(X[::-1]), model.kneighbors()], expected, strict=True):
        for part, part_before in zip(found, before, strict=True):
            np.testing.assert_array_equal(part, part_before)


def test_a_search_changes_no_pickle(X):
    model = SequenceKNeighborsClassifier(DTWMetric(), n_neighbors=2).fit(X, np.arange(len(X)) % 3)
    state = pickle.dumps(model)
    model.kneighbors(X)
    assert pickle.dumps(model) == state


@pytest.mark.parametrize("window", [None, 0, 2])
@pytest.mark.parametrize("n_neighbors", [1, 3, 17])
def test_neighbours_are_those_of_the_matrix(X, engine, window, n_neighbors):
    metric = DTWMetric(window=window, engine=engine, n_jobs=2).fit(X)
    distances = metric.pairwise_distances(X)
    model = SequenceKNeighborsClassifier(metric, n_neighbors=n_neighbors).fit(X, np.arange(len(X)) % 2)
    for matrix, found in ((distances, model.kneighbors(X)), (distances + np.diag([np.inf] * 18), model.kneighbors())):
        order = np.argsort(matrix, axis=1, kind="stable")[:, :n_neighbors]  # the lower index first among equals
        np.testing.assert_array_equal(found[1], order)
        np.testing.assert_array_equal(found[0], np.take_along_axis(matrix, order, axis=1))


@pytest.mark.parametrize(
    "parameters", [{"window": -1}, {"window": 1.5}, {"window": "5"}, {"n_jobs": 1.5}, {"engine": "numba"}]
)
def test_bad_parameters_are_refused(parameters, X):
    with pytest.raises(ValueError, match=f"The '{next(iter(parameters))}' parameter of DTWMetric"):
        DTWMetric(**parameters).fit(X)


def test_values_whose_squares_overflow_name_the_pair(engine):
    X = [np.full((3, 1), 1e200), np.full((3, 1), -1e200)]
    metric = DTWMetric(engine=engine).fit(X)
    with pytest.raises(ValueError, match=r"sequence 0 .*sequence 1 .*is inf"):
        metric.pairwise_distances(X)
    with pytest.raises(ValueError, match=r"sequence 0 .*sequence 0 .*is inf"):
        SequenceKNeighborsClassifier(metric, n_neighbors=1).fit([X[1]] * 2, [0, 1]).kneighbors(X[:1])


def test_there_is_no_embedding(X):
    assert not hasattr(DTWMetric(), "transform")
    with pytest.raises(ValueError, match="DTWMetric has none"):
        SequenceKNeighborsClassifier("dtw", algorithm="rerank").fit(X, np.arange(len(X)) % 2)


def test_a_new_fit_forgets_the_threshold(X):
    metric = DTWMetric().fit(X).calibrate_threshold(X, [[0, 1], [0, 2]], [1, -1]).fit(X)
    with pytest.raises(NotFittedError, match="calibrate_threshold"):
        metric.predict_pairs(X, [[0, 1]])
