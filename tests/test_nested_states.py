"""Clusters within clusters: constructed embeddings with a known answer, plain loops, and the zoomed maps."""

from __future__ import annotations

from itertools import combinations, pairwise, product
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from sklearn.decomposition import PCA

from skseqmetric.inspection import NestedStatesDisplay

pyplot = pytest.importorskip("matplotlib.pyplot")
WORDS = "abcde"
SENTENCES = ["".join(own) for own in product(WORDS, repeat=3)]


class Network:
    """Stands in for a fitted network: its last state is what it is given, the others are far away."""

    def hidden_states(self, X: Any) -> list[np.ndarray]:
        return [np.concatenate([np.full((len(x) - 1, x.shape[1]), 1e6), x[-1:]]) for x in X]


def shown(final: np.ndarray, sentences: Any = SENTENCES, **options: Any) -> NestedStatesDisplay:
    """The display of given last states (n, H) of sentences."""
    X = [np.tile(x, (len(words), 1)) for x, words in zip(final, sentences, strict=True)]
    options = {"step_names": [list(words) for words in sentences], "reducer": PCA(2), "min_states": 1, **options}
    options = {"n_permutations": 49, "figure": Figure(), **options}
    return NestedStatesDisplay.from_estimator(Network(), X, **options)


def fractal(rng: np.random.Generator, ratio: float) -> np.ndarray:
    """The state h = e(word) + ratio h' after every word: clusters by the last words are small copies of the whole."""
    vectors = dict(zip(WORDS, rng.normal(size=(len(WORDS), 4)), strict=True))
    return np.array([sum(ratio**k * vectors[word] for k, word in enumerate(words[::-1])) for words in SENTENCES])


def unrelated(rng: np.random.Generator) -> np.ndarray:
    """Every cluster has sub-clusters at places of its own."""
    places: dict[str, np.ndarray] = {}
    draw = lambda ending: places.setdefault(ending, rng.normal(size=4) / 4 ** len(ending))  # noqa: E731
    return np.array([sum(draw(words[-d:]) for d in (1, 2, 3)) for words in SENTENCES])


def similarities(display: NestedStatesDisplay) -> dict[tuple[int, int], Any]:
    return {own.depths: own for own in display.networks["Network"].similarity}


# ------------------------------------------------------------------------------------------------ measures


def test_an_embedding_of_small_copies_is_self_similar(rng: np.random.Generator) -> None:
    display = shown(fractal(rng, 0.4))
    found = similarities(display)
    assert sorted(found) == [(1, 2), (1, 3), (2, 2), (2, 3), (3, 3)]
    for own in found.values():
        assert own.correlation == pytest.approx(1)
        assert own.p_value <= 0.02
    assert [found[depths].n_pairs for depths in sorted(found)] == [5, 25, 10, 125, 200]


@pytest.mark.parametrize("ratio", [0.3, 1.0])
def test_clusters_get_smaller_by_the_ratio(rng: np.random.Generator, ratio: float) -> None:
    """An additive network, ratio 1, is as self-similar as a fractal, but its clusters stay large."""
    display = shown(fractal(rng, ratio))
    variances = ratio ** (2 * np.arange(3))
    squares = np.array([variances[d:].sum() / (125 - 5**d) for d in range(3)])  # with degrees of freedom
    np.testing.assert_allclose(display.networks["Network"].spread[:3], np.sqrt(squares / squares[0]), rtol=1e-6)
    assert similarities(display)[1, 2].correlation == pytest.approx(1)


def test_unrelated_clusters_are_not_self_similar(rng: np.random.Generator) -> None:
    display = shown(unrelated(rng))
    for own in similarities(display).values():
        assert abs(own.correlation) < 0.3
        assert own.p_value > 0.02
    assert display.networks["Network"].spread[1] < 0.4  # they are nested all the same


@pytest.mark.slow
def test_p_values_of_unrelated_clusters_are_even(rng: np.random.Generator) -> None:
    p_values = [similarities(shown(unrelated(rng), depth=2, n_permutations=19))[2, 2].p_value for _ in range(10)]
    assert 0.25 < np.mean(p_values) < 0.8
    assert np.mean(np.array(p_values) <= 0.2) < 0.5


def test_similarity_is_that_of_plain_loops(rng: np.random.Generator) -> None:
    states, labels = rng.normal(size=(90, 3)), rng.integers(0, 4, size=(90, 2))
    labels[:4] = [4, 0], [4, 1], [4, 2], [4, 0]
    levels = {"outer": list(labels[:, 0]), "inner": list(labels[:, 1])}
    found = similarities(shown(states, ["a"] * 90, step_names=None, levels=levels, min_states=2))

    def distances(rows: np.ndarray, level: int) -> dict[tuple[int, int], float]:
        words = [w for w in range(5) if (labels[rows, level] == w).sum() >= 2]
        means = {w: states[rows & (labels[:, level] == w)].mean(axis=0) for w in words}
        return {(v, w): float(np.linalg.norm(means[v] - means[w])) for v, w in combinations(words, 2)}

    def alike(one: dict[Any, float], other: dict[Any, float]) -> float:
        common = sorted(set(one) & set(other))
        return float(spearmanr([one[k] for k in common], [other[k] for k in common]).statistic)

    root = distances(np.ones(90, dtype=bool), 0)
    inner = [distances(labels[:, 0] == w, 1) for w in range(4)]  # of label 4 one sub-cluster is large enough
    np.testing.assert_allclose(found[1, 2].correlation, np.mean([alike(root, own) for own in inner]))
    np.testing.assert_allclose(found[2, 2].correlation, np.mean([alike(*own) for own in combinations(inner, 2)]))
    assert (found[1, 2].n_pairs, found[2, 2].n_pairs) == (4, 6)


def test_too_few_common_labels_are_no_pair(rng: np.random.Generator) -> None:
    levels = {"outer": ["x", "y", "z"] * 4, "inner": ["a", "b", "b", *"abcabcabc"]}
    found = similarities(shown(rng.normal(size=(12, 2)), ["a"] * 12, step_names=None, levels=levels))
    assert [(own.n_pairs, np.isnan(own.correlation)) for own in found.values()] == [(0, True), (0, True)]


def test_table(rng: np.random.Generator) -> None:
    pytest.importorskip("pandas")
    display = shown(fractal(rng, 0.4), depth=2)
    frame = display.to_frame()
    assert frame["depths"].tolist() == [(1, 2), (2, 2)]
    assert frame["spread"].tolist() == [display.networks["Network"].spread[2]] * 2
    assert frame.columns.tolist() == ["network", "depths", "correlation", "p_value", "n_pairs", "spread"]


# ------------------------------------------------------------------------------------------------ levels


def test_levels_are_the_last_words_that_count() -> None:
    sentences = [["a", "END"], ["b", "a", "the", "END"], ["c", "b", "the", "a", "END"], ["END"]]
    display = shown(np.eye(4), sentences, leave_out=["the", "END"], path=["a", "b"])
    words = np.array([*display.words, None])
    assert words[display.codes].tolist() == [["a", None, None], ["a", "b", None], ["a", "b", "c"], [None] * 3]
    assert display.levels == ["last word", "word before", "2 words before"]


def test_levels_may_be_labels_of_sequences() -> None:
    levels = {"object": ["cup", None, "bowl", "cup"], "size": [2, 1, None, 1]}
    display = shown(np.eye(4), ["a"] * 4, step_names=None, levels=levels)
    words = np.array([*display.words, None])
    assert words[display.codes].tolist() == [["cup", 2], [None, 1], ["bowl", None], ["cup", 1]]
    assert display.levels == ["object", "size"]
    assert display.axes_.shape == (1, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_names": None}, "Pass step_names for levels by the last words, or levels, and not both"),
        ({"levels": {"a": list("xyz")}}, "Pass step_names .* and not both"),
        ({"depth": 0}, "depth=0 must be a whole number of at least 1"),
        ({"min_states": 0}, "min_states=0 must be"),
        ({"n_permutations": 0.5}, "n_permutations=0.5 must be"),
        ({"depth": 4}, "depth=4: no sequence has a label of every level"),
        ({"leave_out": "a"}, "leave_out is of type str"),
        ({"step_names": [list("abc"), list("ab")]}, "step_names has 2 sequences, but X has 3"),
        ({"step_names": None, "levels": [1, 2]}, "levels is no mapping"),
        ({"step_names": None, "levels": {"a": list("xy")}}, r"levels\['a'\] has 2 labels, but there are 3 sequences"),
        ({"step_names": None, "levels": {"a": ["x", None, 1]}}, r"levels\['a'\]\[2\] is 1, a number"),
        ({"path": ["z"]}, r"path\[0\] is 'z', but no sequence has the labels \['z'\]"),
        ({"path": ["c", "a"]}, r"path\[1\] is 'a', but no sequence has the labels \['c', 'a'\]"),
    ],
)
def test_wrong_arguments_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shown(np.eye(3), ["abc", "abc", "bbc"], **options)


# ------------------------------------------------------------------------------------------------ pictures


def test_every_panel_zooms_into_the_last(rng: np.random.Generator) -> None:
    states = fractal(rng, 0.4)
    X = [np.tile(x, (3, 1)) for x in states]
    display = NestedStatesDisplay.from_estimators(
        {"one": Network(), "other": Network()},
        X,
        step_names=[list(s) for s in SENTENCES],
        reducer=PCA(2),
        path=["c"],
    )
    assert display.axes_.shape == (2, 3)
    titles = [ax.get_title() for ax in display.axes_[1]]
    assert titles == ["other: by last word", "in “c”: by word before", "in “c, a”: by 2 words before"]
    for row in display.axes_:
        for outer, inner in pairwise(row):
            (box,) = outer.patches
            np.testing.assert_allclose(box.get_xy(), [inner.get_xlim()[0], inner.get_ylim()[0]])
            np.testing.assert_allclose(box.get_width(), np.ptp(inner.get_xlim()))
    points = display.networks["one"].points
    inside = [s[-1] == "c" and s[-2] == "b" for s in SENTENCES]
    drawn = [c.get_offsets() for c in display.axes_[0, 1].collections]
    assert any(len(own) == 5 and np.array_equal(own, points[inside]) for own in drawn)


def test_a_path_goes_into_the_richest_cluster(rng: np.random.Generator) -> None:
    sentences = ["aab", "bab", "cbb", "abc", "aba", "aba", "aba"]
    display = shown(rng.normal(size=(7, 2)), sentences)
    # "b" has two words before it, more than the three sentences with "a"
    assert [ax.get_title() for ax in display.axes_[0, 1:]] == ["in “b”: by word before", "in “b, a”: by 2 words before"]


def test_display_draws_into_a_given_figure(rng: np.random.Generator) -> None:
    figure = pyplot.figure(figsize=(6, 3))
    display = shown(fractal(rng, 0.4), figure=figure)
    figure.canvas.draw()
    assert display.figure_ is figure
    assert "ρ = 1.00" in display.axes_[0, 1].get_xlabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(WORDS)
