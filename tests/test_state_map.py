"""The map of recurrent states: what is fitted, what is placed where, and the measures of a map."""

from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE, trustworthiness

from skseqmetric.inspection import RecurrentStateMap


class FirstTwo:
    """A reducer that keeps the first two numbers, and counts what it was given."""

    def __init__(self) -> None:
        self.fitted: list[np.ndarray] = []
        self.placed: list[np.ndarray] = []

    def fit_transform(self, rows: np.ndarray) -> np.ndarray:
        self.fitted.append(rows)
        return rows[:, :2] + 100.0  # fitted places are told from placed ones

    def transform(self, rows: np.ndarray) -> np.ndarray:
        self.placed.append(rows)
        return rows[:, :2]


class OnlyFitted:
    """A reducer without transform."""

    def fit_transform(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, :2]


@pytest.fixture
def states(rng: np.random.Generator) -> list[np.ndarray]:
    """Six sequences of states (T_i, 5), float32, all of which begin with the same two."""
    begin = rng.normal(size=(2, 5))
    return [np.concatenate([begin, rng.normal(size=(n, 5))]).astype(np.float32) for n in (3, 7, 1, 4, 9, 2)]


# ------------------------------------------------------------------ what is fitted
def test_distinct_states_are_fitted_in_the_order_of_their_first_appearance(states: list[np.ndarray]) -> None:
    fitted = RecurrentStateMap(FirstTwo()).fit(states)
    expected = [*states[0], *(row for x in states[1:] for row in x[2:])]
    assert np.array_equal(fitted.states_, expected)
    assert fitted.states_.dtype == np.float32
    assert np.array_equal(fitted.points_, fitted.states_[:, :2] + 100)
    assert np.array_equal(RecurrentStateMap(FirstTwo()).fit(np.concatenate(states)).states_, expected)


def test_rows_are_distinct_exactly() -> None:
    near = np.float32(1) + np.finfo(np.float32).eps
    rows = np.array([[1, 0], [near, 0], [1, 0], [1, -0.0], [0, 1]], dtype=np.float32)
    assert np.array_equal(RecurrentStateMap(FirstTwo()).fit(rows).states_, rows[[0, 1, 4]])


def test_the_given_reducer_is_left_alone(states: list[np.ndarray]) -> None:
    reducer = PCA(2)
    fitted = RecurrentStateMap(reducer).fit(states)
    assert not hasattr(reducer, "components_")
    assert fitted.reducer_ is not reducer
    assert clone(fitted).get_params()["max_states"] == 20000


def test_states_beyond_the_most_are_drawn_without_replacement_and_locally(states: list[np.ndarray]) -> None:
    n = len(RecurrentStateMap(FirstTwo()).fit(states).states_)
    some = RecurrentStateMap(FirstTwo(), max_states=10, random_state=3).fit(states)
    again = RecurrentStateMap(FirstTwo(), max_states=10, random_state=3).fit(states)
    other = RecurrentStateMap(FirstTwo(), max_states=10, random_state=4).fit(states)
    assert len(np.unique(some.states_, axis=0)) == len(some.states_) == 10
    assert np.array_equal(some.states_, again.states_)
    assert not np.array_equal(some.states_, other.states_)
    placed = np.concatenate(some.transform(states))
    assert len(np.unique(placed[placed[:, 0] < 50], axis=0)) == n - 10  # those that were left out, by `transform`
    assert len(RecurrentStateMap(FirstTwo(), max_states=None).fit(states).states_) == n


# ------------------------------------------------------------------ what is placed where
def test_fitted_states_keep_their_place_and_others_are_placed_by_the_reducer(
    states: list[np.ndarray], rng: np.random.Generator
) -> None:
    fitted = RecurrentStateMap(FirstTwo())
    for x, points in zip(states, fitted.fit_transform(states), strict=True):
        assert np.array_equal(points, x[:, :2] + 100)
    assert not fitted.reducer_.placed
    new = rng.normal(size=(3, 5)).astype(np.float32)
    mixed = [np.concatenate([new[:2], states[4], new[:1]]), states[2], new]
    first, second, third = fitted.transform(mixed)
    assert np.array_equal(first, np.concatenate([new[:2, :2], states[4][:, :2] + 100, new[:1, :2]]))
    assert np.array_equal(second, states[2][:, :2] + 100)
    assert np.array_equal(third, new[:, :2])
    assert [len(rows) for rows in fitted.reducer_.placed] == [3]  # once, and each distinct state once
    assert np.array_equal(fitted.transform(states[0]), states[0][:, :2] + 100)  # one array in, one out
    cube = np.stack([states[0], states[0][::-1]])
    assert [points.shape for points in fitted.transform(cube)] == [(5, 2), (5, 2)]


def test_states_of_another_precision_and_a_saved_map(states: list[np.ndarray]) -> None:
    fitted = RecurrentStateMap(FirstTwo()).fit(states)
    for again in (fitted, pickle.loads(pickle.dumps(fitted))):
        for x in states:
            assert np.array_equal(again.transform([x.astype(np.float64)])[0], x[:, :2] + 100)


def test_a_reducer_without_transform_places_only_what_it_was_fitted_on(states: list[np.ndarray]) -> None:
    fitted = RecurrentStateMap(OnlyFitted()).fit(states)
    assert np.array_equal(np.concatenate(fitted.transform(states)), np.concatenate(states)[:, :2])
    with pytest.raises(ValueError, match="1 of 5 states were not fitted, and OnlyFitted has no transform"):
        fitted.transform([np.concatenate([states[0][:4], np.zeros((1, 5))])])
    with pytest.raises(ValueError, match="max_states=None"):
        RecurrentStateMap(OnlyFitted(), max_states=5).fit(states).transform(states)
    tsne = RecurrentStateMap(TSNE(perplexity=4, random_state=0)).fit(states)
    assert tsne.points_.shape == (28, 2)
    assert np.array_equal(tsne.transform(states)[0], tsne.points_[:5])


def test_errors_name_what_is_wrong(states: list[np.ndarray]) -> None:
    with pytest.raises(NotFittedError):
        RecurrentStateMap().transform(states)
    fitted = RecurrentStateMap(FirstTwo()).fit(states)
    with pytest.raises(ValueError, match="H = 4 numbers, but this map was fitted on states of 5"):
        fitted.transform([np.zeros((2, 4))])
    with pytest.raises(ValueError, match=r"states\[1\] has H = 4 numbers a state, but the first sequence has 5"):
        fitted.fit([states[0], np.zeros((2, 4))])
    with pytest.raises(ValueError, match=r"states\[0\] has shape \(3,\)"):
        fitted.fit([np.zeros(3)])
    with pytest.raises(ValueError, match=r"states\[1\] is not finite at step 1"):
        fitted.fit([states[0], np.array([[0.0] * 5, [np.nan] * 5])])
    with pytest.raises(ValueError, match="list of sequences is empty"):
        fitted.fit([])
    with pytest.raises(ValueError, match=r"PCA returned shape \(28, 3\).*two numbers"):
        RecurrentStateMap(PCA(3)).fit(states)
    with pytest.raises(ValueError, match="There are 3 distinct states, and UMAP needs 4 or more"):
        RecurrentStateMap().fit([np.eye(3), np.eye(3)])
    with pytest.raises(ValueError, match="'max_states' parameter"):
        RecurrentStateMap(max_states=0).fit(states)


def test_without_umap_the_remedy_is_named(states: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r'pip install "skseqmetric\[viz\]"'):
        RecurrentStateMap().fit(states)


# ------------------------------------------------------------------ figures
@pytest.mark.parametrize("k", [1, 5, 13])
def test_trustworthiness_is_that_of_the_distinct_states(states: list[np.ndarray], k: int) -> None:
    fitted = RecurrentStateMap(PCA(2)).fit(states)
    expected = trustworthiness(fitted.states_, fitted.points_, n_neighbors=k)
    assert fitted.trustworthiness(states, n_neighbors=k) == pytest.approx(expected, abs=1e-12)
    assert expected < 1  # of five dimensions in two
    with pytest.raises(ValueError, match="n_neighbors=14 must be from 1 to less than half of the 28"):
        fitted.trustworthiness(states, n_neighbors=14)


def test_trustworthiness_is_one_where_no_neighbour_is_false(rng: np.random.Generator) -> None:
    flat = rng.normal(size=(50, 2))
    assert RecurrentStateMap(FirstTwo()).fit(flat).trustworthiness(flat) == 1.0


def test_trustworthiness_in_small_blocks(states: list[np.ndarray]) -> None:
    from sklearn import config_context

    fitted = RecurrentStateMap(PCA(2)).fit(states)
    whole = fitted.trustworthiness(states)
    with config_context(working_memory=0.001):  # 4 rows of 28 numbers
        assert fitted.trustworthiness(states) == pytest.approx(whole, abs=1e-12)


def brute_purity(points: np.ndarray, labels: np.ndarray, k: int) -> float:
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return float(np.mean(labels[nearest] == labels[:, None]))


@pytest.mark.parametrize("k", [1, 4])
def test_purity_counts_neighbours_of_the_same_label(states: list[np.ndarray], k: int) -> None:
    fitted = RecurrentStateMap(PCA(2)).fit(states)
    labels = [
        np.array(["begin", "begin", *("even" if t % 2 == 0 else "odd" for t in range(len(x) - 2))]) for x in states
    ]
    own = np.array([*labels[0], *(label for part in labels[1:] for label in part[2:])])  # a common beginning is one
    expected = brute_purity(fitted.points_, own, k)
    assert fitted.purity(states, labels, n_neighbors=k) == pytest.approx(expected, abs=1e-12)
    together = fitted.purity(np.concatenate(states), np.concatenate(labels), n_neighbors=k)
    assert together == pytest.approx(expected, abs=1e-12)


def test_purity_of_one_state_with_two_labels() -> None:
    rows = np.array([[0.0, 0], [9, 0], [9.1, 0]])
    fitted = RecurrentStateMap(FirstTwo()).fit(rows)
    # state 0 is there as a and as b, and each is the nearest of the other; 1 and 2 are alike
    assert fitted.purity([rows, rows], [np.array(["a", "c", "c"]), np.array(["b", "c", "c"])], n_neighbors=1) == 0.5
    with pytest.raises(ValueError, match="n_neighbors=3 must be from 1 to less than the 3 distinct"):
        fitted.purity(rows, ["a", "b", "c"], n_neighbors=3)
    with pytest.raises(ValueError, match=r"labels of sequence 1 have shape \(2,\), but there are 3 states"):
        fitted.purity([rows, rows], [np.zeros(3), np.zeros(2)])
    with pytest.raises(ValueError, match="labels are given for 1 sequences, but there are states of 2"):
        fitted.purity([rows, rows], [np.zeros(3)])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_islands_are_counted(n: int, rng: np.random.Generator) -> None:
    centres = 50.0 * np.arange(n)[:, None] * [[1.0, 0.5]]
    fitted = RecurrentStateMap(FirstTwo()).fit(np.concatenate([c + rng.normal(size=(40, 2)) for c in centres]))
    assert fitted.n_islands() == n
    assert fitted.n_islands(min_cluster_size=40 * n + 1) == 0


# ------------------------------------------------------------------ UMAP
class Seen:
    """Stands in for UMAP: remembers what it was made with."""

    made: dict[str, Any] = {}

    def __init__(self, **options: Any) -> None:
        type(self).made = options

    def fit_transform(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, :2]

    def fit(self, rows: np.ndarray) -> Self:
        return self


@pytest.mark.parametrize(
    ("seed", "n_jobs"),
    [(42, 1), (None, -1), (np.random.default_rng(0), 1), (np.random.RandomState(0), 1)],
)
def test_umap_is_made_as_documented(
    states: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, seed: Any, n_jobs: int
) -> None:
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Seen))
    RecurrentStateMap(random_state=seed).fit(states)
    assert {k: Seen.made[k] for k in ("n_components", "n_neighbors", "n_jobs")} == {
        "n_components": 2,
        "n_neighbors": 15,
        "n_jobs": n_jobs,
    }
    given = Seen.made["random_state"]
    assert isinstance(given, int) if isinstance(seed, np.random.Generator) else given is seed
    RecurrentStateMap().fit(states[2:3] * 2 + [np.ones((2, 5))])
    assert Seen.made["n_neighbors"] == 3  # of 4 distinct states


@pytest.mark.long  # importing and compiling UMAP takes 20 s
@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")  # of importorskip; the map's own is silent
def test_umap_keeps_what_is_near_together(rng: np.random.Generator) -> None:
    umap = pytest.importorskip("umap")
    centres = 8.0 * rng.normal(size=(3, 20))
    states = [(c + rng.normal(size=(40, 20))).astype(np.float32) for c in centres]
    fitted, again = RecurrentStateMap().fit(states), RecurrentStateMap().fit(states)
    assert np.array_equal(fitted.points_, again.points_)
    assert fitted.trustworthiness(states) > 0.85
    labels = [np.full(40, k) for k in range(3)]
    assert fitted.purity(states, labels) == 1.0
    assert fitted.n_islands() == 3
    new = [x + 0.1 * rng.normal(size=x.shape).astype(np.float32) for x in states]
    placed = fitted.transform(new)
    near = [np.linalg.norm(p[:, None] - fitted.points_, axis=2).argmin(axis=1) // 40 for p in placed]
    assert all((own == k).all() for k, own in enumerate(near))
    with_seed = RecurrentStateMap(umap.UMAP(n_neighbors=10, random_state=0)).fit(states)  # no warning of a seed
    assert with_seed.n_islands() == 3
